"""What a similarity is made of: each branch's share of a cosine.

With ``z = sum_k a_k z_k`` on one side and ``z' = sum_l b_l z'_l`` on the other, the inner product is the sum over all
pairs of branches. A pair of two different branches is split evenly between them, so the share of branch k is::

    s_k = (a_k z_k . z' + b_k z . z'_k) / (2 |z| |z'|)

A branch that one side lacks keeps the half of the other side. The shares add up to the cosine of the averages, in
exact arithmetic; ``rounding`` is what float32 storage of the averages makes of it (about 1e-8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prometheus.errors import BadDataError
from prometheus.lake import Lake
from prometheus.search.branches import BranchReader, BranchVector
from prometheus.search.neighbours import Neighbours, Query
from prometheus.search.surface import Surface
from prometheus.search.topk import pair_scores
from prometheus.vectors import from_list_array

_ROUNDING = 1e-5


@dataclass(frozen=True)
class Explanation:
    """One pair's cosine, branch by branch.

    Attributes
    ----------
    cosine : float
    shares : mapping of str to float
        Share of each branch either side has, in branch order. ``sum(shares) + rounding == cosine``.
    rounding : float
        Cosine of the stored vectors less that of the branches' averages.
    """

    cosine: float
    shares: Mapping[str, float]
    rounding: float


def split_cosine(
    left: Sequence[BranchVector], right: Sequence[BranchVector], cosine: float | None = None
) -> Explanation:
    """Split the cosine of two averages among their branches.

    Parameters
    ----------
    left, right : sequence of BranchVector
        Their shares are taken as given; see the module for the formula.
    cosine : float, optional
        Of the stored vectors; that of the averages when omitted.

    Raises
    ------
    BadDataError
        When the averages of the branches are not what is stored.
    """
    z, other = average(left), average(right)
    length = float(np.sqrt(np.square(z).sum()) * np.sqrt(np.square(other).sum()))
    shares: dict[str, float] = {}
    for mine, theirs in ((left, other), (right, z)):
        for branch in mine:
            part = branch.share * float((branch.vector * theirs).sum()) / (2.0 * length) if length > 0.0 else 0.0
            shares[branch.name] = shares.get(branch.name, 0.0) + part
    stored = sum(shares.values()) if cosine is None else cosine
    rounding = stored - sum(shares.values())
    if abs(rounding) > _ROUNDING:
        raise BadDataError(
            f"the branches give a cosine of {sum(shares.values()):.6f} and the stored vectors {stored:.6f}: "
            "the rows are no averages of their branches, or these were made again since"
        )
    return Explanation(stored, shares, rounding)


def average(branches: Sequence[BranchVector]) -> NDArray[np.float64]:
    """Average of branches by their shares, in branch order."""
    total: NDArray[np.float64] = np.zeros_like(branches[0].vector)
    for branch in branches:
        total = total + branch.share * branch.vector
    return total


def explain(lake: Lake, query: Query, among: Surface, found: Neighbours) -> list[Explanation]:
    """Explain a query's neighbours, each by its branches and the query's.

    Parameters
    ----------
    lake : Lake
    query : Query
        A joint row, as :meth:`Query.read` gives it.
    among : Surface
        The joint surface that was searched.
    found : Neighbours
        Of that query.

    Raises
    ------
    BadDataError
        When branches cannot be read again.
    """
    if query.row is None or query.surface is None or len(found) == 0:
        return []
    reader = BranchReader(lake)
    own = {**query.row, "joint_type": query.surface.where["joint_type"]}
    (mine,) = reader.read([own], query.vector[None, :])
    rows, vectors = joint_rows(lake, among, found)
    theirs = reader.read(rows, vectors)
    cosine, _ = pair_scores(
        np.repeat(query.vector[None, :].astype(np.float64), len(rows), axis=0), vectors.astype(np.float64)
    )
    return [split_cosine(mine, other, float(c)) for other, c in zip(theirs, cosine, strict=True)]


def joint_rows(lake: Lake, among: Surface, found: Neighbours) -> tuple[list[dict[str, Any]], NDArray[np.float32]]:
    """Rows of some neighbours with their branches, and their vectors, in their order."""
    days, keys = found.rows["as_of_date"].to_pylist(), found.rows["entity_key"].to_pylist()
    columns = ["as_of_date", "entity_key", "entity_scope", "branches", "vector"]
    where = {"as_of_date": sorted(set(days)), "entity_key": sorted(set(keys))}
    read = lake.query(among.source(lake, columns, where=where))
    vectors = from_list_array(read["vector"])
    listed = read.drop_columns(["vector"]).to_pylist()
    place = {(row["as_of_date"], row["entity_key"]): i for i, row in enumerate(listed)}
    at = [place[pair] for pair in zip(days, keys, strict=True)]
    joint_type = among.where["joint_type"]
    return [{**listed[i], "joint_type": joint_type} for i in at], vectors[at]
