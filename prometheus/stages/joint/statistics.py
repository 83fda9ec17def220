"""The stage that fits a joint space's branches: mean and spread over the past, once a year on what lay before.

The statistics that serve a year use a branch's values at all rows of the space up to the last session of the year
before, on at least 126 distinct dates; a correction of the scale never reaches back.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Markets
from prometheus.encoders.joint import BranchStatistics, BranchSums
from prometheus.errors import RequestError
from prometheus.lake import contract
from prometheus.runtime import Chunk, Holding, Output, Stage, StageReader
from prometheus.runtime.params import narrows
from prometheus.spaces.joint import SPACES, Branch, JointSpace
from prometheus.stages.cuts import cut_days
from prometheus.stages.joint.build import branch_inputs
from prometheus.stages.joint.entities import Entities, entities_of
from prometheus.stages.joint.params import JointParams, active, check_settings, params_of
from prometheus.stages.joint.sources import revision_of, source_of
from prometheus.vectors import to_list_array

MIN_DATES = 126
TOO_FEW = f"fewer than {MIN_DATES} past dates in a branch"

_BLOCK_DAYS = {"region": 2_520, "episode": 2_520, "portfolio": 2_520}
"""Sessions read at a time; of spaces with many names a quarter."""


@cache
def statistics_stage(space_name: str) -> Stage[Any]:
    """Return the stage that fits a space's branches."""
    space = SPACES[space_name]
    entities = entities_of(space)
    return Stage(
        name=space.statistics,
        revision=revision_of(space),
        summary=f"fit each branch's past mean and spread, year by year, for calibrated variants of {space.joint_type}",
        params=params_of(space_name),
        inputs=tuple(i.over_all_history() for i in (*branch_inputs(space), *entities.inputs)),
        outputs=("branch_statistics",),
        surface=lambda p: space.joint_type,  # rows do not say which model of it
        days=lambda p, reader, first, last: _days(space, entities, p, reader, first, last),
        compute=lambda p, reader, chunk: _compute(space, entities, p, reader, chunk),
        market=entities.market,
        chunk_days=10_000,
        command=space.command,
        holds=lambda p, scope, markets: _holds(space, p, scope, markets),
        writes=lambda p: {"branch_statistics": {"joint_type": space.joint_type}},
    )


def _days(
    space: JointSpace, entities: Entities, params: JointParams, reader: StageReader, first: dt.date, last: dt.date
) -> Mapping[str, Sequence[dt.date]]:
    check_settings(space, params)
    if narrows(params):
        raise RequestError(f"{space.statistics} are of every name there is: ask for them without naming some")
    # The population is every past date there is, wherever the request begins.
    reader.span(min(first, _beginning(space, params, reader)), last)
    return {
        scope: cut_days(reader, entities.market(scope, reader.markets), first, last)
        for scope in entities.days(params, reader, first, last)
    }


def _beginning(space: JointSpace, params: JointParams, reader: StageReader) -> dt.date:
    """First date any of the branches has a value on; the end of time when none has."""
    return min(source_of(b).first_day(params, reader) for b in active(space, params))


@dataclass
class _Branch:
    """What is known of one branch so far."""

    sums: BranchSums = field(default_factory=BranchSums)
    dates: int = 0


def _compute(space: JointSpace, entities: Entities, params: JointParams, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    fits: list[dict[str, object]] = []
    means: list[NDArray[np.float32]] = []
    branches = active(space, params)
    begin = _beginning(space, params, reader)
    for scope, cuts in chunk.days.items():
        out.replace(
            "branch_statistics",
            partitions={"joint_type": [space.joint_type], "variant": [params.variant]},
            keys={"region": [scope], "as_of_date": list(cuts)},
        )
        sessions = reader.sessions(entities.market(scope, reader.markets)).between(begin, cuts[-1]).dates
        known = {b.name: _Branch() for b in branches}
        counted = 0
        for cut in cuts:
            past = sessions[counted : int(np.searchsorted(sessions, np.datetime64(cut), side="right"))]
            _count(space, entities, params, reader, scope, past, branches, known)
            counted += len(past)
            found = {name: b for name, b in known.items() if b.dates >= MIN_DATES and b.sums.spread > 0}
            if any(b.required and b.name not in found for b in branches) or not found:
                out.skip(scope, cut, TOO_FEW)
                continue
            for name, branch in found.items():
                fit = branch.sums.statistics()
                fits.append(_row(space, params, scope, cut, name, fit, branch.dates))
                means.append(fit.mean)
            out.make(scope, cut, len(found))
    out.rows["branch_statistics"] = _table(fits, means)
    return out


def _count(
    space: JointSpace,
    entities: Entities,
    params: JointParams,
    reader: StageReader,
    scope: str,
    past: NDArray[np.datetime64],
    branches: Sequence[Branch],
    known: Mapping[str, _Branch],
) -> None:
    """Add what the branches were on some sessions, year by year: sums must not depend on where a request begins."""
    years = past.astype("datetime64[Y]")
    step = _BLOCK_DAYS.get(space.entity, 63)
    for year in np.unique(years):
        of_year = past[years == year]
        for start in range(0, len(of_year), step):
            wanted = entities.wanted(params, reader, scope, of_year[start : start + step].tolist())
            if len(wanted) == 0:
                continue
            for branch in branches:
                block = source_of(branch).load(params, reader, wanted)
                known[branch.name].sums.add(block.vectors[block.present])
                known[branch.name].dates += len(np.unique(wanted.days[block.present]))


def _row(
    space: JointSpace, params: JointParams, scope: str, cut: dt.date, name: str, fit: BranchStatistics, dates: int
) -> dict[str, object]:
    return {
        "joint_type": space.joint_type,
        "branch": name,
        "variant": params.variant,
        "region": scope,
        "year": cut.year + 1,
        "as_of_date": cut,
        "num_dates": dates,
        "rms": fit.rms,
    }


def _table(fits: list[dict[str, object]], means: list[NDArray[np.float32]]) -> pa.Table:
    declared = contract("branch_statistics")
    if not fits:
        return declared.empty()
    plain = pa.Table.from_pylist(fits, schema=pa.schema([f for f in declared.schema if f.name != "mean"]))
    table = plain.append_column(declared.schema.field("mean"), to_list_array(np.stack(means)))
    return table.select(declared.schema.names)


def _holds(space: JointSpace, params: JointParams, scope: str, markets: Markets) -> Mapping[str, Holding]:
    where = {"joint_type": space.joint_type, "variant": params.variant, "region": scope}
    return {"branch_statistics": Holding(where)}
