"""What a portfolio backend is asked on some sessions, what it answers, and how weights become exact.

Weights are fractions of the capital, never negative; what is not invested is cash. They are whole numbers of units of
1e-9, rounded down, and cash is the rest: 10^9 units less all others. So limits hold after rounding too, and equal
inputs give equal rows wherever a last bit falls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from prometheus.errors import RequestError

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]

UNITS = 10**9
"""Units the capital is divided into."""

_ROUNDING = 1e-3
"""Units that may be missing to a whole one: 0.05 times 10^9 must not become one unit less."""

NO_SECTOR = -1

SCORE_PROPORTIONAL, INVERSE_VOLATILITY, MEAN_VARIANCE = "score_proportional", "inverse_volatility", "mean_variance"
BACKENDS = (SCORE_PROPORTIONAL, INVERSE_VOLATILITY, MEAN_VARIANCE)

NOBODY, NO_POSITIVE_SCORE, NO_VOLATILITY, NO_COVARIANCE, NO_SOLUTION = (
    "no_members", "no_positive_score", "no_volatility", "no_covariance", "no_solution",
)  # fmt: skip
"""Why everything is cash (the first two), or why another backend stood in."""


@dataclass(frozen=True)
class Limits:
    """What every portfolio keeps.

    Attributes
    ----------
    max_weight : float
        Of one name; in (0, 1].
    max_sector_weight : float
        Of the names of one sector together; in (0, 1]. Names without a known sector count in none.
    max_turnover : float
        Of one rebalance, where the backend has one: the larger of all that is bought and all that is sold, as a
        fraction of the capital; in (0, 1]. 1 is no limit.
    """

    max_weight: float = 0.10
    max_sector_weight: float = 0.35
    max_turnover: float = 1.0

    def __post_init__(self) -> None:
        for name in ("max_weight", "max_sector_weight", "max_turnover"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise RequestError(f"{name} must be above 0 and at most 1; got {getattr(self, name)}")


@dataclass(frozen=True, eq=False)
class Problem:
    """Who may be held on some sessions, sessions by names.

    Attributes
    ----------
    there : ndarray of bool, shape (n_days, n_names)
        May be held.
    sector : ndarray of int64, shape (n_days, n_names)
        Code; ``NO_SECTOR`` where unknown.
    score : ndarray of float64, shape (n_days, n_names)
    volatility : ndarray of float64, shape (n_days, n_names)
        Annualised; NaN where unknown.
    expected_return : ndarray of float64, shape (n_days, n_names)
        A year's, in excess of the names' mean; NaN where unknown.
    covariance : callable, optional
        ``covariance(day, names)`` gives annualised covariances of the names in some columns, shape (k, k); NaN for
        those it does not know.
    previous : ndarray of float64, shape (n_names,), optional
        Weights before the first session; None when there was no portfolio.
    keep : ndarray of bool, shape (n_days, n_names), optional
        May not be bought, but what is held of it may stay; for backends with a turnover limit alone.
    """

    there: Flags
    sector: Codes
    score: Floats
    volatility: Floats
    expected_return: Floats
    covariance: Callable[[int, Codes], Floats] | None = None
    previous: Floats | None = None
    keep: Flags | None = None

    def day(self, t: int) -> Problem:
        """One session alone."""
        s = slice(t, t + 1)
        return Problem(self.there[s], self.sector[s], self.score[s], self.volatility[s], self.expected_return[s])


@dataclass(frozen=True, eq=False)
class Allocation:
    """What to hold.

    Attributes
    ----------
    units : ndarray of int64, shape (n_days, n_names)
        Of ``UNITS``; cash is the rest.
    backend : ndarray of str, shape (n_days,)
        What decided.
    reason : ndarray of str, shape (n_days,)
        Why another backend stood in, or why all is cash; empty where neither.
    volatility : ndarray of float64, shape (n_days, n_names), optional
        Of names, annualised, where the backend has its own estimate; NaN elsewhere.
    """

    units: Codes
    backend: NDArray[np.str_]
    reason: NDArray[np.str_]
    volatility: Floats | None = None

    @property
    def weights(self) -> Floats:
        """Weights of the names, shape (n_days, n_names)."""
        return self.units / UNITS

    @property
    def cash(self) -> Floats:
        """Weight of cash, shape (n_days,)."""
        left: Floats = (UNITS - self.units.sum(axis=1)) / UNITS
        return left


class PortfolioBackend(Protocol):
    """Turns scores into weights."""

    @property
    def name(self) -> str:
        """What rows call it."""
        ...

    def allocate(self, problem: Problem, limits: Limits) -> Allocation:
        """Decide each session in turn; without a turnover limit a session's answer depends on that session alone."""
        ...


def in_units(weights: Floats) -> Codes:
    """Whole units of some weights, rounded down."""
    units: Codes = np.floor(weights * UNITS + _ROUNDING).astype(np.int64)
    return units


def allocation(weights: Floats, backend: str, reason: NDArray[np.str_]) -> Allocation:
    """Round weights; every session decided by one backend."""
    return Allocation(in_units(weights), np.full(len(weights), backend, dtype="<U24"), reason)
