"""Stage: numeric windows of a market's instruments, sectors or the market itself, encoded."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Markets
from prometheus.errors import MissingInputError, RequestError
from prometheus.lake import contract
from prometheus.lake.predicates import literal
from prometheus.runtime import Chunk, Holding, Input, Output, Stage, StageReader, market_in_scope, selection
from prometheus.runtime.params import canonical_json
from prometheus.stages.windows import (
    ENTITY_TYPES,
    INSTRUMENT,
    MARKET,
    Segment,
    WindowParams,
    fingerprint,
    history_of,
    instruments_of,
    read_market,
    segments,
)
from prometheus.vectors import to_list_array

HISTORY_DAYS = 1_200
"""Calendar days that hold the 777 sessions a basket's window can depend on, holidays included."""


@dataclass(frozen=True)
class NumericEmbeddingsParams(WindowParams):
    """Parameters of the numeric windows."""

    market_id: tuple[str, ...] = selection((), "market; repeat for several; all in the lake when none")
    entity_type: tuple[str, ...] = selection(
        ("INSTRUMENT",), "INSTRUMENT, SECTOR or MARKET; repeat for several", choices=ENTITY_TYPES
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
        for entity_type in params.entity_type:
            asked[_scope(market_id, entity_type)] = sessions
    held = reader.source("prices_daily", columns=["as_of_date"], dates=(first, last), every_version=True)
    if reader.query(f"SELECT count(*) AS n FROM ({held})")["n"][0].as_py() == 0:
        raise MissingInputError(
            f"there are no prices between {first} and {last}; bring them with `prometheus ingest source=... path=...`"
        )
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
        market = read_market(
            reader,
            market_id,
            days,
            history=history_of(params, entity_type),
            cutoff=params.cutoff,
            only=only,
        )
        requested: set[str] = set()
        for segment in segments(params, market, entity_type):
            parts.append(window_rows(params, segment, entity_type))
            requested.update(segment.series.names)
            _count(out, scope, segment)
        out.replace(
            declared.name,
            partitions={
                "model_id": [params.model_id],
                "variant": [params.variant],
                "entity_type": [entity_type],
                "as_of_date": days,
            },
            keys={"entity_id": sorted(requested)},
        )
    out.rows[declared.name] = pa.concat_tables(parts) if parts else declared.empty()
    return out


def _count(out: Output, scope: str, segment: Segment) -> None:
    days = segment.days.tolist()
    made = np.bincount(segment.result.target_index, minlength=len(days))
    for day, n in zip(days, made.tolist(), strict=True):
        out.make(scope, day, n)
    for reason, counts in segment.result.skipped_by_target.items():
        for i in np.flatnonzero(counts):
            out.skip(scope, days[i], reason, int(counts[i]))


def window_rows(params: WindowParams, segment: Segment, entity_type: str) -> pa.Table:
    """Rows of ``numeric_window_embeddings`` of one segment, by (day, entity)."""
    result = segment.result
    n = len(result.target_index)
    specs = [
        canonical_json({"sessions": params.model.window, "first_session": str(first), "encoder": params.encoder})
        for first in _first_sessions(segment, params.model.window)
    ]
    declared = contract("numeric_window_embeddings")
    constant = pa.DictionaryArray.from_arrays
    zeros = pa.array(np.zeros(n, dtype=np.int32))
    target = pa.array(result.target_index.astype(np.int32))
    return pa.table(
        [
            constant(zeros, [params.model_id]).cast(pa.string()),
            constant(zeros, [params.variant]).cast(pa.string()),
            pa.array(segment.days[result.target_index]),
            constant(zeros, [entity_type]).cast(pa.string()),
            constant(pa.array(result.name_index.astype(np.int32)), list(segment.series.names)).cast(pa.string()),
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
    elif entity_type == INSTRUMENT:
        names = "entity_id IN (SELECT instrument_id FROM instruments__versions GROUP BY 1 HAVING {})"
        always, ever = (f"{f}(market_id = {literal(market_id)})" for f in ("bool_and", "bool_or"))
        # Whose a name's row is that changed market depends on what was known when.
        held = Holding(where, names.format(always), names.format(f"{ever} AND NOT {always}"))
    else:
        held = Holding(where, f"starts_with(entity_id, {literal(market_id + '/')})")
    return {"numeric_window_embeddings": held}


NUMERIC_EMBEDDINGS = Stage(
    name="numeric_embeddings",
    revision=1,
    summary="encode numeric windows of instruments, sectors and markets",
    params=NumericEmbeddingsParams,
    inputs=(
        Input("prices_daily", history=HISTORY_DAYS),
        Input("corporate_actions", history=None),
        Input("instruments", history=None),
    ),
    outputs=("numeric_window_embeddings",),
    surface=lambda p: p.model_id,
    days=_days,
    compute=_compute,
    market=market_in_scope,
    fingerprint=fingerprint,
    chunk_days=126,
    command="backfill_numeric_embeddings",
    holds=_holds,
)
