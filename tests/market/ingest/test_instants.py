from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from prometheus.clock import Sessions
from prometheus.errors import BadDataError
from prometheus.market.ingest import Intake, Trading

Ingest = Callable[..., list[Intake]]


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[misc, arg-type]


def known(ingest: Ingest, feed: dict[str, Any]) -> list[dt.datetime]:
    (intake,) = ingest(feed)
    return intake.rows["known_at"].to_pylist()


@pytest.fixture
def one_price(write: Any) -> None:
    write("p.csv", "id,date,close,seen\nA,2024-01-02,1,2024-01-03T05:00:00Z\n")


@pytest.mark.usefixtures("one_price")
@pytest.mark.parametrize(
    ("rule", "instant", "assumed"),
    [
        ("session_close", utc(2024, 1, 2, 21), ""),
        ({"session_close": True, "lag_minutes": 90}, utc(2024, 1, 2, 22, 30), ""),
        ({"column": "seen"}, utc(2024, 1, 3, 5), ""),
        ({"end_of_day": "as_of_date"}, utc(2024, 1, 2, 23, 59, 59), ""),
        ({"end_of_day": "as_of_date", "lag_days": 1}, utc(2024, 1, 3, 23, 59, 59), ""),
        ({"assume_known": "always"}, utc(1900, 1, 1), "assumed"),
        ({"assume_known": "2023-05-01"}, utc(2023, 5, 1), "assumed"),
    ],
)
def test_each_rule(ingest: Ingest, price_feed: Any, rule: Any, instant: dt.datetime, assumed: str) -> None:
    (intake,) = ingest(price_feed(known_at=rule))
    assert intake.rows["known_at"].to_pylist() == [instant]
    assert intake.assumed == assumed


@pytest.mark.usefixtures("one_price")
def test_a_map_may_say_that_its_lags_are_assumed(ingest: Ingest, price_feed: Any) -> None:
    (intake,) = ingest(price_feed(assumed=True))
    assert intake.assumed == "assumed"


def test_texts_are_known_when_published_and_days_only_at_their_end(write: Any, ingest: Ingest, news_feed: Any) -> None:
    write(
        "n.jsonl",
        '{"id": "a", "at": "2024-01-06T10:00:00-05:00", "headline": "h", "language": "en"}\n'
        '{"id": "b", "at": "2024-01-06", "headline": "h", "language": "en"}\n',
    )
    (intake,) = ingest(news_feed())
    rows = intake.rows.to_pylist()
    assert [r["known_at"] for r in rows] == [utc(2024, 1, 6, 15), utc(2024, 1, 6, 23, 59, 59)]
    assert [r["published_at"] for r in rows] == [r["known_at"] for r in rows]
    assert {r["as_of_date"] for r in rows} == {dt.date(2024, 1, 6)}


def test_as_of_date_is_the_utc_day_of_publication(write: Any, ingest: Ingest, news_feed: Any) -> None:
    write("n.jsonl", '{"id": "a", "at": "2024-01-05T22:00:00-05:00", "headline": "h", "language": "en"}\n')
    (intake,) = ingest(news_feed())
    assert intake.rows["as_of_date"].to_pylist() == [dt.date(2024, 1, 6)]


def test_rows_known_before_their_date_or_at_no_instant_are_refused(write: Any, ingest: Ingest, price_feed: Any) -> None:
    write(
        "p.csv",
        "id,date,close,seen\nA,2024-01-02,1,2024-01-01T23:59:59Z\nB,2024-01-02,1,2024-01-02T00:00:00Z\n"
        "C,2024-01-02,1,\nD,2024-01-02,1,soon\n",
    )
    (intake,) = ingest(price_feed(known_at={"column": "seen"}))
    assert intake.rows["instrument_id"].to_pylist() == ["B"]
    assert dict(intake.tally.quarantined) == {"known before its date": 1, "known_at is empty or unreadable": 2}


@pytest.mark.usefixtures("one_price")
def test_a_known_at_column_that_is_not_there_is_named(ingest: Ingest, price_feed: Any) -> None:
    with pytest.raises(BadDataError, match=r"p\.csv has no column collected_at, which known_at"):
        ingest(price_feed(known_at={"column": "collected_at"}))


def test_sessions_are_asked_for_once_per_span() -> None:
    asked: list[tuple[str, dt.date, dt.date]] = []

    def source(calendar_id: str, first: dt.date, last: dt.date) -> Sessions:
        from prometheus.clock import exchange_sessions

        asked.append((calendar_id, first, last))
        return exchange_sessions(calendar_id, first, last)

    trading = Trading(source=source)
    days = (dt.date(2015, 7, 2), dt.date(2015, 7, 6))
    closes = trading.closes("US_EQ", *days)
    assert closes["as_of_date"].to_list() == list(days)
    again = trading.closes("US_INDEX", *days)
    assert again["__closes_at"].to_list() == closes["__closes_at"].to_list()
    assert asked == [("XNYS", dt.date(2015, 1, 1), days[1])]


def test_early_closes_are_the_calendars(write: Any, price_feed: Any, tmp_path: Any) -> None:
    from prometheus.market.ingest import load_map, read_source

    write("p.csv", "id,date,close\nA,2015-11-26,1\nA,2015-11-27,1\nA,2015-11-30,1\n")
    (intake,) = read_source(load_map({"feeds": [price_feed()]}), tmp_path)
    assert intake.rows["known_at"].to_pylist() == [utc(2015, 11, 27, 19), utc(2015, 11, 30, 22)]
    assert intake.quarantined["reason"].to_pylist() == ["not a session of XNYS"]
