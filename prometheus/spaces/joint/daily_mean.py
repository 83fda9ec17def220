"""The plain mean of each day's text vectors, exact whatever the order the rows arrive in.

A float32 component of a vector of norm at most a few is rounded once to a multiple of 2^-36. Sums of such numbers are
exact in float64 as long as they stay below 2^17, so neither the order of rows, nor the size of batches, nor the number
of threads can change a bit of the mean, and the query engine need not sort.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.clock import positions_in
from prometheus.vectors import EMBEDDING_DIM

_GRAIN_BITS = 36
# Adding and subtracting this constant rounds a float64 to a multiple of 2^-36 (Dekker's trick): the sum has no bits
# left below that.
_ROUNDER = 1.5 * 2.0 ** (52 - _GRAIN_BITS)
_LIMIT = 2.0 ** (52 - _GRAIN_BITS)
_BLOCK = 256  # rows; their float64 copy stays in the processor's cache


@dataclass(frozen=True)
class DailyMeans:
    """Mean vector of every day that had any.

    Attributes
    ----------
    days : ndarray of datetime64[D], shape (n,)
        Ascending.
    counts : ndarray of int64, shape (n,)
        Vectors averaged.
    vectors : ndarray of float32, shape (n, 384)
    """

    days: NDArray[np.datetime64]
    counts: NDArray[np.int64]
    vectors: NDArray[np.float32]

    def positions(self, days: NDArray[np.datetime64]) -> NDArray[np.int64]:
        """Row of each day; -1 where it has no vector."""
        return positions_in(self.days, days)


class DailySums:
    """Running sums by day; feed it blocks in any order.

    Parameters
    ----------
    days : ndarray of datetime64[D]
        The days that may occur, ascending.
    """

    def __init__(self, days: NDArray[np.datetime64], dim: int = EMBEDDING_DIM) -> None:
        self._days = np.asarray(days, dtype="datetime64[D]")
        self._sums = np.zeros((len(self._days), dim), dtype=np.float64)
        self._counts = np.zeros(len(self._days), dtype=np.int64)
        self._scratch = np.empty((_BLOCK, dim), dtype=np.float64)

    def add(self, days: NDArray[np.datetime64], vectors: NDArray[np.float32]) -> None:
        """Add a block of vectors.

        Parameters
        ----------
        days : ndarray of datetime64[D], shape (n,)
        vectors : ndarray of float32, shape (n, 384)

        Raises
        ------
        ValueError
            When a day was not announced, or a sum would leave the exact range.
        """
        rows = np.searchsorted(self._days, days)
        if len(rows) and (rows.max(initial=0) >= len(self._days) or (self._days[rows] != days).any()):
            raise ValueError("a vector is dated on a day that was not asked for")
        np.add.at(self._counts, rows, 1)
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            exact = self._scratch[: len(block)]
            np.copyto(exact, vectors[start : start + _BLOCK])
            exact += _ROUNDER
            exact -= _ROUNDER
            edges = np.flatnonzero(np.diff(block, prepend=-1))
            stops = np.append(edges[1:], len(block))
            # One matrix product of ones per run of equal days: exact sums do not mind how BLAS splits them.
            for lo, hi in zip(edges, stops, strict=True):
                self._sums[block[lo]] += np.ones(hi - lo) @ exact[lo:hi]

    def means(self) -> DailyMeans:
        """Mean of every day that had a vector, rounded once to float32."""
        if len(self._sums) and np.abs(self._sums).max() >= _LIMIT:
            raise ValueError("a day's vectors sum beyond the exact range; their norms are not those of embeddings")
        seen = self._counts > 0
        means = self._sums[seen] / self._counts[seen, None]
        return DailyMeans(self._days[seen], self._counts[seen], means.astype(np.float32))
