from __future__ import annotations

import datetime as dt
import math
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from prometheus.errors import BadDataError
from prometheus.lake.contract import COUNT, DAY, FLAG, REAL, TEXT, UTC
from prometheus.market.ingest.convert import mapped
from prometheus.market.ingest.model import ColumnRule
from prometheus.market.ingest.tally import FILE, STEM


def convert(values: Any, arrow: pa.DataType, target: str = "x", dtype: Any = None, **rule: Any) -> list[Any]:
    """Values as converted; the word 'unreadable' where something was given and nothing came out."""
    frame = pl.DataFrame({"a": pl.Series(values, dtype=dtype, strict=False)})
    found = mapped(frame, ColumnRule(columns=("a",), **rule), arrow, target)
    assert found is not None
    rows = frame.select(value=found[0], given=found[1]).rows()
    return ["unreadable" if given and value is None else value for value, given in rows]


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def test_numbers_from_text() -> None:
    given = ["1", " -2.50 ", "1,234.5", "12,345,678", "1e3", "+7", ".5"]
    assert convert(given, REAL) == [1.0, -2.5, 1234.5, 12345678.0, 1000.0, 7.0, 0.5]
    assert convert(["", "  ", "nan", "#N/A", "NULL", "n/a", "-", "None", None], REAL) == [None] * 9
    assert convert(["abc", "1,23", "1.2.3", "12,34,567"], REAL) == ["unreadable"] * 4
    assert convert(["inf", "-Infinity"], REAL) == [math.inf, -math.inf]


def test_decimal_commas_and_units() -> None:
    assert convert(["1,5", "1.234,5", "7"], REAL, decimal=",") == [1.5, 1234.5, 7.0]
    assert convert(["2", 3], REAL, scale=1000.0) == [2000.0, 3000.0]


def test_numbers_from_numbers() -> None:
    assert convert([1, None], REAL, dtype=pl.Int32) == [1.0, None]
    assert convert([1.5, math.nan], REAL) == [1.5, None]
    assert convert(["1.25"], REAL, dtype=pl.Decimal(10, 2)) == [1.25]
    assert convert([dt.date(2024, 1, 2)], REAL) == ["unreadable"]
    assert convert([3], COUNT) == [3]


def test_days_from_text_put_the_year_first() -> None:
    days = convert(["2024-01-02", "20240102", "2024/01/02", "2024-01-02 00:00:00", "2024-01-02T23:30:00Z"], DAY)
    assert days == [dt.date(2024, 1, 2)] * 5
    assert convert(["02/01/2024", "2024-13-01", "2024-02-30", "x"], DAY) == ["unreadable"] * 4
    assert convert(["", "NaT", None], DAY) == [None] * 3


def test_other_orders_need_a_format() -> None:
    assert convert(["02/01/2024", "2024-01-02"], DAY, formats=("%d/%m/%Y",)) == [dt.date(2024, 1, 2), "unreadable"]


def test_days_from_other_types() -> None:
    assert convert([20240102, 2024], DAY) == [dt.date(2024, 1, 2), "unreadable"]
    assert convert([20240102.0, None], DAY) == [dt.date(2024, 1, 2), None]
    late = [dt.datetime(2024, 1, 2, 3, tzinfo=dt.UTC)]
    assert convert(late, DAY) == [dt.date(2024, 1, 2)]
    assert convert(late, DAY, timezone="America/New_York") == [dt.date(2024, 1, 1)]
    assert convert([True], DAY) == ["unreadable"]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-03-01T14:05:06Z", "2024-03-01T14:05:06"),
        ("2024-03-01 14:05:06", "2024-03-01T14:05:06"),
        ("2024-03-01T14:05:06.123456", "2024-03-01T14:05:06.123456"),
        ("2024-03-01T14:05:06.5+02:00", "2024-03-01T12:05:06.500000"),
        ("2024-03-01T14:05-0500", "2024-03-01T19:05:00"),
        ("2024-03-01 14:05 UTC", "2024-03-01T14:05:00"),
        ("2024-03-01", "2024-03-01T23:59:59"),
        ("20240301", "2024-03-01T23:59:59"),
    ],
)
def test_instants_from_text(text: str, instant: str) -> None:
    assert convert([text], UTC) == [utc(instant)]


def test_instants_that_are_none() -> None:
    assert convert(["yesterday", "2024-03-01T25:00:00Z"], UTC) == ["unreadable"] * 2
    assert convert(["", None], UTC) == [None, None]
    assert convert([[1]], UTC) == ["unreadable"]


def test_zones_and_daylight_saving() -> None:
    zone = {"timezone": "America/New_York"}
    texts = ["2024-03-08 16:00:00", "2024-03-11 16:00:00", "2024-03-10 02:30:00", "2024-03-08"]
    winter, summer, never, day = convert(texts, UTC, **zone)
    assert (winter, summer) == (utc("2024-03-08T21:00:00"), utc("2024-03-11T20:00:00"))
    assert never == "unreadable"
    assert day == utc("2024-03-09T04:59:59")
    assert convert([dt.datetime(2024, 3, 8, 16)], UTC, **zone) == [utc("2024-03-08T21:00:00")]


def test_instants_from_other_types() -> None:
    assert convert([dt.date(2024, 3, 1)], UTC) == [utc("2024-03-01T23:59:59")]
    assert convert([1709301906], UTC) == ["unreadable"]
    assert convert([1709301906], UTC, unit="s") == [utc("2024-03-01T14:05:06")]
    assert convert([1709301906123], UTC, unit="ms") == [utc("2024-03-01T14:05:06.123")]
    assert convert(["01.03.2024 14:05"], UTC, formats=("%d.%m.%Y %H:%M",)) == [utc("2024-03-01T14:05:00")]
    assert convert(["01.03.2024"], UTC, formats=("%d.%m.%Y",)) == [utc("2024-03-01T23:59:59")]
    assert convert(["01.03.2024 14:05 +0100"], UTC, formats=("%d.%m.%Y %H:%M %z",)) == [utc("2024-03-01T13:05:00")]


def test_text_keeps_what_only_looks_like_nothing() -> None:
    assert convert([" NA ", "NAN", "na", "", "  ", None], TEXT) == ["NA", "NAN", "na", None, None, None]
    assert convert([7, None], TEXT) == ["7", None]
    assert convert(["a", "b"], TEXT, dtype=pl.Categorical) == ["a", "b"]


def test_codes_are_upper_case_and_languages_lose_their_region() -> None:
    assert convert(["en", "pt-BR", "ZH_cn"], TEXT, "language") == ["EN", "PT", "ZH"]
    assert convert(["usd"], TEXT, "currency") == ["USD"]
    assert convert(["usd"], TEXT, "headline") == ["usd"]


def test_flags() -> None:
    assert convert(["true", "No", "1", "0", "y", "maybe", ""], FLAG) == [
        True,
        False,
        True,
        False,
        True,
        "unreadable",
        None,
    ]
    assert convert([1, 0], FLAG) == [True, False]
    assert convert([True], FLAG) == [True]


def test_value_maps() -> None:
    stock = {"renames": (("STOCK", "EQUITY"),)}
    assert convert(["STOCK", "ETF", None], TEXT, **stock) == ["EQUITY", "ETF", None]
    assert convert(["STOCK", "WARRANT", None], TEXT, **stock, otherwise="OTHER") == ["EQUITY", "OTHER", None]
    assert convert(["AAPL.US", "BRK.B"], TEXT, strip_suffix=".US") == ["AAPL", "BRK.B"]


def test_the_first_column_that_holds_something_wins() -> None:
    frame = pl.DataFrame({"Close": ["", "2", "x"], "last": ["1", "9", "3"]})
    found = mapped(frame, ColumnRule(columns=("absent", "close", "last")), REAL, "close")
    assert found is not None
    assert frame.select(found[0].alias("v"))["v"].to_list() == [1.0, 2.0, 3.0]
    assert mapped(frame, ColumnRule(columns=("absent",)), REAL, "close") is None


def test_column_names_match_exactly_before_they_match_without_case() -> None:
    frame = pl.DataFrame({"CLOSE": ["1"], "close": ["2"]})
    for name, value in (("close", [2.0]), ("CLOSE", [1.0])):
        found = mapped(frame, ColumnRule(columns=(name,)), REAL, "close")
        assert found is not None
        assert frame.select(found[0].alias("v"))["v"].to_list() == value
    assert mapped(frame, ColumnRule(columns=("Close",)), REAL, "close") is None


def test_templates_are_null_where_a_part_is() -> None:
    frame = pl.DataFrame({"t": [" A ", None], STEM: ["f", "f"], FILE: ["d/f.csv", "d/f.csv"]})

    def filled(template: str) -> list[str | None] | None:
        found = mapped(frame, ColumnRule(template=template), TEXT, "x")
        return None if found is None else frame.select(found[0].alias("v"))["v"].to_list()

    assert filled("{t}.US") == ["A.US", None]
    assert filled("{stem}/{t}") == ["f/A", None]
    assert filled("{file}") == ["d/f.csv"] * 2
    assert filled("{absent}") is None


def test_constants() -> None:
    frame = pl.DataFrame({"a": [1, 2]})

    def constant(value: Any, arrow: pa.DataType) -> Any:
        found = mapped(frame, ColumnRule(value=value), arrow, "x")
        assert found is not None
        return frame.select(found[0].alias("v"))["v"][0]

    assert constant("USD", TEXT) == "USD"
    assert constant(dt.date(2024, 1, 2), DAY) == constant("2024-01-02", DAY) == dt.date(2024, 1, 2)
    assert constant(dt.date(2024, 1, 2), UTC) == constant("2024-01-02", UTC) == utc("2024-01-02T23:59:59")
    assert constant(False, FLAG) is False
    with pytest.raises(BadDataError, match="is no date"):
        constant("soon", DAY)
