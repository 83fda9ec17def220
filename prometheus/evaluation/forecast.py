"""Forecast gates: out-of-sample R2 and QLIKE against a benchmark, pooled over names or of the market.

Reference
---------
Patton, A. J. (2011), "Volatility forecast comparison using imperfect volatility proxies", Journal of Econometrics
160(1): QLIKE, ``y / f - log(y / f) - 1``, orders forecasts rightly even when the variance is measured with noise.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from prometheus.evaluation.bootstrap import Bootstrap, Intervals
from prometheus.evaluation.result import Result

Real = NDArray[np.float64]
Over = Literal["pooled", "market"]
"""``pooled``: every row counts, dates are resampled whole. ``market``: actual and forecasts are averaged over the
names of each date first."""


def r2_gate(
    days: NDArray[np.datetime64],
    actual: Real,
    forecast: Real,
    benchmark: Real,
    *,
    over: Over = "pooled",
    intervals: Intervals | None = None,
) -> Result:
    """Out-of-sample R2 against a benchmark: ``1 - sum (y - f)^2 / sum (y - b)^2``.

    Parameters
    ----------
    days : ndarray of datetime64[D], shape (n,)
        Date of each row: the forecast's.
    actual, forecast, benchmark : ndarray of shape (n,)
        Rows where any is missing are left out.
    over : {'pooled', 'market'}
    intervals : Bootstrap or LongRun, optional
        Of whole dates. Blocks whose length follows the memory of the gain in squared error, when omitted.

    Returns
    -------
    Result
        ``chance`` 0: no better than the benchmark.
    """
    dates, (y, f, b) = _prepared(days, (actual, forecast, benchmark), over)
    _, group = np.unique(dates, return_inverse=True)
    own: Real = np.bincount(group, np.square(y - f)).astype(np.float64)
    other: Real = np.bincount(group, np.square(y - b)).astype(np.float64)
    if not other.sum() > 0.0:
        raise ValueError("the benchmark makes no error; there is nothing to improve on")
    made = intervals or Bootstrap()
    columns = np.stack([own, other], axis=1)
    low, high = made.interval(columns, lambda m: 1.0 - m[:, 0] / m[:, 1], pivot=other - own)
    value = 1.0 - float(own.sum()) / float(other.sum())
    return Result(f"R2 out of sample ({over})", value, 0.0, low, high, len(own), made.level)


def qlike_gate(
    days: NDArray[np.datetime64],
    actual: Real,
    forecast: Real,
    benchmark: Real,
    *,
    over: Over = "pooled",
    intervals: Intervals | None = None,
) -> Result:
    """Mean QLIKE loss a forecast saves against a benchmark; positive is better, 0 is chance.

    Parameters
    ----------
    days, over, intervals
        As in :func:`r2_gate`.
    actual, forecast, benchmark : ndarray of shape (n,)
        Variances, positive.
    """
    dates, (y, f, b) = _prepared(days, (actual, forecast, benchmark), over)
    gain = qlike(y, b) - qlike(y, f)
    _, group = np.unique(dates, return_inverse=True)
    columns = np.stack([np.bincount(group, gain), np.bincount(group).astype(float)], axis=1)
    made = intervals or Bootstrap()
    low, high = made.interval(columns, lambda m: m[:, 0] / m[:, 1])
    return Result(f"QLIKE saved ({over})", float(gain.mean()), 0.0, low, high, len(columns), made.level)


def qlike(actual: Real, forecast: Real) -> Real:
    """QLIKE loss of each variance forecast: ``y / f - log(y / f) - 1``; 0 where they are equal.

    Raises
    ------
    ValueError
        When a variance is not positive.
    """
    if not ((actual > 0.0).all() and (forecast > 0.0).all()):
        raise ValueError("QLIKE is of positive variances; floor or leave out the others first")
    ratio = actual / forecast
    loss: Real = ratio - np.log(ratio) - 1.0
    return loss


def _prepared(
    days: NDArray[np.datetime64], columns: tuple[Real, Real, Real], over: Over
) -> tuple[NDArray[np.datetime64], tuple[Real, ...]]:
    """Rows without gaps, averaged by date where the market is asked for."""
    arrays = [np.asarray(c, dtype=np.float64) for c in columns]
    seen = np.isfinite(np.stack(arrays)).all(axis=0)
    if not seen.any():
        raise ValueError("no row has an outcome, a forecast and a benchmark")
    kept = tuple(a[seen] for a in arrays)
    if over == "pooled":
        return days[seen], kept
    if over != "market":
        raise ValueError(f"forecasts are judged pooled or for the market; got {over!r}")
    dates, group = np.unique(days[seen], return_inverse=True)
    count = np.bincount(group)
    return dates, tuple(np.bincount(group, a) / count for a in kept)
