"""Stage: how likely each entity's soft-target class is to change, from the transitions of its market's entities.

1. Classes up to the day of all entities of one market and type are read from ``soft_target_classes``; a session
   without a row breaks the pairs it is an end of, so an entity that leaves makes no transition.
2. Their transitions are counted together: single names change class too seldom to be counted one by one. The setting
   ``entity_weight`` lets a name's own transitions join in.
3. Nothing after a session has a say: a row that is appended or changed later leaves the day as it was.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from prometheus.clock import Markets, positions_in
from prometheus.engines.stability import CLASSES as CODES
from prometheus.engines.stability import StabilityStateChangeForecaster
from prometheus.engines.state_changes import UNKNOWN
from prometheus.errors import BadDataError, MissingInputError, RequestError
from prometheus.lake import contract
from prometheus.runtime import Chunk, Holding, Input, Output, Stage, StageReader, market_in_scope, selection, setting
from prometheus.stages.change_risk import TABLE, ChangeRiskParams, rows_of, scope_of
from prometheus.stages.cuts import first_day
from prometheus.stages.numeric.windows import ENTITY_TYPES, INSTRUMENT

ENGINE, CLASSES = "stability", "soft_target_classes"

NO_CLASS = "no_soft_target_class"


@dataclass(frozen=True)
class StabilityChangeRiskParams(ChangeRiskParams):
    """Parameters of stability change risk."""

    market_id: tuple[str, ...] = selection((), "market; repeat for several; all with classes when none")
    entity_type: tuple[str, ...] = selection(
        (INSTRUMENT,), "INSTRUMENT, ISSUER, SECTOR or MARKET; repeat for several", choices=ENTITY_TYPES
    )
    model_id: str = setting("stability-embedding-v1", "model of the classes")
    stability_variant: str = setting("v0", "variant of the classes", variant_of=CLASSES)
    entity_weight: float = setting(
        0.0, "transitions of the pool that a name's own are weighed against; 0: the pool alone"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 <= self.entity_weight < float("inf"):
            raise RequestError(f"--entity-weight must be 0 or a positive number; got {self.entity_weight}")

    @property
    def forecaster(self) -> StabilityStateChangeForecaster:
        """What makes the forecasts."""
        return StabilityStateChangeForecaster(
            model=self.backend, smoothing=self.smoothing, entity_weight=self.entity_weight
        )


def _surface(params: StabilityChangeRiskParams) -> dict[str, str]:
    return {"model_id": params.model_id, "variant": params.stability_variant}


def _days(
    params: StabilityChangeRiskParams, reader: StageReader, first: dt.date, last: dt.date
) -> dict[str, list[dt.date]]:
    # Transitions are counted from the first class on, wherever the request begins.
    reader.span(min(first, first_day(reader, CLASSES)), last)
    where = {**_surface(params), "entity_type": list(params.entity_type)}
    held = reader.source(CLASSES, columns=["market_id"], dates=(first, last), where=where)
    found = set(reader.query(f"SELECT DISTINCT market_id FROM ({held})")["market_id"].to_pylist())
    asked = [reader.markets.market(m).market_id for m in params.market_id] or sorted(found)
    days = {m: reader.sessions(m).between(first, last).dates.tolist() for m in asked}
    if not found & set(asked) and (not asked or any(days.values())):
        named = "".join(f" --market-id {m}" for m in params.market_id)
        named += "".join(f" --entity-type {t}" for t in params.entity_type)
        raise MissingInputError(
            f"there are no soft-target classes ({params.model_id}, variant {params.stability_variant}) of "
            f"{', '.join(params.entity_type)} between {first} and {last}; make them with "
            f"`python -m prometheus.scripts.backfill_stability{named} --date-range {first} {last}`"
        )
    return {scope_of(m, t, h): days[m] for m in asked for t in params.entity_type for h in params.horizons}


@dataclass(frozen=True, eq=False)
class _Grid:
    """Classes of one market's entities of one type: codes, sessions by entities."""

    sessions: NDArray[np.datetime64]
    entities: list[str]
    codes: NDArray[np.int8]


def _grid(
    params: StabilityChangeRiskParams, reader: StageReader, market_id: str, entity_type: str, last: dt.date
) -> _Grid:
    """Read classes up to a date, batch by batch: what is held is a byte a session and entity."""
    where = {**_surface(params), "entity_type": entity_type, "market_id": market_id}
    columns = ["as_of_date", "entity_id", "soft_target_class"]
    held = reader.source(CLASSES, columns=columns, dates=(dt.date.min, last), where=where)
    names = reader.query(f"SELECT DISTINCT entity_id FROM ({held}) ORDER BY 1")["entity_id"].combine_chunks()
    dates = reader.query(f"SELECT DISTINCT as_of_date FROM ({held}) ORDER BY 1")["as_of_date"]
    every = reader.sessions(market_id).dates
    if len(dates) == 0:
        return _Grid(every[:0], [], np.empty((0, 0), dtype=np.int8))
    begin, end = np.searchsorted(every, [np.datetime64(dates[0].as_py()), np.datetime64(last, "D") + 1])
    sessions = every[begin:end]
    labels = pa.array(CODES)
    codes = np.full((len(sessions), len(names)), UNKNOWN, dtype=np.int8)
    for batch in reader.stream(f"SELECT * FROM ({held})", batch_rows=1 << 18):
        row = positions_in(sessions, batch["as_of_date"].to_numpy(zero_copy_only=False).astype("datetime64[D]"))
        column = pc.index_in(batch["entity_id"], value_set=names).to_numpy(zero_copy_only=False)
        code = pc.index_in(batch["soft_target_class"], value_set=labels)
        if code.null_count:
            strange = batch["soft_target_class"].filter(pc.is_null(code))[0]
            raise BadDataError(f"{CLASSES} of {market_id} has the class {strange}; known are {', '.join(CODES)}")
        at = row >= 0
        codes[row[at], column[at]] = code.to_numpy(zero_copy_only=False)[at]
    return _Grid(sessions, names.to_pylist(), codes)


def _compute(params: StabilityChangeRiskParams, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    parts: list[pa.Table] = []
    grids: dict[tuple[str, str], _Grid] = {}
    for scope, days in chunk.days.items():
        market_id, entity_type, horizon = scope.split("/")
        whose = market_id, entity_type
        if whose not in grids:
            grids[whose] = _grid(params, reader, market_id, entity_type, chunk.last)
        grid = grids[whose]
        wanted = positions_in(grid.sessions, np.array(days, dtype="datetime64[D]"))
        found = params.forecaster.forecast(grid.codes, int(horizon), at=wanted[wanted >= 0])
        parts.append(
            rows_of(
                found,
                grid.sessions,
                engine=ENGINE,
                entity_type=entity_type,
                entity_ids=grid.entities,
                market_id=market_id,
                horizon=int(horizon),
                model_id=params.model_id,
                variant=params.variant,
                backend=params.backend,
            )
        )
        _count(out, scope, days, np.bincount(found.session, minlength=len(grid.sessions)), wanted)
        out.replace(
            TABLE,
            partitions={"engine": [ENGINE], "as_of_year": sorted({d.year for d in days})},
            keys={
                "entity_type": [entity_type],
                "market_id": [market_id],
                "horizon_steps": [int(horizon)],
                "model_id": [params.model_id],
                "variant": [params.variant],
                "as_of_date": days,
            },
        )
    out.rows[TABLE] = pa.concat_tables(parts) if parts else contract(TABLE).empty()
    return out


def _count(
    out: Output, scope: str, days: tuple[dt.date, ...], made: NDArray[np.int64], wanted: NDArray[np.int64]
) -> None:
    for day, at in zip(days, wanted.tolist(), strict=True):
        if at >= 0 and made[at]:
            out.make(scope, day, int(made[at]))
        else:
            out.skip(scope, day, NO_CLASS)


def _holds(params: StabilityChangeRiskParams, scope: str, markets: Markets) -> Mapping[str, Holding]:
    market_id, entity_type, horizon = scope.split("/")
    where: dict[str, str | int] = {"engine": ENGINE, "entity_type": entity_type, "market_id": market_id}
    where |= {"horizon_steps": int(horizon), "model_id": params.model_id, "variant": params.variant}
    return {TABLE: Holding(where)}


STABILITY_CHANGE_RISK = Stage(
    name="stability_change_risk",
    revision=1,
    summary="forecast soft-target classes some sessions ahead from the past transitions of a market's entities",
    params=StabilityChangeRiskParams,
    inputs=(Input(CLASSES, history=None, where=_surface),),
    outputs=(TABLE,),
    surface=lambda p: p.model_id,
    days=_days,
    compute=_compute,
    market=market_in_scope,
    chunk_by="year",
    command="backfill_stability_change_risk",
    holds=_holds,
    writes=lambda p: {TABLE: {"engine": ENGINE, "model_id": p.model_id}},
)
