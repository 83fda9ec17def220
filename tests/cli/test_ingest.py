"""Ingests: looked at before, written into the books, gone on with by running again, and told of in the summary."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import prometheus.cli.ingest as job
from prometheus.cli.ingest import IngestSummary, ingest
from prometheus.clock import DEFAULT_MARKETS
from prometheus.errors import BadDataError
from prometheus.lake import Lake
from prometheus.market.ingest import load_map
from prometheus.runtime.ledger import assumptions
from tests.market_rows import weekdays
from tests.price_vendor import Vendor

SESSIONS = weekdays(60, "2024-01-02")
NOW = dt.datetime(2024, 6, 28, 12, tzinfo=dt.UTC)
HEAD = "id,date,open,high,low,close,adjusted_close,volume"
COLUMNS = {c: c for c in ("open", "high", "low", "close", "adjusted_close", "volume")}
PRICES: dict[str, Any] = {
    "table": "prices_daily",
    "files": "prices*.csv",
    "columns": {"instrument_id": "id", "as_of_date": "date", **COLUMNS, "withdrawn": "gone"},
    "market": "US_EQ",
    "known_at": {"session_close": True, "lag_minutes": 60},
}
LISTINGS: dict[str, Any] = {
    "table": "instruments",
    "files": "listings.csv",
    "columns": {
        "instrument_id": "id",
        "valid_from": "from",
        "sector": "sector",
        "valid_to": "to",
        "market_id": {"value": "US_EQ"},
        "symbol": "id",
        "asset_class": {"value": "EQUITY"},
        "currency": {"value": "USD"},
    },
    "known_at": {"assume_known": "always"},
}
NEWS: dict[str, Any] = {
    "table": "news_articles",
    "files": "news.csv",
    "columns": {"article_id": "id", "published_at": {"column": "at", "timezone": "UTC"}, "headline": "text"},
    "known_at": "published_at",
}
Run = Callable[..., IngestSummary]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path / "lake", create=True)


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., Path]:
    def write(**content: str) -> Path:
        folder = tmp_path / "files"
        folder.mkdir(exist_ok=True)
        for name, text in content.items():
            (folder / f"{name}.csv").write_text(text)
        return folder

    return write


@pytest.fixture
def run(lake: Lake, files: Callable[..., Path]) -> Run:
    def go(*feeds: dict[str, Any], now: dt.datetime = NOW, **options: Any) -> IngestSummary:
        source = load_map({"name": "mine", "feeds": list(feeds)})
        return ingest(lake, source, files(), markets=DEFAULT_MARKETS, now=now, **options)

    return go


def events(lake: Lake) -> list[dict[str, Any]]:
    rows = lake.read("job_runs", where={"stage": "ingest"}).to_pylist()
    return sorted(rows, key=lambda r: r["recorded_at"])


def sheet(source: Vendor, collected: int, first: int, last: int) -> str:
    """Prices as CSV."""
    lines = [HEAD]
    for row in source.file(collected, first, last).to_pylist():
        cells = [row["instrument_id"], row["as_of_date"], *(row[c] for c in COLUMNS)]
        lines.append(",".join(str(c) for c in cells))
    return "\n".join(lines) + "\n"


ROW = "A,2024-01-03,10,12,9,11,11,100"
LISTED = "id,from,sector,to\nA,2020-01-02,Energy,\n"


def test_an_ingest_is_in_the_books(lake: Lake, files: Any, run: Run) -> None:
    files(prices=f"{HEAD}\n{ROW}\nA,2024-01-06,10,12,9,11,11,100\n", listings=LISTED)
    run(PRICES, LISTINGS)
    started, finished = events(lake)
    assert (started["event"], finished["event"]) == ("started", "finished")
    assert started["run_id"] == finished["run_id"]
    assert (started["planned"], started["done"], started["rows"]) == (2, 0, 0)
    assert (finished["planned"], finished["done"], finished["rows"], finished["error"]) == (2, 2, 2, None)
    assert json.loads(finished["skipped"]) == {"not a session of XNYS": 1}
    request = json.loads(finished["request"])
    assert request == {"source": "mine", "folder": "files", "assumed": {"instruments": ["known always"]}}


def test_what_was_assumed_can_be_listed(lake: Lake, files: Any, run: Run) -> None:
    assert assumptions(lake) == {}
    files(prices=f"{HEAD}\n{ROW}\n", listings=LISTED)
    run(PRICES, {**LISTINGS, "known_at": {"assume_known": "2024-02-01"}}, {**NEWS, "optional": True, "assumed": True})
    assert assumptions(lake) == {"instruments": ("known since 2024-02-01",)}, "news had no files"
    run({**PRICES, "name": "guessed", "assumed": True}, LISTINGS)
    assert assumptions(lake) == {
        "instruments": ("known always", "known since 2024-02-01"),
        "prices_daily": ("dates of guessed",),
    }


def test_nothing_is_delivered_when_any_file_is_wrong(lake: Lake, files: Any, run: Run) -> None:
    files(prices=f"{HEAD}\n{ROW}\n", listings="id,sector\nA,Energy\n")
    with pytest.raises(BadDataError, match=r"listings.csv has no column for valid_from"):
        run(PRICES, LISTINGS)
    assert lake.tables() == []


def test_an_ingest_that_fails_half_way_is_finished_by_running_it_again(lake: Lake, files: Any, run: Run) -> None:
    """The second feed's rows show what its header did not."""
    strict = {**LISTINGS, "on_bad_rows": "fail"}
    files(prices=f"{HEAD}\n{ROW}\n", listings="id,from,sector,to\nA,someday,Energy,\n")
    with pytest.raises(BadDataError, match="cannot be taken"):
        run(PRICES, strict)
    failed = events(lake)[-1]
    assert (failed["event"], failed["done"], failed["rows"]) == ("failed", 1, 1)
    assert failed["error"].startswith("BadDataError: 1 rows of the feed 'instruments from listings.csv'")
    files(listings=LISTED)
    summary = run(PRICES, strict)
    assert [(d.table, d.new, d.corrected, d.unchanged) for d in summary.deliveries.values()] == [
        ("prices_daily", 0, 0, 1),
        ("instruments", 1, 0, 0),
    ]
    assert [e["event"] for e in events(lake)] == ["started", "failed", "started", "finished"]
    assert (lake.count("prices_daily"), lake.count("instruments")) == (1, 1)


@pytest.mark.parametrize(("kind", "event"), [(ZeroDivisionError, "failed"), (KeyboardInterrupt, "interrupted")])
def test_a_bug_and_an_interrupt_are_written_down_and_go_on_up(
    lake: Lake, files: Any, run: Run, monkeypatch: pytest.MonkeyPatch, kind: type[BaseException], event: str
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise kind  # an instance among the parameters would hold its frames, and a lake, until the process ends

    files(prices=f"{HEAD}\n{ROW}\n")
    monkeypatch.setattr(job, "read_feed", broken)
    with pytest.raises(kind):
        run(PRICES)
    assert [e["event"] for e in events(lake)] == ["started", event]
    assert events(lake)[-1]["error"].startswith(kind.__name__)


def test_books_that_cannot_be_written_do_not_hide_what_went_wrong(
    files: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    files(prices=f"{HEAD}\n{ROW}\n")
    write = job.IngestBook.event

    def full(self: job.IngestBook, event: str, **told: Any) -> None:
        if event != "started":
            raise OSError("the disk is full")
        write(self, event, **told)

    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(job.IngestBook, "event", full)
    monkeypatch.setattr(job, "read_feed", broken)
    with pytest.raises(ZeroDivisionError) as caught:
        run(PRICES)
    assert caught.value.__notes__ == ["nor could it be written into the books: OSError: the disk is full"]


def test_restated_prices_are_chained_and_the_summary_says_so(lake: Lake, files: Any, run: Run) -> None:
    source = Vendor(SESSIONS, ("A", "B", "C"), {("A", 25): 0.01}, {("B", 30): 4.0})
    files(prices=sheet(source, 20, 0, 20))
    run(PRICES, now=source.instant(20))
    files(prices=sheet(source, 40, 0, 40))
    # XNYS is closed on two of these weekdays; what is not a session is quarantined and no part of a seam.
    lines = run(PRICES, now=source.instant(40)).lines()
    assert "  chained 38 rows of 2 names to the base held (A 19, B 19)" in lines
    again = run(PRICES, now=source.instant(41)).lines()
    assert ", new 0, corrected 0, unchanged 117, " in again[0]
    assert not any("chained" in line for line in again)
    files(prices=sheet(source, 50, 41, 50))
    lines = run(PRICES, now=source.instant(50)).lines()
    assert [line for line in lines if "no session in common" in line] == [
        "  noted 30: no session in common with what is held: chained to nothing; deliver the last sessions held again "
        "as well (A 10, B 10, C 10)"
    ]


def test_a_column_the_new_file_lacks_keeps_its_values(lake: Lake, files: Any, run: Run) -> None:
    files(prices=f"{HEAD}\n{ROW}\nB,2024-01-03,10,12,9,11,11,100\n")
    run(PRICES)
    files(prices="id,date,close,adjusted_close\nA,2024-01-03,11.5,11\nB,2024-01-03,11,11\n")
    summary = run(PRICES, now=NOW + dt.timedelta(days=1))
    latest = {r["instrument_id"]: r for r in lake.read("prices_daily").to_pylist()}
    assert (latest["A"]["close"], latest["A"]["volume"], latest["A"]["open"]) == (11.5, 100, 10)
    assert (summary.deliveries["prices_daily"].corrected, summary.deliveries["prices_daily"].unchanged) == (1, 1)
    assert "  noted 2: volume is not in the file: the value held stays" in summary.lines()


def test_an_empty_cell_takes_a_value_back(lake: Lake, files: Any, run: Run) -> None:
    files(listings="id,from,sector,to\nA,2020-01-02,Energy,2024-01-31\nB,2020-01-02,Energy,\n")
    run(LISTINGS)
    files(listings="id,from,sector,to\nA,2020-01-02,Energy,\nB,2020-01-02,,\n")
    run(LISTINGS, now=NOW + dt.timedelta(days=1))
    latest = {r["instrument_id"]: r for r in lake.read("instruments").to_pylist()}
    assert (latest["A"]["valid_to"], latest["A"]["sector"], latest["B"]["sector"]) == (None, "Energy", None)
    before = {r["instrument_id"]: r for r in lake.read("instruments", as_of=NOW).to_pylist()}
    assert (before["A"]["valid_to"], before["B"]["sector"]) == (dt.date(2024, 1, 31), "Energy")


def test_rows_are_taken_back_and_stay_so(lake: Lake, files: Any, run: Run) -> None:
    files(prices=f"{HEAD}\n{ROW}\n")
    run(PRICES)
    files(prices=f"{HEAD},gone\nA,2024-01-03,,,,,,,yes\n")
    day = dt.timedelta(days=1)
    assert run(PRICES, now=NOW + day).deliveries["prices_daily"].corrected == 1
    assert lake.read("prices_daily").num_rows == 0
    assert lake.read("prices_daily", as_of=NOW).num_rows == 1
    assert run(PRICES, now=NOW + 2 * day).deliveries["prices_daily"].unchanged == 1
    files(prices=f"{HEAD}\nA,2024-01-03,10,12,9,11.5,11,100\n")
    summary = run(PRICES, now=NOW + 3 * day)
    assert "  noted 1: withdrawn, and the file does not say otherwise: stays withdrawn" in summary.lines()
    assert lake.read("prices_daily").num_rows == 0
    files(prices=f"{HEAD},gone\nA,2024-01-03,10,12,9,11.5,11,100,no\n")
    run(PRICES, now=NOW + 4 * day)
    assert lake.read("prices_daily")["close"].to_pylist() == [11.5]


def test_an_article_with_another_date_counts_once(lake: Lake, files: Any, run: Run) -> None:
    files(news="id,at,text\nn1,2024-01-03 10:00,Shares rise\n")
    run(NEWS)
    files(news="id,at,text\nn1,2024-01-05 10:00,Shares rise\n")
    summary = run(NEWS, now=NOW + dt.timedelta(days=1))
    assert "  noted 1: moved to another day, withdrawn from the old one" in summary.lines()
    days = "select as_of_date from news_articles"
    assert lake.connect().sql(days).fetchall() == [(dt.date(2024, 1, 5),)]
    for day, n in ((3, 0), (5, 1)):
        date = dt.date(2024, 1, day)
        assert lake.read("news_articles", dates=(date, date)).num_rows == n


def test_a_former_value_is_taken_up_again_when_asked(lake: Lake, files: Any, run: Run) -> None:
    for i, close in enumerate((11, 10.5, 11)):
        files(prices=f"{HEAD}\nA,2024-01-03,10,12,9,{close},11,100\n")
        summary = run(PRICES, now=NOW + dt.timedelta(days=i))
    assert lake.read("prices_daily")["close"].to_pylist() == [10.5]
    assert any("said before and corrected since" in line for line in summary.lines())
    run(PRICES, now=NOW + dt.timedelta(days=3), restating=True)
    assert lake.read("prices_daily")["close"].to_pylist() == [11]
