"""Covariance of names from what they have in common: market, sector, and a rest of their own.

On simple returns of trailing sessions, of the names that may be held:

1. The market's return m is the mean over the names known on the session; beta and residual of each name by ordinary
   least squares with an intercept.
2. A sector's return s_k is the mean residual of its names, where it has at least ``MIN_MEMBERS``; each of them gets a
   second slope on it, and what that leaves is its own.
3. Covariance = B F B' + D: B the slopes, F the sample covariance of (m, s_1, ..., s_K), D the variances of what is
   left (n - 3 degrees of freedom). It has full rank however many names there are, which a sample covariance of 252
   sessions has not.

References
----------
R. Grinold and R. Kahn, "Active Portfolio Management" (2000), chapter 3: structural risk models.
"""

from __future__ import annotations

import numpy as np

from prometheus.engines.portfolio.base import NO_SECTOR, Codes, Flags, Floats

SESSIONS = 252
"""Trailing sessions of the estimate."""

MIN_RETURNS = 126
"""Known returns among them that a name needs."""

MIN_MEMBERS = 3
"""Names that make a sector's return."""

SESSIONS_A_YEAR = 252

_FLOOR = 1e-10
"""Least daily variance of a name's own: one that never moves must not look riskless."""


def factor_covariance(returns: Floats, sector: Codes) -> Floats:
    """Annualised covariance of some names.

    Parameters
    ----------
    returns : ndarray of float64, shape (n_names, n_sessions)
        Simple returns; NaN where unknown.
    sector : ndarray of int64, shape (n_names,)
        Code; ``NO_SECTOR`` where unknown.

    Returns
    -------
    ndarray of float64, shape (n_names, n_names)
        NaN in rows and columns of names with too few returns.
    """
    from threadpoolctl import threadpool_limits

    n = len(returns)
    out = np.full((n, n), np.nan)
    known = ~np.isnan(returns)
    enough = np.flatnonzero(known.sum(axis=1) >= MIN_RETURNS)
    if not len(enough):
        return out
    ok, sectors = known[enough], sector[enough]
    r = np.where(ok, returns[enough], 0.0)
    market = _mean(r, ok)
    beta, left = _regress(r, ok, np.broadcast_to(market, r.shape))
    codes, members = np.unique(sectors[sectors != NO_SECTOR], return_counts=True)
    factors, slopes = [market], [beta]
    for code in codes[members >= MIN_MEMBERS].tolist():
        mine = sectors == code
        factor = _mean(left[mine], ok[mine])
        slope = np.zeros(len(enough))
        slope[mine], left[mine] = _regress(left[mine], ok[mine], np.broadcast_to(factor, left[mine].shape))
        factors.append(factor)
        slopes.append(slope)
    stacked = np.stack(factors)
    gap = stacked - stacked.mean(axis=1, keepdims=True)
    exposures = np.stack(slopes, axis=1)
    own = np.maximum((left**2).sum(axis=1) / np.maximum(ok.sum(axis=1) - 3, 1), _FLOOR)
    with threadpool_limits(1):  # one thread adds in one order: the same matrix on every machine size
        common = exposures @ (gap @ gap.T / (gap.shape[1] - 1)) @ exposures.T
    covariance = 0.5 * (common + common.T) + np.diag(own)
    out[np.ix_(enough, enough)] = covariance * SESSIONS_A_YEAR
    return out


def _mean(values: Floats, ok: Flags) -> Floats:
    """Mean over the names known on each session; 0 where none is."""
    mean: Floats = np.where(ok, values, 0.0).sum(axis=0) / np.maximum(ok.sum(axis=0), 1)
    return mean


def _regress(y: Floats, ok: Flags, x: Floats) -> tuple[Floats, Floats]:
    """Slope of each row on its regressor over the sessions known, and what is left there; 0 elsewhere."""
    count = np.maximum(ok.sum(axis=1), 1)
    x_gap = np.where(ok, x - (np.where(ok, x, 0.0).sum(axis=1) / count)[:, None], 0.0)
    y_gap = np.where(ok, y - (np.where(ok, y, 0.0).sum(axis=1) / count)[:, None], 0.0)
    spread = (x_gap**2).sum(axis=1)
    slope = np.divide((x_gap * y_gap).sum(axis=1), spread, out=np.zeros(len(y)), where=spread > 0)
    return slope, y_gap - slope[:, None] * x_gap
