"""Which scopes have rows in common, and which days count as done by what the book says of them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest

from prometheus.lake import Lake, contract
from prometheus.runtime.done import DONE, STALE_INPUTS, STALE_ROWS, STALE_SETTINGS, TAKEN_BACK, Book, overlap
from prometheus.runtime.withdrawal import WITHDRAWN


@pytest.mark.parametrize(
    ("scope", "other", "common"),
    [
        ("NEWS/EN", "NEWS/*", True),
        ("NEWS/EN", "NEWS/DE", False),
        ("MACRO/US/SPEECH", "MACRO/*/*", True),
        ("MACRO/US/*", "MACRO/*/SPEECH", True),
        ("MACRO/US/*", "MACRO/EU/*", False),
        ("MACRO/US/*", "MACRO/US/MINUTES/FOMC", True),
        ("MACRO/US/SPEECH", "NEWS/*", False),
        ("US_EQ/INSTRUMENT", "US_EQ/MARKET", False),
        ("US", "US", True),
        ("A.B/*", "AXB/C", False),
    ],
)
def test_overlap(scope: str, other: str, common: bool) -> None:
    assert overlap(scope, other) == overlap(other, scope) == common


DAY, WRITTEN = dt.date(2024, 1, 2), dt.datetime(2024, 2, 1, tzinfo=dt.UTC)
Line = tuple[str, str, str, bool]
"""Scope, fingerprint, input digest, whether the whole scope was made."""


def status_after(root: Path, *lines: Line, minutes: list[int] | None = None) -> dict[str, str]:
    """Status of the scopes, made with ``code`` from ``rows``, when the book has these lines, a minute apart."""
    lake = Lake.open(root / "lake", create=True)
    after = minutes or list(range(len(lines)))
    for number, (minute, (scope, fingerprint, made_from, complete)) in enumerate(zip(after, lines, strict=True)):
        row = {
            "stage": "toy",
            "variant": "v0",
            "scope": scope,
            "as_of_date": DAY,
            "run_id": f"run {number}",
            "recorded_at": WRITTEN + dt.timedelta(minutes=minute),
            "code_version": "1",
            "settings_digest": "settings",
            "fingerprint": fingerprint,
            "num_keys": 1,
            "num_skipped": 0,
            "complete": complete,
            "input_digest": made_from,
        }
        lake.append("lineage", pa.Table.from_pylist([row], schema=contract("lineage").schema))
    scopes = list(dict.fromkeys(scope for scope, *_ in lines))
    book = Book.of(lake, "toy", "v0", "settings", dict.fromkeys(scopes, (DAY,)))
    assert book.latest == WRITTEN + dt.timedelta(minutes=max(after))
    found = book.status("code", {(scope, DAY): "rows" for scope in scopes})
    assert all(day == DAY for _, day in found)
    return {scope: status for (scope, _), status in found.items()}


MADE: Line = ("US", "code", "rows", True)
BEGUN: Line = ("US", "code", "rows", False)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([MADE], DONE),
        ([("US", "older code", "rows", True)], STALE_SETTINGS),
        ([("US", "code", "older rows", True)], STALE_INPUTS),
        ([MADE, ("US", WITHDRAWN, WITHDRAWN, True)], TAKEN_BACK),
        ([("US", "code", "older rows", True), MADE], DONE),
        ([MADE, ("US", "code", "newer rows", True)], STALE_INPUTS),
        # A run of some names, or one that was killed: of the same rows it changed nothing, of others it may have.
        ([MADE, BEGUN], DONE),
        ([MADE, ("US", "code", "other rows", False)], STALE_ROWS),
        ([MADE, ("US", "other code", "rows", False)], STALE_ROWS),
        ([MADE, ("US", "code", "other rows", False), BEGUN], STALE_ROWS),
        ([("US", "code", "other rows", False), MADE], DONE),
        ([MADE, ("US", "code", "other rows", False), MADE], DONE),
    ],
)
def test_what_the_book_says_of_a_day(tmp_path: Path, lines: list[Line], status: str) -> None:
    assert status_after(tmp_path, *lines) == {"US": status}


def test_a_day_only_begun_is_not_in_the_book(tmp_path: Path) -> None:
    assert status_after(tmp_path, BEGUN) == {}


def test_lines_count_by_when_they_were_written(tmp_path: Path) -> None:
    """The begun line was written first, whatever the order of the rows in the table."""
    assert status_after(tmp_path, MADE, ("US", "code", "other rows", False), minutes=[5, 1]) == {"US": DONE}


def test_one_scope_begun_again_leaves_the_others_done(tmp_path: Path) -> None:
    of_europe = ("EU", *MADE[1:])
    assert status_after(tmp_path, of_europe, MADE, ("US", "code", "other rows", False)) == {
        "EU": DONE,
        "US": STALE_ROWS,
    }


def test_a_scope_that_takes_in_another_made_with_another_encoder(tmp_path: Path) -> None:
    english, all_languages = ("NEWS/EN", "code", "rows", True), ("NEWS/*", "other encoder", "all rows", True)
    assert status_after(tmp_path / "after", english, all_languages)["NEWS/EN"] == STALE_ROWS
    assert status_after(tmp_path / "before", all_languages, english)["NEWS/EN"] == DONE
    same_encoder = ("NEWS/*", "code", "all rows", True)
    assert status_after(tmp_path / "same", english, same_encoder)["NEWS/EN"] == DONE
