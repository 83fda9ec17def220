"""What a stage may see of a lake, and what is kept for the next chunk."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import numpy as np
import pytest

from prometheus.clock import DEFAULT_MARKETS
from prometheus.errors import RequestError
from prometheus.lake import Lake
from prometheus.runtime import StageReader
from prometheus.runtime.reader import _YEARS_KEPT
from tests.lake_rows import price_rows

NEW_YEAR = [dt.date(y, m, d) for y, m, d in ((2019, 12, 30), (2019, 12, 31), (2020, 1, 2), (2021, 1, 4))]


@pytest.fixture
def lake(tmp_path: Any) -> Lake:
    lake = Lake.open(tmp_path / "lake", create=True)
    lake.deliver("prices_daily", price_rows(NEW_YEAR, ["A", "B"]))
    return lake


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is read of the lake itself, as it is."""
    found, read = [], Lake.read

    def noted(self: Lake, table: str, **asked: Any) -> Any:
        found.append(asked.get("dates"))
        return read(self, table, **asked)

    monkeypatch.setattr(Lake, "read", noted)
    return found


def year(number: int) -> tuple[dt.date, dt.date]:
    return dt.date(number, 1, 1), dt.date(number, 12, 31)


def test_whole_years_are_read_once(lake: Lake, reads: list[Any]) -> None:
    reader = StageReader(lake, DEFAULT_MARKETS, ["prices_daily"])
    asked = {"columns": ["as_of_date", "instrument_id"], "where": {"instrument_id": ["A"]}}
    rows = reader.read_years("prices_daily", dates=(NEW_YEAR[1], NEW_YEAR[2]), **asked)
    assert sorted(rows["as_of_date"].to_pylist()) == NEW_YEAR[:3]
    assert set(rows["instrument_id"].to_pylist()) == {"A"}
    assert reads == [year(2019), year(2020)]
    reader.read_years("prices_daily", dates=(NEW_YEAR[2], NEW_YEAR[3]), **asked)
    assert reads == [year(2019), year(2020), year(2021)]
    reader.read_years("prices_daily", dates=(NEW_YEAR[2], NEW_YEAR[2]), **{**asked, "where": None})
    assert reads[3:] == [year(2020)], "other rows are another block"


def test_the_oldest_years_make_room(lake: Lake, reads: list[Any]) -> None:
    reader = StageReader(lake, DEFAULT_MARKETS, ["prices_daily"])

    def ask(number: int) -> None:
        reader.read_years("prices_daily", columns=["close"], dates=year(number))

    for number in range(2000, 2000 + _YEARS_KEPT):
        ask(number)
    ask(2000)
    assert len(reads) == _YEARS_KEPT
    ask(1999)
    ask(2000)
    assert reads[_YEARS_KEPT:] == [year(1999)], "what was asked for last stays longest"
    ask(2001)
    assert reads[_YEARS_KEPT:] == [year(1999), year(2001)]


def test_a_range_of_many_years_is_kept_whole(lake: Lake, reads: list[Any]) -> None:
    reader = StageReader(lake, DEFAULT_MARKETS, ["prices_daily"])
    span = (dt.date(2000, 1, 1), dt.date(2019, 12, 31))
    for _ in range(2):
        reader.read_years("prices_daily", columns=["close"], dates=span)
    assert len(reads) == 20


def test_chunks_that_ask_at_the_same_time_read_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, began, calls = StageReader(lake, DEFAULT_MARKETS, ["prices_daily"]), threading.Event(), []
    read = Lake.read

    def slow(self: Lake, table: str, **asked: Any) -> Any:
        calls.append(table)
        began.wait(5)
        return read(self, table, **asked)

    monkeypatch.setattr(Lake, "read", slow)
    rows: list[int] = []
    threads = [
        threading.Thread(target=lambda: rows.append(reader.read_once("prices_daily").num_rows)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    began.set()
    for thread in threads:
        thread.join()
    assert rows == [8, 8, 8]
    assert calls == ["prices_daily"]


def test_a_read_that_fails_is_tried_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = StageReader(lake, DEFAULT_MARKETS, ["prices_daily"])
    with monkeypatch.context() as patch:
        patch.setattr(Lake, "read", lambda *a, **k: (_ for _ in ()).throw(OSError("gone")))
        for _ in range(2):
            with pytest.raises(OSError, match="gone"):
                reader.read_once("prices_daily")
    assert reader.read_once("prices_daily", where={"instrument_id": "A"}).num_rows == 4
    assert reader.read_once("prices_daily").num_rows == 8


def test_a_read_that_fails_fails_for_all_who_wait(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, began, go = StageReader(lake, DEFAULT_MARKETS, ["prices_daily"]), threading.Event(), threading.Event()

    def fails(self: Lake, table: str, **asked: Any) -> Any:
        began.set()
        assert go.wait(10)
        raise OSError("gone")

    monkeypatch.setattr(Lake, "read", fails)
    said: list[str] = []

    def ask() -> None:
        try:
            reader.read_once("prices_daily")
        except OSError as error:
            said.append(str(error))

    first = threading.Thread(target=ask, daemon=True)
    first.start()
    assert began.wait(10)
    second = threading.Thread(target=ask, daemon=True)
    second.start()
    (block,) = reader._blocks.values()
    for _ in range(10_000):
        if block._condition._waiters:  # type: ignore[attr-defined]
            break
        second.join(0.001)
    go.set()
    for thread in (first, second):
        thread.join(10)
    assert said == ["gone", "gone"]


@pytest.mark.parametrize("method", ["read", "read_once", "source"])
def test_undeclared_tables_are_not_seen(lake: Lake, method: str) -> None:
    reader = StageReader(lake, DEFAULT_MARKETS, ["prices_daily"])
    with pytest.raises(AssertionError, match=r"a stage read issuers, which is not among its inputs \['prices_daily'\]"):
        getattr(reader, method)("issuers")
    with pytest.raises(AssertionError, match="issuers"):
        reader.read_years("issuers", columns=["issuer_id"], dates=year(2020))


def test_queries_are_joined_from_declared_inputs(lake: Lake) -> None:
    reader = StageReader(lake, DEFAULT_MARKETS, ["prices_daily"])
    sql = f"SELECT count(*) AS n FROM ({reader.source('prices_daily', dates=(NEW_YEAR[0], NEW_YEAR[1]))})"
    assert reader.query(sql)["n"].to_pylist() == [4]
    assert sum(batch.num_rows for batch in reader.stream(reader.source("prices_daily"), batch_rows=3)) == 8
    rows = reader.read(
        "prices_daily", columns=["close"], dates=(NEW_YEAR[3], NEW_YEAR[3]), where={"instrument_id": "B"}
    )
    assert (rows.column_names, rows.num_rows) == (["close"], 1)
    assert reader.cache_root == f"{lake.location.root}/cache"


@pytest.mark.parametrize("store", [True, False])
def test_sessions_cover_the_request_and_its_history(lake: Lake, store: bool) -> None:
    reader = StageReader(lake, DEFAULT_MARKETS, ["prices_daily"], store_sessions=store)
    reader.span(dt.date(2020, 3, 2), dt.date(2020, 3, 31))
    sessions = reader.sessions("US_EQ")
    assert sessions.dates[0] <= np.datetime64("2016-03-10")
    assert sessions.dates[-1] >= np.datetime64("2020-03-31")
    assert reader.sessions("US_EQ") is sessions
    assert ("calendar_sessions" in lake.tables()) is store
    cutoffs = reader.cutoffs("US_EQ", "session_close")
    np.testing.assert_array_equal(cutoffs, sessions.closes_at)
    assert reader.market_of("US").market_id == "US_EQ"
    with pytest.raises(RequestError, match="there is no region"):
        reader.market_of("MARS")


def test_the_first_days_of_time_have_little_history(lake: Lake) -> None:
    reader = StageReader(lake, DEFAULT_MARKETS, ["prices_daily"])
    reader.span(dt.date.min, dt.date(1, 1, 2))
    assert reader._span == (dt.date.min, dt.date(1, 1, 2))
