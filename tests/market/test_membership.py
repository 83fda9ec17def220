from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa

from prometheus.clock import cutoffs
from prometheus.market.membership import NOBODY, build_membership, listed_as_known, membership_as_known
from tests.market_rows import instrument_table, weekdays

SESSIONS = weekdays(40)
CUTOFFS = cutoffs(SESSIONS)


def day(position: int) -> dt.date:
    return SESSIONS.dates[position].item()


def at(position: int) -> dt.datetime:
    return SESSIONS.closes_at[position].item().replace(tzinfo=dt.UTC)


def span(codes: np.ndarray) -> list[int]:
    held = np.flatnonzero(codes != NOBODY)
    return [int(held[0]), int(held[-1])] if len(held) else []


def test_a_row_holds_from_its_first_to_its_last_day() -> None:
    rows = [
        {"instrument_id": "A", "valid_from": day(3), "valid_to": day(20), "sector": "Energy"},
        {"instrument_id": "B", "delisted_on": day(9)},
        {"instrument_id": "C", "asset_class": "ETF"},
        {"instrument_id": "Z", "sector": "Tech"},
    ]
    roll = build_membership(instrument_table(rows), ("A", "B", "C", "D"), SESSIONS)
    assert roll.markets == ("US_EQ",)
    assert roll.sectors == ("US_EQ/Energy",)
    assert [span(row) for row in roll.market] == [[3, 20], [0, 9], [], []]
    assert [span(row) for row in roll.sector] == [[3, 20], [], [], []]


def test_the_later_of_overlapping_rows_holds() -> None:
    rows = [
        {"instrument_id": "A", "valid_from": day(0), "sector": "Energy"},
        {"instrument_id": "A", "valid_from": day(10), "sector": "Tech"},
    ]
    roll = build_membership(instrument_table(rows[::-1]), ("A",), SESSIONS)
    names = [roll.sectors[code] for code in roll.sector[0]]
    assert names == ["US_EQ/Energy"] * 10 + ["US_EQ/Tech"] * 30


def test_a_withdrawn_row_is_no_row() -> None:
    roll = build_membership(instrument_table([{"instrument_id": "A", "withdrawn": True}]), ("A",), SESSIONS)
    assert not span(roll.market[0])


def naive(versions: pa.Table, position: int) -> tuple[list[str | None], list[str | None]]:
    """What is known at one position, of the sessions up to it, the slow way."""
    known = [r for r in versions.to_pylist() if np.datetime64(r["known_at"].replace(tzinfo=None)) <= CUTOFFS[position]]
    latest = {}
    for row in sorted(known, key=lambda r: r["known_at"]):
        latest[row["instrument_id"], row["valid_from"]] = row
    table = pa.Table.from_pylist(list(latest.values()), schema=versions.schema)
    roll = build_membership(table, ("A", "B"), SESSIONS)
    return labels(roll, roll.market, roll.sector, position)


def labels(roll, market, sector, position: int) -> tuple[list, list]:
    return (
        [[roll.markets[c] if c >= 0 else None for c in row[: position + 1]] for row in market],
        [[roll.sectors[c] if c >= 0 else None for c in row[: position + 1]] for row in sector],
    )


def test_as_known_equals_the_slow_way_and_a_timely_delisting_is_no_update() -> None:
    rows = [
        {"instrument_id": "A", "valid_from": day(0), "sector": "Energy"},
        {"instrument_id": "A", "valid_from": day(0), "sector": "Energy", "delisted_on": day(25), "known_at": at(24)},
        {"instrument_id": "B", "valid_from": day(2), "sector": "Tech", "known_at": at(12)},
        {"instrument_id": "B", "valid_from": day(2), "sector": "Energy", "known_at": at(18)},
        {"instrument_id": "B", "valid_from": day(2), "withdrawn": True, "known_at": at(30)},
    ]
    versions = instrument_table(rows)
    for first in (0, 12, 20):
        roll, updates = membership_as_known(versions, ("A", "B"), SESSIONS, CUTOFFS, first)
        assert sorted(updates) == [k for k in (12, 18, 30) if k > first]
        market, sector = roll.market.copy(), roll.sector.copy()
        for t in range(first, len(SESSIONS)):
            for update in updates.get(t, []):
                market[update.name], sector[update.name] = update.market, update.sector
            assert labels(roll, market, sector, t) == naive(versions, t)


def listed(rows: list[dict[str, object]], market_id: str = "US_EQ", names: tuple[str, ...] = ("A",)) -> np.ndarray:
    return listed_as_known(instrument_table(rows), market_id, names, SESSIONS, CUTOFFS)


def runs(column: np.ndarray) -> list[tuple[int, int]]:
    """First and last session of each run of True."""
    edges = np.flatnonzero(np.diff(np.r_[False, column, False]))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def test_a_name_that_comes_back_was_gone_in_between() -> None:
    rows: list[dict[str, object]] = [
        {"instrument_id": "A", "known_at": at(5)},
        {"instrument_id": "A", "withdrawn": True, "known_at": at(10)},
        {"instrument_id": "A", "known_at": at(20)},
        {"instrument_id": "B", "known_at": at(7)},
    ]
    both = listed(rows, names=("A", "B"))
    assert [runs(column) for column in both.T] == [[(5, 9), (20, 39)], [(7, 39)]]
    assert runs(listed(rows[:2])[:, 0]) == [(5, 9)]


def test_a_name_is_of_the_market_whose_listing_began_last() -> None:
    rows: list[dict[str, object]] = [
        {"instrument_id": "A", "valid_from": day(2), "known_at": at(4)},
        {"instrument_id": "A", "valid_from": day(15), "market_id": "EU_EQ", "known_at": at(10)},
        {"instrument_id": "A", "valid_from": day(15), "market_id": "EU_EQ", "withdrawn": True, "known_at": at(30)},
    ]
    assert runs(listed(rows)[:, 0]) == [(4, 14), (30, 39)]
    assert runs(listed(rows, "EU_EQ")[:, 0]) == [(15, 29)]


def test_what_is_listed_on_a_day_follows_from_what_was_known_by_then() -> None:
    rng = np.random.default_rng(2)
    rows = [
        {
            "instrument_id": str(rng.choice(["A", "B", "C"])),
            "valid_from": day(int(rng.choice([0, 8, 16, 35]))),
            "market_id": str(rng.choice(["US_EQ", "EU_EQ"])),
            "withdrawn": bool(rng.random() < 0.3),
            "known_at": at(k),
        }
        for k in range(0, 40, 2)
    ]
    names = ("A", "B", "C")
    whole = {m: listed(rows, m, names) for m in ("US_EQ", "EU_EQ")}
    assert not (whole["US_EQ"] & whole["EU_EQ"]).any()
    assert all(held.any() and not held.all() for held in whole.values())
    for t in range(0, 40, 3):
        known = [r for r in rows if r["known_at"] <= at(t)]
        for market_id, held in whole.items():
            assert np.array_equal(listed(known, market_id, names)[: t + 1], held[: t + 1])


def test_listings_that_begin_and_are_heard_of_after_the_sessions_are_of_none() -> None:
    later = dt.datetime.combine(day(39), dt.time(), dt.UTC) + dt.timedelta(days=30)
    rows: list[dict[str, object]] = [
        {"instrument_id": "A", "valid_from": later.date(), "known_at": later},
        {"instrument_id": "A", "valid_from": later.date(), "known_at": later, "withdrawn": True},
        {"instrument_id": "B"},
    ]
    assert [runs(column) for column in listed(rows, names=("A", "B")).T] == [[], [(0, 39)]]
