"""Weeks that end between two cuts with their outcomes over."""

from __future__ import annotations

import datetime as dt

import numpy as np

from prometheus.clock import exchange_sessions
from prometheus.stages.cuts import new_week_ends

CUT, NEXT = dt.date(2019, 12, 31), dt.date(2020, 12, 31)


def ends(before: dt.date | None, cut: dt.date, horizon: int, begin: dt.date = dt.date(2019, 11, 25)) -> list[dt.date]:
    dates = exchange_sessions("XNYS", dt.date(2019, 10, 1), cut).dates
    places, last_before = new_week_ends(dates, begin, before, horizon)
    assert (dates[last_before] == np.datetime64(before)) if before else last_before == -1
    found: list[dt.date] = dates[places].tolist()
    return found


def test_a_week_ends_with_its_last_session_once_another_has_begun() -> None:
    # Good Friday and the Fourth of July on a Friday end a week on Thursday; the last week of 2019 goes on into 2020.
    assert ends(None, CUT, 5) == [
        dt.date(2019, 11, 29),
        dt.date(2019, 12, 6),
        dt.date(2019, 12, 13),
        dt.date(2019, 12, 20),
    ]
    spring = ends(CUT, dt.date(2020, 7, 31), 5, dt.date(2020, 4, 6))
    assert dt.date(2020, 4, 9) in spring
    assert dt.date(2020, 7, 2) in spring
    assert all(day.weekday() == 4 for day in spring if day not in {dt.date(2020, 4, 9), dt.date(2020, 7, 2)})


def test_each_week_counts_at_the_first_cut_by_which_it_is_over() -> None:
    first, second = ends(None, CUT, 21), ends(CUT, NEXT, 21)
    assert first == [dt.date(2019, 11, 29)]
    assert second[0] == dt.date(2019, 12, 6)
    assert not set(first) & set(second)
    assert sorted(first + second) == ends(None, NEXT, 21)


def test_an_outcome_that_is_over_on_the_very_cut_is_known_by_it() -> None:
    dates = exchange_sessions("XNYS", dt.date(2019, 10, 1), CUT).dates
    last_week = int(np.searchsorted(dates, np.datetime64("2019-12-20")))
    reach = len(dates) - 1 - last_week
    assert ends(None, CUT, reach)[-1] == dt.date(2019, 12, 20)
    assert ends(None, CUT, reach + 1)[-1] == dt.date(2019, 12, 13)
