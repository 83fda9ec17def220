"""The volatility rule: a regime is a band of trailing volatility. The baseline every other head has to beat.

The log volatility of the last 21 sessions is cut into four bands by k-means in one dimension on the sessions up to the
cut; the most volatile band is CRISIS, the calmest CARRY. Probabilities are softmax(-squared distance to the band's
center / T), T as in :mod:`prometheus.engines.regime.prototypes`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.engines.regime.base import LABELS, MIN_WINDOWS, States, Windows, enough, median_gap, shares_of

FLOOR = 1e-4
"""Least annualised volatility whose logarithm is taken."""

MOST_ROUNDS = 200


@dataclass(frozen=True)
class VolatilityHead:
    """A fitted volatility rule.

    Attributes
    ----------
    centers : ndarray of float64, shape (k,)
        Log annualised volatility, falling; the thresholds are halfway between them.
    temperature : float
    states : States
    """

    centers: NDArray[np.float64]
    temperature: float
    states: States

    labels = LABELS
    recursive = False

    def probabilities(
        self, vectors: NDArray[np.float32], recent_volatility: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """See :class:`~prometheus.engines.regime.base.RegimeHead`.

        Raises
        ------
        ValueError
            Without ``recent_volatility``.
        """
        if recent_volatility is None:
            raise ValueError("the volatility rule reads recent_volatility")
        return shares_of(-squares_to(log_volatility(recent_volatility), self.centers) / self.temperature)


def log_volatility(volatility: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm above a floor."""
    level: NDArray[np.float64] = np.log(np.maximum(volatility, FLOOR))
    return level


def squares_to(level: NDArray[np.float64], centers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distance of every number to every center, shape (n, k)."""
    squares: NDArray[np.float64] = np.square(level[:, None] - centers[None, :])
    return squares


def band_centers(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centers of four bands of some numbers by k-means in one dimension, falling; begun at their quantiles."""
    k = len(LABELS)
    centers = np.quantile(level, (np.arange(k)[::-1] + 0.5) / k)
    for _ in range(MOST_ROUNDS):
        band = squares_to(level, centers).argmin(axis=1)
        counts = np.bincount(band, minlength=k)
        means = np.bincount(band, weights=level, minlength=k) / np.maximum(counts, 1)
        moved = np.where(counts > 0, means, centers)
        if np.array_equal(moved, centers):
            break
        centers = moved
    return centers


def fit_volatility(windows: Windows, *, least: int = MIN_WINDOWS) -> VolatilityHead:
    """Fit the bands on the windows up to a cut.

    Raises
    ------
    ValueError
        With fewer than ``least`` windows.
    """
    enough(windows, least)
    k = len(LABELS)
    level = log_volatility(windows.recent_volatility)
    centers = band_centers(level)
    squares = squares_to(level, centers)
    band = squares.argmin(axis=1)
    counts = np.bincount(band, minlength=k)
    some = np.maximum(counts, 1)
    return VolatilityHead(
        centers,
        median_gap(squares),
        States(
            counts.astype(np.int64),
            np.bincount(band, weights=windows.volatility, minlength=k) / some,
            np.bincount(band, weights=windows.returns, minlength=k) / some,
        ),
    )
