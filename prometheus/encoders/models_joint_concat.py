"""Joint model that keeps branches apart: concatenation, then a seeded orthogonal projection back to one width."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from prometheus.encoders.models_joint_simple import SimpleAverageJointModel

_ROWS = 256
"""Rows of one matrix product: of fixed size, so that no row's bits depend on how many stand beside it."""


class ConcatProjectionJointModel:
    """``z = sqrt(k) P [sqrt(v_1) z_1; ...; sqrt(v_k) z_k]``, with v the weights over their sum.

    An average adds branches up, and equal and opposite ones cancel. Here each branch has directions of its own before
    the projection: P has orthonormal rows of width k d, drawn once from a seed, so inner products between joint
    vectors are, on average over draws, the weighted sums of those between their branches (Johnson and Lindenstrauss
    1984; the square root of k makes up for the k d - d directions that are dropped).

    Parameters
    ----------
    weights : sequence of float
        One a branch, in order; not negative, not all zero.
    seed : int
        Of the projection.

    Raises
    ------
    ValueError
        As :class:`~prometheus.encoders.models_joint_simple.SimpleAverageJointModel` does.
    """

    def __init__(self, weights: Sequence[float], seed: int = 384) -> None:
        self._weighing = SimpleAverageJointModel(weights=weights)
        self.seed = seed

    @property
    def weights(self) -> tuple[float, ...]:
        """As given; they need not sum to one."""
        return self._weighing.weights

    def encode(
        self, branches: Sequence[NDArray[np.floating]], present: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float32]:
        """Fuse one block of vectors a branch.

        Parameters
        ----------
        branches : sequence of k ndarrays of shape (n, d)
            In the order of the weights.
        present : ndarray of shape (n, k), bool, optional
            Whether row ``i`` has branch ``j``; an absent one counts nothing and the others' weights are renormalised.

        Returns
        -------
        ndarray of shape (n, d), float32

        Raises
        ------
        ValueError
            When the number of branches or a shape differs, or a row has no branch of positive weight.
        """
        blocks = [np.asarray(block) for block in branches]
        if len(blocks) != len(self.weights):
            raise ValueError(f"the joint model has {len(self.weights)} branch weights but got {len(blocks)} branches")
        shape = blocks[0].shape
        if len(shape) != 2 or any(block.shape != shape for block in blocks):
            raise ValueError(f"branches must have one common shape (n, d); got {[b.shape for b in blocks]}")
        n, d = shape
        mask = np.ones((n, len(blocks)), dtype=bool) if present is None else np.asarray(present)
        share = mask * np.array(self.weights) / self._weighing.total_weights(mask)[:, None]
        matrix = projection(len(blocks) * d, d, self.seed) * np.sqrt(len(blocks))
        out = np.empty((n, d), dtype=np.float32)
        side_by_side = np.zeros((_ROWS, len(blocks) * d))
        for start in range(0, n, _ROWS):
            stop = min(start + _ROWS, n)
            side_by_side[:] = 0.0
            for k, block in enumerate(blocks):
                here = np.where(mask[start:stop, k, None], block[start:stop], 0.0)
                side_by_side[: stop - start, k * d : (k + 1) * d] = np.sqrt(share[start:stop, k, None]) * here
            out[start:stop] = (side_by_side @ matrix)[: stop - start]
        return out


@cache
def projection(width: int, to: int, seed: int) -> NDArray[np.float64]:
    """Matrix with orthonormal columns, shape (width, to), uniformly drawn: the same for the same seed, everywhere.

    Parameters
    ----------
    width, to : int
        ``to`` is at most ``width``.
    seed : int
    """
    drawn = np.random.default_rng(np.random.SeedSequence([seed, width, to])).standard_normal((width, to))
    q, r = np.linalg.qr(drawn)
    # Without the signs of R the draw would not be uniform (Mezzadri 2007).
    made: NDArray[np.float64] = q * np.sign(np.diag(r))
    return made
