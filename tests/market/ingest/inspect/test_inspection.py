"""What is proposed for a file, and that the proposal loads it."""

from __future__ import annotations

import datetime as dt
import gzip
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from prometheus.errors import BadDataError, RequestError
from prometheus.market.ingest import Trading, load_map, read_source
from prometheus.market.ingest.inspect import inspect_file
from prometheus.market.ingest.inspect.names import ROLES, plain, rank
from prometheus.market.ingest.inspect.tables import SPECS, WIDE_FACTORS
from prometheus.market.ingest.inspect.writing import as_yaml

TODAY = dt.date(2024, 6, 28)
YAHOO = "Date,Open,High,Low,Close,Adj Close,Volume\n2024-01-02,10,12,9,11,10.5,100\n2024-01-03,10,12,9,11,10.5,100\n"


@dataclass(frozen=True)
class Case:
    """A file, the tables it fills with how many rows, rules of the first feed, and words among the checks."""

    file: str
    content: str | bytes
    rows: dict[str, int]
    columns: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)
    says: tuple[str, ...] = ()


def parquet(**columns: list[Any]) -> bytes:
    out = io.BytesIO()
    pl.DataFrame(columns).write_parquet(out)
    return out.getvalue()


PRICES = {"prices_daily": 2, "instruments": 1}
OHLC = {
    "open": "Open",
    "high": "High",
    "low": "Low",
    "close": "Close",
    "adjusted_close": "Adj Close",
    "volume": "Volume",
}
CASES = [
    Case("AAPL.csv", YAHOO, PRICES, {"instrument_id": {"template": "{stem}.US"}, "as_of_date": "Date", **OHLC}, {"files": "*.csv"}, ("the file's name does: AAPL",)),
    Case("BRK-B.csv.gz", gzip.compress(YAHOO.encode()), PRICES, {"instrument_id": {"template": "{stem}.US"}}, {"files": "*.csv.gz"}),
    Case("spx history.csv", YAHOO, PRICES, {"instrument_id": {"template": "{stem}.US"}}, {"files": "spx history.csv"}, ("is no ticker",)),
    Case("^GSPC.csv", YAHOO, PRICES, {"instrument_id": {"template": "{stem}"}}, {"market": "US_INDEX"}),
    Case("long.csv", "ticker,trade_date,o,h,l,last,vol,ccy\nA,2024-01-02,10,12,9,11,100,USD\nB,2024-01-02,10,12,9,11,100,USD\n", {"prices_daily": 2, "instruments": 2}, {"instrument_id": {"template": "{ticker}.US"}, "as_of_date": "trade_date", "close": "last", "volume": "vol", "currency": "ccy"}, says=(".US is put behind them", "no adjusted close")),
    Case("ids.csv", "symbol,timestamp,close\nA.US,2024-01-02,11\nB.US,2024-01-03,12\n", {"prices_daily": 2, "instruments": 2}, {"instrument_id": "symbol", "as_of_date": "timestamp"}),
    Case("xetra.csv", "Ticker;Date;Close;Volume\nSAP.DE;02.01.2024;1.234,50;12.345\nSAP.DE;23.01.2024;138,9;1.200.345\n", PRICES, {"instrument_id": "Ticker", "currency": {"value": "EUR"}}, {"market": "EU_EQ"}),
    Case("london.csv", "RIC,Date,Close\nVOD.L,2024-01-02,1\nBP.L,2024-01-02,2\n", {"prices_daily": 2, "instruments": 2}, {"instrument_id": "RIC"}, says=("a market that conf/calendar does not declare",)),
    Case("crsp.csv", "PERMNO,date,PRC,VOL\n10001,20240102,12.5,100\n10002,20240102,3.5,100\n", {"prices_daily": 2, "instruments": 2}, {"instrument_id": "PERMNO", "as_of_date": "date", "close": "PRC"}),
    Case("epoch.csv", "date,symbol,close\n1704153600,A,1\n1704240000,A,2\n", PRICES, {"as_of_date": {"column": "date", "unit": "s"}}),
    Case("oracle.csv", "date,symbol,close\n02-JAN-24,A,1\n23-JAN-24,A,2\n", PRICES, {"as_of_date": {"column": "date", "format": "%d-%b-%y"}}),
    Case("unsure.csv", "date,symbol,close\n03/01/2024,A,1\n04/01/2024,A,2\n", {"prices_daily": 0, "instruments": 0}, {"as_of_date": "date"}, says=("which is the day and which the month cannot be known",)),
    Case("nohead.csv", "A,2024-01-02,10,12,9,11,10000\nA,2024-01-03,10,12,9,11,10000\n", PRICES, {"close": "close", "volume": "volume", "instrument_id": {"template": "{ticker}.US"}}, {"header": ["ticker", "date", "open", "high", "low", "close", "volume"]}, ("no header line",)),
    Case("yf.csv", "Price,Close,Close,High,High\nTicker,A,B,A,B\nDate,,,,\n2024-01-02,1,2,3,4\n", {"prices_daily": 2, "instruments": 2}, {"instrument_id": {"template": "{Ticker}.US"}, "as_of_date": "Date"}),
    Case("above.txt", "Source: X\n\nTicker|Date|Close\nA|2024-01-02|1\nA|2024-01-03|2\n", PRICES, {"close": "Close"}),
    Case("p.parquet", parquet(sym=["A.US", "A.US"], session=[1, 2], date=[dt.date(2024, 1, 2), dt.date(2024, 1, 3)], adj=[1.0, 2.0], adj_close=[1.0, 2.0]), PRICES, {"instrument_id": "sym", "adjusted_close": "adj_close"}),
    Case("p.jsonl", '{"ticker": "A", "date": "2024-01-02", "close": 1}\n{"ticker": "A", "date": "2024-01-03", "close": null}\n', {"prices_daily": 1, "instruments": 1}, {"close": "close"}),
    Case("versions.csv", "ticker,date,close,adj_close,collected_at\nA,2024-01-02,1,1,2024-01-03T12:00:00Z\nA,2024-01-02,2,1,2024-01-04T12:00:00Z\n", {"prices_daily": 2, "instruments": 1}, {"close": "close"}, {"known_at": {"column": "collected_at"}}, ("several collected versions",)),
    Case("news.csv", "id,time,title,content,tickers,link\nn1,2024-01-02 09:15:00,Apple is cut to underweight,A broker cut its rating of it.,AAPL;MSFT,u1\nn2,2024-01-02 14:00:00,Stocks slip on a slow day,The market fell a lot.,,u2\n", {"news_articles": 2, "news_links": 2}, {"article_id": "id", "published_at": "time", "headline": "title", "body": "content", "url": "link"}, says=("names no time zone and counts as UTC",)),
    Case("latin.csv", "id,time,title\nn1,2024-01-02T09:15:00Z,Café de la Paix est ouvert\nn2,2024-01-02T09:15:00Z,Société Générale monte\n".encode("cp1252"), {"news_articles": 2}, {"headline": "title"}, {"encoding": "windows-1252"}, ("windows-1252 is a guess", "news of the market alone")),
    Case("tweets.parquet", parquet(article_id=["1-A", "1-B", "2-A"], source_article_id=["1", "1", "2"], published_at=[dt.datetime(2024, 1, 2, tzinfo=dt.UTC)] * 3, instrument_id=["A.US", "B.US", "A.US"], text=["one and two and so on", "one and two and so on", "three and four and more"]), {"news_articles": 2, "news_links": 3}, {"article_id": "source_article_id", "body": "text"}, says=("one article, and one link for each name",)),
    Case("lists.jsonl", '{"guid": "a", "pubDate": "Fri, 01 Mar 2024 14:05:06 GMT", "title": "Some words on two names", "symbols": ["A", "B"]}\n{"guid": "b", "pubDate": "Fri, 01 Mar 2024 15:05:06 GMT", "title": "More words on no name at all", "symbols": []}\n', {"news_articles": 2, "news_links": 2}, {"article_id": "guid", "published_at": "pubDate"}),
    Case("topics.csv", "id,published,headline\n1,2024-03-01T14:05:06Z,Some words on one name\n1,2024-03-02T14:05:06Z,Other words on one name\n", {"news_articles": 2}, {"article_id": {"template": "{published} {headline}"}}),
    Case("noid.csv", "published,headline,ticker\n2024-03-01T14:05:06Z,Some words on one name,A\n2024-03-02T14:05:06Z,Some words on one name,B\n", {"news_articles": 2, "news_links": 2}, {"article_id": {"template": "{published} {headline}"}}, says=("no column is an id of its own",)),
    Case("listing.csv", "ticker,company,issuer_id,sector,ipo_date,type\nA,Alpha Incorporated,I1,Energy,1980-12-12,Common Stock\nB,Beta Fund of Funds,I2,Energy,1986-03-13,Fund\n", {"instruments": 2, "issuers": 2}, {"symbol": "ticker", "valid_from": "ipo_date", "asset_class": {"column": "type", "map": {"Common Stock": "EQUITY", "Fund": "ETF"}}}),
    Case("companies.csv", "cik,name,country,sector\n1,Alpha Incorporated,US,Energy\n2,Beta Corporation,US,Energy\n", {"issuers": 2}, {"issuer_id": "cik", "valid_from": {"value": "1900-01-01"}}, says=("1900-01-01 stands for always", "hindsight")),
    Case("KO.csv", "Date,Dividends\n2023-02-10,0.23\n2023-05-12,0.24\n", {"corporate_actions": 2}, {"ex_date": "Date", "amount": "Dividends", "kind": {"value": "DIVIDEND"}}),
    Case("actions.csv", "ticker,ex_date,type,factor,amount\nA,2024-01-02,split,0.5,\nA,2024-01-03,cash dividend,,0.2\n", {"corporate_actions": 2}, {"kind": {"column": "type", "map": {"cash dividend": "DIVIDEND", "split": "SPLIT"}}}, says=("7 for 1 is 1/7",)),
    Case("figures.csv", "TICKER,QUARTER_END,REPORT_DATE,METRIC,VALUE\nA,2023-12-31,2024-02-01,revenue,100\nA,2023-12-31,2024-02-01,eps,2.1\n", {"fundamentals": 2}, {"issuer_id": "TICKER", "period_end": "QUARTER_END"}),
    Case("wide.csv", "issuer_id,period_end,filing_date,revenue,eps,fiscal_year\nI1,2023-12-31,2024-02-01,100,2.1,2023\n", {"fundamentals": 2}, {"metric": "metric", "value": "value"}, {"steps": [{"unpivot": {"columns": {"revenue": "revenue", "eps": "eps"}}}]}),
    Case("filings.jsonl", '{"accession": "x1", "cik": "320193", "form": "10-K", "filed": "2024-02-01", "published": "2024-02-01T21:00:00Z", "text": "We make things and sell them."}\n', {"issuer_documents": 1}, {"doc_id": "accession", "issuer_id": "cik", "kind": "form", "text": "text"}),
    Case("minutes.jsonl", '{"doc_id": "m1", "release_date": "2024-02-01", "doc_type": "FOMC_MINUTES", "title": "Minutes of the meeting", "text": "The Committee met and spoke."}\n', {"macro_texts": 1}, {"event_type": "doc_type", "body": "text"}, says=("no time of day", "no column says the country")),
    Case("profiles.jsonl", '{"issuer_id": "I1", "date": "2024-02-01", "description": "Makes things and sells them.", "employees": 12}\n', {"profiles": 1}, {"business_description": "description", "employees": "employees"}),
    Case("series.csv", "series_id,date,value\nVIX,2024-01-02,13.1\nVIX,2024-01-03,.\n", {"factors_daily": 1}, {"factor_id": "series_id"}),
    Case("ff.csv", "Date,Mkt-RF,SMB,RF\n20240102,0.5,0.1,0.02\n20240103,0.5,0.1,0.02\n", {"factors_daily": 6}, {"factor_id": "factor_id", "as_of_date": "Date"}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.file)
def test_the_proposal_is_right_and_loads_the_file(tmp_path: Path, trading: Trading, case: Case) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    raw = case.content.encode() if isinstance(case.content, str) else case.content
    (folder / case.file).write_bytes(raw)
    found = inspect_file(folder / case.file)
    assert found.proposal.table == next(iter(case.rows))
    first = found.proposal.feeds[0]
    assert {name: first["columns"].get(name) for name in case.columns} == case.columns
    assert {name: first.get(name) for name in case.options} == case.options
    for words in case.says:
        assert any(words in check for check in found.proposal.checks), words
        assert words in " ".join(found.yaml.replace("\n# ", " ").split())

    (tmp_path / "mine.yaml").write_text(found.yaml, encoding="utf-8")
    taken: dict[str, int] = {}
    for intake in read_source(load_map(tmp_path / "mine.yaml"), folder, trading=trading, today=TODAY):
        taken[intake.table] = taken.get(intake.table, 0) + intake.rows.num_rows
    assert taken == case.rows
    previewed = {i.table: i.rows.num_rows for i in found.preview(trading)}
    assert previewed == taken


def test_the_map_on_paper_is_the_map_proposed(tmp_path: Path) -> None:
    odd = {"a, b": "x: y", "on": "yes", "n": 1.5, "t": True, "l": ["%d/%m/%Y", "#1"], "deep": {"k 1": "null", "": " "}}
    (tmp_path / "AAPL.csv").write_text(YAHOO)
    found = inspect_file(tmp_path / "AAPL.csv")
    from dataclasses import replace

    from omegaconf import OmegaConf

    text = as_yaml(replace(found.proposal, feeds=({"table": "t", "columns": odd},), checks=("a\x00b: c # d",)), "x: #y")
    back: Any = OmegaConf.to_container(OmegaConf.create(text))
    assert back == {"doc": "from x: #y", "feeds": [{"table": "t", "columns": odd}]}
    assert text.splitlines()[1] == "# - a?b: c # d"


def test_a_folder_of_tickers_is_taken_whole_only_when_its_files_are_alike(tmp_path: Path) -> None:
    (tmp_path / "AAPL.csv").write_text(YAHOO)
    (tmp_path / "MSFT.csv").write_text(YAHOO)
    assert inspect_file(tmp_path / "AAPL.csv").proposal.feeds[0]["files"] == "*.csv"
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    assert inspect_file(tmp_path / "AAPL.csv").proposal.feeds[0]["files"] == "AAPL.csv"


def test_what_is_left_over_and_what_comes_second_are_said(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text(
        '{"doc_id": "m", "published_at": "2024-02-01T10:00:00Z", "doc_type": "SPEECH", "title": "A speech on rates", "text": "Rates '
        'rise and fall.", "source": "S1", "lang": "en", "mood": "dull", "nothing": null}\n'
    )
    found = inspect_file(tmp_path / "m.jsonl").proposal
    assert found.runner_up == "news_articles"
    assert found.because == SPECS["macro_texts"].needs
    assert found.unplaced == {
        "source": "id, for example 'S1'",
        "lang": "word, for example 'en'",
        "mood": "word, for example 'dull'",
        "nothing": "empty",
    }
    assert found.placed["doc_type"] == "event_type"


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("a.csv", "", "a.csv is empty, without a row; there is nothing to propose"),
        ("a.csv", "Date,Close\n", "a.csv is empty"),
        (
            "a.csv",
            "a,b\n1,2\n",
            r"a.csv fits no raw table; nearest is .*, which needs a .*Its columns are a \(number\), b",
        ),
        ("a.csv", "<html>", "a.csv is a web page"),
        ("a.parquet", "Date", "a.parquet is no Parquet file"),
    ],
)
def test_what_cannot_be_proposed_is_a_sentence(tmp_path: Path, file: str, content: str, says: str) -> None:
    (tmp_path / file).write_text(content)
    with pytest.raises(BadDataError, match=says):
        inspect_file(tmp_path / file)


def test_a_folder_or_nothing_is_a_wrong_request(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="is a folder; give one of its files"):
        inspect_file(tmp_path)
    with pytest.raises(RequestError, match="there is no file"):
        inspect_file(tmp_path / "absent.csv")


def test_names_are_found_without_case_and_marks() -> None:
    assert [plain(n) for n in ("Adj Close", "adj_close", "5. adjusted close", "Publication-Date")] == [
        "adjclose", "adjclose", "adjustedclose", "publicationdate",
    ]  # fmt: skip
    assert rank("close", "Close/Last") is not None
    assert rank("close", "volume") is None
    assert all(name == plain(name) for names in ROLES.values() for name in names)
    assert all(len(set(names)) == len(names) for names in ROLES.values())


def test_every_role_of_a_table_has_names() -> None:
    for table, spec in SPECS.items():
        assert set(spec.weights) <= set(ROLES), table
    assert WIDE_FACTORS in SPECS
