"""One branch of a joint space, joined to the rows that are to be made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.vectors import EMBEDDING_DIM

_BLOCK = 64  # rows; their float64 copy stays in the processor's cache


@dataclass(frozen=True, eq=False)
class BranchRows:
    """A branch's vector for each wanted row, and where it came from.

    Attributes
    ----------
    present : ndarray of bool, shape (n,)
        Whether the branch has a value for the row.
    vectors : ndarray of float32, shape (n, d)
        As stored; zeros where absent.
    source_keys : ndarray of str, shape (n,)
        Key of the row (or rows) it was read from, within the branch's surface; empty where absent.
    source_dates : ndarray of datetime64[D], shape (n,)
        ``as_of_date`` of what was read; NaT where absent.
    """

    present: NDArray[np.bool_]
    vectors: NDArray[np.float32]
    source_keys: NDArray[np.str_]
    source_dates: NDArray[np.datetime64]

    @classmethod
    def picked(
        cls,
        at: NDArray[np.int64],
        vectors: NDArray[np.float32],
        source_keys: NDArray[np.str_],
        source_dates: NDArray[np.datetime64],
    ) -> BranchRows:
        """Take row ``at[i]`` of what was read for wanted row ``i``; -1 where there is none."""
        if vectors.size:
            # The last row stands in for none, and is blanked.
            block = vectors.take(at, axis=0, mode="wrap")
            block[at < 0] = 0.0
        else:
            block = np.zeros((len(at), EMBEDDING_DIM), dtype=np.float32)
        return cls.placed(at, block, source_keys, source_dates)

    @classmethod
    def placed(
        cls,
        at: NDArray[np.int64],
        block: NDArray[np.float32],
        source_keys: NDArray[np.str_],
        source_dates: NDArray[np.datetime64],
    ) -> BranchRows:
        """As :meth:`picked`, the vectors taken already: ``block[i]`` is that of wanted row ``i``, or zeros."""
        found = at >= 0
        keys = np.full(len(at), "", dtype=source_keys.dtype if source_keys.size else np.str_)
        dates = np.full(len(at), np.datetime64("NaT"), dtype="datetime64[D]")
        keys[found], dates[found] = source_keys[at[found]], source_dates[at[found]]
        return cls(found, block, keys, dates)

    def __len__(self) -> int:
        return len(self.present)

    def take(self, rows: NDArray[np.int64]) -> BranchRows:
        """Return some of the rows."""
        return BranchRows(self.present[rows], self.vectors[rows], self.source_keys[rows], self.source_dates[rows])

    def norms(self) -> NDArray[np.float64]:
        """Euclidean norm of each row's vector, summed in float64; shape (n,)."""
        norms = np.empty(len(self))
        for start in range(0, len(self), _BLOCK):
            rows = slice(start, start + _BLOCK)
            norms[rows] = np.linalg.norm(self.vectors[rows].astype(np.float64), axis=1)
        return norms
