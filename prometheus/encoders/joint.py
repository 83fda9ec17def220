"""Calibration of a branch: centre it on its past mean and divide by its past spread.

A joint space averages branches of different make. Where one of them hardly varies (the daily mean of unit news
vectors does not), the other decides alone, whatever the weights say. Once both are centred and scaled to a unit
root mean square, a weight of one half means one half of the variance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ROWS = 4096
_IN_CACHE = 64  # rows; their float64 copy stays in the processor's cache


@dataclass(frozen=True, eq=False)
class BranchStatistics:
    """Mean and spread of one branch over a population of its vectors.

    Attributes
    ----------
    mean : ndarray of shape (d,), float32
        Per-slot mean. Kept in the precision it is stored in, so that statistics read back from a table calibrate
        to the same bits.
    rms : float
        ``sqrt(mean_i ||z_i - mean||^2)``, one scalar for all slots; in the units of the branch.
    count : int
        Vectors counted.
    """

    mean: NDArray[np.float32]
    rms: float
    count: int

    @classmethod
    def fit(cls, vectors: NDArray[np.floating]) -> BranchStatistics:
        """Fit on a population of vectors.

        Sums run in float64 over fixed blocks of rows, in row order: equal rows in equal order give equal bits.
        Which rows may be counted (those known before the cut) is the caller's to say.

        Parameters
        ----------
        vectors : ndarray of shape (n, d)
            Branch vectors, in key order.

        Raises
        ------
        ValueError
            When there are no rows, a value is not finite, or all rows are equal (nothing to scale by).
        """
        if vectors.ndim != 2 or len(vectors) == 0:
            raise ValueError(f"branch statistics need vectors of shape (n, d) with n > 0; got shape {vectors.shape}")
        starts = range(0, len(vectors), _ROWS)
        total = np.zeros(vectors.shape[1])
        for start in starts:
            total += vectors[start : start + _ROWS].sum(axis=0, dtype=np.float64)
        if not np.isfinite(total).all():
            bad = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
            raise ValueError(f"branch statistics need finite vectors; row {bad} of {len(vectors)} is not")
        mean = total / len(vectors)
        squares = np.zeros(vectors.shape[1])
        for start in starts:
            deviations = vectors[start : start + _ROWS].astype(np.float64) - mean
            squares += np.square(deviations).sum(axis=0)
        rms = float(np.sqrt(squares.sum() / len(vectors)))
        if rms == 0.0:
            raise ValueError(f"all {len(vectors)} vectors of the branch are equal; it has no spread to scale by")
        return cls(mean.astype(np.float32), rms, len(vectors))

    def apply(self, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        """Calibrate vectors of this branch; see :func:`calibrate`."""
        return calibrate(vectors, self.mean, self.rms)


class BranchSums:
    """Statistics of a population that comes in pieces, too large to be held at once.

    Sums run in float64, row order within fixed blocks of each piece: the same pieces in the same order give equal bits.
    They are sums of distances from the first vector, so a branch far from the origin loses no digits of its spread.
    """

    def __init__(self) -> None:
        self._count = 0
        self._origin: NDArray[np.float64] = np.zeros(0)
        self._sum: NDArray[np.float64] = np.zeros(0)
        self._squares: NDArray[np.float64] = np.zeros(0)

    def add(self, vectors: NDArray[np.floating]) -> None:
        """Count more vectors, shape (n, d).

        Raises
        ------
        ValueError
            When a value is not finite.
        """
        if len(vectors) == 0:
            return
        if self._count == 0:
            self._origin = vectors[0].astype(np.float64)
            self._sum, self._squares = np.zeros_like(self._origin), np.zeros_like(self._origin)
        for start in range(0, len(vectors), _ROWS):
            block = vectors[start : start + _ROWS].astype(np.float64, order="C")
            block -= self._origin
            self._sum += block.sum(axis=0)
            self._squares += np.square(block).sum(axis=0)
        if not np.isfinite(self._squares).all():
            raise ValueError("branch statistics need finite vectors; some are not")
        self._count += len(vectors)

    @property
    def spread(self) -> float:
        """Root mean squared distance from the mean so far; 0 without any."""
        if self._count == 0:
            return 0.0
        squares = self._squares.sum() / self._count - np.square(self._sum / self._count).sum()
        return float(np.sqrt(max(squares, 0.0)))

    def statistics(self) -> BranchStatistics:
        """Mean and spread of everything counted so far.

        Raises
        ------
        ValueError
            When there is nothing to scale by.
        """
        if self.spread == 0.0:
            raise ValueError(f"all {self._count} vectors of the branch are equal; it has no spread to scale by")
        mean = self._origin + self._sum / self._count
        return BranchStatistics(mean.astype(np.float32), self.spread, self._count)


def calibrate(vectors: NDArray[np.floating], mean: NDArray[np.floating], rms: float) -> NDArray[np.float32]:
    """Centre and scale branch vectors: ``(z - mean) / rms``.

    Parameters
    ----------
    vectors : ndarray of shape (n, d) or (d,)
        Vectors of one branch.
    mean : ndarray of shape (d,)
        The branch's past mean.
    rms : float
        The branch's past root mean squared distance from it.

    Returns
    -------
    ndarray of the shape of ``vectors``, float32
        Computed in float64, each row on its own.

    Raises
    ------
    ValueError
        When the widths differ or ``rms`` is not a positive finite number.
    """
    if vectors.shape[-1:] != mean.shape:
        raise ValueError(f"vectors of shape {vectors.shape} cannot be centred on a mean of shape {mean.shape}")
    if not (np.isfinite(rms) and rms > 0.0):
        raise ValueError(f"a branch is scaled by a positive finite RMS; got {rms}")
    rows, origin = vectors.reshape(-1, len(mean)), mean.astype(np.float64)
    scaled = np.empty(rows.shape, dtype=np.float32)
    for start in range(0, len(rows), _IN_CACHE):
        some = slice(start, start + _IN_CACHE)
        centred = rows[some] - origin
        centred /= rms
        scaled[some] = centred
    return scaled.reshape(vectors.shape)
