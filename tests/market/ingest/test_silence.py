"""What files do not say: told apart from what they empty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from prometheus.market.ingest import Intake

HEAD = "id,date,open,high,low,close,adjusted_close,volume\n"
LISTING = {
    "table": "instruments",
    "files": "*.csv",
    "columns": {
        "instrument_id": "id",
        "valid_from": "from",
        "valid_to": "to",
        "sector": "sector",
        "market_id": {"value": "US_EQ"},
        "symbol": "id",
        "asset_class": {"value": "EQUITY"},
        "currency": {"value": "USD"},
    },
    "known_at": {"assume_known": "always"},
}


def flags(intake: Intake, column: str) -> list[bool]:
    mask = intake.silent.get(column)
    return [False] * intake.rows.num_rows if mask is None else mask.tolist()


def test_a_column_no_file_has_and_one_the_map_leaves_out_say_nothing(write: Any, ingest: Any, price_feed: Any) -> None:
    write("p.csv", "id,date,close\nA,2024-01-02,10\nB,2024-01-02,11\n")
    (intake,) = ingest(price_feed())
    for column in ("volume", "adjusted_close", "open", "currency", "withdrawn"):
        assert flags(intake, column) == [True, True], column
    assert flags(intake, "close") == [False, False]


def test_each_row_by_its_own_file(write: Any, ingest: Any, price_feed: Any) -> None:
    write("a.csv", HEAD + "A,2024-01-02,10,12,9,11,11,100\n")
    write("b.csv", "id,date,close\nB,2024-01-02,11\n")
    (intake,) = ingest(price_feed())
    assert intake.rows["instrument_id"].to_pylist() == ["A", "B"]
    assert flags(intake, "volume") == [False, True]


def test_an_empty_cell_of_a_filled_column_is_a_statement(write: Any, ingest: Any, price_feed: Any) -> None:
    write("p.csv", HEAD + "A,2024-01-02,10,12,9,11,11,\nB,2024-01-02,10,12,9,11,,100\n")
    (intake,) = ingest(price_feed())
    assert flags(intake, "volume") == [False, False]
    assert flags(intake, "adjusted_close") == [False, False]


def test_an_empty_column_says_nothing(write: Any, ingest: Any, price_feed: Any) -> None:
    write("p.csv", HEAD + "A,2024-01-02,10,12,9,11,,100\nB,2024-01-02,10,12,9,11,null,100\n")
    (intake,) = ingest(price_feed())
    assert flags(intake, "adjusted_close") == [True, True]


def test_a_cell_that_cannot_be_read_says_nothing(write: Any, ingest: Any, price_feed: Any) -> None:
    write("p.csv", HEAD + "A,2024-01-02,10,12,9,11,11,many\nB,2024-01-02,10,12,9,11,11,100\n")
    (intake,) = ingest(price_feed())
    assert flags(intake, "volume") == [True, False]


def test_an_empty_date_says_that_there_is_none_where_the_file_has_the_column(write: Any, ingest: Any) -> None:
    """A listing whose end was a mistake is corrected by an empty valid_to; a list without ends corrects none."""
    write("a.csv", "id,from,to,sector\nA,2020-01-02,,\n")
    write("b.csv", "id,from,sector\nB,2020-01-02,Energy\n")
    (intake,) = ingest(LISTING)
    assert flags(intake, "valid_to") == [False, True]
    assert flags(intake, "sector") == [True, False]


@pytest.mark.parametrize(
    ("rule", "own"),
    [
        ({"session_close": True, "lag_minutes": 60}, False),
        ({"end_of_day": "as_of_date"}, False),
        ({"assume_known": "always"}, False),
        ({"assume_known": "2024-02-01"}, True),
        ({"column": "seen"}, True),
    ],
)
def test_whether_known_at_dates_the_version(
    write: Any, ingest: Callable[..., list[Intake]], price_feed: Any, rule: dict[str, Any], own: bool
) -> None:
    write("p.csv", HEAD.strip() + ",seen\nA,2024-01-02,10,12,9,11,11,100,2024-01-03T12:00:00Z\n")
    (intake,) = ingest(price_feed(known_at=rule))
    assert intake.own_instants is own


def test_a_news_file_dates_articles_and_not_versions(write: Any, ingest: Any, news_feed: Any) -> None:
    write("n.jsonl", '{"id": "a", "at": "2024-01-02T10:00:00Z", "headline": "h", "language": "en"}\n')
    assert ingest(news_feed())[0].own_instants is False


def test_a_withdrawn_row_need_not_say_what_it_said(write: Any, ingest: Any, price_feed: Any) -> None:
    write("p.csv", HEAD.strip() + ",gone\nA,2024-01-02,,,,,,,yes\nB,2024-01-02,10,12,9,11,11,100,\n")
    (intake,) = ingest(price_feed(columns=price_feed()["columns"] | {"withdrawn": "gone"}))
    assert intake.rows["withdrawn"].to_pylist() == [True, False]
    assert flags(intake, "withdrawn") == [False, False]
    assert intake.quarantined.num_rows == 0
