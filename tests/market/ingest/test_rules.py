from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from prometheus.errors import BadDataError
from prometheus.market.ingest import Intake

HEADER = "id,date,open,high,low,close,adjusted_close,volume\n"
Ingest = Callable[..., list[Intake]]


@pytest.fixture
def prices(write: Any, ingest: Ingest, price_feed: Any) -> Callable[..., Intake]:
    def run(*rows: str, **changes: Any) -> Intake:
        write("p.csv", HEADER + "\n".join(rows) + "\n")
        (intake,) = ingest(price_feed(**changes))
        return intake

    return run


def row(intake: Intake) -> dict[str, Any]:
    (only,) = intake.rows.to_pylist()
    return only


@pytest.mark.parametrize(
    ("cells", "nulled", "reasons"),
    [
        ("10,12,9,11,11,100", (), {}),
        ("10,11,9,11,11,100", (), {}),
        ("10,10.9,9,11,11,100", ("high",), {"high below close": 1}),
        ("10,12,11.1,11,11,100", ("low",), {"low above close": 1}),
        ("10,10.5,11.5,11,11,100", ("high", "low"), {"high below close": 1, "low above close": 1}),
        ("10,9,11,,11,100", ("high", "low", "close"), {"high below low": 1}),
        ("13,12,9,11,11,100", ("open",), {"open outside high and low": 1}),
        ("8,12,9,11,11,100", ("open",), {"open outside high and low": 1}),
        ("0,12,9,11,11,100", ("open",), {"open zero or negative": 1}),
        ("10,0,9,11,11,100", ("high",), {"high zero or negative": 1}),
        ("10,12,-9,11,11,100", ("low",), {"low zero or negative": 1}),
        ("10,12,9,0,11,100", ("close",), {"close zero or negative": 1}),
        ("10,12,9,11,0,100", ("adjusted_close",), {"adjusted_close zero or negative": 1}),
        ("10,12,9,11,11,-1", ("volume",), {"volume negative": 1}),
        ("10,12,9,11,11,0", (), {}),
        ("10,12,9,11,11,inf", ("volume",), {"volume is not finite": 1}),
        ("ten,12,9,11,11,100", ("open",), {"open is unreadable": 1}),
        (",,,,11,", ("open", "high", "low", "close", "volume"), {}),
    ],
)
def test_a_bad_optional_price_is_nulled_and_counted(
    prices: Callable[..., Intake], cells: str, nulled: tuple[str, ...], reasons: dict[str, int]
) -> None:
    intake = prices(f"A.US,2024-01-02,{cells}")
    taken = row(intake)
    fields = ("open", "high", "low", "close", "adjusted_close", "volume")
    assert tuple(f for f in fields if taken[f] is None) == nulled
    assert dict(intake.tally.nulled) == reasons
    assert intake.quarantined.num_rows == 0
    for reason in reasons:
        assert intake.tally.offenders("nulled", reason) == (("A.US", 1),)


def test_printing_noise_is_no_contradiction(prices: Callable[..., Intake]) -> None:
    intake = prices("A.US,2024-01-02,10,11.0000000001,9,11.0000000002,11,100")
    assert intake.tally.counts == {}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("A.US,2024-01-02,,,,,,", "neither close nor adjusted_close"),
        ("A.US,2024-01-02,10,12,9,0,-1,100", "neither close nor adjusted_close"),
        (",2024-01-02,10,12,9,11,11,100", "instrument_id is empty"),
        ("A.US,,10,12,9,11,11,100", "as_of_date is empty"),
        ("A.US,02-2024,10,12,9,11,11,100", "as_of_date is unreadable"),
        (
            "A.US,02/01/2024,10,12,9,11,11,100",
            "as_of_date: which is the day and which the month is not known; say the format in the map",
        ),
        ("A.US,2024-01-01,10,12,9,11,11,100", "not a session of XNYS"),
        ("A.US,2024-01-06,10,12,9,11,11,100", "not a session of XNYS"),
        ("A.US,2024-07-01,10,12,9,11,11,100", "date in the future"),
        ("A.US,1024-01-02,10,12,9,11,11,100", "date before 1900"),
    ],
)
def test_a_row_that_cannot_be_taken_is_quarantined_with_its_reason(
    prices: Callable[..., Intake], line: str, reason: str
) -> None:
    intake = prices("B.US,2024-01-02,10,12,9,11,11,100", line)
    assert row(intake)["instrument_id"] == "B.US"
    (kept,) = intake.quarantined.to_pylist()
    assert (kept["table_name"], kept["source_file"], kept["source_row"]) == ("prices_daily", "p.csv", 2)
    assert kept["reason"] == reason
    assert dict(intake.tally.quarantined) == {reason: 1}
    as_read = pl.Series([kept["row_json"]]).str.json_decode(pl.Struct({"id": pl.String, "date": pl.String}))[0]
    expected = line.split(",")[:2]
    assert [as_read["id"] or "", as_read["date"] or ""] == expected


def test_a_refused_row_is_not_counted_among_the_nulled(prices: Callable[..., Intake]) -> None:
    intake = prices("A.US,2024-01-01,0,12,9,11,11,-5", "A.US,2024-01-02,10,12,9,11,11,5")
    assert dict(intake.tally.nulled) == {}


def test_fail_names_the_first_bad_row(prices: Callable[..., Intake]) -> None:
    with pytest.raises(BadDataError) as refusal:
        prices("A.US,2024-01-02,,,,1,,", "A.US,2024-01-01,,,,1,,", "A.US,,,,,1,,", on_bad_rows="fail")
    said = str(refusal.value)
    assert said.startswith("2 rows of the feed 'prices_daily from *.csv' cannot be taken")
    assert "row 2 of p.csv (not a session of XNYS)" in said
    assert "on_bad_rows: quarantine" in said


def test_fail_lets_nulled_fields_pass(prices: Callable[..., Intake]) -> None:
    assert prices("A.US,2024-01-02,0,12,9,11,11,5", on_bad_rows="fail").rows.num_rows == 1


def test_off_session_rows_can_be_kept(prices: Callable[..., Intake]) -> None:
    taken = row(prices("A.US,2024-01-06,10,12,9,11,11,5", off_session="keep"))
    assert taken["known_at"] == dt.datetime(2024, 1, 7, 0, 59, 59, tzinfo=dt.UTC)


def test_markets_come_from_a_column(write: Any, ingest: Ingest, price_feed: Any) -> None:
    write(
        "p.csv", "id,date,close,m\nA,2024-01-02,1,US_EQ\nB,2024-01-02,1,MARS\nC,2024-01-02,1,\nD,2024-01-01,1,EU_EQ\n"
    )
    (intake,) = ingest(price_feed(market={"column": "m"}))
    assert intake.rows["instrument_id"].to_pylist() == ["A"]
    assert intake.quarantined["reason"].to_pylist() == [
        "no calendar is declared for market MARS",
        "market is empty",
        "not a session of XETR",
    ]


def feed_of(table: str, columns: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {
        "table": table,
        "files": "*.csv",
        "columns": columns,
        "known_at": {"assume_known": "always"},
    } | options


@pytest.mark.parametrize(
    ("table", "header", "line", "reason"),
    [
        ("news_articles", "article_id,published_at,headline,body", "a,2024-01-02,, ", "neither headline nor body"),
        ("corporate_actions", "instrument_id,ex_date,kind,factor,amount", "A,2024-01-02,SPLIT,,", "neither factor nor amount"),
        ("corporate_actions", "instrument_id,ex_date,kind,factor,amount", "A,2024-01-02,SPLIT,0,", "neither factor nor amount"),
        ("corporate_actions", "instrument_id,ex_date,kind,factor,amount", "A,2024-01-02,SPIN,2,", "kind is none of SPLIT, DIVIDEND, ADJUSTMENT"),
        ("instruments", "instrument_id,valid_from,market_id,symbol,asset_class,currency", "A,2024-01-02,US_EQ,A,FUND,USD", "asset_class is none of EQUITY, ETF, INDEX"),
        ("fundamentals", "issuer_id,report_date,period_end,metric,value", "I,2024-01-02,2024-03-31,revenues,5", "report_date before period_end"),
        ("issuer_documents", "doc_id,issuer_id,kind,published_at,text", "d,I,8-K,2024-01-02,", "text is empty"),
        ("issuer_documents", "doc_id,issuer_id,kind,published_at,text", "d,I,20-F,2024-01-02,t", "kind is none of 10-K, 10-Q, 8-K, MD&A, TRANSCRIPT"),
        ("profiles", "issuer_id,as_of_date,business_description,employees", "I,2024-01-02,,", "the row says nothing"),
        ("macro_texts", "doc_id,published_at,body", "d,soon,text", "published_at is unreadable"),
    ],
)  # fmt: skip
def test_rules_of_the_other_tables(write: Any, ingest: Ingest, table: str, header: str, line: str, reason: str) -> None:
    write("x.csv", f"{header}\n{line}\n")
    (intake,) = ingest(feed_of(table, {c: c for c in header.split(",")}))
    assert intake.rows.num_rows == 0
    assert intake.quarantined["reason"].to_pylist() == [reason]


@pytest.mark.parametrize(
    ("table", "header", "line", "column", "reason"),
    [
        ("corporate_actions", "instrument_id,ex_date,kind,factor,amount", "A,2024-01-02,DIVIDEND,-1,0.5", "factor", "factor zero or negative"),
        ("instruments", "instrument_id,valid_from,market_id,symbol,asset_class,currency,valid_to", "A,2024-01-02,US_EQ,A,ETF,USD,2023-01-02", "valid_to", "valid_to before valid_from"),
        ("issuers", "issuer_id,valid_from,name,valid_to", "I,2024-01-02,Acme,2023-01-02", "valid_to", "valid_to before valid_from"),
        ("fundamentals", "issuer_id,report_date,period_end,metric,value,frequency", "I,2024-01-02,2023-12-31,revenues,5,M", "frequency", "frequency is neither Q nor A"),
        ("fundamentals", "issuer_id,report_date,period_end,metric,value,period_start", "I,2024-01-02,2023-12-31,revenues,5,2024-01-01", "period_start", "period_start after period_end"),
        ("news_links", "article_id,instrument_id,published_at,relevance", "a,A,2024-01-02,1.5", "relevance", "relevance outside 0..1"),
    ],
)  # fmt: skip
def test_bad_optional_fields_of_the_other_tables(
    write: Any, ingest: Ingest, table: str, header: str, line: str, column: str, reason: str
) -> None:
    write("x.csv", f"{header}\n{line}\n")
    (intake,) = ingest(feed_of(table, {c: c for c in header.split(",")}))
    assert row(intake)[column] is None
    assert dict(intake.tally.nulled) == {reason: 1}
