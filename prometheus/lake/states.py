"""What a table held, day by day, in a few bytes: equal states mean equal inputs, so nothing is stale.

Tables partitioned by day answer from the Delta log alone: a day's files change exactly when its rows do, because the
write path commits nothing when rows are equal. Small tables that are not answer by content.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class TableStates:
    """Running sum of day states, so that any range of days is one subtraction (modulo 2^64).

    Attributes
    ----------
    days : ndarray of datetime64[D], shape (n,)
        Days that hold anything, ascending. For small versioned tables: the days on which rows became known.
    running : ndarray of uint64, shape (n + 1,)
        ``running[i]`` is the sum of the states of the first ``i`` days.
    """

    days: NDArray[np.datetime64]
    running: NDArray[np.uint64]

    @classmethod
    def of(cls, states: dict[dt.date, int]) -> TableStates:
        """Build from one number a day."""
        ordered = sorted(states)
        numbers = np.array([states[d] & 0xFFFF_FFFF_FFFF_FFFF for d in ordered], dtype=np.uint64)
        running = np.zeros(len(ordered) + 1, dtype=np.uint64)
        np.cumsum(numbers, out=running[1:])
        return cls(np.array(ordered, dtype="datetime64[D]"), running)

    def between(self, first: NDArray[np.datetime64] | None, last: NDArray[np.datetime64]) -> NDArray[np.uint64]:
        """State over ``first..last`` for many ranges at once (from the beginning when ``first`` is None)."""
        hi = self.running[np.searchsorted(self.days, last, side="right")]
        if first is None:
            return hi
        return hi - self.running[np.searchsorted(self.days, first, side="left")]


def file_state(uri: str) -> int:
    """64-bit state of one immutable file, from its name alone."""
    return int.from_bytes(hashlib.blake2b(uri.rpartition("/")[2].encode(), digest_size=8).digest(), "little")
