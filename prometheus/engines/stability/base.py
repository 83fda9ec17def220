"""Scores of stability and the classes they fall into.

Scores run from 0 to 100, the higher the more fragile. With sigma a daily volatility, dd a drawdown and trend a simple
return, all fractions:

- volatility: clip(50 sigma / 0.02),
- drawdown: clip(50 dd / 0.20),
- trend: clip(50 max(-trend, 0) / 0.20),
- overall: 0.4 volatility + 0.4 drawdown + 0.2 trend.

Classes of the overall score: STABLE < 30 <= WATCH < 45 <= FRAGILE < 60 <= TARGETABLE < 75 <= BREAKER.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CLASSES = ("STABLE", "WATCH", "FRAGILE", "TARGETABLE", "BREAKER")
"""From the firmest to the most fragile."""

CLASS_BOUNDS = (30.0, 45.0, 60.0, 75.0)
"""Least overall score of every class but the first."""

VOLATILITY_UNIT, DRAWDOWN_UNIT, TREND_UNIT = 0.02, 0.20, 0.20
"""What scores 50."""

VOLATILITY_WEIGHT, DRAWDOWN_WEIGHT, TREND_WEIGHT = 0.4, 0.4, 0.2


@dataclass(frozen=True, eq=False)
class PastWindows:
    """What some windows of 63 sessions did.

    Attributes
    ----------
    volatility : ndarray of float64, shape (n,)
        Standard deviation of daily log returns.
    max_drawdown : ndarray of float64, shape (n,)
        Largest fall from a peak, the close before the first return included; a fraction, at least 0.
    trend : ndarray of float64, shape (n,)
        Simple total return.
    num_returns : ndarray of int64, shape (n,)
    """

    volatility: Floats
    max_drawdown: Floats
    trend: Floats
    num_returns: NDArray[np.int64]

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_] | tuple[NDArray[np.int64], ...]) -> PastWindows:
        """Pick windows."""
        return PastWindows(self.volatility[index], self.max_drawdown[index], self.trend[index], self.num_returns[index])


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of some entities, each an array of float64 of shape (n,) in 0..100."""

    volatility: Floats
    drawdown: Floats
    trend: Floats
    overall: Floats


@dataclass(frozen=True, eq=False)
class States:
    """Stability of some entities.

    Attributes
    ----------
    scores : Scores
    forecast_volatility, forecast_drawdown : ndarray of float64, shape (n,)
        For the next 21 sessions; NaN where nothing was forecast.
    """

    scores: Scores
    forecast_volatility: Floats
    forecast_drawdown: Floats


class StabilityBackend(Protocol):
    """From what windows did, and their embeddings, to states; every row by itself."""

    @property
    def name(self) -> str:
        """As rows say it."""
        ...

    def states(self, past: PastWindows, vectors: NDArray[np.float32]) -> States:
        """Judge some windows.

        Parameters
        ----------
        past : PastWindows
            n windows.
        vectors : ndarray of float32, shape (n, 384)
            Their embeddings; a backend that needs none ignores them.
        """
        ...


def scores_of(volatility: Floats, drawdown: Floats, trend: Floats) -> Scores:
    """Score daily volatilities, drawdowns and simple returns."""
    of_volatility = _clipped(50.0 * volatility / VOLATILITY_UNIT)
    of_drawdown = _clipped(50.0 * drawdown / DRAWDOWN_UNIT)
    of_trend = _clipped(50.0 * np.maximum(-trend, 0.0) / TREND_UNIT)
    overall = VOLATILITY_WEIGHT * of_volatility + DRAWDOWN_WEIGHT * of_drawdown + TREND_WEIGHT * of_trend
    return Scores(of_volatility, of_drawdown, of_trend, overall)


def classify(overall: Floats) -> NDArray[np.int64]:
    """Class of each overall score, as an index into :data:`CLASSES`."""
    found: NDArray[np.int64] = np.searchsorted(CLASS_BOUNDS, overall, side="right").astype(np.int64)
    return found


def _clipped(values: Floats) -> Floats:
    limited: Floats = np.clip(values, 0.0, 100.0)
    return limited
