"""The basic model: momentum less fragility.

z of momentum over max(h, 21) sessions, the last one left out, less half the z of the soft-target score. The last
session is left out because a day's move tends to turn back; momentum itself is of the kind of Jegadeesh and Titman,
over weeks instead of months. How much to trust it is not measured but stated: a prior information coefficient.

Reference
---------
Jegadeesh, N. and Titman, S. (1993), "Returns to Buying Winners and Selling Losers", Journal of Finance 48(1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.engines.assessment.base import BASIC, Assessments, Floats, NamesOfDays, assessments_of, normal_scores
from prometheus.market.panel import EntitySeries
from prometheus.market.rolling import Positions, RollingSums, from_fixed

MIN_MOMENTUM = 21
"""Least sessions of momentum."""

SOFT_TARGET_WEIGHT = 0.5

PRIOR_IC = 0.02
"""Small, as for a signal known to everybody; see the study of the engine for what it was."""

MIN_SHARE = 2 / 3
"""Least share of a window's returns that must be known."""

NO_SOFT_TARGET = "no_soft_target"


@dataclass(frozen=True)
class BasicAssessmentModel:
    """Momentum less fragility.

    Attributes
    ----------
    prior_ic : float
    """

    prior_ic: float = PRIOR_IC
    name: str = BASIC

    def assess(self, names: NamesOfDays, horizon: int) -> Assessments:
        """See :class:`~prometheus.engines.assessment.base.AssessmentModel`. Every name needs a momentum.

        A name without a soft-target score is taken for one in the middle, and its reason says so.
        """
        value = normal_scores(names.day, names.momentum)
        told = np.flatnonzero(np.isfinite(names.soft_target))
        value[told] -= SOFT_TARGET_WEIGHT * normal_scores(names.day[told], names.soft_target[told])
        out = assessments_of(names.day, value, names.volatility, horizon, self.prior_ic, by_context=False)
        out.reason[~np.isfinite(names.soft_target)] = NO_SOFT_TARGET
        return out


def momentum_sessions(horizon: int) -> int:
    """Sessions of the momentum that goes with a horizon."""
    return max(horizon, MIN_MOMENTUM)


def momentum(series: EntitySeries, positions: Positions, sessions: int) -> Floats:
    """Log return of the ``sessions`` sessions that end one before each position.

    Parameters
    ----------
    series : EntitySeries
        Must reach ``sessions + 1`` sessions back from each position, or to where the calendar's data begin.
    positions : ndarray of int64, shape (t,)
        Ascending.
    sessions : int

    Returns
    -------
    ndarray of float64, shape (n_names, t)
        NaN where fewer than two thirds of the returns are known.
    """
    before: NDArray[np.int64] = positions - 1
    inside = np.maximum(before, 0)
    total = from_fixed(RollingSums(series.ret).ending(inside, sessions))
    known = RollingSums(series.ret_ok).ending(inside, sessions)
    enough = (known >= MIN_SHARE * sessions) & (before >= 0)
    return np.where(enough, total, np.nan)
