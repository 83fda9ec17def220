"""Stages ``returns`` and ``factors``: what prices come to, for people and SQL.

Both make, for every session, what was known at its cut-off of every instrument the market was known to list then. A
name without a known return on the session has no row and is counted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Markets
from prometheus.errors import RequestError
from prometheus.lake import contract
from prometheus.market.as_known import KnownPanel
from prometheus.market.factors import FACTOR_IDS, SESSIONS, trailing_exposures
from prometheus.market.membership import listed_as_known
from prometheus.market.returns import RETURN_HISTORY
from prometheus.market.rolling import Flags, columns, from_fixed
from prometheus.market.volatility import trailing_volatility
from prometheus.runtime import Chunk, Holding, Input, Output, Stage, StageReader, market_in_scope, selection, setting
from prometheus.runtime.params import StageParams
from prometheus.stages.cuts import check_prices
from prometheus.stages.numeric.embeddings import NumericEmbeddingsParams, markets_asked
from prometheus.stages.numeric.windows import MarketPrices, instruments_of, read_market

VOLATILITY_WINDOWS = (21, 63)

RETURNS_HISTORY = max(VOLATILITY_WINDOWS) + RETURN_HISTORY
FACTORS_HISTORY = SESSIONS + RETURN_HISTORY
"""Sessions up to and including a day that its rows depend on."""

NO_RETURN = "no_return"
SHORT_HISTORY = "short_history"


@dataclass(frozen=True)
class DerivedParams(StageParams):
    """Parameters of the derived tables."""

    market_id: tuple[str, ...] = selection((), "market; repeat for several; all in the lake when none")
    instrument_id: tuple[str, ...] = selection((), "only these instruments; repeat for several", narrows=True)
    infer_splits: bool = setting(False, "correct jumps that look like unrecorded splits instead of masking them")


@dataclass(frozen=True)
class _Part:
    """Rows of some decisions: what is known of each (decision, name)."""

    days: NDArray[np.datetime64]
    names: tuple[str, ...]
    eligible: Flags
    known: KnownPanel


def _days(params: DerivedParams, reader: StageReader, first: dt.date, last: dt.date) -> dict[str, list[dt.date]]:
    markets = markets_asked(NumericEmbeddingsParams(market_id=params.market_id), reader)
    if params.instrument_id:
        known = {n for m in markets for n in instruments_of(reader, m)["instrument_id"].to_pylist()}
        unknown = sorted(set(params.instrument_id) - known)
        if unknown:
            raise RequestError(f"the lake has no instrument {', '.join(unknown)} in market {', '.join(markets)}")
    check_prices(reader, first, last)
    return {m: reader.sessions(m).between(first, last).dates.tolist() for m in markets}


def _wanted(params: DerivedParams, reader: StageReader, market_id: str) -> tuple[str, ...]:
    """Names asked for in a market; all of them when none is named."""
    names = sorted(set(instruments_of(reader, market_id)["instrument_id"].to_pylist()))
    return tuple(n for n in names if not params.instrument_id or n in set(params.instrument_id))


def _parts(
    params: DerivedParams, market: MarketPrices, history: int, *, alone: bool, wanted: Sequence[str]
) -> Iterator[_Part]:
    """Panels as known at each decision, with who was listed then; ``alone``: names are used one by one."""
    listed = listed_as_known(
        market.instruments, market.market_id, market.names, market.sessions, market.session_cutoffs
    )
    asked = np.isin(market.names, list(wanted))
    for known in market.panels(history, members=not alone, apart=alone, infer_splits=params.infer_splits):
        held = np.searchsorted(market.names, known.panel.names)
        eligible = listed[np.ix_(known.targets, held)] & asked[held]
        yield _Part(market.sessions.dates[known.targets], known.panel.names, eligible, known)


def _compute_returns(params: DerivedParams, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    tables: dict[str, list[pa.Table]] = {"returns_daily": [], "volatility_daily": []}
    for market_id, days in chunk.days.items():
        wanted = _wanted(params, reader, market_id)
        if not wanted:
            continue
        only = wanted if params.instrument_id else ()
        market = read_market(reader, market_id, days, history=RETURNS_HISTORY, cutoff=params.cutoff, only=only)
        for part in _parts(params, market, RETURNS_HISTORY, alone=True, wanted=wanted):
            panel, at = part.known.panel, part.known.positions
            has = columns(panel.ret_ok, at).T & part.eligible
            row, name = np.nonzero(has)
            _count(out, market_id, part, has, part.eligible & ~has, NO_RETURN)
            log_return = from_fixed(columns(panel.ret, at))[name, row]
            keys = _keys(params, market_id, part, row, name)
            tables["returns_daily"].append(
                _table("returns_daily", keys | {"simple_return": np.expm1(log_return), "log_return": log_return})
            )
            volatility, counts = trailing_volatility(panel.ret, panel.ret_ok, at, VOLATILITY_WINDOWS)
            trailing = {
                f"volatility_{w}": pa.array(values[name, row], from_pandas=True)
                for w, values in zip(VOLATILITY_WINDOWS, volatility, strict=True)
            }
            tables["volatility_daily"].append(
                _table("volatility_daily", keys | trailing | {"num_returns_63": counts[-1][name, row]})
            )
        for table in tables:
            _replace(out, table, params, market_id, days, wanted if params.instrument_id else ())
    for table, parts in tables.items():
        out.rows[table] = pa.concat_tables(parts) if parts else contract(table).empty()
    return out


def _compute_factors(params: DerivedParams, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    table = "instrument_factors_daily"
    parts: list[pa.Table] = []
    for market_id, days in chunk.days.items():
        wanted = _wanted(params, reader, market_id)
        if not wanted:
            continue
        # A name's exposure needs the whole market, also when it is asked for alone.
        market = read_market(reader, market_id, days, history=FACTORS_HISTORY, cutoff=params.cutoff)
        for part in _parts(params, market, FACTORS_HISTORY, alone=False, wanted=wanted):
            panel, at, membership = part.known.panel, part.known.positions, part.known.membership
            assert membership is not None
            found = trailing_exposures(panel, membership.of_market(market_id), market_id, at)
            returns = columns(panel.ret_ok, at).T & part.eligible
            _count(out, market_id, part, None, part.eligible & ~returns, NO_RETURN)
            made = np.zeros(returns.shape, dtype=np.int64)
            for factor_id in FACTOR_IDS:
                values = found.values[factor_id].T
                has = returns & ~np.isnan(values)
                made += has
                row, name = np.nonzero(has)
                keys = _keys(params, market_id, part, row, name)
                keys["factor_id"] = _constant(factor_id, len(row))
                keys["exposure"] = values[row, name]
                keys["num_returns"] = found.num_returns[factor_id].T[row, name]
                parts.append(_table(table, keys))
            _count(out, market_id, part, made, returns & (made == 0), SHORT_HISTORY)
        _replace(out, table, params, market_id, days, wanted if params.instrument_id else ())
    out.rows[table] = pa.concat_tables(parts) if parts else contract(table).empty()
    return out


def _count(
    out: Output, scope: str, part: _Part, made: NDArray[np.int64] | Flags | None, missing: Flags, reason: str
) -> None:
    days = part.days.tolist()
    if made is not None:
        for day, n in zip(days, made.sum(axis=1).tolist(), strict=True):
            out.make(scope, day, int(n))
    for day, n in zip(days, missing.sum(axis=1).tolist(), strict=True):
        out.skip(scope, day, reason, int(n))


def _replace(
    out: Output, table: str, params: DerivedParams, market_id: str, days: Sequence[dt.date], names: Sequence[str]
) -> None:
    keys: dict[str, list[str] | list[dt.date]] = {
        "market_id": [market_id],
        "variant": [params.variant],
        "as_of_date": list(days),
    }
    if names:
        keys["instrument_id"] = list(names)
    out.replace(table, partitions={"as_of_year": sorted({d.year for d in days})}, keys=keys)


def _keys(
    params: DerivedParams, market_id: str, part: _Part, row: NDArray[np.int64], name: NDArray[np.int64]
) -> dict[str, Any]:
    years = part.days.astype("datetime64[Y]").astype(np.int32) + 1970
    return {
        "instrument_id": pa.DictionaryArray.from_arrays(pa.array(name.astype(np.int32)), list(part.names)),
        "as_of_date": part.days[row],
        "as_of_year": years[row],
        "market_id": _constant(market_id, len(row)),
        "variant": _constant(params.variant, len(row)),
    }


def _constant(value: str, n: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, dtype=np.int32)), [value])


def _table(name: str, values: Mapping[str, Any]) -> pa.Table:
    schema = contract(name).schema
    cells = (values[f.name] for f in schema)
    arrays = [cell if isinstance(cell, pa.Array) else pa.array(cell) for cell in cells]
    return pa.table([array.cast(f.type) for array, f in zip(arrays, schema, strict=True)], schema=schema)


def _holds(*tables: str) -> Callable[[DerivedParams, str, Markets], dict[str, Holding]]:
    def holds(params: DerivedParams, scope: str, markets: Markets) -> dict[str, Holding]:
        return {t: Holding({"market_id": scope, "variant": params.variant}) for t in tables}

    return holds


RETURNS = Stage(
    name="returns",
    revision=1,
    summary="total returns and trailing volatility of every instrument, as known at each session",
    params=DerivedParams,
    inputs=(
        Input("prices_daily", history=240),  # calendar days that hold RETURNS_HISTORY sessions
        Input("corporate_actions", history=None, optional=True),
        Input("instruments", history=None),
    ),
    outputs=("volatility_daily", "returns_daily"),
    surface=lambda p: "returns_daily",
    days=_days,
    compute=_compute_returns,
    market=market_in_scope,
    chunk_by="year",
    command="backfill_returns",
    holds=_holds("volatility_daily", "returns_daily"),
)

FACTORS = Stage(
    name="factors",
    revision=1,
    summary="trailing exposure of every instrument to its market and sector, and residual volatility",
    params=DerivedParams,
    inputs=(
        Input("prices_daily", history=520),  # calendar days that hold FACTORS_HISTORY sessions
        Input("corporate_actions", history=None, optional=True),
        Input("instruments", history=None),
    ),
    outputs=("instrument_factors_daily",),
    surface=lambda p: "instrument_factors_daily",
    days=_days,
    compute=_compute_factors,
    market=market_in_scope,
    chunk_by="year",
    command="backfill_factors",
    holds=_holds("instrument_factors_daily"),
)
