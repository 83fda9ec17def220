"""From the branches of some rows to one vector a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.encoders.models_joint_concat import ConcatProjectionJointModel
from prometheus.encoders.models_joint_simple import SimpleAverageJointModel
from prometheus.spaces.joint import Branch, BranchRows
from prometheus.stages.joint.params import JointParams

Vectors = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Fused:
    """Joint vectors and the weight each branch had in them.

    Attributes
    ----------
    vectors : ndarray of float32, shape (n, d)
    weights : ndarray of float64, shape (n, k)
        As configured where the branch is present, a group's shared among those of it that are; 0 elsewhere.
        ``sum_k w_k z_k / sum_k w_k`` is the average.
    """

    vectors: Vectors
    weights: NDArray[np.float64]


def fuse(params: JointParams, branches: Sequence[Branch], blocks: Mapping[str, BranchRows]) -> Fused:
    """Fuse the branches of rows that have at least one.

    Branches of a group are averaged plainly first; the group then counts as one branch.

    Parameters
    ----------
    params : JointParams
    branches : sequence of Branch
        Those switched on, in order.
    blocks : mapping of str to BranchRows
        By branch; already calibrated where that was asked for.
    """
    groups: dict[str, list[Branch]] = {}
    for branch in branches:
        groups.setdefault(branch.group or branch.name, []).append(branch)
    units: list[Vectors] = []
    there: list[NDArray[np.bool_]] = []
    shares: dict[str, NDArray[np.float64]] = {}
    for name, members in groups.items():
        mask = np.stack([blocks[b.name].present for b in members], axis=1)
        some: NDArray[np.bool_] = np.asarray(mask.any(axis=1))
        unit = blocks[members[0].name].vectors
        if len(members) > 1:
            plain = SimpleAverageJointModel(weights=[1.0] * len(members))
            unit = np.zeros_like(unit)
            unit[some] = plain.encode([blocks[b.name].vectors[some] for b in members], mask[some])
        units.append(unit)
        there.append(some)
        counted = np.maximum(mask.sum(axis=1), 1)
        for k, branch in enumerate(members):
            shares[branch.name] = float(params.weights[name]) * mask[:, k] / counted
    model = _model(params, [float(params.weights[name]) for name in groups])
    vectors = model.encode(units, np.stack(there, axis=1))
    return Fused(vectors, np.stack([shares[b.name] for b in branches], axis=1))


def _model(params: JointParams, weights: Sequence[float]) -> SimpleAverageJointModel | ConcatProjectionJointModel:
    if params.fusion == "concat_projection":
        return ConcatProjectionJointModel(weights)
    return SimpleAverageJointModel(weights=weights)
