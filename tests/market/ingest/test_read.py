from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prometheus.errors import BadDataError
from prometheus.market.ingest import Intake, Tally, Trading, load_map, read_source

CONF = Path(__file__).resolve().parents[3] / "conf" / "ingest"
YAHOO = "Date,Open,High,Low,Close,Adj Close,Volume\n"
Ingest = Callable[..., list[Intake]]


@pytest.fixture
def by_map(tmp_path: Path, trading: Trading) -> Callable[..., list[Intake]]:
    def run(name: str, **options: Any) -> list[Intake]:
        source = load_map(CONF / f"{name}.yaml")
        return list(read_source(source, tmp_path, trading=trading, today=dt.date(2024, 6, 28), **options))

    return run


def one(intakes: list[Intake], table: str) -> pa.Table:
    return pa.concat_tables([i.rows for i in intakes if i.table == table])


def test_yahoo_files_give_prices_and_a_listing_per_file(write: Any, by_map: Any) -> None:
    write("AAPL.csv", YAHOO + "2024-01-02,1,2,0.5,1.5,1.4,100\n2024-01-03,null,null,null,null,null,null\n")
    write("BRK-B.csv", YAHOO + "2024-01-04,1,2,0.5,1.5,1.4,100\n2024-01-03,1,2,0.5,1.5,1.4,100\n")
    intakes = by_map("yahoo_csv")
    prices = one(intakes, "prices_daily").to_pylist()
    assert [(r["instrument_id"], r["as_of_date"].day, r["adjusted_close"]) for r in prices] == [
        ("AAPL.US", 2, 1.4),
        ("BRK-B.US", 3, 1.4),
        ("BRK-B.US", 4, 1.4),
    ]
    assert {r["currency"] for r in prices} == {"USD"}
    assert prices[0]["known_at"] == dt.datetime(2024, 1, 2, 22, tzinfo=dt.UTC)
    listings = one(intakes, "instruments").to_pylist()
    assert [(r["instrument_id"], r["symbol"], r["valid_from"].day) for r in listings] == [
        ("AAPL.US", "AAPL", 2),
        ("BRK-B.US", "BRK-B", 3),
    ]
    assert [i.assumed for i in intakes] == ["", "assumed"]
    assert intakes[0].tally.counts == {"quarantined: neither close nor adjusted_close": 1}


def test_chunks_change_no_row(write: Any, by_map: Any) -> None:
    for n, name in enumerate("ABCD"):
        write(f"{name}.csv", YAHOO + f"2024-01-02,{n + 1},9,0.5,1.5,1.4,100\n2024-01-01,1,1,1,1,1,1\n")
    whole, parts = by_map("yahoo_csv"), by_map("yahoo_csv", chunk_bytes=1)
    assert (len(whole), len(parts)) == (2, 8)
    for table in ("prices_daily", "instruments"):
        assert one(whole, table).equals(one(parts, table))
    assert pa.concat_tables([i.quarantined for i in parts]).equals(whole[0].quarantined)
    summed = sum((i.tally for i in parts if i.table == "prices_daily"), Tally())
    assert summed.counts == whole[0].tally.counts
    assert (summed.read, summed.worst) == (whole[0].tally.read, whole[0].tally.worst)


def test_long_csv_with_all_its_parts(write: Any, by_map: Any) -> None:
    write("prices_2024.csv.gz", 'Ticker,Date,Close,Volume\nA.US,2024-01-02,1.5,"1,000"\n')
    write("instruments.csv", "instrument_id,first_date,symbol,asset_class\nA.US,2020-01-02,A,Stock\n")
    write(
        "news.csv", "article_id,published_at,headline,instrument_id\na,2024-01-02T10:00:00Z,h,A.US\nb,2024-01-02,h,\n"
    )
    intakes = by_map("long_csv")
    assert [(i.table, i.rows.num_rows) for i in intakes] == [
        ("prices_daily", 1), ("instruments", 1), ("news_articles", 2), ("news_links", 1),
    ]  # fmt: skip
    assert one(intakes, "prices_daily")["volume"].to_pylist() == [1000.0]
    assert one(intakes, "instruments")["asset_class"].to_pylist() == ["EQUITY"]
    absent = intakes[0].tally.counts
    assert absent["nulled: open: no column open in the file"] == 1


def test_long_csv_with_prices_alone(write: Any, by_map: Any) -> None:
    write("prices.csv", "symbol,trade_date,adj_close\nA.US,2024-01-02,1.5\n")
    (prices,) = by_map("long_csv")
    assert prices.rows["adjusted_close"].to_pylist() == [1.5]


def test_json_lines_news(write: Any, by_map: Any) -> None:
    write(
        "n.jsonl",
        '{"id": "a", "published_at": "2024-03-01T14:05:00Z", "headline": "h", "language": "en-US", "text": "b", '
        '"source": "S", "url": "u"}\n',
    )
    (articles,) = by_map("jsonl_news")
    (row,) = articles.rows.to_pylist()
    assert articles.table == "news_articles"
    assert (row["language"], row["body"], row["source"], row["url"]) == ("EN", "b", "S", "u")
    assert row["known_at"] == dt.datetime(2024, 3, 1, 14, 5, tzinfo=dt.UTC)
    assert articles.tally.counts == {}


def test_linked_json_lines_news_is_one_article_and_a_link_per_ticker(write: Any, by_map: Any) -> None:
    write(
        "n.jsonl",
        '{"id": "a", "published_at": "2024-03-01T14:05:00Z", "headline": "h", "tickers": ["X", "Y"]}\n'
        '{"id": "b", "published_at": "2024-03-01T15:05:00Z", "headline": "market", "tickers": []}\n',
    )
    links, articles = by_map("jsonl_news_linked")
    assert (links.table, articles.table) == ("news_links", "news_articles")
    assert links.rows["instrument_id"].to_pylist() == ["X.US", "Y.US"]
    assert links.rows["article_id"].to_pylist() == ["a", "a"]
    assert links.tally.counts == {"dropped: no entry in tickers": 1}
    assert articles.rows["article_id"].to_pylist() == ["a", "b"]


def test_linked_json_lines_news_without_tickers_is_refused_before_any_intake(
    write: Any, tmp_path: Path, trading: Trading
) -> None:
    write("n.jsonl", '{"id": "a", "published_at": "2024-03-01T14:05:00Z", "headline": "h"}\n')
    source = load_map(CONF / "jsonl_news_linked.yaml")
    with pytest.raises(BadDataError, match="no column tickers"):
        next(read_source(source, tmp_path, trading=trading, today=dt.date(2024, 6, 28)))


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("id,close", "as_of_date (from date)"),
        ("date,close", "instrument_id (from id)"),
        ("id,date,open", "close (from close), adjusted_close (from adjusted_close)"),
    ],
)
def test_a_missing_required_column_is_named_with_what_is_there(
    write: Any, ingest: Ingest, price_feed: Any, header: str, says: str
) -> None:
    write("p.csv", header + "\n" + ",".join("1" for _ in header.split(",")) + "\n")
    with pytest.raises(BadDataError) as refusal:
        ingest(price_feed())
    assert f"p.csv has no column for {says} of prices_daily; it has {header.replace(',', ', ')}" in str(refusal.value)


def test_a_missing_optional_column_is_counted(write: Any, ingest: Ingest, price_feed: Any) -> None:
    write("p.csv", "id,date,close\nA,2024-01-02,1\nB,2024-01-02,1\n")
    (intake,) = ingest(price_feed())
    assert intake.tally.nulled["volume: no column volume in the file"] == 2


def test_withdrawn_is_false_unless_the_source_says_so(write: Any, ingest: Ingest, price_feed: Any) -> None:
    write(
        "p.csv", "id,date,close,gone\nA,2024-01-02,1,true\nB,2024-01-02,1,\nC,2024-01-02,1,no\nD,2024-01-02,1,perhaps\n"
    )
    columns = {"instrument_id": "id", "as_of_date": "date", "close": "close"}
    assert ingest(price_feed(columns=columns))[0].rows["withdrawn"].to_pylist() == [False] * 4
    told = ingest(price_feed(columns=columns | {"withdrawn": "gone"}))[0]
    assert told.rows["withdrawn"].to_pylist() == [True, False, False]
    assert told.quarantined["reason"].to_pylist() == ["withdrawn is unreadable"]


def test_a_delta_table_is_read_through_the_reader_handed_in(tmp_path: Path, ingest: Ingest, price_feed: Any) -> None:
    (tmp_path / "prices").mkdir()
    rows = pa.table({"id": ["A"], "date": [dt.date(2024, 1, 2)], "close": pa.array([1.5], pa.float32())})
    (intake,) = ingest(price_feed(files="prices", format="delta"), delta=lambda path: rows)
    assert intake.rows["close"].to_pylist() == [1.5]
    assert intake.files == ("prices",)


def test_every_format_gives_the_same_rows(write: Any, ingest: Ingest, price_feed: Any) -> None:
    frame = pl.DataFrame({
        "id": ["A", "B", "B"],
        "date": [dt.date(2024, 1, 2), dt.date(2024, 1, 3), dt.date(2024, 1, 1)],
        "open": [0.1 + 0.2, None, 1.0],
        "close": [1 / 3, 2.0, 2.0],
        "volume": [10, None, 5],
    })  # fmt: skip
    write("p.csv", frame.write_csv())
    write("p.jsonl", frame.write_ndjson())
    write("p.parquet", frame)
    columns = {"instrument_id": "id", "as_of_date": "date", "open": "open", "close": "close", "volume": "volume"}
    csv, jsonl, parquet = (ingest(price_feed(files=f"p.{s}", columns=columns))[0] for s in ("csv", "jsonl", "parquet"))
    assert csv.rows.equals(parquet.rows)
    assert jsonl.rows.equals(parquet.rows)
    assert csv.tally.counts == jsonl.tally.counts == parquet.tally.counts == {"quarantined: not a session of XNYS": 1}


def test_worst_offenders_come_most_often_first(write: Any, ingest: Ingest, price_feed: Any) -> None:
    rows = [
        f"{who},2024-01-{day:02d},1,,,1,,-1"
        for who, days in (("A", 1), ("B", 3), ("C", 2))
        for day in range(2, 2 + days)
    ]
    write("p.csv", "id,date,open,high,low,close,adjusted_close,volume\n" + "\n".join(rows) + "\n")
    (intake,) = ingest(price_feed())
    assert intake.tally.offenders("nulled", "volume negative") == (("B", 3), ("C", 2), ("A", 1))


CELLS = st.sampled_from(["", "nan", "0", "-1", "1", "1.5", "2", "3", "inf", "x", "1,000"])
LINES = st.tuples(
    st.sampled_from(["A", "B", "", " A "]),
    st.sampled_from(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-06", "2030-01-01", "", "soon", "20240102"]),
    *[CELLS] * 6,
    st.sampled_from(["2024-01-03", "2024-01-04T00:00:00Z", "", "2023-01-01"]),
)


@given(lines=st.lists(LINES, min_size=1, max_size=25))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_rows_nothing_is_lost(
    write: Any, ingest: Ingest, price_feed: Any, lines: list[tuple[str, ...]]
) -> None:
    header = "id,date,open,high,low,close,adjusted_close,volume,seen\n"
    write("p.csv", header + "".join(",".join(f'"{c}"' for c in line) + "\n" for line in lines))
    (intake,) = ingest(price_feed(known_at={"column": "seen"}))
    frame = pl.DataFrame(pl.from_arrow(intake.rows))
    prices = frame.select("open", "high", "low", "close", "adjusted_close")
    assert frame.filter(pl.any_horizontal(pl.col(prices.columns) <= 0)).height == 0
    assert frame.filter((pl.col("high") < pl.col("close")) | (pl.col("low") > pl.col("close"))).height == 0
    assert frame.filter(pl.col("close").is_null() & pl.col("adjusted_close").is_null()).height == 0
    assert frame.filter((pl.col("known_at").dt.date() < pl.col("as_of_date")) | (pl.col("volume") < 0)).height == 0
    assert set(intake.quarantined["source_row"].to_pylist()) <= set(range(1, len(lines) + 1))
