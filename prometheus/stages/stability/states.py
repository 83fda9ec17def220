"""Stage: how stable each entity is on a session, and its soft-target class.

The embedding backend judges an entity by what the head that serves the year forecasts from its stored embedding; where
there is no such head or no such embedding, the basic backend stands in: the row says so and why, the summary counts it.
Which severe scenario is nearest is said where a set is known by then.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Markets
from prometheus.engines.stability import (
    CLASSES,
    BasicStability,
    EmbeddingStability,
    LinearHead,
    StabilityBackend,
    States,
    classify,
)
from prometheus.engines.stability.basic import NO_PRICES, SKIP_REASONS
from prometheus.lake import contract
from prometheus.runtime import Chunk, Holding, Input, Output, Stage, StageReader, market_in_scope, selection, setting
from prometheus.stages.cuts import check_prices
from prometheus.stages.issuers import VOLUME_DAYS
from prometheus.stages.numeric.embeddings import NumericEmbeddingsParams, markets_asked
from prometheus.stages.stability.scenarios import KnownScenarios, compares, scenario_surface
from prometheus.stages.stability.windows import (
    BASIC,
    EMBEDDING,
    HISTORY_DAYS,
    JudgedWindows,
    StabilitySettings,
    check_names,
    fitted_type,
    joint_surface,
    judged_windows,
    numeric_surface,
    reads_joint,
    reads_numeric,
    scope_of,
    vectors_of,
)
from prometheus.vectors import from_list_array

VECTORS, CLASS_ROWS = "stability_vectors", "soft_target_classes"

NO_FIT, NO_EMBEDDING = "no_fit", "no_embedding"
"""Why basic stands in: no head serves the year; the entity has no embedding on the day."""

_DAYS_AT_ONCE = 21
"""Sessions whose embeddings are held at a time."""


@dataclass(frozen=True)
class StabilityParams(StabilitySettings):
    """Parameters of the states."""

    scenario_variant: str = setting(
        "v0", "variant of the scenarios that states are compared with", variant_of="numeric_window_embeddings"
    )
    instrument_id: tuple[str, ...] = selection((), "only these instruments; repeat for several", narrows=True)


def _days(params: StabilityParams, reader: StageReader, first: dt.date, last: dt.date) -> dict[str, list[dt.date]]:
    markets = markets_asked(NumericEmbeddingsParams(market_id=params.market_id), reader)
    check_names(params, reader, markets)
    check_prices(reader, first, last)
    sessions = {m: reader.sessions(m).between(first, last).dates.tolist() for m in markets}
    return {scope_of(m, t): days for m, days in sessions.items() for t in params.entity_type}


def _compute(params: StabilityParams, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    parts: dict[str, list[pa.Table]] = {VECTORS: [], CLASS_ROWS: []}
    for scope, days in chunk.days.items():
        market_id, entity_type = scope.split("/")
        only = _only(params, reader, market_id)
        if params.instrument_id and not only:
            continue
        windows, left = judged_windows(params, reader, market_id, entity_type, days, only, len(SKIP_REASONS))
        for part in left:
            for day, counts in zip(part.days.tolist(), part.counts.tolist(), strict=True):
                for reason, count in zip(SKIP_REASONS, counts, strict=True):
                    out.skip(scope, day, reason, count)
        made, counts_of = np.unique(windows.days, return_counts=True)
        for day, n in zip(made.tolist(), counts_of.tolist(), strict=True):
            out.make(scope, day, n)
        for day in days:
            if (scope, day) not in out.made and (scope, day) not in out.skipped:
                out.skip(scope, day, NO_PRICES)
        heads = fitted_heads(params, reader, market_id, entity_type)
        scenarios = KnownScenarios(params, reader, market_id, days[-1]) if compares(params) else None
        places = np.arange(len(windows))
        for some in (days[i : i + _DAYS_AT_ONCE] for i in range(0, len(days), _DAYS_AT_ONCE)):
            begin, end = np.searchsorted(windows.days, [np.datetime64(some[0]), np.datetime64(some[-1], "D") + 1])
            block = windows.take(places[begin:end])
            if not len(block):
                continue
            judged = _judged(params, reader, entity_type, block, heads, scenarios)
            for reason in (NO_FIT, NO_EMBEDDING):
                if params.backend == EMBEDDING and (n := int((judged.reason == reason).sum())):
                    out.notes[f"rows by {BASIC} ({reason})"] += n
            for table, rows in _rows(params, market_id, entity_type, block, judged).items():
                parts[table].append(rows)
        for table in parts:
            _replace(out, table, params, market_id, entity_type, days, only)
    for table, found in parts.items():
        out.rows[table] = pa.concat_tables(found) if found else contract(table).empty()
    return out


def _only(params: StabilityParams, reader: StageReader, market_id: str) -> tuple[str, ...]:
    """Instruments asked for that ever were of a market; empty when all are."""
    if not params.instrument_id:
        return ()
    versions = reader.read_once("instruments")
    ever = set(versions.filter(pa.compute.equal(versions["market_id"], market_id))["instrument_id"].to_pylist())
    return tuple(sorted(set(params.instrument_id) & ever))


@dataclass(frozen=True, eq=False)
class _Judged:
    """States of some windows: the backend of each, why basic stood in (empty where it did not), the nearest severe
    scenario.
    """

    states: States
    by_embedding: NDArray[np.bool_]
    reason: NDArray[np.str_]
    fitted_on: NDArray[np.datetime64]
    nearest: NDArray[np.object_]
    cosine: NDArray[np.float64]


def _judged(
    params: StabilityParams,
    reader: StageReader,
    entity_type: str,
    windows: JudgedWindows,
    heads: Mapping[int, tuple[StabilityBackend, dt.date]],
    scenarios: KnownScenarios | None,
) -> _Judged:
    n = len(windows)
    none = np.zeros((n, 0), dtype=np.float32)
    states = BasicStability().states(windows.past, none)
    by_embedding = np.zeros(n, dtype=bool)
    reason = np.full(n, "", dtype="<U16")
    fitted_on = np.full(n, np.datetime64("NaT"), dtype="datetime64[D]")
    nearest, cosine = np.full(n, None, dtype=object), np.full(n, np.nan)
    if params.backend == BASIC:
        return _Judged(states, by_embedding, reason, fitted_on, nearest, cosine)
    has, vectors = vectors_of(params, reader, entity_type, windows.days, windows.holders)
    reason[~has] = NO_EMBEDDING
    row = np.flatnonzero(has)
    if scenarios is not None:
        nearest[row], cosine[row] = scenarios.nearest(windows.days[row], vectors)
    years = windows.days[row].astype("datetime64[Y]").astype(np.int64) + 1970
    for year in np.unique(years).tolist():
        mine = np.flatnonzero(years == year)
        if year not in heads:
            reason[row[mine]] = NO_FIT
            continue
        backend, cut = heads[year]
        found = backend.states(windows.past.take(row[mine]), vectors[mine])
        for field in ("volatility", "drawdown", "trend", "overall"):
            getattr(states.scores, field)[row[mine]] = getattr(found.scores, field)
        states.forecast_volatility[row[mine]] = found.forecast_volatility
        states.forecast_drawdown[row[mine]] = found.forecast_drawdown
        by_embedding[row[mine]], fitted_on[row[mine]] = True, np.datetime64(cut)
    return _Judged(states, by_embedding, reason, fitted_on, nearest, cosine)


def fitted_heads(
    params: StabilitySettings, reader: StageReader, market_id: str, entity_type: str
) -> dict[int, tuple[StabilityBackend, dt.date]]:
    """Return the backend that serves each year, and the last session it had seen, as the lake holds them."""
    if params.backend == BASIC:
        return {}
    where = {"model_id": params.model_id, "variant": params.variant, "market_id": market_id}
    rows = reader.read("stability_fits", where={**where, "entity_type": fitted_type(entity_type)})
    heads: dict[int, dict[str, tuple[LinearHead, dt.date]]] = {}
    for row, vector in zip(
        rows.drop_columns(["coefficients"]).to_pylist(), from_list_array(rows["coefficients"]), strict=True
    ):
        head = LinearHead(vector, row["intercept"], row["residual_variance"])
        heads.setdefault(row["year"], {})[row["target"]] = head, row["as_of_date"]
    return {
        year: (EmbeddingStability(of["log_variance"][0], of["log_drawdown"][0]), of["log_variance"][1])
        for year, of in heads.items()
    }


def _rows(
    params: StabilityParams, market_id: str, entity_type: str, windows: JudgedWindows, judged: _Judged
) -> dict[str, pa.Table]:
    states, scores, n = judged.states, judged.states.scores, len(windows)
    basket = windows.num_members > 0
    reason = pa.array(judged.reason, pa.string(), mask=judged.reason == "")
    backend = pa.DictionaryArray.from_arrays(judged.by_embedding.astype(np.int32), [BASIC, EMBEDDING])
    values: dict[str, Any] = {
        "entity_type": _constant(entity_type, n),
        "entity_id": pa.array(windows.entities, pa.string()),
        "as_of_date": pa.array(windows.days),
        "as_of_year": windows.days.astype("datetime64[Y]").astype(np.int32) + 1970,
        "model_id": _constant(params.model_id, n),
        "variant": _constant(params.variant, n),
        "market_id": _constant(market_id, n),
        "volatility_score": scores.volatility,
        "drawdown_score": scores.drawdown,
        "trend_score": scores.trend,
        "overall_score": scores.overall,
        "volatility": windows.past.volatility,
        "max_drawdown": windows.past.max_drawdown,
        "trend": windows.past.trend,
        "num_returns": windows.past.num_returns,
        "forecast_volatility": pa.array(states.forecast_volatility, from_pandas=True),
        "forecast_drawdown": pa.array(states.forecast_drawdown, from_pandas=True),
        "fitted_on": pa.array(judged.fitted_on, from_pandas=True),
        "member_score": pa.array(windows.member_score, from_pandas=True),
        "num_members": pa.array(windows.num_members, mask=~basket),
        "nearest_scenario": pa.array(judged.nearest.tolist(), pa.string()),
        "scenario_cosine": pa.array(judged.cosine, from_pandas=True),
        "soft_target_class": pa.DictionaryArray.from_arrays(classify(scores.overall).astype(np.int32), list(CLASSES)),
        "soft_target_score": scores.overall,
        "backend": backend,
        "reason": reason,
    }
    return {table: _table(table, values) for table in (VECTORS, CLASS_ROWS)}


def _constant(value: str, n: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, dtype=np.int32)), [value])


def _table(name: str, values: Mapping[str, Any]) -> pa.Table:
    schema = contract(name).schema
    cells = (values[f.name] for f in schema)
    arrays = [cell if isinstance(cell, pa.Array) else pa.array(cell) for cell in cells]
    return pa.table([array.cast(f.type) for array, f in zip(arrays, schema, strict=True)], schema=schema)


def _replace(
    out: Output,
    table: str,
    params: StabilityParams,
    market_id: str,
    entity_type: str,
    days: Sequence[dt.date],
    names: Sequence[str],
) -> None:
    keys: dict[str, list[str] | list[dt.date]] = {
        "entity_type": [entity_type],
        "market_id": [market_id],
        "model_id": [params.model_id],
        "variant": [params.variant],
        "as_of_date": list(days),
    }
    if names:
        keys["entity_id"] = list(names)
    out.replace(table, partitions={"as_of_year": sorted({d.year for d in days})}, keys=keys)


def _holds(params: StabilityParams, scope: str, markets: Markets) -> dict[str, Holding]:
    market_id, entity_type = scope.split("/")
    where = {"entity_type": entity_type, "market_id": market_id, "model_id": params.model_id, "variant": params.variant}
    return {table: Holding(where) for table in (VECTORS, CLASS_ROWS)}


STABILITY = Stage(
    name="stability",
    revision=1,
    summary="score the stability of instruments, companies, sectors and markets, and classify them",
    params=StabilityParams,
    inputs=(
        Input("prices_daily", history=max(HISTORY_DAYS, VOLUME_DAYS)),
        Input("corporate_actions", history=None, optional=True),
        Input("instruments", history=None),
        Input("numeric_window_embeddings", history=0, where=numeric_surface, optional=True, when=reads_numeric),
        Input("joint_embeddings", history=0, where=joint_surface, optional=True, when=reads_joint),
        Input("numeric_window_embeddings", history=None, where=scenario_surface, optional=True, when=compares),
        Input("scenario_sets", history=None, optional=True, when=compares),
        Input("scenario_paths", history=None, optional=True, when=compares),
        Input(
            "stability_fits",
            history=None,
            where=lambda p: {"model_id": p.model_id, "variant": p.variant},
            optional=True,
            when=lambda p: p.backend == EMBEDDING,
        ),
    ),
    outputs=(CLASS_ROWS, VECTORS),
    surface=lambda p: p.model_id,
    days=_days,
    compute=_compute,
    market=market_in_scope,
    chunk_by="year",
    command="backfill_stability",
    holds=_holds,
    writes=lambda p: {table: {"model_id": p.model_id} for table in (VECTORS, CLASS_ROWS)},
    surfaces=({}, {"model_id": f"stability-{BASIC}-v1"}),
)
