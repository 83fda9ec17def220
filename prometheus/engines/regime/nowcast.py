"""The nowcast head: bands of the volatility that the embedding says there is around the session.

1. The target of a session is the log volatility of the 21 sessions around it, ten of them still to come. It is known
   ten sessions later, so a fit uses the sessions up to ten before its cut.
2. A ridge regression of the target on the embedding, slots at unit variance, gives one number a session: what is known
   of the volatility of now, where trailing volatility lags by half its window.
3. The number is cut into four bands by k-means in one dimension; bands are named as prototypes are, by what the
   windows in them did. Probabilities are softmax(-squared distance to the band's center / T), T as there.

References
----------
Hoerl, A. E. and Kennard, R. W. (1970). Ridge regression: biased estimation for nonorthogonal problems. Technometrics
12(1), 55-67.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.engines.regime.base import LABELS, MIN_WINDOWS, States, Windows, enough, median_gap, named, shares_of
from prometheus.engines.regime.features import Projection
from prometheus.engines.regime.volatility import band_centers, log_volatility, squares_to

AHEAD = 10
"""Sessions still to come of the 21 around a session."""

PENALTY = 1.0
"""Of the squared coefficients of slots at unit variance, a window."""

LEAST_SPREAD = 5e-3
"""Least standard deviation a slot is divided by: one that hardly ever moved must not decide when it does."""


@dataclass(frozen=True)
class NowcastHead:
    """A fitted nowcast head.

    Attributes
    ----------
    projection : Projection
        One axis: log volatility around the session, less its mean.
    centers : ndarray of float64, shape (k,)
        Of the bands, in the order of ``labels``.
    temperature : float
    states : States
    """

    projection: Projection
    centers: NDArray[np.float64]
    temperature: float
    states: States

    labels = LABELS
    recursive = False

    def probabilities(
        self, vectors: NDArray[np.float32], recent_volatility: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """See :class:`~prometheus.engines.regime.base.RegimeHead`."""
        return shares_of(-squares_to(self.projection(vectors)[:, 0], self.centers) / self.temperature)


def fit_nowcast(windows: Windows, *, least: int = MIN_WINDOWS) -> NowcastHead:
    """Fit the head on the windows up to a cut.

    Parameters
    ----------
    windows : Windows
        Of every session up to the cut, in order.
    least : int
        Windows it takes.

    Raises
    ------
    ValueError
        With fewer windows.
    """
    enough(windows, least)
    projection = _regressed(windows)
    level = projection(windows.vectors)[:, 0]
    centers = band_centers(level)
    order, states = named(squares_to(level, centers).argmin(axis=1), windows)
    centers = centers[order]
    return NowcastHead(projection, centers, median_gap(squares_to(level, centers)), states)


def _regressed(windows: Windows) -> Projection:
    """Ridge coefficients as one axis; sums in one thread, in one order."""
    from threadpoolctl import threadpool_limits

    target = log_volatility(windows.recent_volatility[AHEAD:])
    rows = np.clip(windows.vectors[: len(target)].astype(np.float64), -1.0, 1.0)
    mean = rows.mean(axis=0)
    spread = np.maximum(rows.std(axis=0), LEAST_SPREAD)
    scaled = (rows - mean) / spread
    with threadpool_limits(limits=1):
        gram = scaled.T @ scaled + PENALTY * len(scaled) * np.eye(scaled.shape[1])
        weights = np.linalg.solve(gram, scaled.T @ (target - target.mean()))
    return Projection(mean, (weights / spread)[None, :])
