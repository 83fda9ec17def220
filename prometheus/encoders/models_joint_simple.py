"""The plain joint model: a weighted average of branches that live in one space."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_BLOCK = 64  # rows; their float64 sums stay in the processor's cache


class SimpleAverageJointModel:
    """Weighted average of branch vectors, ``z = sum_k w_k z_k / sum_k w_k`` over the branches present.

    With two branches and the default weights this is ``(0.5 z_num + 0.5 z_text) / (0.5 + 0.5)``. A branch that is
    absent from a row leaves the sum and its weight leaves the denominator.

    Parameters
    ----------
    weights : sequence of float, optional
        One weight per branch, in branch order. Not negative, not all zero.
    numeric_weight, text_weight : float, optional
        Shorthand for two branches, numeric first; 0.5 each unless given.

    Attributes
    ----------
    weights : tuple of float
        As given; they need not sum to one.

    Raises
    ------
    ValueError
        When a weight is negative or not finite, all are zero, or both forms are given.
    """

    def __init__(
        self,
        weights: Sequence[float] | None = None,
        *,
        numeric_weight: float | None = None,
        text_weight: float | None = None,
    ) -> None:
        if weights is None:
            weights = (
                0.5 if numeric_weight is None else numeric_weight,
                0.5 if text_weight is None else text_weight,
            )
        elif numeric_weight is not None or text_weight is not None:
            raise ValueError("give either weights or numeric_weight and text_weight, not both")
        self.weights = tuple(float(w) for w in weights)
        if not self.weights:
            raise ValueError("a joint model needs at least one branch weight")
        if any(not math.isfinite(w) or w < 0.0 for w in self.weights):
            raise ValueError(f"branch weights must be finite and not negative; got {self.weights}")
        if sum(self.weights) == 0.0:
            raise ValueError("branch weights are all zero; at least one must be positive")

    def __repr__(self) -> str:
        return f"SimpleAverageJointModel(weights={self.weights})"

    def encode(
        self, branches: Sequence[NDArray[np.floating]], present: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float32]:
        """Average one block of vectors per branch.

        Parameters
        ----------
        branches : sequence of k ndarrays of shape (n, d) or (d,)
            One block per branch, in the order of the weights; all of one shape.
        present : ndarray of shape (n, k), bool, optional
            Whether row ``i`` has branch ``j``; all present when omitted. What stands in an absent branch's row is
            not looked at.

        Returns
        -------
        ndarray of the shape of a branch, float32
            Summed in float64 in branch order, each row on its own, and rounded once; a branch alone is its average.

        Raises
        ------
        ValueError
            When the number of branches or a shape differs, a row has no branch of positive weight, or a value
            that is present is not finite.
        """
        blocks = [np.asarray(block) for block in branches]
        if len(blocks) != len(self.weights):
            raise ValueError(f"the joint model has {len(self.weights)} branch weights but got {len(blocks)} branches")
        shape = blocks[0].shape
        if len(shape) not in (1, 2) or any(block.shape != shape for block in blocks):
            raise ValueError(f"branches must have one common shape (n, d) or (d,); got {[b.shape for b in blocks]}")
        rows = [block.reshape(-1, shape[-1]) for block in blocks]
        n = len(rows[0])
        mask = np.ones((n, len(rows)), dtype=bool) if present is None else np.atleast_2d(np.asarray(present))
        total = self.total_weights(mask)
        if len(total) != n:
            raise ValueError(f"present must have shape ({n}, {len(rows)}); got {mask.shape}")
        if len(rows) == 1:
            if not np.isfinite(rows[0]).all():
                _refuse_not_finite(rows, mask)
            return (rows[0].astype(np.float32, copy=False) + np.float32(0.0)).reshape(shape)  # no zero keeps a sign
        averaged = np.empty((n, shape[-1]), dtype=np.float32)
        sums, terms = np.empty((2, min(n, _BLOCK), shape[-1]))
        for start in range(0, n, _BLOCK):
            some = slice(start, min(start + _BLOCK, n))
            summed, term = sums[: some.stop - start], terms[: some.stop - start]
            with np.errstate(over="ignore", invalid="ignore"):
                summed[:] = 0.0
                for block, weight, here in zip(rows, self.weights, mask.T, strict=True):
                    np.copyto(term, block[some])
                    term[~here[some]] = 0.0
                    term *= weight
                    summed += term
                summed /= total[some, None]
            # A value that is not finite leaves no sum finite that it enters.
            if not np.isfinite(summed).all():
                _refuse_not_finite(rows, mask)
            averaged[some] = summed
        return averaged.reshape(shape)

    def total_weights(self, present: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Sum of the weights of the branches each row has: the denominator of its average.

        Parameters
        ----------
        present : ndarray of shape (n, k), bool

        Returns
        -------
        ndarray of shape (n,), float64

        Raises
        ------
        ValueError
            When the mask does not fit the weights, or a row has no branch of positive weight.
        """
        if present.ndim != 2 or present.shape[1] != len(self.weights) or present.dtype != np.bool_:
            raise ValueError(
                f"present must be boolean of shape (n, {len(self.weights)}); got {present.dtype} of {present.shape}"
            )
        total = np.zeros(len(present))
        for k, weight in enumerate(self.weights):
            total += weight * present[:, k]
        if (total == 0.0).any():
            bad = int(np.flatnonzero(total == 0.0)[0])
            raise ValueError(f"row {bad} of {len(total)} has no branch of positive weight; leave it out and count it")
        return total


def _refuse_not_finite(blocks: Sequence[NDArray[np.floating]], present: NDArray[np.bool_]) -> None:
    for k, block in enumerate(blocks):
        bad = np.flatnonzero(present[:, k] & ~np.isfinite(block).all(axis=1))
        if len(bad):
            raise ValueError(f"branch {k} holds a value that is not finite in row {bad[0]} of {len(block)}")
