"""Stage: scenario paths as numeric windows, so that what might come can be compared with what is.

1. The base entity's series is taken as known on the day the set was made, up to the session each path follows
   (``appended_after``): today's for what-if sets, the session before the window for replayed ones.
2. The path's returns are put behind it. A path has no volume and no cross-section, so neither counts as known: states
   are compared with it after :func:`~prometheus.spaces.numeric.masking.volume_masked`.
3. The window ends at the path's end and is encoded like any other. The long-run volatility is that of the trailing 504
   sessions of history and path together, so a replayed path ends in the state its base was in, but for volume.

References
----------
The slots are those of num-stab-core-v1, see :mod:`prometheus.spaces.numeric.layout`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Markets
from prometheus.errors import MissingInputError
from prometheus.lake import contract
from prometheus.lake.predicates import literal
from prometheus.market.panel import EntitySeries
from prometheus.market.rolling import to_fixed
from prometheus.runtime import Chunk, Holding, Input, Output, Stage, StageReader, market_in_scope, selection, setting
from prometheus.runtime.params import canonical_json
from prometheus.spaces.numeric import WindowResult, encode_windows
from prometheus.stages.cuts import first_day
from prometheus.stages.numeric.windows import ENCODERS, WindowParams, fingerprint
from prometheus.stages.scenarios.bases import BaseSeries, base_series, entity_type_of
from prometheus.vectors import to_list_array

SCENARIO = "SCENARIO"
NOT_KNOWN = "not_known"

_PATHS_AT_ONCE = 256


@dataclass(frozen=True)
class ScenarioEmbeddingsParams(WindowParams):
    """Parameters of the scenarios' windows."""

    model_id: str = setting("num-scenario-core-v1", "numeric model")
    encoder: str = setting("blocks", "numeric encoder", choices=tuple(e for e in ENCODERS if e != "pca"))
    set_variant: str = setting("v0", "variant of the scenario sets", variant_of="scenario_paths")
    market_id: tuple[str, ...] = selection((), "market; repeat for several; all that have sets when none")
    scenario_set_id: tuple[str, ...] = selection((), "only these sets; repeat for several", narrows=True)


def _sets(
    params: ScenarioEmbeddingsParams, reader: StageReader, first: dt.date, last: dt.date
) -> list[dict[str, object]]:
    """Rows of the sets asked for, by series and date."""
    where: dict[str, object] = {"variant": params.set_variant}
    if params.market_id:
        where["market_id"] = [reader.markets.market(m).market_id for m in params.market_id]
    if params.scenario_set_id:
        where["scenario_set_id"] = list(params.scenario_set_id)
    columns = ["scenario_set_id", "series_id", "as_of_date", "market_id", "base_entity_id"]
    rows = reader.read("scenario_sets", columns=columns, dates=(first, last), where=where)
    found: list[dict[str, object]] = rows.sort_by([("series_id", "ascending"), ("as_of_date", "ascending")]).to_pylist()
    return found


def _days(
    params: ScenarioEmbeddingsParams, reader: StageReader, first: dt.date, last: dt.date
) -> dict[str, list[dt.date]]:
    rows = _sets(params, reader, first, last)
    missing = sorted(set(params.scenario_set_id) - {str(r["scenario_set_id"]) for r in rows})
    if missing or not rows:
        which = f" {', '.join(missing)}" if missing else ""
        raise MissingInputError(
            f"there are no scenario sets{which} (variant {params.set_variant}) between {first} and {last}; make them "
            "with `python -m prometheus.scripts.generate_scenarios --as-of D`"
        )
    reader.span(min(first, first_day(reader, "prices_daily")), last)
    asked: dict[str, list[dt.date]] = {}
    for row in rows:
        day = row["as_of_date"]
        assert isinstance(day, dt.date)
        asked.setdefault(f"{row['market_id']}/{row['series_id']}", []).append(day)
    return asked


@dataclass(frozen=True)
class _Set:
    """Paths of one set, one row each.

    Attributes
    ----------
    set_id, entity_id : str
    day : date
    scenario_ids : tuple of str
    log_return : ndarray of float64, shape (paths, horizon)
    after : ndarray of datetime64[D], shape (paths,)
        The session each path follows.
    """

    set_id: str
    entity_id: str
    day: dt.date
    scenario_ids: tuple[str, ...]
    log_return: NDArray[np.float64]
    after: NDArray[np.datetime64]


def _compute(params: ScenarioEmbeddingsParams, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    declared = contract("numeric_window_embeddings")
    parts: list[pa.Table] = []
    for market_id in sorted({scope.partition("/")[0] for scope in chunk.days}):
        scopes = {s: set(days) for s, days in chunk.days.items() if s.partition("/")[0] == market_id and days}
        sets = _read_sets(params, reader, market_id, scopes, chunk)
        if not sets:
            continue
        bases = {
            (base.entity_id, base.day): base
            for base in base_series(
                reader,
                market_id,
                sorted({s.entity_id for _, s in sets}),
                sorted({s.day for _, s in sets}),
                sessions=_reach(params, reader, market_id, [s for _, s in sets]),
                cutoff=params.cutoff,
                infer_splits=params.infer_splits,
            )
        }
        for scope, held in sets:
            base = bases.get((held.entity_id, held.day))
            if base is None:
                out.skip(scope, held.day, NOT_KNOWN, len(held.scenario_ids))
            else:
                for begin in range(0, len(held.scenario_ids), _PATHS_AT_ONCE):
                    parts.append(_rows(params, out, scope, market_id, base, _part(held, begin)))
    _replace(params, out, chunk)
    out.rows[declared.name] = pa.concat_tables(parts) if parts else declared.empty()
    return out


def _replace(params: ScenarioEmbeddingsParams, out: Output, chunk: Chunk) -> None:
    """Answer for every path of the series, also those a shorter set no longer has."""
    for scope, days in chunk.days.items():
        series_id = scope.partition("/")[2].replace(".", r"\.")
        one = "|".join(name.replace(".", r"\.") for name in params.scenario_set_id)
        out.replace(
            "numeric_window_embeddings",
            partitions={"model_id": [params.model_id], "as_of_date": days},
            keys={"variant": [params.variant], "entity_type": [SCENARIO]},
            like={"entity_id": f"(?:{one})/.*" if one else f"{series_id}-[0-9]{{8}}/.*"},
        )


def _read_sets(
    params: ScenarioEmbeddingsParams,
    reader: StageReader,
    market_id: str,
    scopes: Mapping[str, set[dt.date]],
    chunk: Chunk,
) -> list[tuple[str, _Set]]:
    """Return every set of some scopes with its paths, by series and date."""
    wanted = {
        str(row["scenario_set_id"]): (f"{market_id}/{row['series_id']}", str(row["base_entity_id"]))
        for row in _sets(params, reader, chunk.first, chunk.last)
        if row["market_id"] == market_id and row["as_of_date"] in scopes.get(f"{market_id}/{row['series_id']}", ())
    }
    if not wanted:
        return []
    rows = reader.read(
        "scenario_paths",
        columns=["scenario_set_id", "scenario_id", "step", "as_of_date", "log_return", "appended_after"],
        dates=(chunk.first, chunk.last),
        where={"variant": params.set_variant, "scenario_set_id": sorted(wanted)},
    )
    frame = pl.DataFrame(pl.from_arrow(rows)).sort("scenario_set_id", "scenario_id", "step")
    found = []
    for (set_id,), paths in frame.group_by("scenario_set_id", maintain_order=True):
        heads = paths.filter(pl.col("step") == 1)
        scope, entity_id = wanted[str(set_id)]
        found.append(
            (
                scope,
                _Set(
                    set_id=str(set_id),
                    entity_id=entity_id,
                    day=heads["as_of_date"][0],
                    scenario_ids=tuple(heads["scenario_id"].to_list()),
                    log_return=paths["log_return"].to_numpy().reshape(heads.height, -1),
                    after=heads["appended_after"].to_numpy().astype("datetime64[D]"),
                ),
            )
        )
    return found


def _reach(params: ScenarioEmbeddingsParams, reader: StageReader, market_id: str, sets: Sequence[_Set]) -> int:
    """Sessions up to a set's day that any of its paths can stand on."""
    dates = reader.sessions(market_id).dates
    back = [int(np.searchsorted(dates, np.datetime64(s.day)) - np.searchsorted(dates, s.after.min())) for s in sets]
    return max(back) + params.model.history


def _part(held: _Set, begin: int) -> _Set:
    s = slice(begin, begin + _PATHS_AT_ONCE)
    return _Set(held.set_id, held.entity_id, held.day, held.scenario_ids[s], held.log_return[s], held.after[s])


def extended(
    base: BaseSeries, log_return: NDArray[np.float64], after: NDArray[np.datetime64], history: int
) -> EntitySeries:
    """Series in which each path follows the base's history up to a session.

    Parameters
    ----------
    base : BaseSeries
    log_return : ndarray of float64, shape (paths, horizon)
    after : ndarray of datetime64[D], shape (paths,)
        Sessions of the base's series, none after its decision day.
    history : int
        Sessions of history before a path; where the series has fewer, they are unknown.

    Returns
    -------
    EntitySeries
        One row a path, ``history`` + horizon sessions, the last of which is the path's end. Sessions are counted in
        days from the epoch: what paths of different places share has no dates.
    """
    n, horizon = log_return.shape
    series, row = base.series, base.row
    last = np.searchsorted(series.sessions, after)
    at = last[:, None] + np.arange(1 - history, 1)
    there = at >= 0
    at = np.maximum(at, 0)
    on_path = np.ones((n, horizon), dtype=bool)
    ret_ok = np.concatenate([series.ret_ok[row][at] & there, on_path], axis=1)
    ret = np.concatenate([np.where(there, series.ret[row][at], 0), to_fixed(log_return)], axis=1)
    observed = np.concatenate([series.observed[row][at] & there, on_path], axis=1)
    return EntitySeries(
        entity_type=SCENARIO,
        names=tuple(f"{i:05d}" for i in range(n)),
        sessions=np.arange(history + horizon).astype("datetime64[D]"),
        ret=ret,
        ret_ok=ret_ok,
        observed=observed,
        log_dollar_volume=np.full(ret.shape, np.nan),
    )


def _rows(
    params: ScenarioEmbeddingsParams, out: Output, scope: str, market_id: str, base: BaseSeries, held: _Set
) -> pa.Table:
    model = params.model
    series = extended(base, held.log_return, held.after, model.history)
    target = np.array([series.n_sessions - 1])
    result: WindowResult = encode_windows(series, target, model, params.numeric_encoder)
    out.make(scope, held.day, len(result.name_index))
    for reason, counts in result.skipped_by_target.items():
        out.skip(scope, held.day, reason, int(counts.sum()))
    made = result.name_index.tolist()
    about = {
        "sessions": model.window,
        "steps": held.log_return.shape[1],
        "base_entity_type": entity_type_of(market_id, held.entity_id),
        "base_entity_id": held.entity_id,
        "encoder": params.encoder,
    }
    specs = [canonical_json({**about, "appended_after": str(held.after[i])}) for i in made]
    n = len(made)
    declared = contract("numeric_window_embeddings")
    columns = {
        "model_id": pa.repeat(params.model_id, n),
        "variant": pa.repeat(params.variant, n),
        "as_of_date": pa.repeat(pa.scalar(held.day), n),
        "entity_type": pa.repeat(SCENARIO, n),
        "entity_id": pa.array([f"{held.set_id}/{held.scenario_ids[i]}" for i in made], pa.string()),
        "window_spec": pa.array(specs, pa.string()),
        "coverage": result.coverage,
        "vector": to_list_array(result.vectors),
    }
    return pa.table([columns[name] for name in declared.schema.names], schema=declared.schema)


def _holds(params: ScenarioEmbeddingsParams, scope: str, markets: Markets) -> dict[str, Holding]:
    where = {"model_id": params.model_id, "variant": params.variant, "entity_type": SCENARIO}
    series_id = scope.partition("/")[2]
    return {"numeric_window_embeddings": Holding(where, f"starts_with(entity_id, {literal(series_id + '-')})")}


SCENARIO_EMBEDDINGS = Stage(
    name="scenario_embeddings",
    revision=1,
    summary="encode scenario paths behind their base entity's history",
    params=ScenarioEmbeddingsParams,
    inputs=(
        Input("scenario_sets", history=0),
        Input("scenario_paths", history=0),
        Input("prices_daily", history=None),
        Input("corporate_actions", history=None, optional=True),
        Input("instruments", history=None),
    ),
    outputs=("numeric_window_embeddings",),
    surface=lambda p: p.model_id,
    days=_days,
    compute=_compute,
    market=market_in_scope,
    fingerprint=fingerprint,
    command="backfill_scenario_embeddings",
    holds=_holds,
    writes=lambda p: {"numeric_window_embeddings": {"model_id": p.model_id, "entity_type": "SCENARIO"}},
)
