"""Realised variance and the model every volatility forecast is held against.

Reference
---------
Corsi, F. (2009), "A Simple Approximate Long-Memory Model of Realized Volatility", Journal of Financial Econometrics
7(2): HAR, a regression on the realised variance of the last day, week and month.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]

HAR_WINDOWS = (1, 5, 22)
FLOOR = 1e-10
"""Least mean squared daily log return: a price that stands still has a logarithm too."""


def log_realised_variance(returns: Real, window: int) -> Real:
    """Logarithm of the mean squared log return of the last sessions.

    Parameters
    ----------
    returns : ndarray of shape (..., t)
        Daily log returns; NaN where unknown, which counts in no mean.
    window : int
        Sessions, the session itself included.

    Returns
    -------
    ndarray of the shape of ``returns``
        NaN where fewer than two thirds of the window's returns are known.
    """
    known = np.isfinite(returns)
    squares = np.where(known, np.square(np.where(known, returns, 0.0)), 0.0)
    total, count = _trailing(squares, window), _trailing(known.astype(np.float64), window)
    enough = count >= np.ceil(2.0 * window / 3.0)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    out: Real = np.where(enough, np.log(np.maximum(mean, FLOOR)), np.nan)
    return out


def next_log_realised_variance(returns: Real, horizon: int) -> Real:
    """Logarithm of the mean squared log return of the sessions after each: what is to be forecast.

    Parameters
    ----------
    returns : ndarray of shape (..., t)
    horizon : int

    Returns
    -------
    ndarray of the shape of ``returns``
        NaN for the last ``horizon`` sessions and where too little is known.
    """
    out = np.full(returns.shape, np.nan)
    out[..., : returns.shape[-1] - horizon] = log_realised_variance(returns, horizon)[..., horizon:]
    return out


def har_features(returns: Real) -> Real:
    """Features of HAR in logarithms: realised variance over the last 1, 5 and 22 sessions.

    The variance of one session is floored at a hundredth of the last 22 sessions' mean: a return of nothing has no
    logarithm worth a coefficient.

    Returns
    -------
    ndarray of shape (..., t, 3)
    """
    month = log_realised_variance(returns, HAR_WINDOWS[2])
    day = np.maximum(log_realised_variance(returns, HAR_WINDOWS[0]), month + np.log(0.01))
    return np.stack([day, log_realised_variance(returns, HAR_WINDOWS[1]), month], axis=-1)


def _trailing(values: Real, window: int) -> Real:
    """Sums over the last ``window`` places, fewer at the beginning."""
    total = np.cumsum(values, axis=-1)
    out: Real = total.copy()
    out[..., window:] = total[..., window:] - total[..., :-window]
    return np.maximum(out, 0.0)


RISK_METRICS = 0.94
"""Daily decay of RiskMetrics."""


def ewma_log_variance(returns: Real, decay: float = RISK_METRICS) -> Real:
    """Logarithm of the exponentially weighted mean squared log return, as known at each session.

    Parameters
    ----------
    returns : ndarray of shape (n, t)
        Daily log returns; NaN where unknown, over which the variance stays what it was.
    decay : float

    Returns
    -------
    ndarray of shape (n, t)
        NaN up to the first known return.

    References
    ----------
    J. P. Morgan (1996), "RiskMetrics Technical Document", 4th edition, equation 5.3.
    """
    out = np.full(returns.shape, np.nan)
    variance = np.full(returns.shape[0], np.nan)
    for t in range(returns.shape[1]):  # a recursion in time
        square = np.square(returns[:, t])
        known = np.isfinite(square)
        grown = np.where(np.isfinite(variance), decay * variance + (1.0 - decay) * square, square)
        variance = np.where(known, grown, variance)
        out[:, t] = np.log(np.maximum(variance, FLOOR))
    return out


DRAWDOWN_FLOOR = 1e-3
"""Least drawdown, a fraction, whose logarithm is taken."""


def next_log_drawdown(returns: Real, horizon: int) -> Real:
    """Logarithm of the largest fall from a peak within the sessions after each, the session's own close included.

    Parameters
    ----------
    returns : ndarray of shape (n, t)
        Daily log returns; an unknown one leaves the path where it was.
    horizon : int

    Returns
    -------
    ndarray of shape (n, t)
        Of the fall as a fraction. NaN for the last ``horizon`` sessions and where fewer than two thirds of the returns
        are known.
    """
    last = returns.shape[1] - horizon
    path = np.cumsum(np.where(np.isfinite(returns), returns, 0.0), axis=1)
    peak, fall = path[:, :last].copy(), np.zeros((returns.shape[0], max(last, 0)))
    for ahead in range(1, horizon + 1):
        later = path[:, ahead : last + ahead]
        np.maximum(peak, later, out=peak)
        np.maximum(fall, peak - later, out=fall)
    known = np.isfinite(next_log_realised_variance(returns, horizon))
    out = np.full(returns.shape, np.nan)
    out[:, :last] = np.log(np.maximum(-np.expm1(-fall), DRAWDOWN_FLOOR))
    return np.where(known, out, np.nan)
