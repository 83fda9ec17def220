"""Random portfolio problems, most of them awkward, and what every answer must keep."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from prometheus.engines.portfolio import NO_SECTOR, UNITS, Allocation, Limits, Problem, turnover_of, water_fill


def random_limits(rng: np.random.Generator, turnover: bool = False) -> Limits:
    """Caps from so tight that most is cash to so wide that they are none."""
    cap = float(rng.choice([0.003, 0.02, 0.05, 0.1, 0.3, 1.0]))
    share = float(rng.choice([0.02, 0.1, 0.25, 0.35, 1.0]))
    return Limits(cap, share, float(rng.choice([0.01, 0.05, 0.2, 1.0])) if turnover else 1.0)


def random_problem(rng: np.random.Generator, days: int = 3, most: int = 60) -> Problem:
    """Names that come and go, some without sector, volatility or return; at times nobody, or one sector alone."""
    n = int(rng.integers(1, most + 1))
    there = rng.random((days, n)) < rng.choice([0.0, 0.3, 0.9, 1.0])
    sector = np.tile(rng.integers(NO_SECTOR, int(rng.choice([0, 1, 4, 9])) + 1, n), (days, 1))
    sector[rng.random((days, n)) < 0.03] = NO_SECTOR
    loadings = rng.normal(1, 0.4, n)
    own = rng.uniform(0.05, 0.6, n)
    covariance = 0.03 * np.outer(loadings, loadings) + np.diag(own**2)
    unknown = rng.random(n) < rng.choice([0.0, 0.1, 1.0], p=[0.6, 0.35, 0.05])
    covariance[unknown] = np.nan
    covariance[:, unknown] = np.nan
    volatility = np.tile(np.sqrt(np.diagonal(covariance)), (days, 1))
    score = rng.normal(rng.choice([-3.0, 0.0, 0.5]), 1.0, (days, n))
    expected = rng.normal(0, 0.05, (days, n))
    expected[rng.random((days, n)) < 0.1] = np.nan
    previous = None
    if rng.random() < 0.5:  # what was held need not be there any more
        previous = water_fill(rng.random((1, n)), sector[:1], 0.05, 0.25)[0]
    keep = there | (rng.random((days, n)) < 0.2)
    return Problem(there, sector, score, volatility, expected, known(covariance), previous, keep)


def known(covariance: NDArray[np.float64]) -> Callable[[int, NDArray[np.int64]], NDArray[np.float64]]:
    """Return the same covariance on every day."""
    return lambda day, names: covariance[np.ix_(names, names)]


def sector_sums(weights: NDArray[np.float64], sector: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weight of each sector on one day."""
    return np.array([weights[sector == code].sum() for code in np.unique(sector[sector != NO_SECTOR])])


def check_kept(problem: Problem, limits: Limits, found: Allocation, rounding: float = 1e-11) -> None:
    """Weights are of names that are there, within every cap, and with cash exactly 1."""
    assert (found.units >= 0).all()
    may = problem.there if limits.max_turnover == 1.0 or problem.keep is None else problem.there | problem.keep
    assert (found.units[~may] == 0).all()
    before = problem.previous if problem.previous is not None else np.zeros(problem.there.shape[1])
    for t, weights in enumerate(found.weights):
        assert (weights <= before + 1e-12)[~problem.there[t]].all(), "bought what may only be kept"
        before = weights
        assert weights.max(initial=0.0) <= limits.max_weight + rounding
        assert sector_sums(weights, problem.sector[t]).max(initial=0.0) <= limits.max_sector_weight + rounding * len(
            weights
        )
        assert found.units[t].sum() <= UNITS
        assert abs(weights.sum() + found.cash[t] - 1.0) <= 1e-12


def check_turnover(problem: Problem, limits: Limits, found: Allocation) -> int:
    """What an optimiser decided turns over no more than allowed, forced sales apart; returns how many were checked."""
    checked = 0
    before = problem.previous
    for t, weights in enumerate(found.weights):
        if before is not None and found.backend[t] == "mean_variance":
            assert problem.covariance is not None
            every = np.arange(len(weights))
            may = problem.there[t] if problem.keep is None else problem.there[t] | problem.keep[t]
            who = may & np.isfinite(np.diagonal(problem.covariance(t, every)))
            assert turnover_of(weights[who], before[who]) <= limits.max_turnover + 1e-12
            checked += 1
        before = weights
    return checked
