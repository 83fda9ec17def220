"""Session lists kept in the lake: extended when asked for more, never rewritten."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from prometheus.clock import Sessions, exchange_sessions
from prometheus.lake import Lake
from prometheus.market import calendars
from prometheus.market.calendars import ensure_sessions, stored_sessions

FIRST, LAST = dt.date(2020, 3, 2), dt.date(2020, 6, 30)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path / "lake", create=True)


def same(a: Sessions, b: Sessions) -> bool:
    return a.calendar_id == b.calendar_id and all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in ("dates", "opens_at", "closes_at")
    )


def test_what_is_stored_is_what_the_library_says(lake: Lake) -> None:
    held = ensure_sessions(lake, "XNYS", FIRST, LAST)
    assert same(held.between(FIRST, LAST), exchange_sessions("XNYS", FIRST, LAST))
    assert held.dates[0] < np.datetime64(FIRST)
    assert held.dates[-1] > np.datetime64(LAST) + 360  # the next open of the last date, and room to grow
    stored = stored_sessions(lake, "XNYS")
    assert stored is not None
    assert same(stored, held)


def test_asking_again_writes_nothing(lake: Lake) -> None:
    ensure_sessions(lake, "XNYS", FIRST, LAST)
    version = lake.version("calendar_sessions")
    again = ensure_sessions(lake, "XNYS", FIRST + dt.timedelta(7), LAST + dt.timedelta(200))
    assert lake.version("calendar_sessions") == version
    assert len(again) == lake.count("calendar_sessions")


def test_extended_both_ways_without_a_gap(lake: Lake) -> None:
    ensure_sessions(lake, "XNYS", FIRST, LAST)
    ensure_sessions(lake, "XNYS", dt.date(2015, 1, 2), dt.date(2015, 2, 2))
    held = ensure_sessions(lake, "XNYS", dt.date(2023, 1, 3), dt.date(2023, 2, 2))
    first, last = held.dates[0].item(), held.dates[-1].item()
    assert first <= dt.date(2015, 1, 2)
    assert last >= dt.date(2023, 2, 2)
    assert same(held, exchange_sessions("XNYS", first, last))


def test_calendars_are_kept_apart(lake: Lake) -> None:
    assert stored_sessions(lake, "XETR") is None
    us, eu = (ensure_sessions(lake, name, FIRST, LAST) for name in ("XNYS", "XETR"))
    assert len(us) + len(eu) == lake.count("calendar_sessions")
    stored = stored_sessions(lake, "XNYS")
    assert stored is not None
    assert same(stored, us)


def test_a_library_that_changes_its_mind_does_not_move_what_is_held(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ensure_sessions(lake, "XNYS", FIRST, LAST)

    def changed(calendar_id: str, first: dt.date, last: dt.date) -> Sessions:
        found = exchange_sessions(calendar_id, first, last)
        return dataclasses.replace(found, closes_at=found.closes_at + np.timedelta64(1, "h"))

    monkeypatch.setattr(calendars, "exchange_sessions", changed)
    after = ensure_sessions(lake, "XNYS", dt.date(2019, 1, 2), dt.date(2023, 1, 3))
    assert same(after.between(before.dates[0].item(), before.dates[-1].item()), before)
    new = after.between(dt.date(2019, 1, 2), dt.date(2019, 12, 31))
    honest = exchange_sessions("XNYS", dt.date(2019, 1, 2), dt.date(2019, 12, 31))
    assert (new.closes_at - honest.closes_at == np.timedelta64(1, "h")).all()


def test_sessions_to_come_are_heard_again_when_the_list_grows(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closure announced for a day to come is heard; one told of a day that has passed is not."""
    today = dt.datetime.now(dt.UTC).date()
    held = ensure_sessions(lake, "XNYS", today - dt.timedelta(days=60), today)
    past, future = held.dates[5], held.dates[-5]

    def without(calendar_id: str, first: dt.date, last: dt.date) -> Sessions:
        real = exchange_sessions(calendar_id, first, last)
        keep = (real.dates != past) & (real.dates != future)
        return Sessions(calendar_id, real.dates[keep], real.opens_at[keep], real.closes_at[keep])

    monkeypatch.setattr(calendars, "exchange_sessions", without)
    grown = ensure_sessions(lake, "XNYS", today - dt.timedelta(days=400), today)
    assert past in grown.dates
    assert future not in grown.dates
    stored = stored_sessions(lake, "XNYS")
    assert stored is not None
    assert same(stored, grown)


def test_a_dry_run_stores_nothing_and_nobody_knows_the_far_future(lake: Lake) -> None:
    held = ensure_sessions(lake, "XNYS", FIRST, dt.date(2099, 1, 31), store=False)
    assert held.dates[-1] < np.datetime64(dt.datetime.now(dt.UTC).date() + dt.timedelta(days=800))
    assert stored_sessions(lake, "XNYS") is None
