from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from prometheus.market.ingest import Intake

HEADER = "id,date,open,close,volume,seen\n"


@pytest.fixture
def prices(write: Any, ingest: Any, price_feed: Any) -> Callable[..., Intake]:
    def run(*rows: str) -> Intake:
        write("p.csv", HEADER + "\n".join(rows) + "\n")
        (intake,) = ingest(price_feed(known_at={"column": "seen"}))
        return intake

    return run


def taken(intake: Intake) -> list[tuple[Any, ...]]:
    return [(r["close"], r["volume"], r["known_at"].day) for r in intake.rows.to_pylist()]


def test_exact_repeats_are_dropped_and_counted(prices: Callable[..., Intake]) -> None:
    intake = prices(*["A,2024-01-02,1,2,3,2024-01-03"] * 3, "A,2024-01-04,1,2,3,2024-01-05")
    assert taken(intake) == [(2.0, 3.0, 3), (2.0, 3.0, 5)]
    assert dict(intake.tally.dropped) == {"exact duplicate": 2}
    assert intake.tally.offenders("dropped", "exact duplicate") == (("A", 2),)


def test_of_contradicting_rows_the_most_complete_stays(prices: Callable[..., Intake]) -> None:
    intake = prices("A,2024-01-02,1,2,3,2024-01-03", "A,2024-01-02,,9,,2024-01-03")
    assert taken(intake) == [(2.0, 3.0, 3)]
    assert intake.quarantined["source_row"].to_pylist() == [2]
    assert intake.quarantined["reason"].to_pylist() == ["contradicts another row of the same key"]


def test_among_equally_complete_rows_the_last_stays(prices: Callable[..., Intake]) -> None:
    intake = prices("A,2024-01-02,1,2,3,2024-01-03", "A,2024-01-02,1,9,3,2024-01-03")
    assert taken(intake) == [(9.0, 3.0, 3)]
    assert intake.quarantined["source_row"].to_pylist() == [1]


def test_a_nulled_field_makes_a_row_less_complete(prices: Callable[..., Intake]) -> None:
    intake = prices("A,2024-01-02,1,2,3,2024-01-03", "A,2024-01-02,1,2,-3,2024-01-03")
    assert taken(intake) == [(2.0, 3.0, 3)]
    assert intake.quarantined["source_row"].to_pylist() == [2]


def test_versions_are_kept_and_those_that_say_nothing_new_are_dropped(prices: Callable[..., Intake]) -> None:
    intake = prices(
        "A,2024-01-02,1,2,5,2024-01-06",
        "A,2024-01-02,1,2,3,2024-01-03",
        "A,2024-01-02,1,2,3,2024-01-04",
        "A,2024-01-02,1,2,4,2024-01-05",
    )
    assert taken(intake) == [(2.0, 3.0, 3), (2.0, 4.0, 5), (2.0, 5.0, 6)]
    assert dict(intake.tally.dropped) == {"unchanged later version": 1}


def test_a_value_that_returns_is_a_version(prices: Callable[..., Intake]) -> None:
    intake = prices("A,2024-01-02,1,2,3,2024-01-03", "A,2024-01-02,1,2,,2024-01-04", "A,2024-01-02,1,2,3,2024-01-05")
    assert taken(intake) == [(2.0, 3.0, 3), (2.0, None, 4), (2.0, 3.0, 5)]


def test_an_article_published_anew_on_another_day_is_a_version(write: Any, ingest: Any, news_feed: Any) -> None:
    line = '{{"id": "a", "at": "2024-01-0{}T10:00:00Z", "headline": "{}", "language": "EN"}}\n'
    write("n.jsonl", line.format(2, "x") + line.format(3, "x") + line.format(3, "x") + line.format(3, "y"))
    (intake,) = ingest(news_feed())
    assert [(r["as_of_date"].day, r["headline"]) for r in intake.rows.to_pylist()] == [(2, "x"), (3, "y")]
    assert intake.tally.counts == {
        "dropped: exact duplicate": 1,
        "quarantined: contradicts another row of the same key": 1,
    }


def test_duplicates_are_found_across_files_of_one_chunk(write: Any, ingest: Any, price_feed: Any) -> None:
    for name in ("a", "b"):
        write(f"{name}.csv", HEADER + "A,2024-01-02,1,2,3,2024-01-03\n")
    (intake,) = ingest(price_feed(known_at={"column": "seen"}))
    assert intake.files == ("a.csv", "b.csv")
    assert dict(intake.tally.dropped) == {"exact duplicate": 1}
