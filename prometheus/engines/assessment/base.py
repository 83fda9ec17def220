"""Cross-sectional scores, and the returns, labels and confidences they stand for.

A score is the standard normal quantile of a name's place among the names of the day: with rank r of n (from 1, the
highest last, ties sharing their mean rank), z = Phi^-1((r - 1/2) / n). An outlier is the first or the last and no more
than that, any monotone change of what is ranked leaves z as it is, and a day of one name has z = 0.

With the information coefficient IC (the correlation of scores with what comes) and sigma_h a name's volatility over the
horizon, the expected return in excess of the names' mean is IC * sigma_h * z.

The confidence is the probability that the name's return, in units of its volatility, lies on the score's side of the
names' median, when return and score are jointly normal with correlation IC: Phi(IC |z| / sqrt(1 - IC^2)), one half
where nothing is known.

References
----------
Grinold, R. C. (1994), "Alpha is Volatility Times IC Times Score", Journal of Portfolio Management 20(4). Grinold and
Kahn (2000), *Active Portfolio Management*, 2nd edition, chapter 11. Scores: van der Waerden's, with Hazen's plotting
position.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from prometheus.evaluation.ranks import ranks_within

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

CONTEXT, BASIC = "context", "basic"

HORIZONS = (5, 21, 63)
"""Sessions ahead."""

LABELS = ("STRONG_SELL", "SELL", "HOLD", "BUY", "STRONG_BUY")
"""From the lowest places to the highest."""

HOLD_SHARE, MILD_SHARE = 0.4, 0.8
"""The middle 40 % of places is HOLD, of the rest what lies within the middle 80 % is BUY or SELL."""


@dataclass(frozen=True, eq=False)
class NamesOfDays:
    """Names of some days, as known at each day's cut-off.

    Attributes
    ----------
    day : ndarray of int64, shape (n,)
        Number of the day; names of one day are compared.
    momentum : ndarray of float64, shape (n,)
        See :func:`~prometheus.engines.assessment.basic.momentum`; NaN where unknown.
    soft_target : ndarray of float64, shape (n,)
        Soft-target score, 0..100, the higher the more fragile; NaN where unknown.
    volatility : ndarray of float64, shape (n,)
        Standard deviation of daily log returns over the 63 sessions before.
    known : ndarray of bool, shape (n,)
        Which have a context vector.
    vectors : ndarray of float32, shape (k, d)
        Of those, in order.
    """

    day: NDArray[np.int64]
    momentum: Floats
    soft_target: Floats
    volatility: Floats
    known: Flags
    vectors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.day)


@dataclass(frozen=True, eq=False)
class Assessments:
    """What names are expected to do; arrays of shape (n,).

    Attributes
    ----------
    score, expected_return, confidence, volatility : ndarray of float64
        ``volatility`` is that of the horizon.
    label : ndarray of int64
        Index into :data:`LABELS`.
    num_names : ndarray of int64
        Names of the day the score is a place among.
    ic : ndarray of float64
    by_context : ndarray of bool
    reason : ndarray of str
        Why basic stood in, or what the score does without; empty where there is nothing to say.
    """

    score: Floats
    expected_return: Floats
    confidence: Floats
    volatility: Floats
    label: NDArray[np.int64]
    num_names: NDArray[np.int64]
    ic: Floats
    by_context: Flags
    reason: NDArray[np.str_]

    def put(self, at: NDArray[np.int64], other: Assessments) -> None:
        """Write another one's rows over those at some places."""
        for field in self.__dataclass_fields__:
            getattr(self, field)[at] = getattr(other, field)


class AssessmentModel(Protocol):
    """From what is known of the names of some days to what they are expected to do; every day by itself."""

    @property
    def name(self) -> str:
        """As rows say it."""
        ...

    def assess(self, names: NamesOfDays, horizon: int) -> Assessments:
        """Assess names over ``horizon`` sessions."""
        ...


def normal_scores(groups: NDArray[np.int64], values: Floats) -> Floats:
    """Score each value among those of its group (see the module); groups need not be sorted.

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    return _scores(*_places(groups, values))


def assessments_of(
    day: NDArray[np.int64], values: Floats, volatility: Floats, horizon: int, ic: float, *, by_context: bool
) -> Assessments:
    """Turn what a model thinks of names into assessments.

    Parameters
    ----------
    day : ndarray of int64, shape (n,)
    values : ndarray of float64, shape (n,)
        The higher the better; only their order within a day counts.
    volatility : ndarray of float64, shape (n,)
        Daily.
    horizon : int
        Sessions.
    ic : float
        In [0, 1).
    by_context : bool
    """
    n = len(day)
    rank, count = _places(day, values)
    score = _scores(rank, count)
    of_horizon = volatility * math.sqrt(horizon)
    return Assessments(
        score=score,
        expected_return=ic * of_horizon * score + 0.0,  # no minus zero
        confidence=_confidence(score, ic),
        volatility=of_horizon,
        label=_labels(rank, count),
        num_names=count,
        ic=np.full(n, float(ic)),
        by_context=np.full(n, by_context),
        reason=np.full(n, "", dtype="<U64"),
    )


def _places(groups: NDArray[np.int64], values: Floats) -> tuple[Floats, NDArray[np.int64]]:
    _, code, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return ranks_within(code.astype(np.int64), values), counts[code].astype(np.int64)


def _scores(rank: Floats, count: NDArray[np.int64]) -> Floats:
    # Mirrored, so that the first and the last are exactly as far from the middle.
    low = np.minimum(rank, count + 1.0 - rank)
    places, inverse = np.unique((low - 0.5) / np.maximum(count, 1), return_inverse=True)
    quantile = NormalDist().inv_cdf
    magnitude = np.array([0.0 if p == 0.5 else -quantile(p) for p in places.tolist()])[inverse]
    out: Floats = np.where(rank > low, magnitude, -magnitude) + 0.0
    return out


def _labels(rank: Floats, count: NDArray[np.int64]) -> NDArray[np.int64]:
    # Twice the distance from the middle, in names: whole numbers, so that no rounding decides a label.
    off = 2.0 * rank - (count + 1.0)
    steps = (10.0 * np.abs(off) >= 10.0 * HOLD_SHARE * count).astype(np.int64)
    steps += 10.0 * np.abs(off) >= 10.0 * MILD_SHARE * count
    out: NDArray[np.int64] = 2 + np.where(off < 0, -steps, steps)
    return out


def _confidence(score: Floats, ic: float) -> Floats:
    strength = ic / math.sqrt(1.0 - ic * ic)
    sizes, inverse = np.unique(np.abs(score), return_inverse=True)
    found = np.array([0.5 * math.erfc(-strength * z / math.sqrt(2.0)) for z in sizes.tolist()])
    out: Floats = found[inverse] if len(sizes) else np.zeros(0)
    return out
