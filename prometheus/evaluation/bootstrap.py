"""Bootstrap intervals for series that remember: the stationary bootstrap, seeded.

References
----------
Politis, D. N. and Romano, J. P. (1994), "The Stationary Bootstrap", JASA 89(428): blocks of geometric length, wrapped
around. Politis, D. N. and White, H. (2004), "Automatic Block-Length Selection for the Dependent Bootstrap", Econometric
Reviews 23(1), with the correction of Patton, Politis and White (2009), Econometric Reviews 28(4). Hesterberg, T.
(2015), "What Teachers Should Know About the Bootstrap", The American Statistician 69(4): the expanded percentile
interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

Real = NDArray[np.float64]
Statistic = Callable[[Real], Real]
"""From means of columns, shape (draws, m), to one number a draw."""

_AT_ONCE = 16


class Intervals(Protocol):
    """How intervals are made: :class:`Bootstrap`, or :class:`~prometheus.evaluation.LongRun` where outcomes overlap."""

    @property
    def level(self) -> float:
        """Of the two-sided interval."""
        ...

    def interval(
        self, values: Real, statistic: Statistic | None = None, *, pivot: Real | None = None
    ) -> tuple[float, float]:
        """Interval of a statistic of column means; see :meth:`Bootstrap.interval`."""
        ...


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are made.

    Attributes
    ----------
    draws : int
    level : float
        Of the two-sided expanded percentile interval.
    seed : int
    mean_block : float, optional
        Mean length of a block; chosen from the data when None, 1 resamples single rows.
    """

    draws: int = 2_000
    level: float = 0.95
    seed: int = 0
    mean_block: float | None = None

    def __post_init__(self) -> None:
        if self.draws < 1 or not 0.0 < self.level < 1.0:
            raise ValueError(f"a bootstrap needs draws and a level between 0 and 1; got {self.draws}, {self.level}")
        if self.mean_block is not None and self.mean_block < 1.0:
            raise ValueError(f"blocks are at least 1 long on average; got {self.mean_block}")

    def interval(
        self, values: Real, statistic: Statistic | None = None, *, pivot: Real | None = None
    ) -> tuple[float, float]:
        """Interval of a statistic of column means.

        Parameters
        ----------
        values : ndarray of shape (n, m) or (n,)
            One row a date (or query), in order of time where blocks are longer than 1.
        statistic : callable, optional
            From means of shape (draws, m) to (draws,); the first column's mean when omitted.
        pivot : ndarray of shape (n,), optional
            Series whose memory sets the block length; the first column when omitted.

        Returns
        -------
        (float, float)
            Lower and upper end; both are the one value there is when n is 1.
        """
        block = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
        if not np.isfinite(block).all():
            raise ValueError("an interval needs finite values")
        length = self.mean_block
        if length is None:
            length = mean_block_length(block[:, 0] if pivot is None else np.asarray(pivot, dtype=np.float64))
        drawn = resampled_means(block, length, self.draws, self.seed)
        numbers = drawn[:, 0] if statistic is None else statistic(drawn)
        tail = 100.0 * expanded_tail(0.5 * (1.0 - self.level), len(block) / length)
        low, high = np.percentile(numbers, [tail, 100.0 - tail])
        return float(low), float(high)


def expanded_tail(tail: float, blocks: float) -> float:
    """Share of draws to leave out at either end, so that an interval of few blocks is as wide as Student's.

    Resampled means of ``k`` independent values vary by ``(k - 1) / k`` too little, and percentiles are those of a known
    variance: the plain interval of 10 normal values holds the truth 89 times in 100 where 95 are promised. Hesterberg's
    correction takes the percentiles at ``Phi(-sqrt(k / (k - 1)) t)`` with ``t`` of ``k - 1`` degrees of freedom; here
    ``k`` counts blocks, because values inside one repeat each other.

    Parameters
    ----------
    tail : float
        Probability wanted outside at either end, such as 0.025.
    blocks : float
        Number of values over the mean length of a block.

    Returns
    -------
    float
        At most `tail`, and close to it for many blocks; 0 (the smallest and the largest draw) for one.
    """
    if blocks <= 1.0:
        return 0.0
    quantile = stdtrit(blocks - 1.0, 1.0 - tail)
    return float(ndtr(-math.sqrt(blocks / (blocks - 1.0)) * quantile))


def stationary_indices(n: int, mean_block: float, draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Row numbers of resampled series, shape (draws, n).

    Each row starts a new block with probability ``1 / mean_block``, at a place drawn evenly, and else follows the row
    before it; after the last comes the first.
    """
    if n < 1 or mean_block < 1.0:
        raise ValueError(f"nothing to resample: {n} rows in blocks of {mean_block}")
    places = rng.integers(0, n, size=(draws, n))
    fresh = rng.random((draws, n)) < 1.0 / mean_block
    fresh[:, 0] = True
    steps = np.arange(n)
    begun = np.maximum.accumulate(np.where(fresh, steps, 0), axis=1)
    rows: NDArray[np.int64] = (np.take_along_axis(places, begun, axis=1) + steps - begun) % n
    return rows


def resampled_means(values: Real, mean_block: float, draws: int, seed: int) -> Real:
    """Column means of resampled rows, shape (draws, m)."""
    n, m = values.shape
    rng = np.random.default_rng(seed)
    out = np.empty((draws, m))
    for start in range(0, draws, _AT_ONCE):
        rows = stationary_indices(n, mean_block, min(_AT_ONCE, draws - start), rng)
        out[start : start + len(rows)] = values[rows].mean(axis=1)
    return out


def mean_block_length(series: Real) -> float:
    """Block length that suits a series' memory (Politis and White 2004, stationary bootstrap, corrected 2009).

    Returns
    -------
    float
        Between 1 (no memory, or fewer than 10 values) and ``min(3 sqrt(n), n / 3)``.
    """
    n = len(series)
    centred = series - series.mean()
    variance = float(centred @ centred) / n
    if n < 10 or variance <= 0.0:
        return 1.0
    run = max(5, math.ceil(math.sqrt(math.log10(n))))
    most = math.ceil(math.sqrt(n)) + run
    lags = min(most, n - 1)
    covariances = np.array([float(centred[: n - k] @ centred[k:]) / n for k in range(lags + 1)])
    small = np.abs(covariances[1:] / variance) < 2.0 * math.sqrt(math.log10(n) / n)
    last = next((m for m in range(len(small)) if small[m : m + run].all()), len(small))
    reach = min(2 * max(last, 1), lags)
    k = np.arange(-reach, reach + 1)
    window = np.clip(2.0 * (1.0 - np.abs(k) / reach), 0.0, 1.0)
    both = covariances[np.abs(k)]
    g = float((window * np.abs(k) * both).sum())
    d = 2.0 * float((window * both).sum()) ** 2
    if d <= 0.0:
        return 1.0
    length = (2.0 * g * g / d) ** (1.0 / 3.0) * n ** (1.0 / 3.0)
    return float(np.clip(length, 1.0, max(1.0, math.ceil(min(3.0 * math.sqrt(n), n / 3.0)))))


def mean_interval(series: Real, intervals: Intervals | None = None) -> tuple[float, float]:
    """Interval of the mean of a series in order of time."""
    return (intervals or Bootstrap()).interval(series)


def difference_interval(one: Real, other: Real, intervals: Intervals | None = None) -> tuple[float, float]:
    """Interval of the mean of the paired difference ``one - other``, dates resampled together."""
    if len(one) != len(other):
        raise ValueError(f"a paired difference needs equal lengths; got {len(one)} and {len(other)}")
    return mean_interval(np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64), intervals)
