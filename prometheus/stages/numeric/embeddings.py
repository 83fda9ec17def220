"""Stage: numeric windows of a market's instruments, companies, sectors or the market itself, encoded.

A company (ISSUER) has the row of the instrument that stands for it on the day, as
:func:`~prometheus.stages.issuers.representatives` chooses it: the most traded over the trailing 63 sessions.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Markets
from prometheus.encoders.numeric import NumericEncoder, PcaEncoder
from prometheus.errors import MissingInputError, RequestError
from prometheus.lake import contract
from prometheus.lake.predicates import literal
from prometheus.market.fundamentals import HISTORY_DAYS as FUNDAMENTAL_DAYS
from prometheus.market.listings import described_as_known
from prometheus.market.membership import listed_as_known
from prometheus.runtime import Chunk, Holding, Input, Output, Stage, StageReader, market_in_scope, selection
from prometheus.runtime.params import canonical_json
from prometheus.stages.cuts import check_prices
from prometheus.stages.issuers import representatives
from prometheus.stages.numeric.fitted_encoders import check_fits, encoders_of
from prometheus.stages.numeric.fundamental_ranks import market_fundamentals
from prometheus.stages.numeric.windows import (
    ENTITY_TYPES,
    INSTRUMENT,
    ISSUER,
    MARKET,
    SECTOR,
    WINDOW_SETTINGS,
    MarketPrices,
    Segment,
    WindowParams,
    fingerprint,
    history_of,
    instruments_of,
    read_market,
    segments,
)
from prometheus.vectors import to_list_array

TABLE = "numeric_window_embeddings"

HISTORY_DAYS = 1_200
"""Calendar days that hold the 755 sessions a basket's window can depend on, holidays included.

The longest window has 504 sessions (:attr:`~prometheus.spaces.numeric.NumericModel.longest`), and the volume of the
first is against its members' usual volume over 252 sessions up to it; returns need 504 + 74. Of the calendars of
``exchange_calendars``, most of them since 1990, 755 sessions span 1,158 days at most.
"""


@dataclass(frozen=True)
class NumericEmbeddingsParams(WindowParams):
    """Parameters of the numeric windows."""

    market_id: tuple[str, ...] = selection((), "market; repeat for several; all in the lake when none")
    entity_type: tuple[str, ...] = selection(
        ("INSTRUMENT",), "INSTRUMENT, ISSUER, SECTOR or MARKET; repeat for several", choices=ENTITY_TYPES
    )
    instrument_id: tuple[str, ...] = selection((), "only these instruments; repeat for several", narrows=True)
    limit: int | None = selection(None, "only the first N instruments by id", narrows=True)


def markets_asked(params: NumericEmbeddingsParams, reader: StageReader) -> list[str]:
    """Markets of the request: those named, else all the lake has instruments of."""
    if params.market_id:
        return [reader.markets.market(m).market_id for m in params.market_id]
    rows = reader.read("instruments", columns=["market_id"])
    found = sorted(set(rows["market_id"].to_pylist()) & set(reader.markets.by_id))
    if not found:
        raise MissingInputError(
            "the lake knows no instruments; bring them with `prometheus ingest source=... path=...`"
        )
    return found


def _scope(market_id: str, entity_type: str) -> str:
    return f"{market_id}/{entity_type}"


def _days(
    params: NumericEmbeddingsParams, reader: StageReader, first: dt.date, last: dt.date
) -> dict[str, list[dt.date]]:
    if "exposures" in params.model.blocks:
        raise RequestError(
            f"{params.model_id} is a model of portfolios; `python -m prometheus.scripts.backfill_joint_portfolios` "
            "makes its windows"
        )
    unknown = sorted(set(params.entity_type) - set(ENTITY_TYPES))
    if unknown:
        raise RequestError(f"there is no entity type {', '.join(unknown)} here; use {', '.join(ENTITY_TYPES)}")
    if params.instrument_id and set(params.entity_type) != {"INSTRUMENT"}:
        raise RequestError("--instrument-id names instruments; it goes with --entity-type INSTRUMENT alone")
    asked = {}
    markets = markets_asked(params, reader)
    if params.instrument_id:
        _check_names(params.instrument_id, reader, markets)
    for market_id in markets:
        sessions = reader.sessions(market_id).between(first, last).dates.tolist()
        check_fits(params, reader, market_id, sessions)
        for entity_type in params.entity_type:
            asked[_scope(market_id, entity_type)] = sessions
    check_prices(reader, first, last)
    return asked


def _check_names(wanted: Sequence[str], reader: StageReader, markets: Sequence[str]) -> None:
    known = {n for m in markets for n in instruments_of(reader, m)["instrument_id"].to_pylist()}
    unknown = sorted(set(wanted) - known)
    if unknown:
        raise RequestError(f"the lake has no instrument {', '.join(unknown)} in market {', '.join(markets)}")


def _only(params: NumericEmbeddingsParams, reader: StageReader, market_id: str) -> Sequence[str]:
    names = sorted(set(instruments_of(reader, market_id)["instrument_id"].to_pylist()))
    if params.instrument_id:
        names = [n for n in names if n in set(params.instrument_id)]
    if params.limit is not None:
        names = names[: params.limit]
    return names


NO_FIT = "no fit of the encoder serves the year"


def _compute(params: NumericEmbeddingsParams, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    parts: list[pa.Table] = []
    declared = contract("numeric_window_embeddings")
    for scope, days in chunk.days.items():
        market_id, entity_type = scope.split("/")
        narrowed = entity_type == "INSTRUMENT" and (params.instrument_id or params.limit is not None)
        only = _only(params, reader, market_id) if narrowed else ()
        if narrowed and not only:
            continue
        for encoder, some in encoders_of(params, reader, market_id, days):
            if encoder is None:
                for day in some:
                    out.skip(scope, day, NO_FIT)
                continue
            for segment, ids in _segments(params, reader, market_id, entity_type, some, only, encoder):
                parts.append(window_rows(params, segment, entity_type, ids, _fit_of(encoder)))
                _count(out, scope, segment)
        _answer(out, params, reader, scope, days, set(only) or _ever(reader, market_id, entity_type))
    out.rows[declared.name] = pa.concat_tables(parts) if parts else declared.empty()
    return out


def _ever(reader: StageReader, market_id: str, entity_type: str) -> set[str]:
    """Whose rows a whole scope may hold: also of days that give no series now, nobody's row stays unanswered for."""
    if entity_type == MARKET:
        return {market_id}
    column = "issuer_id" if entity_type == ISSUER else "instrument_id"
    return {name for name in instruments_of(reader, market_id)[column].to_pylist() if name is not None}


def _answer(
    out: Output,
    params: NumericEmbeddingsParams,
    reader: StageReader,
    scope: str,
    days: Sequence[dt.date],
    requested: set[str],
) -> None:
    """Answer for the rows of what was asked, but for days on which what changed market is another's that made them."""
    market_id, entity_type = scope.split("/")
    surface = {"model_id": [params.model_id], "variant": [params.variant], "entity_type": [entity_type]}
    if entity_type == SECTOR:
        # A corrected name of a sector leaves rows of a sector that no series has any more. Nobody asks for one sector.
        ever = {"entity_id": re.escape(f"{market_id}/") + ".*"}
        out.replace(TABLE, {**surface, "as_of_date": list(days)}, {"entity_type": [SECTOR]}, like=ever)
        return
    elsewhere = _elsewhere(params, reader, market_id, entity_type, days, requested)
    settled = sorted(requested - elsewhere.keys())
    out.replace(TABLE, {**surface, "as_of_date": list(days)}, {"entity_id": settled})
    for name, others in elsewhere.items():
        own = [day for day in days if day not in others]
        if own:
            out.replace(TABLE, {**surface, "as_of_date": own}, {"entity_id": [name]})


def _elsewhere(
    params: NumericEmbeddingsParams,
    reader: StageReader,
    market_id: str,
    entity_type: str,
    days: Sequence[dt.date],
    requested: set[str],
) -> dict[str, set[dt.date]]:
    """Of what has ever been of several markets: days on which each is of another than this, which has made them."""
    if entity_type not in (INSTRUMENT, ISSUER) or not requested:
        return {}
    key = "instrument_id" if entity_type == INSTRUMENT else "issuer_id"
    versions = reader.read_once("instruments")
    rows = pl.DataFrame(pl.from_arrow(versions.select([key, "market_id"]))).unique()
    moving = rows.filter((pl.col("market_id").n_unique().over(key) > 1) & pl.col(key).is_in(sorted(requested)))
    found: dict[str, set[dt.date]] = {name: set() for name in moving[key].unique().sort().to_list()}
    if not found:
        return {}
    others = sorted(set(moving["market_id"].to_list()) - {market_id})
    done = {m: reader.days_done("numeric_embeddings", params.variant, f"{m}/{entity_type}") for m in others}
    sessions = reader.sessions(market_id)
    at = sessions.positions(np.array(days, dtype="datetime64[D]"))
    known_by = reader.cutoffs(market_id, params.cutoff)
    if entity_type == ISSUER:
        described = described_as_known(versions, sessions.dates[at], known_by[at]).filter(
            pl.col(key).is_in(list(found))
        )
        order = ["as_of_date", key, "valid_from", "instrument_id"]
        home = described.sort(order).unique(["as_of_date", key], keep="first", maintain_order=True)
        for day, name, other in home.select("as_of_date", key, "market_id").iter_rows():
            if other in done and day in done[other]:
                found[name].add(day)
        return found
    first, stop = int(at[0]), int(at[-1]) + 1
    names, span = sorted(found), sessions.slice(first, stop)
    for other, made in done.items():
        listed = listed_as_known(versions, other, names, span, known_by[first:stop])[at - first]
        for row, column in zip(*np.nonzero(listed), strict=True):
            if days[row] in made:
                found[names[column]].add(days[row])
    return found


def _segments(
    params: NumericEmbeddingsParams,
    reader: StageReader,
    market_id: str,
    entity_type: str,
    days: Sequence[dt.date],
    only: Sequence[str],
    encoder: NumericEncoder,
) -> Iterator[tuple[Segment, _Companies | None]]:
    """Windows of one scope on some days, with whose they are where that is not the name of the series."""
    history = history_of(params, entity_type)
    market = read_market(reader, market_id, days, history=history, cutoff=params.cutoff, only=only)
    ranks = None
    if "fundamentals" in params.model.blocks:
        at = market.targets
        ranks = market_fundamentals(
            reader, market_id, market.instruments, market.sessions.dates[at], market.session_cutoffs[at]
        )
    if entity_type != ISSUER:
        for segment in segments(params, market, entity_type, fundamentals=ranks, encoder=encoder):
            yield segment, None
        return
    market, companies = _companies(reader, market)
    wanted = companies.code >= 0
    for segment in segments(params, market, INSTRUMENT, fundamentals=ranks, wanted=wanted, encoder=encoder):
        yield segment, companies


@dataclass(frozen=True)
class _Companies:
    """Companies whose instruments stand for them.

    Attributes
    ----------
    every : tuple of str
        Every company that any listing names.
    names : tuple of str
        Instruments, ascending.
    days : ndarray of datetime64[D]
    code : ndarray of int64, shape (n_days, n_names)
        Company that an instrument stands for on a day; -1 for none.
    """

    every: tuple[str, ...]
    names: tuple[str, ...]
    days: NDArray[np.datetime64]
    code: NDArray[np.int64]

    def of(self, segment: Segment) -> list[str]:
        """Company of each row of a segment."""
        day = np.searchsorted(self.days, segment.days)[segment.result.target_index]
        name = np.searchsorted(self.names, segment.series.names)[segment.result.name_index]
        return [self.every[code] for code in self.code[day, name]]


def _companies(reader: StageReader, market: MarketPrices) -> tuple[MarketPrices, _Companies]:
    """Keep the instruments that stand for a company on any of the days."""
    days, known_by = market.sessions.dates[market.targets], market.session_cutoffs[market.targets]
    described = described_as_known(reader.read_once("instruments"), days, known_by)
    chosen = representatives(reader, described, market.market_id, days, known_by)
    names = tuple(sorted(set(chosen["instrument_id"].to_list()) & set(market.names)))
    every = tuple(sorted({i for i in market.instruments["issuer_id"].to_pylist() if i is not None}))
    code = np.full((len(days), len(names)), -1, dtype=np.int64)
    row = np.searchsorted(days, chosen["as_of_date"].to_numpy().astype("datetime64[D]"))
    column = np.searchsorted(names, chosen["instrument_id"].to_list())
    code[row, column] = np.searchsorted(every, chosen["issuer_id"].to_list())
    return dataclasses.replace(market, names=names), _Companies(every, names, days, code)


def _count(out: Output, scope: str, segment: Segment) -> None:
    days = segment.days.tolist()
    made = np.bincount(segment.result.target_index, minlength=len(days))
    for day, n in zip(days, made.tolist(), strict=True):
        out.make(scope, day, n)
    for reason, counts in segment.result.skipped_by_target.items():
        for i in np.flatnonzero(counts):
            out.skip(scope, days[i], reason, int(counts[i]))


def _fit_of(encoder: NumericEncoder) -> dict[str, str]:
    fit = encoder.fit if isinstance(encoder, PcaEncoder) else None
    return {} if fit is None else {"fit": fit.version}


def window_rows(
    params: WindowParams,
    segment: Segment,
    entity_type: str,
    companies: _Companies | None = None,
    spec: Mapping[str, str] | None = None,
) -> pa.Table:
    """Rows of ``numeric_window_embeddings`` of one segment, by (day, entity); of companies where those are given.

    ``spec`` is written into ``window_spec`` besides.
    """
    result = segment.result
    n = len(result.target_index)
    plain = {"sessions": params.model.window, "encoder": params.encoder, **(spec or {})}
    specs = [
        canonical_json({**plain, "first_session": str(first)})
        for first in _first_sessions(segment, params.model.window)
    ]
    declared = contract("numeric_window_embeddings")
    constant = pa.DictionaryArray.from_arrays
    zeros = pa.array(np.zeros(n, dtype=np.int32))
    target = pa.array(result.target_index.astype(np.int32))
    names = constant(pa.array(result.name_index.astype(np.int32)), list(segment.series.names)).cast(pa.string())
    return pa.table(
        [
            constant(zeros, [params.model_id]).cast(pa.string()),
            constant(zeros, [params.variant]).cast(pa.string()),
            pa.array(segment.days[result.target_index]),
            constant(zeros, [entity_type]).cast(pa.string()),
            names if companies is None else pa.array(companies.of(segment), pa.string()),
            constant(target, specs).cast(pa.string()),
            pa.array(result.coverage, pa.float64()),
            to_list_array(result.vectors),
        ],
        schema=declared.schema,
    )


def _first_sessions(segment: Segment, window: int) -> NDArray[np.datetime64]:
    first: NDArray[np.datetime64] = segment.series.sessions[np.maximum(segment.positions - window + 1, 0)]
    return first


def _holds(params: NumericEmbeddingsParams, scope: str, markets: Markets) -> dict[str, Holding]:
    market_id, entity_type = scope.split("/")
    where = {"model_id": params.model_id, "variant": params.variant, "entity_type": entity_type}
    if entity_type == MARKET:
        held = Holding({**where, "entity_id": market_id})
    elif entity_type in (INSTRUMENT, ISSUER):
        key = "instrument_id" if entity_type == INSTRUMENT else "issuer_id"
        names = f"entity_id IN (SELECT {key} FROM instruments__versions GROUP BY 1 HAVING {{}})"
        always, ever = (f"{f}(market_id = {literal(market_id)})" for f in ("bool_and", "bool_or"))
        # Whose a name's row is that changed market depends on what was known when.
        held = Holding(where, names.format(always), names.format(f"{ever} AND NOT {always}"))
    else:
        held = Holding(where, f"starts_with(entity_id, {literal(market_id + '/')})")
    return {"numeric_window_embeddings": held}


NUMERIC_EMBEDDINGS = Stage(
    name="numeric_embeddings",
    revision=1,
    summary="encode numeric windows of instruments, companies, sectors and markets",
    params=NumericEmbeddingsParams,
    inputs=(
        Input("prices_daily", history=HISTORY_DAYS),
        Input("corporate_actions", history=None, optional=True),
        Input("instruments", history=None),
        Input(
            "fundamentals",
            history=FUNDAMENTAL_DAYS,
            optional=True,
            when=lambda p: "fundamentals" in p.model.blocks,
        ),
        Input(
            "encoder_fits",
            history=None,
            where=lambda p: {"model_id": p.model_id, "variant": p.encoder_settings.get("fit_variant", "v0")},
            optional=True,
            when=lambda p: p.encoder == "pca",
        ),
    ),
    outputs=("numeric_window_embeddings",),
    surface=lambda p: p.model_id,
    days=_days,
    compute=_compute,
    market=market_in_scope,
    fingerprint=fingerprint,
    chunk_days=105,  # of 500 names: two chunks side by side stay under 2 GB
    command="backfill_numeric_embeddings",
    holds=_holds,
    writes=lambda p: {"numeric_window_embeddings": {"model_id": p.model_id}},
    shares={"regimes": WINDOW_SETTINGS},
    surfaces=({}, {"model_id": "num-stab-core-v1"}, {"model_id": "num-profile-core-v1"}),
)
