"""Trailing volatility of returns, for people and SQL."""

from __future__ import annotations

import numpy as np

from prometheus.market.rolling import (
    MOMENT_BITS,
    Fixed,
    Flags,
    Floats,
    Positions,
    RollingSums,
    from_fixed,
    moment,
)

SESSIONS_A_YEAR = 252


def trailing_volatility(
    ret: Fixed, ret_ok: Flags, positions: Positions, windows: tuple[int, ...], min_share: float = 2 / 3
) -> tuple[list[Floats], list[Fixed]]:
    """Annualised standard deviation of the known returns in the sessions that end at each position.

    Parameters
    ----------
    ret : ndarray of int64, shape (n_names, n_sessions)
        Log returns in fixed point (``rolling.RETURN_BITS``), 0 where unknown.
    ret_ok : ndarray of bool, shape (n_names, n_sessions)
    positions : ndarray of int64, shape (n_targets,)
    windows : tuple of int
        Sessions of each window; at most 1,023.
    min_share : float
        Least share of a window's sessions with a known return.

    Returns
    -------
    volatility : list of ndarray of float64, shape (n_names, n_targets)
        A window each: sample standard deviation (ddof 1) times sqrt(252); NaN below the least share.
    known : list of ndarray of int64, shape (n_names, n_targets)
        Known returns in each window.
    """
    sums, squares, counts = RollingSums(ret), RollingSums(moment(ret, ret)), RollingSums(ret_ok)
    volatility, known = [], []
    for window in windows:
        n = counts.ending(positions, window)
        total = from_fixed(sums.ending(positions, window))
        square = from_fixed(squares.ending(positions, window), MOMENT_BITS)
        variance = np.maximum(square - total * total / np.maximum(n, 1), 0.0) / np.maximum(n - 1, 1)
        enough = n >= max(round(min_share * window), 2)
        volatility.append(np.where(enough, np.sqrt(variance * SESSIONS_A_YEAR), np.nan))
        known.append(n)
    return volatility, known
