from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from prometheus.errors import BadDataError
from prometheus.market.ingest import Intake

Ingest = Callable[..., list[Intake]]
LINKS = {
    "table": "news_links",
    "columns": {"article_id": "id", "instrument_id": {"template": "{tickers}.US"}, "published_at": "at"},
}


def fundamentals(**changes: Any) -> dict[str, Any]:
    feed = {
        "table": "fundamentals",
        "files": "f.*",
        "steps": [{"unpivot": {"columns": {"rev": "revenues", "eps": "eps"}}}],
        "columns": {
            "issuer_id": "id",
            "report_date": "reported",
            "period_end": "period",
            "metric": "metric",
            "value": "value",
        },
        "known_at": {"end_of_day": "report_date", "lag_days": 1},
    }
    return feed | changes


def test_one_article_about_three_names_is_one_article_and_three_links(
    write: Any, ingest: Ingest, news_feed: Any
) -> None:
    write(
        "n.jsonl",
        '{"id": "a", "at": "2024-01-02T10:00:00Z", "headline": "h", "tickers": ["X", "Y", "X", null, "Z"]}\n'
        '{"id": "b", "at": "2024-01-02T11:00:00Z", "headline": "h", "tickers": []}\n'
        '{"id": "c", "at": "2024-01-02T12:00:00Z", "headline": "h"}\n',
    )
    articles, links = ingest(news_feed(), news_feed(**LINKS, name="links", steps=[{"explode": {"column": "tickers"}}]))
    assert articles.rows["article_id"].to_pylist() == ["a", "b", "c"]
    assert links.rows["instrument_id"].to_pylist() == ["X.US", "Y.US", "Z.US"]
    assert (links.tally.read, links.tally.added) == (3, 2)
    assert dict(links.tally.dropped) == {"no entry in tickers": 2}


def test_tickers_as_text_are_cut(write: Any, ingest: Ingest, news_feed: Any) -> None:
    write("n.csv", "id,at,headline,tickers\na,2024-01-02T10:00:00Z,h, X| Y|\nb,2024-01-02T10:00:00Z,h,\n")
    step = [{"explode": {"column": "tickers", "separator": "|"}}]
    (links,) = ingest(news_feed(**LINKS, files="*.csv", steps=step))
    assert links.rows["instrument_id"].to_pylist() == ["X.US", "Y.US"]
    assert dict(links.tally.dropped) == {"no entry in tickers": 1}


@pytest.mark.parametrize(
    ("column", "says"), [("tickers", "a separator"), ("n", "neither lists nor text"), ("t", "no column t")]
)
def test_what_cannot_be_exploded_is_refused(write: Any, ingest: Ingest, news_feed: Any, column: str, says: str) -> None:
    write("n.jsonl", '{"id": "a", "at": "2024-01-02", "headline": "h", "tickers": "X", "n": 1}\n')
    with pytest.raises(BadDataError, match=says):
        ingest(news_feed(**LINKS, steps=[{"explode": {"column": column}}]))


def test_a_link_refused_for_one_ticker_does_not_hide_another(write: Any, ingest: Ingest, news_feed: Any) -> None:
    write("n.jsonl", '{"id": "a", "at": "never", "headline": "h", "tickers": ["X", "Y"]}\n')
    (links,) = ingest(news_feed(**LINKS, steps=[{"explode": {"column": "tickers"}}]))
    assert links.quarantined["reason"].to_pylist() == [
        "published_at is unreadable [X]",
        "published_at is unreadable [Y]",
    ]
    assert dict(links.tally.quarantined) == {"published_at is unreadable": 2}


def test_wide_figures_become_long_and_empty_cells_are_counted(write: Any, ingest: Ingest) -> None:
    write("f.csv", "id,reported,period,rev,eps\nI,2024-02-01,2023-12-31,5,\nJ,2024-02-01,2023-12-31,1.5,x\n")
    (intake,) = ingest(fundamentals())
    rows = [(r["issuer_id"], r["metric"], r["value"]) for r in intake.rows.to_pylist()]
    assert rows == [("I", "revenues", 5.0), ("J", "revenues", 1.5)]
    assert intake.rows["known_at"].to_pylist()[0] == dt.datetime(2024, 2, 2, 23, 59, 59, tzinfo=dt.UTC)
    assert intake.quarantined["reason"].to_pylist() == ["value is empty or unreadable [eps]"]
    assert dict(intake.tally.dropped) == {"eps is empty": 1}
    assert (intake.tally.read, intake.tally.added) == (2, 2)


def test_numbers_unpivot_without_turning_into_text(write: Any, ingest: Ingest) -> None:
    day = dt.date(2024, 2, 1)
    write("f.parquet", pl.DataFrame({
        "id": ["I"], "reported": [day], "period": [day], "rev": [5], "eps": [float("nan")],
    }))  # fmt: skip
    (intake,) = ingest(fundamentals())
    assert intake.rows["value"].to_pylist() == [5.0]
    assert dict(intake.tally.dropped) == {"eps is empty": 1}


def test_cells_of_one_bad_row_keep_quarantine_keys_apart(write: Any, ingest: Ingest) -> None:
    write("f.csv", "id,reported,period,rev,eps\n,2024-02-01,2023-12-31,5,6\n")
    (intake,) = ingest(fundamentals())
    assert intake.quarantined["reason"].to_pylist() == ["issuer_id is empty [eps]", "issuer_id is empty [revenues]"]


def test_where_keeps_some_and_counts_the_others(write: Any, ingest: Ingest, price_feed: Any) -> None:
    write("p.csv", "id,date,close,kind\nA,2024-01-02,1,x\nB,2024-01-02,1, y \nC,2024-01-02,1,z\nD,2024-01-02,1,\n")
    (some,) = ingest(price_feed(steps=[{"where": {"column": "kind", "values": ["x", "y"]}}]))
    assert some.rows["instrument_id"].to_pylist() == ["A", "B"]
    assert dict(some.tally.dropped) == {"kind is not x or y": 2}
    (filled,) = ingest(price_feed(steps=[{"where": {"column": "kind"}}]))
    assert filled.rows["instrument_id"].to_pylist() == ["A", "B", "C"]
    assert dict(filled.tally.dropped) == {"kind is empty": 1}


def test_a_feed_that_keeps_no_row_is_an_empty_table(write: Any, ingest: Ingest, price_feed: Any) -> None:
    write("p.csv", "id,date,close,kind\nA,2024-01-02,1,x\n")
    (none,) = ingest(price_feed(steps=[{"where": {"column": "kind", "values": ["q"]}}]))
    assert none.rows.num_rows == none.quarantined.num_rows == 0


def listing(**step: Any) -> dict[str, Any]:
    return {
        "table": "instruments",
        "files": "*.csv",
        "steps": [{"first_by": step}],
        "columns": {
            "instrument_id": "id",
            "valid_from": "date",
            "market_id": {"value": "US_EQ"},
            "symbol": "id",
            "asset_class": {"value": "EQUITY"},
            "currency": {"value": "USD"},
        },
        "known_at": {"assume_known": "always"},
    }


def test_first_by_date_finds_the_start_of_each_name_across_files(write: Any, ingest: Ingest) -> None:
    write("a.csv", "id,date\nA,2024-01-04\nB,2024-01-03\nA,2024-01-02\n")
    write("b.csv", "id,date\nB,2024-01-02\n")
    (intake,) = ingest(listing(keys=["id"], order="date"), chunk_bytes=1)
    assert [(r["symbol"], r["valid_from"].day) for r in intake.rows.to_pylist()] == [("A", 2), ("B", 2)]
    assert dict(intake.tally.dropped) == {"another row of the same id": 2}
    assert intake.assumed == "assumed"


def test_first_by_orders_days_not_letters(write: Any, ingest: Ingest) -> None:
    write("a.csv", "id,date\nA,01/03/2024\nA,15/02/2024\n")
    feed = listing(keys=["id"], order="date", format="%d/%m/%Y")
    feed["columns"]["valid_from"] = {"column": "date", "format": "%d/%m/%Y"}
    (intake,) = ingest(feed)
    assert intake.rows["valid_from"].to_pylist() == [dt.date(2024, 2, 15)]


def test_a_step_that_names_a_missing_column_says_so(write: Any, ingest: Ingest, price_feed: Any) -> None:
    write("p.csv", "id,date,close\nA,2024-01-02,1\n")
    with pytest.raises(
        BadDataError, match=r"p\.csv has no column kind, which the feed .* needs; it has id, date, close\."
    ):
        ingest(price_feed(steps=[{"where": {"column": "kind"}}]))
