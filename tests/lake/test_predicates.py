"""Filters as SQL text that Delta and DuckDB read alike."""

from __future__ import annotations

import datetime as dt
from typing import Any

import duckdb
import numpy as np
import pytest

import prometheus.lake.predicates as module
from prometheus.lake.predicates import condition, date_condition, literal, too_many


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (-0.5, "-0.5"),
        (np.int64(7), "7"),
        (np.float64(0.25), "0.25"),
        (dt.date(2024, 2, 29), "'2024-02-29'"),
        (dt.datetime(2024, 1, 1, 23, 30, tzinfo=dt.UTC), "TIMESTAMPTZ '2024-01-01T23:30:00+00:00'"),
        (dt.datetime(2024, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2))), "TIMESTAMPTZ '2023-12-31T23:00:00+00:00'"),
        ("O'Neil", "'O''Neil'"),
        ("", "''"),
    ],
)  # fmt: skip
def test_literals(value: Any, text: str) -> None:
    assert literal(value) == text


def test_a_conjunction_of_equals_and_lists() -> None:
    assert condition({}) == "true"
    assert condition({"a": "x"}) == "a = 'x'"
    assert condition({"a": ["x"]}) == "a = 'x'"
    assert condition({"a": b"x"}) == "a = 'b''x'''", "bytes are one value"
    assert condition({"a": ["x", "y"], "b": 1}) == "a IN ('x', 'y') AND b = 1"
    assert condition({"a": "x", "b": []}) == "false", "one of none is nothing"


def test_long_lists_say_their_bounds_too() -> None:
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in range(21)]
    bounds = "day >= '2024-01-01' AND day <= '2024-01-21'"
    assert condition({"day": days[::-1]}).endswith(f") AND {bounds}")
    assert ">=" not in condition({"day": days[:20]})


def test_a_list_too_long_for_delta_is_said_by_its_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in range(22)]
    monkeypatch.setattr(module, "_MOST_LISTED", 21)
    assert condition({"a": "x", "day": days}, loosely=True) == "a = 'x' AND day >= '2024-01-01' AND day <= '2024-01-22'"
    assert condition({"day": days[1:]}, loosely=True) == condition({"day": days[1:]})
    assert " IN (" in condition({"day": days})
    assert too_many(days)
    assert not too_many(days[1:])
    assert not too_many("a text is one value, however long")


def test_a_range_of_dates_holds_both_ends() -> None:
    assert date_condition(None) == "true"
    kept = date_condition((dt.date(2024, 1, 2), dt.date(2024, 1, 4)), "day")
    rows = duckdb.sql(
        "SELECT day::VARCHAR FROM (SELECT unnest(range(DATE '2024-01-01', DATE '2024-01-07', INTERVAL 1 DAY))::DATE AS day) "
        f"WHERE {kept} ORDER BY day"
    ).fetchall()
    assert [r[0] for r in rows] == ["2024-01-02", "2024-01-03", "2024-01-04"]
    assert date_condition((dt.date(2024, 1, 2), dt.date(2024, 1, 4))).startswith("as_of_date >= ")
