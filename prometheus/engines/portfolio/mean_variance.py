"""Mean-variance weights by a convex optimiser, under name, sector and turnover limits.

On each session, with mu the names' expected returns of a year (an unknown one counts as 0, the mean) and C their
covariance (:mod:`.covariance`):

    maximise mu'w - risk_aversion / 2 * w'Cw
    where 0 <= w_i <= max_weight, sum of a sector's w <= max_sector_weight, low <= sum w <= high,
          max(all bought, all sold) <= max_turnover.

``high`` is what the caps allow, at most 1, and ``low`` is ``high`` too: expected returns are in excess of the names'
mean, so they do not say how much to keep in cash. After the first portfolio ``low`` is what the turnover limit lets be
reached. A name that may only be kept has its previous weight as its cap. One that may no longer be held at all is sold,
whatever that turns over: it counts as cash before the limit. Against the previous weights there is then always an
answer, unless a sector has changed its members since.

Where the optimiser finds none, or nobody has a covariance, ``score_proportional`` stands in and says so.

References
----------
H. Markowitz, "Portfolio selection", Journal of Finance 7 (1952). Solved by Clarabel through skfolio and cvxpy.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from prometheus.engines.portfolio.base import (
    MEAN_VARIANCE,
    NO_COVARIANCE,
    NO_SECTOR,
    NO_SOLUTION,
    NOBODY,
    UNITS,
    Allocation,
    Codes,
    Floats,
    Limits,
    Problem,
    in_units,
)
from prometheus.engines.portfolio.filling import capacity
from prometheus.engines.portfolio.proportional import ScoreProportional
from prometheus.errors import MissingExtraError, RequestError

TOLERANCE = 1e-6
"""How far a solution may lie outside a limit before it counts as none; it is then drawn inside."""

DUST = 1e-6
"""Weight below which a name is not held: the optimiser's zeros."""


@dataclass(frozen=True)
class MeanVariance:
    """See the module.

    Attributes
    ----------
    risk_aversion : float
        Expected return a year that half a unit of variance must bring; above 0.
    """

    risk_aversion: float = 3.0
    name: str = MEAN_VARIANCE

    def __post_init__(self) -> None:
        if not 0.0 < self.risk_aversion < float("inf"):
            raise RequestError(f"risk_aversion must be a positive number; got {self.risk_aversion}")

    @staticmethod
    def check_installed() -> None:
        """Refuse when the optimiser is not there.

        Raises
        ------
        MissingExtraError
        """
        try:
            import skfolio  # noqa: F401
        except ImportError:
            raise MissingExtraError(f"the backend {MEAN_VARIANCE}", "portfolio") from None

    def allocate(self, problem: Problem, limits: Limits) -> Allocation:
        """Decide each session against the one before it; the first against ``problem.previous``."""
        self.check_installed()
        n_days, n_names = problem.there.shape
        units = np.zeros((n_days, n_names), dtype=np.int64)
        backend = np.full(n_days, self.name, dtype="<U24")
        reason = np.full(n_days, "", dtype="<U24")
        volatility = np.full((n_days, n_names), np.nan)
        previous = problem.previous
        for t in range(n_days):
            asked, names = self._asked(problem, limits, t, previous)
            found = self._solve(asked) if asked is not None else None
            if asked is not None:
                volatility[t, names] = np.sqrt(np.diagonal(asked.covariance))
            if found is not None:
                units[t, names] = in_units(found)
            else:
                other = ScoreProportional().allocate(problem.day(t), limits)
                units[t], backend[t] = other.units[0], other.backend[0]
                reason[t] = NO_SOLUTION if asked is not None else NO_COVARIANCE
                reason[t] = reason[t] if problem.there[t].any() else NOBODY
            previous = units[t] / UNITS
        return Allocation(units, backend, reason, volatility)

    @staticmethod
    def _asked(problem: Problem, limits: Limits, t: int, previous: Floats | None) -> tuple[_Asked | None, Codes]:
        """Programme of one session and the columns of its names; None where nobody has a covariance."""
        before = previous if limits.max_turnover < 1.0 else None
        top = np.where(problem.there[t], limits.max_weight, 0.0)
        if before is not None and problem.keep is not None:
            top = np.where(problem.keep[t] & ~problem.there[t], np.minimum(before, limits.max_weight), top)
        names = np.flatnonzero(top > 0)
        if problem.covariance is None or not len(names):
            return None, names
        covariance = problem.covariance(t, names)
        known = np.flatnonzero(np.isfinite(np.diagonal(covariance)))
        names = names[known]
        if not len(names):
            return None, names
        mu = np.nan_to_num(problem.expected_return[t, names], nan=0.0)
        held = before[names] if before is not None else None
        asked = _Asked(mu, covariance[np.ix_(known, known)], problem.sector[t, names], top[names], limits, held)
        return asked, names

    def _solve(self, asked: _Asked) -> Floats | None:
        from cvxpy.error import SolverError
        from skfolio.exceptions import ConvexOptimizationError
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1), warnings.catch_warnings():
            # A solution of less than full accuracy is judged by the limits below, like any other.
            warnings.simplefilter("ignore")
            try:
                weights: Floats = self._model(asked).fit(np.zeros((2, len(asked.mu)))).weights_
            except (ConvexOptimizationError, SolverError, ArithmeticError):
                return None
        if not np.isfinite(weights).all() or _excess(weights, asked) > TOLERANCE:
            return None
        return _inside(weights, asked)

    def _model(self, asked: _Asked) -> Any:
        import cvxpy as cp
        from skfolio import RiskMeasure
        from skfolio.optimization import MeanRisk, ObjectiveFunction

        low, high = asked.invested
        codes = np.unique(asked.sector[asked.sector != NO_SECTOR])
        members = (asked.sector[None, :] == codes[:, None]).astype(np.float64)

        def turnover(w: Any) -> list[Any]:
            if asked.before is None:
                return []
            change = w - asked.before
            return [cp.sum(cp.pos(change)) <= asked.turnover, cp.sum(cp.neg(change)) <= asked.turnover]

        return MeanRisk(
            objective_function=ObjectiveFunction.MAXIMIZE_UTILITY,
            risk_measure=RiskMeasure.VARIANCE,
            risk_aversion=0.5 * self.risk_aversion,
            prior_estimator=_given(asked.mu, asked.covariance),
            min_weights=0.0,
            max_weights=asked.top,
            budget=None,
            # A range of one point has no inside for the optimiser to walk in.
            min_budget=max(low - TOLERANCE, 0.0),
            max_budget=high,
            left_inequality=members if len(codes) else None,
            right_inequality=np.full(len(codes), asked.limits.max_sector_weight) if len(codes) else None,
            add_constraints=turnover,
            solver="CLARABEL",
        )


@dataclass(frozen=True, eq=False)
class _Asked:
    """One session's programme over the names that may be held.

    Attributes
    ----------
    mu, top : ndarray of float64, shape (n,)
        Expected return of a year, and most of each name.
    covariance : ndarray of float64, shape (n, n)
    sector : ndarray of int64, shape (n,)
    limits : Limits
    before : ndarray of float64, shape (n,), or None
        Weights the turnover limit counts from.
    """

    mu: Floats
    covariance: Floats
    sector: Codes
    top: Floats
    limits: Limits
    before: Floats | None

    @property
    def turnover(self) -> float:
        """Turnover the optimiser may use: a little less than the limit, so that selling dust stays within it."""
        most = self.limits.max_turnover
        return max(most - len(self.mu) * DUST - TOLERANCE, 0.5 * most)

    @property
    def invested(self) -> tuple[float, float]:
        """Least and most of the capital that is invested."""
        high = capacity(self.sector, self.top, self.limits.max_sector_weight)
        return high if self.before is None else min(high, float(self.before.sum()) + self.turnover), high


def _given(mu: Floats, covariance: Floats) -> Any:
    """Return an estimator that estimates nothing: the moments are known."""
    from skfolio.prior import BasePrior, ReturnDistribution

    class Given(BasePrior):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            pass

        def fit(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
            self.return_distribution_ = ReturnDistribution(mu=mu, covariance=covariance, returns=X)
            return self

    return Given()


def turnover_of(weights: Floats, before: Floats) -> float:
    """Larger of all that is bought and all that is sold."""
    change = weights - before
    return max(float(np.maximum(change, 0).sum()), float(np.maximum(-change, 0).sum()))


def _sector_sums(weights: Floats, sector: Codes) -> Floats:
    """Sum of each name's sector, shape (n,); of the name alone where it has none."""
    codes = np.where(sector == NO_SECTOR, sector.max(initial=0) + 1 + np.arange(len(sector)), sector)
    sums = np.bincount(codes, weights=weights).astype(np.float64)
    return np.take(sums, codes)


def _excess(weights: Floats, asked: _Asked) -> float:
    """Largest distance outside a limit."""
    in_sector = _sector_sums(weights, asked.sector) - asked.limits.max_sector_weight
    invested, (low, high) = float(weights.sum()), asked.invested
    out = [
        -weights.min(),
        (weights - asked.top).max(),
        np.where(asked.sector == NO_SECTOR, -1.0, in_sector).max(),
        invested - high,
        low - invested - TOLERANCE,
    ]
    if asked.before is not None:
        out.append(turnover_of(weights, asked.before) - asked.limits.max_turnover)
    return float(max(out))


def _inside(weights: Floats, asked: _Asked) -> Floats:
    """Draw a solution inside the limits it misses by the optimiser's accuracy."""
    weights = np.clip(weights, 0.0, asked.top)
    weights = np.where(weights < DUST, 0.0, weights)
    most = asked.limits.max_sector_weight
    sums = np.where(asked.sector == NO_SECTOR, 0.0, _sector_sums(weights, asked.sector))
    weights = weights * np.minimum(1.0, most / np.maximum(sums, most))
    weights = weights / max(1.0, float(weights.sum()))
    if asked.before is not None:
        # On the straight line to weights that keep every limit all limits are kept. Rounding down to whole units
        # sells up to one of each name.
        most = max(asked.limits.max_turnover - len(weights) / UNITS, 0.0)
        share = min(1.0, most / max(turnover_of(weights, asked.before), 1.0 / UNITS))
        weights = asked.before + (weights - asked.before) * share
    return weights
