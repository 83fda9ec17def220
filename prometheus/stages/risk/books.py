"""Stage: what a portfolio may hold, and the risk of what it holds.

1. Target portfolios are read as stored, decided at the close of their session.
2. Loadings, scenarios and classes of their names are those known at its cut-off.
3. The rules are applied in their fixed order; every change is a row of ``risk_actions``.
4. The report says what the book is exposed to, after the limits and before; what was not known stands in ``reason``
   and is counted.

The turnover of a book is against its targets of the session before, which are made on the way.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Markets
from prometheus.engines.risk import BookRisk, Limits, Step, apply_rules, book_risk, rules_of, sum_of_weights
from prometheus.errors import MissingInputError, RequestError
from prometheus.lake import contract
from prometheus.runtime import Chunk, Holding, Input, Output, Stage, StageReader, market_in_scope, selection, setting
from prometheus.runtime.params import StageParams
from prometheus.runtime.stage import UNCOUNTED
from prometheus.stages.cuts import days_around
from prometheus.stages.numeric.embeddings import NumericEmbeddingsParams, markets_asked
from prometheus.stages.numeric.windows import read_market
from prometheus.stages.risk.inputs import (
    DEFAULT_PORTFOLIOS,
    HISTORY,
    HISTORY_DAYS,
    SESSION_BEFORE_DAYS,
    Classes,
    Judged,
    KnownSets,
    Portfolios,
    classes_of,
    judged,
    portfolio_rows,
    portfolios_of,
)
from prometheus.stages.risk.rows import action_rows, report_rows, target_rows

TARGETS, ACTIONS, REPORTS = "book_targets", "risk_actions", "portfolio_risk_reports"
TABLES = (ACTIONS, TARGETS, REPORTS)

NO_PORTFOLIO = "no_portfolio"
NO_MARKET, NO_SCENARIOS, NO_FAIR_SCENARIOS = "no_market_factor", "no_scenarios", "no_bootstrap_scenarios"
NO_BETA, NO_CLASS, NO_SECTOR = "names_without_beta", "names_without_class", "names_without_sector"
"""What a report's reason says was not known: no market to speak of, so neither beta nor volatility; no scenarios; none
that are fair draws, so that value at risk is over all; names without loadings, class or sector."""


@dataclass(frozen=True)
class RiskParams(StageParams):
    """Parameters of the limits."""

    model_id: str = setting("risk-limits-v1", "name the rows go by", choices=("risk-limits-v1",))
    portfolio_model_id: str = setting(DEFAULT_PORTFOLIOS, "model whose portfolios are limited")
    portfolio_variant: str = setting("v0", "their variant", variant_of="target_portfolios")
    stability_model_id: str = setting("stability-embedding-v1", "model whose soft-target classes say BREAKER")
    stability_variant: str = setting(
        "v0", "their variant; no rule for BREAKER when empty", variant_of="soft_target_classes"
    )
    scenario_variant: str = setting("v0", "variant of the scenarios; none when empty", variant_of="scenario_sets")
    scenario_max_age: int = setting(400, "calendar days a scenario set may be old")
    breaker_weight: float | None = setting(0.0, "greatest weight of a name of class BREAKER")
    max_name: float | None = setting(0.10, "greatest absolute weight of a name")
    max_sector: float | None = setting(0.35, "greatest sum of absolute weights of a sector")
    max_gross: float | None = setting(1.0, "greatest sum of absolute weights")
    max_net: float | None = setting(1.0, "greatest absolute sum of weights")
    max_beta: float | None = setting(1.5, "greatest absolute beta")
    max_volatility: float | None = setting(0.30, "greatest ex ante volatility, annualised")
    max_es: float | None = setting(0.20, "greatest expected shortfall of the scenarios' horizon")
    half_life: float = setting(42.0, "sessions after which one counts half in the factors' covariance")
    infer_splits: bool = setting(False, "correct jumps that look like unrecorded splits instead of masking them")
    market_id: tuple[str, ...] = selection((), "market; repeat for several; all in the lake when none")
    portfolio_id: tuple[str, ...] = selection((), "only these portfolios; repeat for several", narrows=True)

    @property
    def limits(self) -> Limits:
        """Limits as configured."""
        return Limits(
            breaker_weight=self.breaker_weight if self.stability_variant else None,
            max_name=self.max_name,
            max_sector=self.max_sector,
            max_gross=self.max_gross,
            max_net=self.max_net,
            max_beta=self.max_beta,
            max_volatility=self.max_volatility,
            max_es=self.max_es,
        )


def _portfolio_surface(params: RiskParams) -> dict[str, Any]:
    return {"model_id": params.portfolio_model_id, "variant": params.portfolio_variant}


def _class_surface(params: RiskParams) -> dict[str, Any]:
    return {"model_id": params.stability_model_id, "variant": params.stability_variant}


def _check(params: RiskParams) -> None:
    """Refuse limits that are none.

    Raises
    ------
    RequestError
    """
    for name, value in vars(params.limits).items():
        if value is not None and not value >= 0:
            raise RequestError(f"{name} must be 0 or more, or null to switch the rule off; got {value}")
    if params.max_net is None or params.max_net > 1.0:
        raise RequestError(f"max_net must be 0 to 1, or a book could owe cash; got {params.max_net}")
    if not params.half_life > 0:
        raise RequestError(f"half_life must be a positive number of sessions; got {params.half_life}")
    if params.scenario_max_age < 0:
        raise RequestError(f"scenario_max_age must be 0 or more days; got {params.scenario_max_age}")


def _days(params: RiskParams, reader: StageReader, first: dt.date, last: dt.date) -> dict[str, list[dt.date]]:
    _check(params)
    markets = markets_asked(NumericEmbeddingsParams(market_id=params.market_id), reader)
    where = _asked(params)
    rows = reader.source("target_portfolios", columns=["as_of_date"], dates=(first, last), where=where)
    if reader.query(f"SELECT 1 FROM ({rows}) LIMIT 1").num_rows == 0:
        every = reader.source("target_portfolios", columns=["as_of_date"], where=where)
        raise MissingInputError(
            f"there are no target portfolios ({params.portfolio_model_id}, variant {params.portfolio_variant}) between "
            f"{first} and {last}{days_around(reader, every, first, last)}; make them with `python -m "
            f"prometheus.scripts.backfill_portfolios --date-range {first} {last}`"
        )
    return {m: reader.sessions(m).between(first, last).dates.tolist() for m in markets}


def _asked(params: RiskParams, market_id: str = "") -> dict[str, Any]:
    where = {**_portfolio_surface(params)}
    if params.portfolio_id:
        where["portfolio_id"] = list(params.portfolio_id)
    return {**where, "market_id": market_id} if market_id else where


def _compute(params: RiskParams, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    parts: dict[str, list[pa.Table]] = {table: [] for table in TABLES}
    for market_id, days in chunk.days.items():
        found = _market(params, reader, market_id, days, out)
        for table, rows in found.items():
            parts[table].append(rows)
        _replace(out, params, market_id, days)
    for table, tables in parts.items():
        out.rows[table] = pa.concat_tables(tables) if tables else contract(table).empty()
    return out


def _market(
    params: RiskParams, reader: StageReader, market_id: str, days: Sequence[dt.date], out: Output
) -> dict[str, pa.Table]:
    """Books of a market on some days; those of the sessions before them are made too, and left out."""
    sessions = reader.sessions(market_id).dates
    asked = np.array(days, dtype="datetime64[D]")
    before = sessions[np.maximum(np.searchsorted(sessions, asked) - 1, 0)]
    every = np.unique(np.r_[asked, before])
    rows = portfolio_rows(reader, _asked(params, market_id), every[0].item(), every[-1].item())
    portfolios = portfolios_of(rows.filter(pl.col("as_of_date").is_in(every.tolist())))
    held = set(portfolios.days.tolist())
    for day in days:
        if day not in held:
            out.skip(market_id, day, NO_PORTFOLIO)
    if not held & set(days):
        return {}
    classes = (
        classes_of(reader, _class_surface(params), market_id, portfolios)
        if params.stability_variant
        else Classes(*(np.zeros(portfolios.weights.shape, dtype=bool) for _ in range(2)))
    )
    sets = None
    if params.scenario_variant:
        sets = KnownSets(reader, market_id, params.scenario_variant, days[-1], params.scenario_max_age)
    market = read_market(reader, market_id, sorted(held), history=HISTORY, cutoff=params.cutoff)
    panels = judged(market, portfolios, classes, sets, half_life=params.half_life, infer_splits=params.infer_splits)
    books = [_Book.of(params, portfolios, classes, panel) for panel in panels]
    turnover = _turnovers(portfolios, books, sessions)
    keys = {
        "model_id": params.model_id,
        "variant": params.variant,
        "market_id": market_id,
        "portfolio_model_id": params.portfolio_model_id,
    }
    tables: dict[str, list[pa.Table]] = {table: [] for table in TABLES}
    wanted = np.isin(portfolios.days, asked)
    for book in books:
        mine = np.flatnonzero(wanted[book.panel.rows])
        if len(mine):
            for table, made in book.rows(keys, portfolios, classes, turnover, mine, out).items():
                tables[table].append(made)
    targets = pa.concat_tables(tables[TARGETS])
    made_on, counts = np.unique(targets["as_of_date"].to_numpy().astype("datetime64[D]"), return_counts=True)
    for day, count in zip(made_on.tolist(), counts.tolist(), strict=True):
        out.make(market_id, day, count)
    return {table: pa.concat_tables(made) for table, made in tables.items()}


@dataclass(frozen=True, eq=False)
class _Book:
    """Books of the decisions that one panel serves."""

    panel: Judged
    weights: NDArray[np.float64]
    cash: NDArray[np.float64]
    steps: list[Step]
    before: BookRisk
    after: BookRisk
    reasons: list[str | None]

    @classmethod
    def of(cls, params: RiskParams, portfolios: Portfolios, classes: Classes, panel: Judged) -> _Book:
        asked, cash_before = portfolios.weights[panel.rows], portfolios.cash[panel.rows]
        weights, cash, steps = apply_rules(asked, cash_before, panel.holdings, rules_of(params.limits))
        before, after = (book_risk(w, panel.holdings, panel.known) for w in (asked, weights))
        reasons = _reasons(params, asked, classes.known[panel.rows], panel)
        return cls(panel, weights, cash, steps, before, after, reasons)

    def rows(
        self,
        keys: Mapping[str, str],
        portfolios: Portfolios,
        classes: Classes,
        turnover: NDArray[np.float64],
        mine: NDArray[np.int64],
        out: Output,
    ) -> dict[str, pa.Table]:
        """Rows of the decisions at some places of the panel's."""
        at = self.panel.rows[mine]
        some = portfolios.take(at)
        steps = [_taken(step, mine) for step in self.steps]
        reasons = [self.reasons[i] for i in mine.tolist()]
        for reason in reasons:
            for word in (reason or "").split("+"):
                if word:
                    out.notes[f"books: {word}"] += 1
        for step in steps:
            if n := int((step.number > 0).sum()):
                out.notes[f"books limited by {step.rule.name}"] += n
        held = some.weights != 0
        unfitted = held & ~self.panel.known.model.fitted[mine]
        unclassified = held & ~classes.known[at]
        gross = sum_of_weights(np.where(~classes.known[at], np.abs(self.weights[mine]), 0.0))
        return {
            TARGETS: target_rows(keys, some, self.weights[mine], self.cash[mine], unclassified, unfitted),
            ACTIONS: action_rows(keys, some, steps),
            REPORTS: report_rows(
                keys,
                some,
                self.before.take(mine),
                self.after.take(mine),
                self.cash[mine],
                turnover[at],
                steps,
                _scenario_columns(self.panel, self.after, mine),
                gross,
                self.panel.known.model.factors,
                reasons,
            ),
        }


def _taken(step: Step, rows: NDArray[np.int64]) -> Step:
    return Step(step.rule, step.number[rows], step.before[rows], step.after[rows], step.value[rows])


def _reasons(
    params: RiskParams, asked: NDArray[np.float64], classed: NDArray[np.bool_], panel: Judged
) -> list[str | None]:
    """What was not known of each decision."""
    held = asked != 0
    knows, fair = np.zeros(len(asked), dtype=bool), np.zeros(len(asked), dtype=bool)
    for rows, losses in panel.known.losses:
        knows[rows], fair[rows] = bool(losses.drawn), losses.fair
    words = {
        NO_MARKET: ~panel.known.model.known,
        NO_SCENARIOS: ~knows & bool(params.scenario_variant),
        NO_FAIR_SCENARIOS: knows & ~fair,
        NO_BETA: (held & ~panel.known.model.fitted).any(axis=1),
        NO_CLASS: (held & ~classed).any(axis=1) & bool(params.stability_variant),
        NO_SECTOR: (held & (panel.holdings.sector < 0)).any(axis=1),
    }
    return ["+".join(word for word, of in words.items() if of[row]) or None for row in range(len(asked))]


def _scenario_columns(panel: Judged, after: BookRisk, mine: NDArray[np.int64]) -> dict[str, list[Any]]:
    """Which scenarios the losses of some decisions are over."""
    group = np.full(len(panel.rows), -1, dtype=np.int64)
    for i, (rows, _) in enumerate(panel.known.losses):
        group[rows] = i
    columns: dict[str, list[Any]] = {
        name: [] for name in ("horizon_days", "num_scenarios", "scenarios_of", "worst_scenario")
    }
    for row in mine.tolist():
        losses = panel.known.losses[group[row]][1] if group[row] >= 0 else None
        drawn = losses.drawn if losses is not None else ()
        columns["horizon_days"].append(max(s.horizon for s in drawn) if drawn else None)
        columns["num_scenarios"].append(losses.num_draws if losses is not None and drawn else None)
        columns["scenarios_of"].append(max(s.as_of_date for s in drawn).item() if drawn else None)
        place, path = after.tail.worst_set[row], after.tail.worst_path[row]
        if losses is None or place < 0:
            columns["worst_scenario"].append(None)
        else:
            worst = losses.sets[place]
            columns["worst_scenario"].append(f"{worst.set_id}/{worst.scenario_ids[path]}")
    return columns


def _turnovers(portfolios: Portfolios, books: Sequence[_Book], sessions: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Half the sum of absolute changes since the session before; NaN without a book then."""
    whole = np.full((len(portfolios), len(portfolios.names) + 1), np.nan)
    for book in books:
        whole[book.panel.rows] = np.column_stack([book.weights, book.cash])
    place = np.searchsorted(sessions, portfolios.days).tolist()
    named = list(zip(portfolios.ids.tolist(), place, strict=True))
    rows = {key: row for row, key in enumerate(named)}
    before = np.array([rows.get((name, at - 1), -1) for name, at in named], dtype=np.int64)
    changed = 0.5 * sum_of_weights(np.abs(np.nan_to_num(whole - whole[before])))
    return np.where(before >= 0, changed, np.nan)


def _replace(out: Output, params: RiskParams, market_id: str, days: Sequence[dt.date]) -> None:
    keys: dict[str, list[str] | list[dt.date]] = {
        "market_id": [market_id],
        "model_id": [params.model_id],
        "variant": [params.variant],
        "portfolio_model_id": [params.portfolio_model_id],
        "as_of_date": list(days),
    }
    if params.portfolio_id:
        keys["portfolio_id"] = list(params.portfolio_id)
    for table in TABLES:
        out.replace(table, partitions={"as_of_year": sorted({d.year for d in days})}, keys=keys)


def _written(params: RiskParams) -> dict[str, str]:
    return {"model_id": params.model_id, "portfolio_model_id": params.portfolio_model_id}


def _holds(params: RiskParams, scope: str, markets: Markets) -> dict[str, Holding]:
    where = {"market_id": scope, **_written(params), "variant": params.variant}
    # How many changes a day has is not what lineage counts; the report's num_actions says it.
    changes = Holding(where, counts=UNCOUNTED)
    return {TARGETS: Holding(where), REPORTS: Holding(where, counts="num_targets"), ACTIONS: changes}


RISK = Stage(
    name="risk",
    revision=1,
    summary="apply limits to target portfolios, and report the risk of what is held",
    params=RiskParams,
    inputs=(
        Input("target_portfolios", history=SESSION_BEFORE_DAYS, where=_portfolio_surface),
        Input("prices_daily", history=HISTORY_DAYS),
        Input("corporate_actions", history=None, optional=True),
        Input("instruments", history=None),
        Input(
            "soft_target_classes",
            history=SESSION_BEFORE_DAYS,
            where=_class_surface,
            optional=True,
            when=lambda p: bool(p.stability_variant),
        ),
        Input(
            "scenario_sets",
            history=None,
            where=lambda p: {"variant": p.scenario_variant},
            optional=True,
            when=lambda p: bool(p.scenario_variant),
        ),
        Input(
            "scenario_paths",
            history=None,
            where=lambda p: {"variant": p.scenario_variant},
            optional=True,
            when=lambda p: bool(p.scenario_variant),
        ),
    ),
    outputs=TABLES,
    surface=lambda p: f"{p.model_id}/{p.portfolio_model_id}",
    days=_days,
    compute=_compute,
    market=market_in_scope,
    chunk_by="year",
    command="backfill_risk",
    holds=_holds,
    writes=lambda p: {table: _written(p) for table in TABLES},
)
