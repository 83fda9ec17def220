"""Raw rows: corrections are versions, re-deliveries change nothing, reading as of an instant sees what was known."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa

from prometheus.lake import Lake, contract
from tests.lake_rows import days_from, price_rows

DAY = dt.date(2020, 1, 2)
LATER = dt.datetime(2020, 6, 1, 12, tzinfo=dt.UTC)


def test_redelivery_is_unchanged(lake: Lake) -> None:
    rows = price_rows(days_from(DAY, 5), ["A", "B"])
    assert lake.deliver("prices_daily", rows).new == 10
    again = lake.deliver("prices_daily", rows)
    assert (again.new, again.corrected, again.unchanged) == (0, 0, 10)
    assert lake.version("prices_daily") == 1


def test_a_correction_is_known_from_its_delivery(lake: Lake) -> None:
    lake.deliver("prices_daily", price_rows([DAY], ["A", "B"], close=100.0))
    done = lake.deliver("prices_daily", price_rows([DAY], ["A"], close=101.0), now=LATER)
    assert (done.new, done.corrected, done.unchanged) == (0, 1, 0)
    before = lake.read("prices_daily", as_of=LATER - dt.timedelta(seconds=1), where={"instrument_id": "A"})
    after = lake.read("prices_daily", as_of=LATER, where={"instrument_id": "A"})
    assert before["close"].to_pylist() == [100.0]
    assert after["close"].to_pylist() == [101.0]
    assert lake.count("prices_daily") == 3


def test_the_corrected_file_delivered_again_is_unchanged(lake: Lake) -> None:
    lake.deliver("prices_daily", price_rows([DAY], ["A"], close=100.0))
    lake.deliver("prices_daily", price_rows([DAY], ["A"], close=101.0), now=LATER)
    again = lake.deliver("prices_daily", price_rows([DAY], ["A"], close=101.0), now=LATER + dt.timedelta(days=1))
    assert (again.new, again.corrected, again.unchanged) == (0, 0, 1)


def test_nothing_is_known_before_it_was(lake: Lake) -> None:
    lake.deliver("prices_daily", price_rows(days_from(DAY, 3), ["A"]))
    seen = lake.read("prices_daily", as_of=dt.datetime(2020, 1, 3, 20, tzinfo=dt.UTC))
    assert seen["as_of_date"].to_pylist() == [DAY]


def test_withdrawn_rows_are_gone_from_then_on(lake: Lake) -> None:
    rows = price_rows([DAY], ["A"])
    lake.deliver("prices_daily", rows)
    at = rows.schema.get_field_index("withdrawn")
    lake.deliver("prices_daily", rows.set_column(at, rows.schema.field(at), pa.array([True])), now=LATER)
    assert lake.read("prices_daily").num_rows == 0
    assert lake.read("prices_daily", as_of=LATER - dt.timedelta(days=1)).num_rows == 1


def _article(published: dt.datetime, headline: str) -> pa.Table:
    row = {
        "as_of_date": published.date(),
        "article_id": "a1",
        "published_at": published,
        "source": None,
        "language": "EN",
        "headline": headline,
        "body": None,
        "url": None,
        "known_at": published,
        "withdrawn": False,
    }
    return pa.Table.from_pylist([row], schema=contract("news_articles").schema)


def test_a_moved_publication_date_leaves_no_twin(lake: Lake) -> None:
    lake.deliver("news_articles", _article(dt.datetime(2020, 1, 2, 9, tzinfo=dt.UTC), "first"))
    lake.deliver("news_articles", _article(dt.datetime(2020, 1, 5, 9, tzinfo=dt.UTC), "second"))
    latest = lake.read("news_articles")
    assert latest["headline"].to_pylist() == ["second"]
    early = lake.read("news_articles", as_of=dt.datetime(2020, 1, 3, tzinfo=dt.UTC))
    assert early["headline"].to_pylist() == ["first"]


def test_the_sql_view_shows_the_latest_and_every_version(lake: Lake) -> None:
    lake.deliver("prices_daily", price_rows([DAY], ["A"], close=100.0))
    lake.deliver("prices_daily", price_rows([DAY], ["A"], close=101.0), now=LATER)
    con = lake.connect()
    assert con.sql("select close from prices_daily").fetchall() == [(101.0,)]
    assert con.sql("select count(*) from prices_daily__versions").fetchall() == [(2,)]
    old = lake.connect({"prices_daily": 1})
    assert old.sql("select close from prices_daily").fetchall() == [(100.0,)]
