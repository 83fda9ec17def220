"""Stage: numeric windows of portfolios, from the path of their value and from what they are exposed to on the day.

The path is that of :mod:`prometheus.market.value_paths`: target weights as stored, applied to what the names did next,
as known at the day's cut-off. Concentration, gross weight and cash are those of the day's target; beta, standings,
volatility and losses are what the day's risk report says of it before any limit. Without a report those slots are 0 and
their masks say so; the summary counts it.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Markets
from prometheus.engines.risk import STANDINGS, sum_of_weights
from prometheus.errors import MissingInputError
from prometheus.lake import contract
from prometheus.lake.predicates import literal
from prometheus.market.as_known import panels_as_known
from prometheus.market.panel import EntitySeries
from prometheus.market.rolling import RollingSums
from prometheus.market.value_paths import CARRY, BookPaths, ValuePath
from prometheus.runtime import Chunk, Holding, Input, Output, Stage, StageReader, market_in_scope, selection, setting
from prometheus.spaces.numeric import encode_windows
from prometheus.spaces.numeric.exposures import EXPOSURES, LOSS_FLOOR, VOLATILITY_FLOOR
from prometheus.spaces.numeric.state import SIGMA_SESSIONS
from prometheus.stages.cuts import days_around
from prometheus.stages.numeric.embeddings import NumericEmbeddingsParams, markets_asked, window_rows
from prometheus.stages.numeric.windows import ENCODERS, MarketPrices, Segment, WindowParams, fingerprint, read_market
from prometheus.stages.risk.inputs import (
    DEFAULT_PORTFOLIOS,
    Portfolios,
    book_suffix,
    books_pattern,
    portfolio_rows,
    portfolios_of,
)

TABLE = "numeric_window_embeddings"
PORTFOLIO = "PORTFOLIO"

BOOKS_DAYS = 820
"""Calendar days that hold the 525 sessions whose books a path can depend on."""

PRICES_DAYS = 900
"""Calendar days that hold the 578 sessions whose prices it can depend on."""

UNFITTED = tuple(name for name in ENCODERS if name != "pca")

NO_PORTFOLIO = "no_portfolio"
NO_REPORT = "portfolios without a risk report"

VOLATILITY_UNIT, VAR_UNIT, ES_UNIT = 0.15, 0.06, 0.08


@dataclass(frozen=True)
class PortfolioEmbeddingsParams(WindowParams):
    """Parameters of the portfolios' windows."""

    model_id: str = setting("num-portfolio-core-v1", "numeric model", choices=("num-portfolio-core-v1",))
    encoder: str = setting("blocks", "numeric encoder; none is fitted on portfolios", choices=UNFITTED)
    portfolio_model_id: str = setting(DEFAULT_PORTFOLIOS, "model whose portfolios are embedded")
    portfolio_variant: str = setting("v0", "their variant", variant_of="target_portfolios")
    risk_variant: str = setting(
        "v0", "variant of the risk reports; without risk figures when empty", variant_of="portfolio_risk_reports"
    )
    market_id: tuple[str, ...] = selection((), "market; repeat for several; all in the lake when none")
    portfolio_id: tuple[str, ...] = selection((), "only these portfolios; repeat for several", narrows=True)


def _portfolio_surface(params: PortfolioEmbeddingsParams) -> dict[str, Any]:
    return {"model_id": params.portfolio_model_id, "variant": params.portfolio_variant}


def _asked(params: PortfolioEmbeddingsParams) -> dict[str, Any]:
    only = {"portfolio_id": list(params.portfolio_id)} if params.portfolio_id else {}
    return {**_portfolio_surface(params), **only}


def _days(
    params: PortfolioEmbeddingsParams, reader: StageReader, first: dt.date, last: dt.date
) -> dict[str, list[dt.date]]:
    markets = markets_asked(NumericEmbeddingsParams(market_id=params.market_id), reader)
    rows = reader.source("target_portfolios", columns=["as_of_date"], dates=(first, last), where=_asked(params))
    if reader.query(f"SELECT 1 FROM ({rows}) LIMIT 1").num_rows == 0:
        every = reader.source("target_portfolios", columns=["as_of_date"], where=_asked(params))
        raise MissingInputError(
            f"there are no target portfolios ({params.portfolio_model_id}, variant {params.portfolio_variant}) between "
            f"{first} and {last}{days_around(reader, every, first, last)}; make them with `python -m "
            f"prometheus.scripts.backfill_portfolios --date-range {first} {last}`"
        )
    return {_scope(m): reader.sessions(m).between(first, last).dates.tolist() for m in markets}


def _scope(market_id: str) -> str:
    return f"{market_id}/{PORTFOLIO}"


def _compute(params: PortfolioEmbeddingsParams, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    parts = [contract(TABLE).empty()]
    for scope, days in chunk.days.items():
        market_id = scope.partition("/")[0]
        begin = days[0] - dt.timedelta(days=BOOKS_DAYS)
        rows = portfolio_rows(reader, {**_asked(params), "market_id": market_id}, begin, days[-1])
        books = portfolios_of(rows)
        held = set(books.days.tolist())
        here = [day for day in days if day in held]
        for day in days:
            if day not in held:
                out.skip(scope, day, NO_PORTFOLIO)
        if here:
            market = read_market(reader, market_id, here, history=params.model.history + 1, cutoff=params.cutoff)
            reports = _reports(params, reader, market_id, here)
            for segment in _segments(params, market, books, reports, out):
                parts.append(window_rows(params, segment, PORTFOLIO))
                _count(out, scope, segment)
        _replace(out, params, scope, days)
    out.rows[TABLE] = pa.concat_tables(parts)
    return out


def _replace(out: Output, params: PortfolioEmbeddingsParams, scope: str, days: Sequence[dt.date]) -> None:
    partitions: dict[str, list[str] | list[dt.date]] = {
        "model_id": [params.model_id],
        "variant": [params.variant],
        "as_of_date": list(days),
    }
    if params.portfolio_id:
        suffix = book_suffix(params.portfolio_model_id)
        only = [f"{name}{suffix}" for name in params.portfolio_id]
        out.replace(TABLE, partitions, {"entity_type": [PORTFOLIO], "entity_id": only})
        return
    pattern = books_pattern(scope.partition("/")[0], params.portfolio_model_id)
    out.replace(TABLE, partitions, {"entity_type": [PORTFOLIO]}, {"entity_id": pattern})


def _count(out: Output, scope: str, segment: Segment) -> None:
    days = segment.days.tolist()
    made = np.bincount(segment.result.target_index, minlength=len(days))
    for day, n in zip(days, made.tolist(), strict=True):
        out.make(scope, day, n)
    for reason, counts in segment.result.skipped_by_target.items():
        for i in np.flatnonzero(counts):
            out.skip(scope, days[i], reason, int(counts[i]))


def _segments(
    params: PortfolioEmbeddingsParams,
    market: MarketPrices,
    books: Portfolios,
    reports: Mapping[tuple[str, dt.date], Mapping[str, float]],
    out: Output,
) -> Iterator[Segment]:
    encoder = params.numeric_encoder
    target_days = market.sessions.dates[market.targets]
    for known in panels_as_known(
        market.prices,
        market.actions,
        market.sessions,
        market.session_cutoffs,
        market.targets,
        history=params.model.history,
        names=books.names,
        infer_splits=params.infer_splits,
    ):
        days = market.sessions.dates[known.targets]
        rows = list(_rows_of(books, known.panel, known.positions, market.sessions.dates))
        suffix = book_suffix(params.portfolio_model_id)
        ids = tuple(f"{row.portfolio_id}{suffix}" for row in rows)
        series = _series(known.panel, ids, [row.path for row in rows])
        eligible = np.stack([row.asked for row in rows], axis=1)
        values = _exposures(books, rows, days, known.positions, params.model.window, reports, out)
        result = encode_windows(series, known.positions, params.model, encoder, eligible=eligible, exposures=values)
        yield Segment(series, known.positions, target_days[np.searchsorted(market.targets, known.targets)], result)


@dataclass(frozen=True, eq=False)
class _Row:
    """A portfolio's path as some targets see it."""

    portfolio_id: str
    path: ValuePath
    asked: NDArray[np.bool_]
    book: NDArray[np.int64]


def _rows_of(
    books: Portfolios, panel: EntitySeries, positions: NDArray[np.int64], sessions: NDArray[np.datetime64]
) -> Iterator[_Row]:
    """Paths of every portfolio, one for each way they begin; ``book`` is the row of each target's own weights."""
    at = np.searchsorted(sessions, books.days)
    first = int(np.searchsorted(sessions, panel.sessions[0]))
    every = np.arange(len(panel.names))
    for portfolio_id in np.unique(books.ids).tolist():
        mine = np.flatnonzero(books.ids == portfolio_id)
        place = _places(books.days[mine], at[mine], sessions, first)
        paths = BookPaths(panel, every, place, books.weights[mine])
        own = np.searchsorted(place, positions)
        has = (own < len(place)) & (place[np.minimum(own, len(place) - 1)] == positions)
        begins = paths.begins(positions, SIGMA_SESSIONS)
        for begin in np.unique(begins[has]).tolist():
            asked = has & (begins == begin)
            yield _Row(portfolio_id, paths.path(begin), asked, mine[np.minimum(own, len(place) - 1)])


def _places(
    days: NDArray[np.datetime64], at: NDArray[np.int64], sessions: NDArray[np.datetime64], first: int
) -> NDArray[np.int64]:
    """Position of each book in the panel; those before the sessions read stand far before it, in order."""
    before = days < sessions[0]
    far = np.arange(-len(days), 0) - len(sessions) - CARRY
    return np.where(before, far, at - first).astype(np.int64)


def _series(panel: EntitySeries, ids: tuple[str, ...], paths: Sequence[ValuePath]) -> EntitySeries:
    known = np.stack([path.known for path in paths])
    return EntitySeries(
        entity_type=PORTFOLIO,
        names=ids,
        sessions=panel.sessions,
        ret=np.stack([path.ret for path in paths]),
        ret_ok=known,
        observed=known,
        log_dollar_volume=np.full(known.shape, np.nan),
    )


_REPORT_COLUMNS = {
    "beta_before": "beta",
    "volatility_before": "volatility",
    "var_95_before": "var",
    "es_95_before": "es",
    "worst_loss_before": "worst",
}


def _reports(
    params: PortfolioEmbeddingsParams, reader: StageReader, market_id: str, days: Sequence[dt.date]
) -> dict[tuple[str, dt.date], dict[str, float]]:
    """What reports say of each portfolio before any limit; NaN for what they do not know."""
    if not params.risk_variant:
        return {}
    rows = reader.read(
        "portfolio_risk_reports",
        columns=["portfolio_id", "as_of_date", "factor_exposures_before", *_REPORT_COLUMNS],
        dates=(days[0], days[-1]),
        where={
            "variant": params.risk_variant,
            "market_id": market_id,
            "portfolio_model_id": params.portfolio_model_id,
        },
    )
    found = {}
    for row in rows.to_pylist():
        said = json.loads(row["factor_exposures_before"])
        figures = {name: _number(row[column]) for column, name in _REPORT_COLUMNS.items()}
        figures |= {name: _number(said[name]) for name in (*STANDINGS, "factor_share") if name != "volatility"}
        figures["volatility_standing"] = _number(said["volatility"])
        found[row["portfolio_id"], row["as_of_date"]] = figures
    return found


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _exposures(
    books: Portfolios,
    rows: Sequence[_Row],
    days: NDArray[np.datetime64],
    positions: NDArray[np.int64],
    window: int,
    reports: Mapping[tuple[str, dt.date], Mapping[str, float]],
    out: Output,
) -> dict[str, NDArray[np.float64]]:
    """Raw values of the exposures block, shape (rows, targets); NaN where unknown."""
    nothing = dict.fromkeys(
        ("beta", "momentum", "volatility_standing", "liquidity", "volatility", "factor_share", "var", "es", "worst"),
        float("nan"),
    )
    values = {name: np.full((len(rows), len(days)), np.nan) for name in EXPOSURES}
    for i, row in enumerate(rows):
        weights = books.weights[row.book]
        absolute = np.abs(weights)
        gross = sum_of_weights(absolute)
        squares = sum_of_weights(weights * weights)
        held = gross > 0
        sectors = [
            sum_of_weights(np.where(books.sector[row.book] == code, absolute, 0.0))
            for code in range(len(books.sectors))
        ]
        values["effective_names"][i] = np.log(
            np.divide(gross * gross, squares, out=np.full(len(held), np.nan), where=held)
        )
        values["largest_weight"][i] = np.where(held, absolute.max(axis=1, initial=0.0), np.nan)
        values["largest_sector"][i] = np.where(held, np.max(sectors, axis=0) if sectors else 0.0, np.nan)
        values["invested"][i] = held
        values["gross"][i], values["cash"][i] = gross, books.cash[row.book]
        said = [reports.get((row.portfolio_id, day), nothing) for day in days.tolist()]
        out.notes[NO_REPORT] += sum(one is nothing for one, on in zip(said, row.asked, strict=True) if on)
        figure = {name: np.array([one[name] for one in said]) for name in nothing}
        values["market_beta"][i] = figure["beta"]
        values["beta_known"][i] = ~np.isnan(figure["beta"])
        standings = {"momentum": "momentum", "volatility": "volatility_standing", "liquidity": "liquidity"}
        for slot, name in standings.items():
            values[slot][i] = figure[name]
        values["standing_known"][i] = np.mean([~np.isnan(figure[name]) for name in standings.values()], axis=0)
        values["ex_ante_volatility"][i] = _log_to(figure["volatility"], VOLATILITY_FLOOR, VOLATILITY_UNIT)
        values["factor_share"][i] = figure["factor_share"]
        values["volatility_known"][i] = ~np.isnan(figure["volatility"])
        values["var_95"][i] = _log_to(figure["var"], LOSS_FLOOR, VAR_UNIT)
        values["es_95"][i] = _log_to(figure["es"], LOSS_FLOOR, ES_UNIT)
        values["worst_loss"][i] = figure["worst"]
        values["scenarios_known"][i] = ~np.isnan(figure["var"])
        values["own_books"][i] = RollingSums(row.path.own[None, :]).ending(positions, window)[0] / window
    out.notes = +out.notes
    return values


def _log_to(values: NDArray[np.float64], floor: float, unit: float) -> NDArray[np.float64]:
    logs: NDArray[np.float64] = np.log(np.maximum(values, floor) / unit)
    return logs


def _holds(params: PortfolioEmbeddingsParams, scope: str, markets: Markets) -> dict[str, Holding]:
    where = {"model_id": params.model_id, "variant": params.variant, "entity_type": PORTFOLIO}
    pattern = books_pattern(scope.partition("/")[0], params.portfolio_model_id)
    return {TABLE: Holding(where, f"regexp_full_match(entity_id, {literal(pattern)})")}


def _fingerprint(params: PortfolioEmbeddingsParams) -> dict[str, Any]:
    return {**fingerprint(params), "carry": CARRY}


PORTFOLIO_EMBEDDINGS = Stage(
    name="portfolio_embeddings",
    revision=1,
    summary="encode numeric windows of portfolios: the path of their value, and what they are exposed to",
    params=PortfolioEmbeddingsParams,
    inputs=(
        Input("target_portfolios", history=BOOKS_DAYS, where=_portfolio_surface),
        Input(
            "portfolio_risk_reports",
            history=0,
            where=lambda p: {"variant": p.risk_variant, "portfolio_model_id": p.portfolio_model_id},
            optional=True,
            when=lambda p: bool(p.risk_variant),
        ),
        Input("prices_daily", history=PRICES_DAYS),
        Input("corporate_actions", history=None, optional=True),
        Input("instruments", history=None),
    ),
    outputs=(TABLE,),
    surface=lambda p: f"{p.model_id}/{p.portfolio_model_id}",
    days=_days,
    compute=_compute,
    market=market_in_scope,
    fingerprint=_fingerprint,
    command="backfill_joint_portfolios",
    holds=_holds,
    writes=lambda p: {TABLE: {"model_id": p.model_id, "entity_type": PORTFOLIO}},
)
