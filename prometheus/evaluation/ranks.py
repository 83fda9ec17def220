"""Rank information coefficient: how well a score orders names on each date."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.evaluation.bootstrap import Bootstrap, Intervals
from prometheus.evaluation.result import Result

MIN_NAMES = 5


@dataclass(frozen=True, eq=False)
class DailyIC:
    """Rank correlation of each date.

    Attributes
    ----------
    days : ndarray of datetime64[D], shape (t,)
        Dates with at least the least number of names and some variation on both sides, ascending.
    ic : ndarray of float64, shape (t,)
        Spearman correlation over the names of the date; ties share their mean rank.
    num_names : ndarray of int64, shape (t,)
    """

    days: NDArray[np.datetime64]
    ic: NDArray[np.float64]
    num_names: NDArray[np.int64]


def ranks_within(groups: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rank of each value within its group, from 1; ties share their mean rank.

    Parameters
    ----------
    groups : ndarray of int64, shape (n,)
    values : ndarray of float64, shape (n,)
    """
    if len(values) == 0:
        return np.empty(0)
    order = np.lexsort((values, groups))
    g, v = groups[order], values[order]
    starts = np.flatnonzero(np.diff(g, prepend=g[0] - 1))
    begin = np.repeat(starts, np.diff(starts, append=len(g)))
    fresh = np.r_[True, (np.diff(v) != 0) | (np.diff(g) != 0)]
    tie = np.cumsum(fresh) - 1
    place = np.arange(len(g)) - begin + 1.0
    mean_place = np.bincount(tie, place) / np.bincount(tie)
    out = np.empty(len(values))
    out[order] = mean_place[tie]
    return out


def daily_rank_ic(
    days: NDArray[np.datetime64],
    scores: NDArray[np.float64],
    realised: NDArray[np.float64],
    min_names: int = MIN_NAMES,
) -> DailyIC:
    """Spearman correlation of scores with what was realised, date by date.

    Parameters
    ----------
    days, scores, realised : ndarray of shape (n,)
        One row a date and name; rows where either number is missing are left out.
    min_names : int
        Dates with fewer names are left out.
    """
    seen = np.isfinite(scores) & np.isfinite(realised)
    dates, group = np.unique(days[seen], return_inverse=True)
    x = ranks_within(group, np.asarray(scores, dtype=np.float64)[seen])
    y = ranks_within(group, np.asarray(realised, dtype=np.float64)[seen])
    count = np.bincount(group, minlength=len(dates))
    middle = ((count + 1) / 2.0)[group]
    sums = [np.bincount(group, product, len(dates)) for product in _products(x - middle, y - middle)]
    varied = (count >= min_names) & (sums[1] > 0.0) & (sums[2] > 0.0)
    ic = sums[0][varied] / np.sqrt(sums[1][varied] * sums[2][varied])
    return DailyIC(dates[varied], ic, count[varied])


def _products(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    return x * y, x * x, y * y


def rank_ic(
    days: NDArray[np.datetime64],
    scores: NDArray[np.float64],
    realised: NDArray[np.float64],
    *,
    min_names: int = MIN_NAMES,
    intervals: Intervals | None = None,
) -> Result:
    """Mean daily rank IC with an interval over dates.

    Parameters
    ----------
    days, scores, realised, min_names
        As in :func:`daily_rank_ic`.
    intervals : Bootstrap or LongRun, optional
        Blocks of dates when omitted. Where outcomes of neighbouring dates overlap, blocks give intervals that are too
        short: ask for ``LongRun(overlap)``.

    Raises
    ------
    ValueError
        When no date can be ranked.
    """
    daily = daily_rank_ic(days, scores, realised, min_names)
    if len(daily.ic) == 0:
        raise ValueError(f"no date has {min_names} names with a score and an outcome that vary")
    made = intervals or Bootstrap()
    low, high = made.interval(daily.ic)
    return Result("rank IC", float(daily.ic.mean()), 0.0, low, high, len(daily.ic), made.level)
