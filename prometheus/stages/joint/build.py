"""The stage of a joint space, made from its declaration: join the branches, calibrate, fuse, write."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Markets
from prometheus.lake import contract
from prometheus.runtime import Chunk, Holding, Input, Output, Stage, StageReader
from prometheus.spaces.joint import SPACES, Branch, BranchRows, JointSpace
from prometheus.stages.joint.calibrating import calibrated, statistics_input
from prometheus.stages.joint.entities import Entities, entities_of
from prometheus.stages.joint.fusing import Fused, fuse
from prometheus.stages.joint.params import JointParams, active, check_settings, params_of
from prometheus.stages.joint.rows import Wanted
from prometheus.stages.joint.scopes import chosen, repeated
from prometheus.stages.joint.sources import revision_of, source_of
from prometheus.vectors import to_list_array

NOTHING = "no branch present"
NO_STATISTICS = "no branch statistics for the year"

CHUNK_DAYS = {"region": 126, "episode": 126, "scenario": 126, "portfolio": 126}
"""Output days in a chunk; spaces of many names have fewer, or a chunk's vectors would fill the memory."""


@cache
def joint_stage(space_name: str) -> Stage[Any]:
    """Return the stage that makes a space's rows."""
    space = SPACES[space_name]
    entities = entities_of(space)
    return Stage(
        name=space.stage,
        revision=revision_of(space),
        summary=space.summary,
        params=params_of(space_name),
        inputs=(*branch_inputs(space), *entities.inputs, statistics_input(space)),
        outputs=("joint_embeddings",),
        surface=lambda p: f"{space.joint_type}/{p.joint_model_id}",
        days=lambda p, reader, first, last: _days(space, entities, p, reader, first, last),
        compute=lambda p, reader, chunk: _compute(space, entities, p, reader, chunk),
        market=entities.market,
        fingerprint=entities.fingerprint,
        chunk_days=CHUNK_DAYS.get(space.entity, 42),
        command=space.command,
        holds=lambda p, scope, markets: _holds(space, entities, p, scope, markets),
        writes=lambda p: {"joint_embeddings": {"joint_type": space.joint_type, "model_id": p.joint_model_id}},
    )


def branch_inputs(space: JointSpace) -> tuple[Input, ...]:
    """Tables the branches of a space are read from, each said once."""
    return tuple(declared for branch in space.branches for declared in source_of(branch).inputs())


def _days(
    space: JointSpace, entities: Entities, params: JointParams, reader: StageReader, first: dt.date, last: dt.date
) -> Mapping[str, Sequence[dt.date]]:
    check_settings(space, params)
    scopes = entities.days(params, reader, first, last)
    if any(scopes.values()):
        for branch in active(space, params):
            if branch.required:
                source_of(branch).require(params, reader, scopes, first, last)
    retired = entities.retired(params, reader)
    return {s: sorted({*scopes.get(s, ()), *retired.get(s, ())}) for s in dict.fromkeys([*scopes, *retired])}


def _compute(space: JointSpace, entities: Entities, params: JointParams, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    tables = []
    for scope, days in chunk.days.items():
        answered = entities.answers_for(params, reader, scope, days)
        out.replace(
            "joint_embeddings",
            partitions={
                "joint_type": [space.joint_type],
                "model_id": [params.joint_model_id],
                "variant": [params.variant],
                "as_of_date": list(days),
            },
            keys=answered.keys,
            like=answered.like,
        )
        wanted = entities.wanted(params, reader, scope, days)
        if len(wanted):
            tables.append(_scope_rows(space, entities, params, reader, wanted, out))
    out.rows["joint_embeddings"] = pa.concat_tables(tables) if tables else contract("joint_embeddings").empty()
    return out


def _scope_rows(
    space: JointSpace, entities: Entities, params: JointParams, reader: StageReader, wanted: Wanted, out: Output
) -> pa.Table:
    branches = active(space, params)
    blocks = {}
    for branch in branches:
        source = source_of(branch)
        blocks[branch.name] = source.load(params, reader, wanted)
        out.notes.update(source.notes(params, reader, wanted))
    usable = np.ones(len(wanted), dtype=bool)
    for branch in branches:
        if branch.required:
            usable = _leave_out(out, wanted, usable, blocks[branch.name].present, branch.absent)
    if params.calibrate:
        blocks = calibrated(space, params, reader, wanted, blocks)
        for branch in branches:
            if branch.required:
                usable = _leave_out(out, wanted, usable, blocks[branch.name].present, NO_STATISTICS)
    weighing = [b for b in branches if params.weights[b.group or b.name] > 0]
    any_present = np.zeros(len(wanted), dtype=bool)
    for branch in weighing:
        any_present |= blocks[branch.name].present
    usable = _leave_out(out, wanted, usable, any_present, NOTHING)
    picked = np.flatnonzero(usable)
    declared = contract("joint_embeddings")
    if len(picked) == 0:
        return declared.empty()
    if len(picked) < len(wanted):
        wanted = wanted.take(picked)
        blocks = {name: block.take(picked) for name, block in blocks.items()}
    fused = fuse(params, branches, blocks)
    for day, n in zip(*np.unique(wanted.days, return_counts=True), strict=True):
        out.make(wanted.scope, day.item(), int(n))
    words = source_words(weighing, blocks)
    scopes = entities.describe(params, reader, wanted, words)
    return joint_rows(space, params, wanted, branches, blocks, fused, scopes)


def _leave_out(
    out: Output, wanted: Wanted, usable: NDArray[np.bool_], present: NDArray[np.bool_], reason: str
) -> NDArray[np.bool_]:
    """Count rows that lack something, once, and leave them out."""
    lacking = usable & ~present
    for day, n in zip(*np.unique(wanted.days[lacking], return_counts=True), strict=True):
        out.skip(wanted.scope, day.item(), reason, int(n))
    return usable & present


def source_words(branches: Sequence[Branch], blocks: Mapping[str, BranchRows]) -> pa.DictionaryArray:
    """For each row, the words of the branches it has, in order, joined by ``+``."""
    said = [b for b in branches if b.word]
    if not said:
        return repeated("", len(next(iter(blocks.values()))))
    mask = np.stack([blocks[b.name].present for b in said], axis=1)
    # Few combinations, many rows: each is spelt once.
    codes, of_row = np.unique(mask @ (1 << np.arange(len(said))), return_inverse=True)
    return chosen(of_row, ["+".join(b.word for k, b in enumerate(said) if code >> k & 1) for code in codes.tolist()])


def joint_rows(
    space: JointSpace,
    params: JointParams,
    wanted: Wanted,
    branches: Sequence[Branch],
    blocks: Mapping[str, BranchRows],
    fused: Fused,
    scopes: pa.StringArray,
) -> pa.Table:
    """Rows of ``joint_embeddings``, in the order wanted."""
    declared = contract("joint_embeddings")
    n = len(wanted)
    columns = {
        "joint_type": repeated(space.joint_type, n).cast(pa.string()),
        "model_id": repeated(params.joint_model_id, n).cast(pa.string()),
        "variant": repeated(params.variant, n).cast(pa.string()),
        "as_of_date": pa.array(wanted.days),
        "entity_key": pa.array(wanted.keys),
        "entity_scope": scopes,
        "branches": _branch_lists(params, branches, blocks, fused),
        "vector": to_list_array(fused.vectors),
        "vector_ref": pa.nulls(n, pa.string()),
    }
    return pa.table([columns[name] for name in declared.schema.names], schema=declared.schema)


def _branch_lists(
    params: JointParams, branches: Sequence[Branch], blocks: Mapping[str, BranchRows], fused: Fused
) -> pa.ListArray:
    """List each row's branches, in order: those present with a positive weight."""
    kind = contract("joint_embeddings").schema.field("branches").type
    there = np.stack([blocks[b.name].present for b in branches], axis=1) & (fused.weights > 0)
    which = np.nonzero(there)[1]
    said = {
        "name": chosen(which, [b.name for b in branches]),
        "weight": pa.array(fused.weights[there]),
        "model_id": chosen(which, [params.model(b) for b in branches]),
        "variant": chosen(which, [params.variant_of(b) for b in branches]),
        "source_key": pa.array(np.stack([blocks[b.name].source_keys for b in branches], axis=1)[there]),
        "source_date": pa.array(np.stack([blocks[b.name].source_dates for b in branches], axis=1)[there]),
        "norm": pa.array(np.stack([blocks[b.name].norms() for b in branches], axis=1)[there]),
    }
    element = kind.value_type
    fields = [element.field(i) for i in range(element.num_fields)]
    struct = pa.StructArray.from_arrays([said[f.name].cast(f.type) for f in fields], fields=fields)
    offsets = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), struct, type=kind)


def _holds(
    space: JointSpace, entities: Entities, params: JointParams, scope: str, markets: Markets
) -> Mapping[str, Holding]:
    held = entities.holding(params, scope, markets)
    where = {"joint_type": space.joint_type, "model_id": params.joint_model_id, "variant": params.variant}
    return {"joint_embeddings": Holding({**where, **held.where}, held.surely, held.perhaps)}
