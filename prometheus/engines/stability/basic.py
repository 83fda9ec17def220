"""The basic backend: scores of what the last 63 sessions did, from prices alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.engines.stability.base import PastWindows, States, scores_of
from prometheus.market.panel import EntitySeries
from prometheus.market.rolling import (
    MOMENT_BITS,
    Flags,
    Positions,
    RollingSums,
    from_fixed,
    moment,
    rolling_drawdown,
)

WINDOW = 63
"""Sessions of a window."""

MIN_COVERAGE = 0.87
"""Least share of them with a known return."""

MAX_STALE = 5
"""Sessions that the last price may be old."""

STANDS_STILL = 1e-5
"""Daily volatility below which a price stands still: suspended or made up, and not stable for that."""

NO_PRICES, STALE, LOW_COVERAGE, ZERO_VOLATILITY = "no_prices", "stale", "low_coverage", "zero_volatility"
SKIP_REASONS = (NO_PRICES, STALE, LOW_COVERAGE, ZERO_VOLATILITY)
"""Why an entity has no state, in the order they are tried."""


@dataclass(frozen=True)
class BasicStability:
    """Scores of the window itself. See :mod:`prometheus.engines.stability.base` for the formulas."""

    name: str = "basic"

    def states(self, past: PastWindows, vectors: NDArray[np.float32]) -> States:
        """See :class:`~prometheus.engines.stability.base.StabilityBackend`."""
        unknown = np.full(len(past.volatility), np.nan)
        return States(scores_of(past.volatility, past.max_drawdown, past.trend), unknown, unknown)


def past_windows(series: EntitySeries, positions: Positions) -> tuple[PastWindows, NDArray[np.int8]]:
    """What the windows did that end at some sessions, and which of them count.

    Parameters
    ----------
    series : EntitySeries
        Must reach ``WINDOW`` sessions back from each position, or to where the calendar's data begin.
    positions : ndarray of int64, shape (t,)
        Ascending.

    Returns
    -------
    PastWindows
        Arrays of shape (n_names, t).
    ndarray of int8, shape (n_names, t)
        Index into :data:`SKIP_REASONS`; -1 for a window that counts.
    """
    known = RollingSums(series.ret_ok).ending(positions, WINDOW)
    n = np.maximum(known, 1)
    log_return = from_fixed(RollingSums(series.ret).ending(positions, WINDOW))
    squares = from_fixed(RollingSums(moment(series.ret, series.ret)).ending(positions, WINDOW), MOMENT_BITS)
    variance = np.maximum(squares - log_return * log_return / n, 0.0) / np.maximum(n - 1, 1)
    path = np.cumsum(series.ret, axis=1, dtype=np.int64)
    fall = from_fixed(rolling_drawdown(path, positions, WINDOW + 1)) if path.size else np.zeros(known.shape)
    past = PastWindows(np.sqrt(variance), -np.expm1(-fall), np.expm1(log_return), known)
    return past, _reasons(series.observed, known, past, positions)


def _reasons(observed: Flags, known: NDArray[np.int64], past: PastWindows, positions: Positions) -> NDArray[np.int8]:
    seen = RollingSums(observed)
    conditions = (
        seen.ending(positions, WINDOW) == 0,
        seen.ending(positions, MAX_STALE + 1) == 0,
        known < MIN_COVERAGE * WINDOW,
        past.volatility < STANDS_STILL,
    )
    reason = np.full(known.shape, -1, dtype=np.int8)
    for code, holds in reversed(list(enumerate(conditions))):
        reason[holds] = code
    return reason
