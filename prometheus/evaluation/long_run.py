"""Intervals of means of series whose memory is known to reach some rows, because outcomes overlap.

Returns of 21 sessions judged every session share 20 sessions with their neighbours. Resampled blocks lose what reaches
over their ends, and such intervals are too short: of 1,512 rows, 90 in 100 hold the truth at 21 sessions and 89 at 63
where 95 are promised. Here the variance of the mean comes from the slowest movements of the series, so few that none is
as fast as an outcome is long, and the interval knows how few they were.

References
----------
Mueller, U. K. (2007), "A theory of robust long-run variance estimation", Journal of Econometrics 141(2). Lazarus, E.,
Lewis, D. J., Stock, J. H. and Watson, M. W. (2018), "HAR Inference: Recommendations for Practice", Journal of Business
and Economic Statistics 36(4): equal weights on the first cosines, Student's t with as many degrees of freedom.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from prometheus.evaluation.bootstrap import Statistic

Real = NDArray[np.float64]

_STEP = 1e-6


@dataclass(frozen=True)
class LongRun:
    """How intervals are made where outcomes overlap.

    Attributes
    ----------
    overlap : int
        Rows an outcome spans: a horizon over the distance of two rows, both in sessions, rounded up; 1 where nothing
        overlaps.
    level : float
    """

    overlap: int
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.overlap < 1 or not 0.0 < self.level < 1.0:
            raise ValueError(
                f"an outcome spans at least 1 row and a level is between 0 and 1; got {self.overlap}, {self.level}"
            )

    def cosines(self, n: int) -> int:
        """How many of the slowest cosines the variance is taken from: of period ``4 * overlap`` rows and longer."""
        most: float = min(0.4 * n ** (2 / 3), n / (2 * self.overlap))
        return max(1, math.floor(most))

    def interval(
        self, values: Real, statistic: Statistic | None = None, *, pivot: Real | None = None
    ) -> tuple[float, float]:
        """Interval of a statistic of column means.

        Parameters
        ----------
        values : ndarray of shape (n, m) or (n,)
            One row a date, in order of time.
        statistic : callable, optional
            From means of shape (draws, m) to (draws,), smooth around the means; the first column's mean when omitted.
        pivot : ndarray, optional
            Not needed here; :class:`~prometheus.evaluation.Bootstrap` takes it.

        Returns
        -------
        (float, float)
            Lower and upper end; both are the one value there is when n is 1.
        """
        block = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
        if not np.isfinite(block).all():
            raise ValueError("an interval needs finite values")
        n, means = len(block), block.mean(axis=0)
        if statistic is None:
            centre, series = float(means[0]), block[:, 0] - means[0]
        else:
            centre, series = float(statistic(means[None])[0]), (block - means) @ _slopes(statistic, means)
        count = self.cosines(n)
        waves = np.cos(np.pi * np.arange(1, count + 1)[:, None] * (np.arange(n) + 0.5) / n)
        variance = float(np.square(waves @ series).mean()) * 2.0 / n
        half = float(stdtrit(count, 0.5 * (1.0 + self.level))) * math.sqrt(variance / n)
        return centre - half, centre + half


def _slopes(statistic: Statistic, means: Real) -> Real:
    """Derivatives of the statistic at the means."""
    steps = np.diag(_STEP * np.maximum(np.abs(means), _STEP))
    rise = statistic(means + steps) - statistic(means - steps)
    slopes: Real = rise / (2.0 * np.diag(steps))
    return slopes
