"""The heads of the context model: which direction in the vectors of a day's names goes with how they did afterwards.

Only the cross-section is forecast. So vectors are taken less the mean over the names of their day, and the target is
the normal score of a name's return among those names: what the whole market did, and a single wild return, have no
weight. The regression is the ridge of :mod:`prometheus.engines.ridge`, on sums that grow by a year.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.engines.assessment.base import Flags, Floats, normal_scores
from prometheus.engines.ridge import LinearHead, RidgeSums, YearlyHeads
from prometheus.evaluation.ranks import MIN_NAMES, daily_rank_ic
from prometheus.market.panel import EntitySeries
from prometheus.market.rolling import Positions, RollingSums, from_fixed

PENALTIES = (1_000.0, 10_000.0, 100_000.0, 1_000_000.0, 10_000_000.0)
"""Those tried. Returns are nearly noise: with the last the head is hardly more than each slot's own covariance with
what came."""

MIN_DAYS = 20
"""Days a head needs to serve."""

MIN_SHARE = 2 / 3
"""Least share of the horizon's returns that must be known of a name that stays."""

NOT_POSITIVE, NOT_HELD_BACK = "held_back_ic_not_positive", "no_held_back_year"
"""Why the information coefficient of a head is 0: it ordered names no better than chance in the years it had not seen;
there is no such year yet."""


@dataclass(frozen=True, eq=False)
class AssessmentHead:
    """A head as it serves a year.

    Attributes
    ----------
    coefficients : ndarray of float32, shape (d,)
    ic : float
        Information coefficient that goes with it, at least 0.
    reason : str
        Why ``ic`` is 0; empty where it is not.
    """

    coefficients: NDArray[np.float32]
    ic: float
    reason: str = ""

    def __call__(self, vectors: NDArray[np.float32]) -> Floats:
        """Order names: the higher the better. Every row of shape (n, d) by itself, comparable within a day."""
        return LinearHead(self.coefficients, 0.0, 0.0)(vectors)


@dataclass(frozen=True, eq=False)
class FittedAssessmentHead:
    """A head and how it was come by.

    Attributes
    ----------
    head : AssessmentHead
    penalty : float
    num_rows, num_days : int
    held_back_ic : float or None
        Mean daily rank correlation with what came, over the days of years in which a head of this history served that
        had not seen them; None before there was any.
    held_back_days : int
    """

    head: AssessmentHead
    penalty: float
    num_rows: int
    num_days: int
    held_back_ic: float | None
    held_back_days: int


class AssessmentHeads:
    """Heads of one horizon that grow by a year at a time.

    Give the days of a year in any grouping but in order, then close the year. A day is first forecast by the head that
    was fitted at the last cut, if there was one and the day is newer: its rank correlation counts for the information
    coefficient of later heads, and the year's squared errors choose their penalty.

    Parameters
    ----------
    features : int
    """

    def __init__(self, features: int) -> None:
        self._features = features
        self._heads = YearlyHeads(features, 1, penalties=PENALTIES)
        self._serving: LinearHead | None = None
        self._ic_sum, self._ic_days = 0.0, 0
        self.num_days = 0
        self._older, self._newer = self._sums(), self._sums()

    def _sums(self) -> RidgeSums:
        return RidgeSums(self._features, 1)

    def add_day(self, vectors: NDArray[np.float32], returns: Floats, *, newer: bool) -> bool:
        """Add the names of a day whose outcomes are over.

        Parameters
        ----------
        vectors : ndarray of float32, shape (n, d)
        returns : ndarray of float64, shape (n,)
            What came; finite.
        newer : bool
            The day lies after the last cut. One that does not overlaps what was fitted on then: nothing is tried on
            it.

        Returns
        -------
        bool
            Whether it counts: a day of fewer than five names says nothing of an order.
        """
        n = len(returns)
        if n < MIN_NAMES:
            return False
        same = np.zeros(n, dtype=np.int64)
        if self._serving is not None and newer:
            # One day at a time: what days are given together has no say.
            daily = daily_rank_ic(same.astype("datetime64[D]"), self._serving(vectors), returns)
            self._ic_sum += float(daily.ic.sum())
            self._ic_days += len(daily.ic)
        centred = vectors.astype(np.float64)
        centred -= centred.mean(axis=0)
        (self._newer if newer else self._older).add(centred, normal_scores(same, returns)[:, None])
        self.num_days += 1
        return True

    def close_year(self) -> FittedAssessmentHead | None:
        """Fit on everything up to the cut; None with fewer than ``MIN_DAYS`` days."""
        self._heads.add_year(self._older, self._newer)
        self._older, self._newer = self._sums(), self._sums()
        if self.num_days < MIN_DAYS:
            return None
        (found,) = self._heads.fitted()
        self._serving = found.head
        measured = self._ic_sum / self._ic_days if self._ic_days else None
        reason = NOT_HELD_BACK if measured is None else NOT_POSITIVE if measured <= 0.0 else ""
        head = AssessmentHead(found.head.coefficients, max(measured or 0.0, 0.0), reason)
        return FittedAssessmentHead(head, found.penalty, found.num_rows, self.num_days, measured, self._ic_days)


def next_returns(series: EntitySeries, positions: Positions, horizon: int) -> tuple[Floats, Flags]:
    """Total simple returns over the ``horizon`` sessions after some sessions.

    Parameters
    ----------
    series : EntitySeries
        Must hold ``horizon`` sessions after each position; its last session is that of the decision that looks back.
    positions : ndarray of int64, shape (t,)
        Ascending.
    horizon : int

    Returns
    -------
    ndarray of float64, shape (n_names, t)
    ndarray of bool, shape (n_names, t)
        Where it is known: two thirds of the returns are, or the name had a price then or later and none from some
        session of the horizon on. A name that leaves keeps its return to its last price.
    """
    ends = positions + horizon
    total = from_fixed(RollingSums(series.ret).ending(ends, horizon))
    known = RollingSums(series.ret_ok).ending(ends, horizon)
    n_sessions = series.observed.shape[1]
    last = np.where(series.observed.any(axis=1), n_sessions - 1 - np.argmax(series.observed[:, ::-1], axis=1), -1)
    left = (last[:, None] >= positions) & (last[:, None] < ends)
    return np.expm1(total), (known >= MIN_SHARE * horizon) | left
