"""The two backends that need no optimiser: shares that follow the score, and shares that follow calm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.engines.portfolio.base import (
    INVERSE_VOLATILITY,
    NO_POSITIVE_SCORE,
    NO_VOLATILITY,
    NOBODY,
    SCORE_PROPORTIONAL,
    Allocation,
    Flags,
    Floats,
    Limits,
    Problem,
    allocation,
)
from prometheus.engines.portfolio.filling import water_fill


@dataclass(frozen=True)
class ScoreProportional:
    """Weights in proportion to the score, of names whose score is positive; water-filled under the caps.

    A universe's scores have mean near 0 over those who could be held: a negative one says that the others are better,
    and a portfolio that is never short holds none of it. With no positive score all is cash.
    """

    name: str = SCORE_PROPORTIONAL

    def allocate(self, problem: Problem, limits: Limits) -> Allocation:
        """Decide each session by itself."""
        shares = np.where(problem.there & (problem.score > 0), problem.score, 0.0)
        reason = _why_cash(problem.there, shares)
        weights = water_fill(shares, problem.sector, limits.max_weight, limits.max_sector_weight)
        return allocation(weights, self.name, reason)


@dataclass(frozen=True)
class InverseVolatility:
    """Weights in proportion to 1 / volatility, water-filled under the caps.

    A name without a volatility is not held; on a session where none has one the score decides.

    References
    ----------
    R. Leote de Carvalho, X. Lu, P. Moulin, "Demystifying equity risk-based strategies", Journal of Portfolio
    Management 38 (2012): with equal correlations these weights give every name the same share of the risk.
    """

    name: str = INVERSE_VOLATILITY

    def allocate(self, problem: Problem, limits: Limits) -> Allocation:
        """Decide each session by itself."""
        with np.errstate(invalid="ignore"):
            known = problem.there & np.isfinite(problem.volatility) & (problem.volatility > 0)
        shares = np.divide(1.0, problem.volatility, out=np.zeros(known.shape), where=known)
        found = allocation(
            water_fill(shares, problem.sector, limits.max_weight, limits.max_sector_weight),
            self.name,
            np.where(problem.there.any(axis=1), "", NOBODY).astype("<U24"),
        )
        blind: Flags = np.logical_and(problem.there.any(axis=1), ~known.any(axis=1))
        return with_stand_in(found, ScoreProportional().allocate(problem, limits), blind, NO_VOLATILITY)


def with_stand_in(found: Allocation, other: Allocation, where: Flags, reason: str) -> Allocation:
    """Take another backend's answer on some sessions, and say why."""
    return Allocation(
        units=np.where(where[:, None], other.units, found.units),
        backend=np.where(where, other.backend, found.backend),
        reason=np.where(where, reason, found.reason),
    )


def _why_cash(there: Flags, shares: Floats) -> NDArray[np.str_]:
    nobody = ~there.any(axis=1)
    reason = np.where(nobody, NOBODY, np.where((shares > 0).any(axis=1), "", NO_POSITIVE_SCORE))
    return reason.astype("<U24")
