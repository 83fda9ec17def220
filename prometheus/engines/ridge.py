"""Ridge regression from sums: rows are added as they come and need not be held.

With n rows, features standardised by their own mean and spread s, and penalty a, the slopes of the standardised
features are ``(n C + a I)^-1 n c``, C being the features' correlation matrix and c their covariance with the target
over s. A feature that does not vary has slope 0.

Reference
---------
Hoerl, A. E. and Kennard, R. W. (1970), "Ridge Regression: Biased Estimation for Nonorthogonal Problems", Technometrics
12(1), equation 2.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PENALTIES = (10.0, 100.0, 1_000.0, 10_000.0, 100_000.0)
"""Those tried; the one that would have done best in the years before is taken."""

ANCHOR_PENALTY = 1.0
ANCHOR_SHARE = 0.5

_LEAST_SPREAD = 1e-6
"""Spread below which a feature counts as constant; slots are of the order of a tenth."""


@dataclass(frozen=True, eq=False)
class LinearHead:
    """A fitted linear map of one target.

    Attributes
    ----------
    coefficients : ndarray of float32, shape (d,)
        In the precision it is stored in, so that a head read back from a table forecasts the same bits.
    intercept : float
    residual_variance : float
        Mean squared error of the forecasts.
    """

    coefficients: NDArray[np.float32]
    intercept: float
    residual_variance: float

    def __call__(self, vectors: NDArray[np.float32]) -> Floats:
        """Forecast the target of rows of shape (n, d), each by itself."""
        slopes = self.coefficients.astype(np.float64)
        # One row is summed like any other, whatever the batch: a matrix product promises no such thing.
        out: Floats = np.einsum("ij,j->i", vectors.astype(np.float64), slopes) + self.intercept
        return out

    def level(self, vectors: NDArray[np.float32]) -> Floats:
        """Forecast of the exponential of the target: that of a lognormal, ``exp(forecast + residual_variance / 2)``."""
        out: Floats = np.exp(self(vectors) + 0.5 * self.residual_variance)
        return out


@dataclass(frozen=True, eq=False)
class Solution:
    """Slopes and intercepts for every penalty: shapes (penalties, d, targets) and (penalties, targets).

    Slopes are float32 numbers held in float64: those that are stored.
    """

    slopes: Floats
    intercepts: Floats


class RidgeSums:
    """Sums of features, targets and their products.

    Blocks are added in the order they come, in float64, on one thread: the same blocks in the same order give equal
    bits.

    Parameters
    ----------
    features, targets : int
    """

    def __init__(self, features: int, targets: int) -> None:
        self.count = 0
        self._x, self._y = np.zeros(features), np.zeros(targets)
        self._xx, self._xy = np.zeros((features, features)), np.zeros((features, targets))
        self._yy = np.zeros(targets)

    def add(self, features: NDArray[np.floating], targets: Floats) -> None:
        """Add rows of shapes (n, features) and (n, targets), all finite."""
        from threadpoolctl import threadpool_limits

        x = np.asarray(features, dtype=np.float64)
        with threadpool_limits(1):
            self._xx += x.T @ x
            self._xy += x.T @ targets
        self.count += len(x)
        self._x += x.sum(axis=0)
        self._y += targets.sum(axis=0)
        self._yy += np.square(targets).sum(axis=0)

    def merge(self, other: RidgeSums) -> None:
        """Add what another one has counted."""
        self.count += other.count
        self._x += other._x
        self._y += other._y
        self._xx += other._xx
        self._xy += other._xy
        self._yy += other._yy

    def solve(self, anchor: NDArray[np.int64] | None = None, penalties: tuple[float, ...] = PENALTIES) -> Solution:
        """Fit every penalty.

        Parameters
        ----------
        anchor : ndarray of int64, optional
            Places of a few features. The result is then the mean of the regression on all and of that on these alone,
            which is not penalised to speak of: an average of two linear maps is one.
        penalties : tuple of float
        """
        from threadpoolctl import threadpool_limits

        n = max(self.count, 1)
        mean, target = self._x / n, self._y / n
        variance = np.diag(self._xx) / n - mean * mean
        varies = variance > _LEAST_SPREAD**2
        scale = varies / np.sqrt(np.where(varies, variance, 1.0))
        with threadpool_limits(1):
            correlation = (self._xx / n - np.outer(mean, mean)) * np.outer(scale, scale)
            covariance = (self._xy / n - np.outer(mean, target)) * scale[:, None]
            slopes = _ridge(correlation, covariance, penalties, n)
            if anchor is not None and len(anchor):
                few = _ridge(correlation[np.ix_(anchor, anchor)], covariance[anchor], (ANCHOR_PENALTY,), n)
                slopes *= 1.0 - ANCHOR_SHARE
                slopes[:, anchor] += ANCHOR_SHARE * few
        rounded = (scale[:, None] * slopes).astype(np.float32).astype(np.float64)
        return Solution(rounded, target - np.einsum("pdt,d->pt", rounded, mean))

    def squared_errors(self, solution: Solution) -> Floats:
        """Sum of squared errors that fits made elsewhere make on these rows, shape (penalties, targets)."""
        b, a = solution.slopes, solution.intercepts
        explained = np.einsum("pdt,dt->pt", b, self._xy) + a * self._y
        of_forecast = np.einsum("pdt,de,pet->pt", b, self._xx, b, optimize=True)
        of_forecast += 2.0 * a * np.einsum("pdt,d->pt", b, self._x) + a * a * self.count
        out: Floats = np.maximum(self._yy - 2.0 * explained + of_forecast, 0.0)
        return out

    def spread_around(self, mean: Floats) -> Floats:
        """Sum of squared distances of the targets from given values, shape (targets,)."""
        out: Floats = np.maximum(self._yy - 2.0 * mean * self._y + mean * mean * self.count, 0.0)
        return out

    @property
    def target_mean(self) -> Floats:
        """Mean of each target."""
        out: Floats = self._y / max(self.count, 1)
        return out


def _ridge(correlation: Floats, covariance: Floats, penalties: tuple[float, ...], n: int) -> Floats:
    """Standardised slopes, shape (penalties, d, targets)."""
    values, axes = np.linalg.eigh(correlation)
    turned = axes.T @ covariance
    values = np.maximum(values, 0.0)
    return np.stack([axes @ (turned / (values + a / n)[:, None]) for a in penalties])


@dataclass(frozen=True, eq=False)
class FittedHead:
    """A head and how it was chosen.

    Attributes
    ----------
    head : LinearHead
    penalty : float
    num_rows : int
    held_back_r2 : float or None
        Share of the variance that fits of earlier years forecast in years they had not seen, under this penalty; None
        before the second year.
    """

    head: LinearHead
    penalty: float
    num_rows: int
    held_back_r2: float | None


class YearlyHeads:
    """Heads of several targets that grow by a year at a time.

    Before a year's rows are added they are forecast by what was fitted up to the year before: the penalty with the
    smallest squared error over all such years is taken, and its mean squared error is the head's residual variance.

    Parameters
    ----------
    features, targets : int
    anchor : ndarray of int64, optional
        See :meth:`RidgeSums.solve`.
    penalties : tuple of float
        Those tried.
    """

    def __init__(
        self,
        features: int,
        targets: int,
        anchor: NDArray[np.int64] | None = None,
        penalties: tuple[float, ...] = PENALTIES,
    ) -> None:
        self._sums = RidgeSums(features, targets)
        self._anchor, self._penalties = anchor, penalties
        self._errors, self._spread = np.zeros((len(penalties), targets)), np.zeros(targets)
        self._tried = 0

    def add_year(self, older: RidgeSums, newer: RidgeSums) -> None:
        """Add a year's rows.

        Parameters
        ----------
        older : RidgeSums
            Rows dated up to the last cut, whose outcomes were not over then: they overlap those fitted on, so no
            penalty is tried on them.
        newer : RidgeSums
            Rows dated after it.
        """
        if self._sums.count and newer.count:
            self._errors += newer.squared_errors(self._sums.solve(self._anchor, self._penalties))
            self._spread += newer.spread_around(self._sums.target_mean)
            self._tried += newer.count
        self._sums.merge(older)
        self._sums.merge(newer)

    def fitted(self) -> list[FittedHead]:
        """Fit each target on everything added so far."""
        solution = self._sums.solve(self._anchor, self._penalties)
        n = self._sums.count
        inside = self._sums.squared_errors(solution)
        heads = []
        for t in range(len(self._spread)):
            best = int(np.argmin(self._errors[:, t])) if self._tried else len(self._penalties) // 2
            error = self._errors[best, t] / self._tried if self._tried else inside[best, t] / max(n, 1)
            r2 = float(1.0 - self._errors[best, t] / self._spread[t]) if self._tried else None
            slopes = solution.slopes[best, :, t].astype(np.float32)
            head = LinearHead(slopes, float(solution.intercepts[best, t]), float(error))
            heads.append(FittedHead(head, self._penalties[best], n, r2))
        return heads
