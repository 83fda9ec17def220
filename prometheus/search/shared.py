"""Similarity over the branches two rows share.

A stability state may carry a profile and a scenario has none: their stored averages are then not of the same things.
What they share is compared: the branches of the same model and variant as they are stored (before any calibration, so
states of every variant meet scenarios), each side's averaged with its own shares. A stability window and a scenario
path fill the same slots and count as the same; a path has no volume, so the slots about volume are masked on both sides
(the ``blocks`` encoder keeps every slot in its place).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.errors import RequestError
from prometheus.lake import Lake
from prometheus.search.branches import BranchReader, BranchVector
from prometheus.search.explain import Explanation, average, split_cosine
from prometheus.search.neighbours import Neighbours, Query, rows_of
from prometheus.search.spans import Embargo, Spans, When, embargo_of
from prometheus.search.surface import Surface, days_of
from prometheus.search.topk import Metric, TopK

COMPARABLE: Mapping[str, str] = {"num-scenario-core-v1": "num-stab-core-v1"}
"""Models that fill the same slots in the same scaling as another, and are compared with it."""

Kind = tuple[str, str]
"""Model and variant that a branch is compared as."""

Shared = frozenset[tuple[str, str, bool]]
"""Kinds two rows share, and whether the two sides are of different models, so that volume is masked."""


@dataclass(frozen=True, eq=False)
class SharedNeighbours:
    """Neighbours over shared branches.

    Attributes
    ----------
    found : Neighbours
        Scores are of the shared parts, not of the stored vectors.
    shared : tuple of tuple of str
        Names of the query's branches that were compared, for each neighbour.
    explanations : tuple of Explanation
        Of each neighbour, over the shared branches, under the query's branch names.
    num_apart : int
        Candidates that share no branch with the query: not compared.
    """

    found: Neighbours
    shared: tuple[tuple[str, ...], ...]
    explanations: tuple[Explanation, ...]
    num_apart: int


def kind_of(model_id: str, variant: str) -> Kind:
    """What a branch is compared as."""
    return COMPARABLE.get(model_id, model_id), variant


def _models_of(branches: Sequence[Mapping[str, Any]]) -> dict[Kind, tuple[str, str]]:
    """Model and name of the branch that stands for each kind.

    Of two branches of one kind (a state's own window and the scenario fused with it) the first stands for the row.
    """
    out: dict[Kind, tuple[str, str]] = {}
    for branch in branches:
        out.setdefault(kind_of(branch["model_id"], branch["variant"]), (branch["model_id"], branch["name"]))
    return out


def nearest_shared(
    lake: Lake,
    among: Surface,
    query: Query,
    *,
    k: int = 20,
    metric: Metric = "cosine",
    when: When = "known",
    embargo: Embargo | None = None,
    where: Mapping[str, Any] | None = None,
    columns: Sequence[str] = (),
) -> SharedNeighbours:
    """Find the nearest neighbours of a joint row over the branches it shares with each candidate.

    Parameters
    ----------
    lake, among, query, k, metric, when, embargo, where, columns
        As in :func:`prometheus.search.nearest`; ``query`` must be a joint row.

    Notes
    -----
    Candidates are read without vectors first, then batch by batch with the branch vectors their rows name. Each set of
    shared branches is a search of its own; the results are merged by score and key.
    """
    if query.row is None or query.surface is None or query.as_of is None:
        raise RequestError("shared branches are those of a joint row; read the query with Query.read")
    embargo = embargo or embargo_of(lake, dict(query.row))
    spans = Spans.of(when, np.array([query.as_of], dtype="datetime64[D]"), embargo)
    own = {**query.row, "joint_type": query.surface.where["joint_type"]}
    kinds = _models_of(own["branches"])
    names = rows_of(among, [*columns, "entity_scope", "branches"])
    rows = lake.query(among.source(lake, names, dates=spans.outer, where=where))
    rows = rows.sort_by([(c, "ascending") for c in among.key])
    allowed = spans.allowed(days_of(rows)) if rows.num_rows else None
    if allowed is not None:
        rows = rows.filter(pa.array(allowed[0]))
    groups: dict[Shared, list[int]] = defaultdict(list)
    for i, branches in enumerate(rows["branches"].to_pylist()):
        theirs = _models_of(branches)
        groups[frozenset((*k, theirs[k][0] != kinds[k][0]) for k in theirs if k in kinds)].append(i)
    num_apart = len(groups.pop(frozenset(), []))
    reader = BranchReader(lake)
    pieces = []
    for shared in sorted(groups, key=sorted):
        mine = _only(reader.read([own], query.vector[None, :], _models(own, shared))[0], shared)
        names_of = {kind: name for kind, (_, name) in kinds.items()}
        pieces.append(_search(reader, among, rows.take(groups[shared]), mine, shared, names_of, k, metric))
    return _merged(pieces, rows_of(among, columns), rows, k, metric, embargo, num_apart)


def _search(
    reader: BranchReader,
    among: Surface,
    rows: pa.Table,
    mine: list[BranchVector],
    shared: Shared,
    kinds: Mapping[Kind, str],
    k: int,
    metric: Metric,
) -> list[tuple[float, float, dict[str, Any], tuple[str, ...], Explanation]]:
    best = TopK(average(mine).astype(np.float32)[None, :], k, metric, among.key)
    for start in range(0, rows.num_rows, _AT_ONCE):
        part = rows.slice(start, _AT_ONCE)
        best.add(part, np.stack([average(b) for b in _parts(reader, among, part, shared)]).astype(np.float32))
    _, found, cosine, euclidean = best.finish()
    theirs = _parts(reader, among, found, shared)
    names = tuple(sorted(kinds[model, variant] for model, variant, _ in shared))
    return [
        (c, e, row, names, split_cosine(mine, _named(other, kinds), c))
        for c, e, row, other in zip(cosine.tolist(), euclidean.tolist(), found.to_pylist(), theirs, strict=True)
    ]


_AT_ONCE = 8_192


def _parts(reader: BranchReader, among: Surface, rows: pa.Table, shared: Shared) -> list[list[BranchVector]]:
    """Shared branches of some candidates, their shares summing to one."""
    joint_type = among.where["joint_type"]
    listed = [{**row, "joint_type": joint_type} for row in rows.to_pylist()]
    models = {model for row in listed for model in _models(row, shared)}
    nothing = np.zeros((len(listed), 1), dtype=np.float32)
    return [_only(branches, shared) for branches in reader.read(listed, nothing, models)]


def _models(row: Mapping[str, Any], shared: Shared) -> set[str]:
    kinds = {(model, variant) for model, variant, _ in shared}
    return {b["model_id"] for b in row["branches"] if kind_of(b["model_id"], b["variant"]) in kinds}


def _only(branches: Sequence[BranchVector], shared: Shared) -> list[BranchVector]:
    """Keep the branch that stands for each shared kind; their shares sum to one."""
    masks = {(model, variant): masked for model, variant, masked in shared}
    first: dict[Kind, BranchVector] = {}
    for branch in branches:
        first.setdefault(kind_of(branch.model_id, branch.variant), branch)
    kept = [b for kind, b in first.items() if kind in masks]
    total = sum(b.share for b in kept)
    out = []
    for branch in kept:
        kind = kind_of(branch.model_id, branch.variant)
        vector = _without_volume(kind[0], branch.vector) if masks[kind] else branch.vector
        out.append(BranchVector(branch.name, branch.model_id, branch.variant, branch.share / total, vector))
    return out


def _without_volume(model_id: str, vector: NDArray[np.float64]) -> NDArray[np.float64]:
    from prometheus.spaces.numeric import numeric_model
    from prometheus.spaces.numeric.masking import volume_slots

    masked = vector.copy()
    masked[volume_slots(numeric_model(model_id))] = 0.0
    return masked


def _named(branches: Sequence[BranchVector], kinds: Mapping[Kind, str]) -> list[BranchVector]:
    """Call a candidate's branches by the query's names."""
    return [
        BranchVector(kinds[kind_of(b.model_id, b.variant)], b.model_id, b.variant, b.share, b.vector) for b in branches
    ]


def _merged(
    pieces: Sequence[list[tuple[float, float, dict[str, Any], tuple[str, ...], Explanation]]],
    names: list[str],
    rows: pa.Table,
    k: int,
    metric: Metric,
    embargo: Embargo,
    num_apart: int,
) -> SharedNeighbours:
    every = [item for piece in pieces for item in piece]
    keys = [tuple(item[2][c] for c in names) for item in every]
    score = [-item[0] if metric == "cosine" else item[1] for item in every]
    order = sorted(range(len(every)), key=lambda i: (score[i], keys[i]))[:k]
    best = [every[i] for i in order]
    schema = pa.schema([rows.schema.field(n) for n in names])
    table = pa.Table.from_pylist([{n: item[2][n] for n in names} for item in best], schema=schema)
    cosine: NDArray[np.float64] = np.array([item[0] for item in best])
    euclidean: NDArray[np.float64] = np.array([item[1] for item in best])
    found = Neighbours(np.zeros(len(best), dtype=np.int64), table, cosine, euclidean, embargo)
    return SharedNeighbours(found, tuple(i[3] for i in best), tuple(i[4] for i in best), num_apart)
