"""Reliability: whether what is forecast with probability p happens in a share p of cases.

The Brier score of probabilities f of an event y (0 or 1) is the mean of (f - y)^2; its skill against a benchmark is
what :func:`~prometheus.evaluation.forecast.r2_gate` gives for y as the actual.

Reference
---------
Murphy, A. H. (1973), "A new vector partition of the probability score", Journal of Applied Meteorology 12(4), 595-600.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Real = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Reliability:
    """Forecasts by bucket; buckets without any are left out.

    Attributes
    ----------
    count : ndarray of int64, shape (b,)
        Forecasts in each bucket.
    forecast : ndarray of float64, shape (b,)
        Their mean.
    happened : ndarray of float64, shape (b,)
        Share of them whose event came true.
    """

    count: NDArray[np.int64]
    forecast: Real
    happened: Real

    @property
    def error(self) -> float:
        """Mean distance of forecast and share over the buckets, weighted by count; 0 where all is as forecast."""
        return float(self.count @ np.abs(self.forecast - self.happened) / self.count.sum())

    def rows(self) -> Iterator[tuple[int, float, float]]:
        """Count, mean forecast and share of each bucket, ascending."""
        return zip(self.count.tolist(), self.forecast.tolist(), self.happened.tolist(), strict=True)


def reliability(happened: ArrayLike, forecast: ArrayLike, edges: Sequence[float]) -> Reliability:
    """Compare forecast probabilities with what happened, bucket by bucket.

    Parameters
    ----------
    happened : array of bool (or 0 and 1), shape (n,)
    forecast : array of float, shape (n,)
        Probabilities.
    edges : sequence of float
        Ascending inner edges; a forecast on an edge belongs above it.

    Raises
    ------
    ValueError
        When there is no forecast, one is no probability, or the edges do not ascend.
    """
    y, f = np.asarray(happened, dtype=np.float64), np.asarray(forecast, dtype=np.float64)
    if len(f) == 0 or not ((f >= 0.0) & (f <= 1.0)).all():
        raise ValueError("reliability is of at least one forecast, each between 0 and 1")
    if not (np.diff(np.asarray(edges, dtype=np.float64)) > 0).all():
        raise ValueError(f"edges of buckets ascend; got {list(edges)}")
    bucket = np.digitize(f, edges)
    count = np.bincount(bucket, minlength=len(edges) + 1)
    some = count > 0
    sums = (np.bincount(bucket, values, minlength=len(edges) + 1)[some] for values in (f, y))
    mean_forecast, share = (s / count[some] for s in sums)
    return Reliability(count[some], mean_forecast, share)
