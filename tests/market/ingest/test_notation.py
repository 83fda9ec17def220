"""Numbers and dates in other notations: read when the file proves what they mean, else left unread."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus.market.ingest import Intake, Tally
from prometheus.market.ingest.convert import dated_of, number_of, unsure_of
from prometheus.market.ingest.notation import read_dates, read_numbers
from prometheus.market.ingest.tally import FILE

Ingest = Callable[..., list[Intake]]


def numbers(cells: list[str | None]) -> list[float | None]:
    frame = pl.DataFrame({FILE: ["f"] * len(cells), "x": pl.Series(cells, dtype=pl.String)})
    return read_numbers(frame, ["x"], Tally())[number_of("x")].to_list()


def year_first(cells: list[str | None]) -> list[str | None]:
    frame = pl.DataFrame({FILE: ["f"] * len(cells), "x": pl.Series(cells, dtype=pl.String)})
    read = read_dates(frame, "x", Tally())
    return read[dated_of("x") if dated_of("x") in read.columns else "x"].to_list()


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("cells", "read"),
    [
        (["1", "-2.5", "+3", ".5", "1e3"], [1.0, -2.5, 3.0, 0.5, 1000.0]),
        (["1,234", "12,345,678"], [1234.0, 12345678.0]),
        (["1.234", "12.345"], [1.234, 12.345]),
        (["1.234", "0,5"], [1234.0, 0.5]),
        (["1.234.567"], [1234567.0]),
        (["1234,5", "-7"], [1234.5, -7.0]),
        (["1,2345"], [1.2345]),
        (["1.234,5", "1,234.5", "1.234", "7"], [1234.5, 1234.5, None, 7.0]),
        (["12,34,567", "1,23,4", "abc", "1.2.3"], [None] * 4),
        (["1 234,5", "1'234"], [1234.5, 1234.0]),
        (["", "nan", "-", None, "#N/A"], [None] * 5),
        (["inf"], [float("inf")]),
    ],
)
def test_numbers(cells: list[str | None], read: list[float | None]) -> None:
    assert numbers(cells) == read


@pytest.mark.parametrize(
    ("cells", "read"),
    [
        (["1/3/2024", "23/1/2024"], ["2024-03-01", "2024-01-23"]),
        (["1/3/2024", "1/23/2024"], ["2024-01-03", "2024-01-23"]),
        (["13.1.2024 9:05", "1.2.2024 14:05:06"], ["2024-01-13T09:05:00", "2024-02-01T14:05:06"]),
        (["1/23/2024 2:05 PM", "1/2/2024, 12:30 am"], ["2024-01-23T14:05:00", "2024-01-02T00:30:00"]),
        (["1/23/2024 12:00:01 P.M."], ["2024-01-23T12:00:01"]),
        (["Fri, 01 Mar 2024 14:05:06 GMT", "Sat, 2 Mar 2024 14:05:06 +0100"], ["2024-03-01T14:05:06GMT", "2024-03-02T14:05:06+0100"]),
        (["March 1st, 2024", "2nd April 2024", "Sept 3 2024", "4-SEP-2024", "05Oct2024"], ["2024-03-01", "2024-04-02", "2024-09-03", "2024-09-04", "2024-10-05"]),
        (["2024/3/1 14:05", "2024.03.01"], ["2024-03-01T14:05:00", "2024-03-01"]),
        (["2024-03-01", "20240301", "", "nan", None], ["2024-03-01", "20240301", "", "nan", None]),
    ],
)  # fmt: skip
def test_dates_are_written_year_first(cells: list[str | None], read: list[str | None]) -> None:
    assert year_first(cells) == read


def test_what_cannot_be_told_apart_is_flagged_and_nothing_else() -> None:
    cells = ["03/04/2024", "05/05/2024", "13/13/2024", "soon", "2024-01-02", None, "00/01/2024"]
    frame = pl.DataFrame({FILE: ["f"] * len(cells), "x": cells})
    assert read_dates(frame, "x", Tally())[unsure_of("x")].to_list() == [True] + [False] * 6


def test_proof_does_not_cross_files() -> None:
    frame = pl.DataFrame(
        {FILE: ["a", "a", "b", "c", "c"], "x": ["1/2/2024", "1/23/2024", "1/2/2024", "1/2/2024", "23/1/2024"]}
    )
    assert read_dates(frame, "x", Tally())[dated_of("x")].to_list() == [
        "2024-01-02", "2024-01-23", "1/2/2024", "2024-02-01", "2024-01-23",
    ]  # fmt: skip


@given(
    values=st.lists(st.decimals(0, 10**7, places=2), min_size=1, max_size=20),
    comma=st.booleans(),
    grouped=st.booleans(),
)
@settings(max_examples=80)
def test_numbers_of_two_decimals_are_read_whatever_mark_they_have(
    values: list[Any], comma: bool, grouped: bool
) -> None:
    written = [f"{v:,.2f}" if grouped else f"{v:.2f}" for v in values]
    swap = str.maketrans(",.", ".,")
    assert numbers([w.translate(swap) if comma else w for w in written]) == [float(v) for v in values]


@given(
    days=st.lists(st.dates(dt.date(1950, 1, 1), dt.date(2049, 12, 31)), min_size=1, max_size=12),
    month_first=st.booleans(),
    mark=st.sampled_from("/-. "),
)
@settings(max_examples=80)
def test_a_date_is_read_right_or_not_at_all(days: list[dt.date], month_first: bool, mark: str) -> None:
    order = f"%m{mark}%d{mark}%Y" if month_first else f"%d{mark}%m{mark}%Y"
    cells = [d.strftime(order) for d in days]
    read = year_first(cells)
    proved = any(d.day > 12 for d in days)
    for cell, day, got in zip(cells, days, read, strict=True):
        assert got == (day.isoformat() if proved or day.day == day.month else cell)


def news(at: Any) -> dict[str, Any]:
    columns = {"article_id": "id", "published_at": at, "headline": "id"}
    return {"table": "news_articles", "files": "n.csv", "columns": columns, "known_at": "published_at"}


@pytest.mark.parametrize(
    ("cell", "rule", "instant"),
    [
        ("1709301906", {"unit": "s"}, "2024-03-01T14:05:06"),
        ("1709301906.5", {"unit": "s"}, "2024-03-01T14:05:06.500000"),
        ("1709301906123", {"unit": "ms"}, "2024-03-01T14:05:06.123"),
        ("01.03.2024 14:05", {"format": ["%Y-%m-%d", "%d.%m.%Y %H:%M"]}, "2024-03-01T14:05:00"),
        ("2024-03-01", {"format": ["%Y-%m-%d", "%d.%m.%Y %H:%M"]}, "2024-03-01T23:59:59"),
        ("01-MAR-24", {"format": "%d-%b-%y"}, "2024-03-01T23:59:59"),
        ("3/13/2024 9:05 AM", {"timezone": "America/New_York"}, "2024-03-13T13:05:00"),
        ("Fri, 01 Mar 2024 14:05:06 +0100", {}, "2024-03-01T13:05:06"),
        ("2024-3-1 9:05", {}, "2024-03-01T09:05:00"),
    ],
)
def test_instants_of_a_csv(write: Any, ingest: Ingest, cell: str, rule: dict[str, Any], instant: str) -> None:
    write("n.csv", f'id,at\na,"{cell}"\n')
    (intake,) = ingest(news({"column": "at", **rule}))
    assert intake.rows["published_at"].to_pylist() == [utc(instant)]


def test_a_count_beyond_its_unit_is_no_instant(write: Any, ingest: Ingest) -> None:
    write("n.csv", "id,at\na,1709301906000000000\n")
    for unit in ("s", "ms", "us"):
        (intake,) = ingest(news({"column": "at", "unit": unit}))
        assert intake.quarantined["reason"].to_pylist() == ["published_at is unreadable"]


NAIVE = "noted: published_at names no time zone and counts as UTC; the map can say timezone: America/New_York"
DAY = "noted: published_at is a day without a time and counts as its last second in UTC; the map can say timezone: America/New_York"


@pytest.mark.parametrize(
    ("cells", "rule", "counts"),
    [
        (["2024-03-01 14:05:06", "2024-03-01T14:05:06Z", "2024-03-01"], {}, {NAIVE: 1, DAY: 1}),
        (["2024-03-01 14:05:06+01:00", "2024-03-01 14:05 UTC", "Fri, 01 Mar 2024 14:05:06 GMT"], {}, {}),
        (["1/23/2024 9:05 AM"], {}, {NAIVE: 1}),
        (["2024-03-01 14:05:06", "2024-03-01"], {"timezone": "UTC"}, {}),
        (["2024-03-01 14:05:06"], {"timezone": "America/New_York"}, {}),
        (["1709301906"], {"unit": "s"}, {}),
        (["01.03.2024", "01.03.2024 14:05"], {"format": ["%d.%m.%Y", "%d.%m.%Y %H:%M"]}, {NAIVE: 1, DAY: 1}),
        (["01.03.2024 14:05 +0100"], {"format": "%d.%m.%Y %H:%M %z"}, {}),
        (["yesterday", "2024-03-01 14:05:06"], {}, {NAIVE: 1}),
    ],
)
def test_instants_without_a_zone_are_counted(
    write: Any, ingest: Ingest, cells: list[str], rule: dict[str, Any], counts: dict[str, int]
) -> None:
    write("n.csv", "id,at\n" + "".join(f'{i},"{cell}"\n' for i, cell in enumerate(cells)))
    (intake,) = ingest(news({"column": "at", **rule}))
    noted = {r: n for r, n in intake.tally.counts.items() if r.startswith("noted: published_at")}
    assert noted == counts


def test_instants_of_parquet_without_a_zone_are_counted(write: Any, ingest: Ingest, price_feed: Any) -> None:
    at = [dt.datetime(2024, 3, 1, 14), dt.datetime(2024, 3, 1, 15)]
    write("n.parquet", pl.DataFrame({"id": ["a", "b"], "at": at}))
    assert ingest(news("at") | {"files": "n.parquet"})[0].tally.counts == {NAIVE: 2}
    write("n.parquet", pl.DataFrame({"id": ["a", "b"], "at": [x.replace(tzinfo=dt.UTC) for x in at]}))
    assert ingest(news("at") | {"files": "n.parquet"})[0].tally.counts == {}
    write(
        "n.parquet",
        pl.DataFrame({"id": ["a", "b"], "date": [dt.date(2024, 3, 1)] * 2, "close": [1.0, 2.0], "seen": at}),
    )
    known = price_feed(files="n.parquet", known_at={"column": "seen"})
    reason = NAIVE.replace("published_at", "known_at")
    assert ingest(known)[0].tally.counts[reason] == 2


def test_a_session_is_the_date_as_written_unless_the_map_names_a_zone(
    write: Any, ingest: Ingest, price_feed: Any
) -> None:
    """Midnight in Tokyo is the evening before in UTC; the session is the one that is written."""
    write("p.csv", "id,date,close\nA,2024-01-04 00:00:00+09:00,1\n")
    assert ingest(price_feed())[0].rows["as_of_date"].to_pylist() == [dt.date(2024, 1, 4)]
    zone = {"column": "date", "timezone": "UTC"}
    (moved,) = ingest(price_feed(columns={"instrument_id": "id", "as_of_date": zone, "close": "close"}))
    assert moved.rows["as_of_date"].to_pylist() == [dt.date(2024, 1, 3)]
    local = pl.Series([dt.datetime(2024, 1, 3, 15, tzinfo=dt.UTC)]).dt.convert_time_zone("Asia/Tokyo")
    write("p.parquet", pl.DataFrame({"id": ["A"], "date": local, "close": [1.0]}))
    assert ingest(price_feed(files="p.parquet"))[0].rows["as_of_date"].to_pylist() == [dt.date(2024, 1, 4)]


def test_unpivoted_cells_are_read_as_columns_are(write: Any, ingest: Ingest) -> None:
    write("f.csv", "date;a;b\n2024-01-02;1.234;0,5\n")
    feed = {
        "table": "factors_daily",
        "files": "f.csv",
        "steps": [{"unpivot": {"columns": ["a", "b"], "name": "n", "value": "v"}}],
        "columns": {"factor_id": "n", "as_of_date": "date", "value": "v"},
        "known_at": {"assume_known": "always"},
    }
    assert ingest(feed)[0].rows["value"].to_pylist() == [1234.0, 0.5]


def test_words_for_nothing_make_no_names_and_no_text(write: Any, ingest: Ingest) -> None:
    lines = ["nan,x", "None,x", "NULL,x", "#N/A,x", "-,x", "NAN,x", "NA,x", "a,nan", "b,None", "c,NULL"]
    write("n.csv", "id,text\n" + "\n".join(lines) + "\n")
    columns = {"article_id": {"template": "{id}.US"}, "published_at": {"value": "2024-01-02"}, "headline": "text"}
    feed = {"table": "news_articles", "files": "n.csv", "columns": columns, "known_at": "published_at"}
    (intake,) = ingest(feed)
    assert intake.rows["article_id"].to_pylist() == ["NA.US", "NAN.US"]
    reasons = intake.quarantined["reason"].to_pylist()
    assert sorted(set(reasons)) == ["article_id is empty", "neither headline nor body"]
    assert reasons.count("article_id is empty") == 5


def test_lists_and_objects_are_no_text(write: Any, ingest: Ingest) -> None:
    write(
        "n.parquet",
        pl.DataFrame(
            {"id": ["a"], "at": [dt.date(2024, 1, 2)], "h": [["x"]], "b": [{"v": 1}], "u": [b"\xff"], "n": [[b"x"]]}
        ),
    )
    columns = {"article_id": "id", "published_at": "at", "headline": "h", "body": "b", "url": "u", "source": "id"}
    feed = {"table": "news_articles", "files": "n.parquet", "columns": columns, "known_at": "published_at"}
    (intake,) = ingest(feed)
    assert intake.quarantined["reason"].to_pylist() == ["neither headline nor body"]
    assert {r: n for r, n in intake.tally.nulled.items() if "unreadable" in r} == {
        f"{c} is unreadable": 1 for c in ("headline", "body", "url")
    }
    assert '"u":"ff"' in intake.quarantined["row_json"][0].as_py()
