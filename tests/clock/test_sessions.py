"""Cut-offs against instants worked out by hand: half days, daylight saving, weekends, other continents."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from prometheus.clock import CutoffRule, Sessions, cutoffs, exchange_sessions, knowledge_index
from prometheus.errors import RequestError


def cutoff_of(calendar_id: str, day: str, rule: CutoffRule) -> str:
    on = dt.date.fromisoformat(day)
    sessions = exchange_sessions(calendar_id, on - dt.timedelta(days=14), on + dt.timedelta(days=14))
    at = int(sessions.positions(np.array([day], dtype="datetime64[D]"))[0])
    assert at >= 0, f"{day} is no session of {calendar_id}"
    return str(cutoffs(sessions, rule)[at])


@pytest.mark.parametrize(
    ("calendar_id", "day", "rule", "instant"),
    [
        # New York closes at 16:00, 21:00 UTC in winter; the day after Thanksgiving at 13:00, 18:00 UTC.
        ("XNYS", "2024-11-27", "session_close", "2024-11-27T21:00:00.000000"),
        ("XNYS", "2024-11-29", "session_close", "2024-11-29T18:00:00.000000"),
        ("XNYS", "2024-11-29", "end_of_day", "2024-11-29T23:59:59.999999"),
        # Clocks go forward on Sunday 2024-03-10: 16:00 is 21:00 UTC before and 20:00 UTC after.
        ("XNYS", "2024-03-08", "session_close", "2024-03-08T21:00:00.000000"),
        ("XNYS", "2024-03-11", "session_close", "2024-03-11T20:00:00.000000"),
        # The next open over a weekend is that of Monday, 9:30, 13:30 UTC in summer time; over Labor Day, of Tuesday.
        ("XNYS", "2024-03-08", "next_open", "2024-03-11T13:30:00.000000"),
        ("XNYS", "2024-08-30", "next_open", "2024-09-03T13:30:00.000000"),
        ("XNYS", "2024-08-30", "end_of_day", "2024-08-30T23:59:59.999999"),
        # Frankfurt closes at 17:30, 15:30 UTC in summer.
        ("XETR", "2024-07-01", "session_close", "2024-07-01T15:30:00.000000"),
        # Tokyo opens at 9:00, midnight UTC of the same date: the UTC day ends a microsecond before the next open.
        ("XTKS", "2024-06-06", "session_close", "2024-06-06T06:00:00.000000"),
        ("XTKS", "2024-06-06", "next_open", "2024-06-07T00:00:00.000000"),
        ("XTKS", "2024-06-06", "end_of_day", "2024-06-06T23:59:59.999999"),
        ("XTKS", "2024-06-07", "next_open", "2024-06-10T00:00:00.000000"),
        # Wellington opens at 10:00, 22:00 UTC of the day before: the next open comes before the UTC day ends.
        ("XNZE", "2024-06-05", "end_of_day", "2024-06-05T22:00:00.000000"),
        ("XNZE", "2024-06-07", "end_of_day", "2024-06-07T23:59:59.999999"),
    ],
)
def test_cutoffs_by_hand(calendar_id: str, day: str, rule: CutoffRule, instant: str) -> None:
    assert cutoff_of(calendar_id, day, rule) == instant


def test_the_last_session_has_no_successor() -> None:
    sessions = exchange_sessions("XNYS", dt.date(2024, 6, 3), dt.date(2024, 6, 5))
    assert str(cutoffs(sessions, "next_open")[-1]) == "2024-06-05T23:59:59.999999"
    assert str(cutoffs(sessions, "end_of_day")[-1]) == "2024-06-05T23:59:59.999999"


def test_cutoffs_ascend_and_are_not_before_the_close() -> None:
    for calendar_id in ("XNYS", "XETR", "XTKS", "XNZE"):
        sessions = exchange_sessions(calendar_id, dt.date(2019, 1, 1), dt.date(2024, 12, 31))
        for rule in ("end_of_day", "session_close", "next_open"):
            found = cutoffs(sessions, rule)
            assert (np.diff(found) > np.timedelta64(0)).all()
            assert (found >= sessions.closes_at).all()


def test_a_session_knows_what_was_known_at_its_cutoff_and_no_more() -> None:
    sessions = exchange_sessions("XNYS", dt.date(2024, 6, 3), dt.date(2024, 6, 7))
    at = cutoffs(sessions, "end_of_day")
    instants = np.array(
        ["2024-06-01T00:00", "2024-06-03T23:59:59.999999", "2024-06-04T00:00", "2024-06-08T12:00"],
        dtype="datetime64[us]",
    )
    assert knowledge_index(instants, at).tolist() == [0, 0, 1, 5]


def test_sessions_by_date_and_position() -> None:
    sessions = exchange_sessions("XNYS", dt.date(2024, 6, 17), dt.date(2024, 6, 21))
    days = np.array(["2024-06-16", "2024-06-17", "2024-06-19", "2024-06-20", "2024-06-30"], dtype="datetime64[D]")
    assert sessions.positions(days).tolist() == [-1, 0, -1, 2, -1]  # the 19th is Juneteenth
    assert len(sessions) == 4
    middle = sessions.between(dt.date(2024, 6, 18), dt.date(2024, 6, 20))
    assert middle.dates.astype(str).tolist() == ["2024-06-18", "2024-06-20"]
    assert len(sessions.between(dt.date(2024, 6, 19), dt.date(2024, 6, 19))) == 0
    assert sessions.slice(-3, 1).dates.astype(str).tolist() == ["2024-06-17"]
    nothing = Sessions("XNYS", days[:0], days[:0].astype("datetime64[us]"), days[:0].astype("datetime64[us]"))
    assert nothing.positions(days).tolist() == [-1] * 5


def test_refusals() -> None:
    with pytest.raises(RequestError, match="knows no calendar 'NOWHERE'"):
        exchange_sessions("NOWHERE", dt.date(2024, 1, 1), dt.date(2024, 2, 1))
    with pytest.raises(RequestError, match="cannot cover"):
        exchange_sessions("XNYS", dt.date(2024, 2, 1), dt.date(2024, 1, 1))
    with pytest.raises(RequestError, match="no cut-off rule 'noon'"):
        cutoffs(exchange_sessions("XNYS", dt.date(2024, 1, 2), dt.date(2024, 1, 3)), "noon")  # type: ignore[arg-type]
