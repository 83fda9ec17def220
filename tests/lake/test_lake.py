"""Opening a lake, and what it tells of itself."""

from __future__ import annotations

import datetime as dt
import gc
import weakref
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from prometheus.errors import MissingInputError, RequestError
from prometheus.lake import Lake
from prometheus.lake.contracts import contract
from tests.lake_rows import days_from, price_rows, window_rows

DAY = dt.date(2024, 1, 2)
WINDOWS = "numeric_window_embeddings"


def return_rows(days: list[dt.date], ids: list[str]) -> pa.Table:
    row = {"as_of_year": 2024, "market_id": "US_EQ", "variant": "v0", "simple_return": 0.0, "log_return": 0.0}
    rows = [{**row, "instrument_id": i, "as_of_date": day} for day, i in zip(days, ids, strict=True)]
    return pa.Table.from_pylist(rows, contract("returns_daily").schema)


def test_a_lake_is_found_where_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROMETHEUS_LAKE", raising=False)
    assert Lake.open(create=True).location.path == tmp_path / "lake"
    monkeypatch.setenv("PROMETHEUS_LAKE", str(tmp_path / "other"))
    assert Lake.open(create=True).location.path == tmp_path / "other"
    named = Lake.open(tmp_path / "deep" / "named", create=True)
    assert named.location.path == tmp_path / "deep" / "named"
    assert named.location.path.is_dir()
    assert Lake.open(f"file://{tmp_path}/uri/", create=True).location.path == tmp_path / "uri"


def test_where_there_is_none_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"there is no lake at .*; `prometheus ingest` makes one"):
        Lake.open(tmp_path / "nowhere")
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(RequestError, match="file is a file; a lake is a folder"):
        Lake.open(file, create=True)
    with pytest.raises(RequestError, match="a lake cannot be made at"):
        Lake.open(file / "below", create=True)


def test_a_bucket_has_no_folder() -> None:
    lake = Lake("s3://bucket/lake/")
    assert lake.location.root == "s3://bucket/lake"
    assert lake.location.path is None
    assert lake.location.table_uri("prices_daily") == "s3://bucket/lake/raw/prices_daily"


def test_history_and_counts(lake: Lake) -> None:
    assert (lake.tables(), lake.version(WINDOWS), lake.history(WINDOWS)) == ([], None, [])
    commit = lake.upsert(WINDOWS, window_rows(days_from(DAY, 2), ["A", "B"]))
    lake.upsert(WINDOWS, window_rows([DAY], ["A"], seed=1))
    assert lake.tables() == [WINDOWS]
    assert (commit.table, commit.version, commit.rows, commit.changed) == (WINDOWS, 1, 4, True)
    newest, before, made = lake.history(WINDOWS)
    assert [v.version for v in (newest, before, made)] == [2, 1, 0]
    assert (before.rows, before.digest) == (4, commit.digest)
    assert (made.rows, made.digest) == (None, None)
    assert made.at <= before.at <= newest.at <= dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)
    assert newest.at > dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    assert len(lake.history(WINDOWS, limit=1)) == 1
    assert lake.count(WINDOWS) == 4
    assert lake.count(WINDOWS, where={"entity_id": "A"}) == 2


def test_nothing_brought_to_nothing_is_nothing_done(lake: Lake) -> None:
    commit = lake.upsert(WINDOWS, window_rows([], []))
    assert (commit.rows, commit.changed) == (0, False)
    lake.upsert(WINDOWS, window_rows([DAY], ["A", "B"]))
    again = lake.upsert(WINDOWS, window_rows([DAY], ["A", "B"]))
    assert (again.rows, again.changed, again.version) == (2, False, lake.version(WINDOWS))
    assert lake.history(WINDOWS)[0].digest == again.digest


def test_days_that_hold_rows(lake: Lake) -> None:
    assert lake.days("prices_daily").size == 0
    lake.upsert("prices_daily", price_rows([DAY, DAY + dt.timedelta(3)], ["A", "B"]))
    np.testing.assert_array_equal(lake.days("prices_daily"), np.array(["2024-01-02", "2024-01-05"], "datetime64[D]"))


@pytest.mark.parametrize(
    ("table", "where", "scans", "days"),
    [
        (WINDOWS, {}, 0, ["2024-01-02", "2024-01-05"]),
        (WINDOWS, {"variant": "v2"}, 0, ["2024-01-05"]),
        (WINDOWS, {"variant": ["v1", "v2"], "as_of_date": DAY}, 0, ["2024-01-02"]),
        (WINDOWS, {"variant": "v3"}, 0, []),
        (WINDOWS, {"entity_id": "B"}, 1, ["2024-01-05"]),
        (WINDOWS, {"variant": "v1", "entity_id": "B"}, 1, []),
        ("returns_daily", {}, 1, ["2024-01-02", "2024-01-03"]),
        ("returns_daily", {"instrument_id": "B"}, 1, ["2024-01-03"]),
    ],
)
def test_days_are_asked_of_the_log_where_it_tells_them(
    lake: Lake, table: str, where: dict[str, Any], scans: int, days: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.upsert(WINDOWS, window_rows([DAY], ["A"], variant="v1"))
    lake.upsert(WINDOWS, window_rows([DAY + dt.timedelta(3)], ["A", "B"], variant="v2"))
    lake.upsert("returns_daily", return_rows([DAY, DAY + dt.timedelta(1)], ["A", "B"]))
    asked: list[str] = []
    query = lake.query
    monkeypatch.setattr(lake, "query", lambda sql: asked.append(sql) or query(sql))
    np.testing.assert_array_equal(lake.days(table, where), np.array(days, "datetime64[D]"))
    assert len(asked) == scans


def test_an_older_version_is_read_as_it_was(lake: Lake) -> None:
    lake.upsert(WINDOWS, window_rows([DAY], ["A"]))
    lake.upsert(WINDOWS, window_rows([DAY], ["B"]))
    assert lake.read(WINDOWS, version=1)["entity_id"].to_pylist() == ["A"]
    for number in (-1, 3):
        with pytest.raises(RequestError, match=f"has versions 0 to 2, not {number}"):
            lake.read(WINDOWS, version=number)


def test_equal_deliveries_are_counted_not_written(lake: Lake) -> None:
    rows = price_rows([DAY], ["A", "B"])
    first = lake.deliver("prices_daily", rows)
    again = lake.deliver("prices_daily", rows)
    assert (first.new, first.corrected, first.unchanged) == (2, 0, 0)
    assert (again.new, again.corrected, again.unchanged) == (0, 0, 2)
    both = first + again
    assert (both.new, both.unchanged, both.table) == (2, 2, "prices_daily")
    assert lake.version("prices_daily") == 1


def test_only_the_lakes_own_books_are_appended_to_and_deleted_from(lake: Lake) -> None:
    rows = window_rows([DAY], ["A"])
    with pytest.raises(RequestError, match="is not a book of the lake; write it with upsert"):
        lake.append(WINDOWS, rows)
    with pytest.raises(RequestError, match="keeps no versions; write it with upsert"):
        lake.deliver(WINDOWS, rows)
    lake.upsert(WINDOWS, rows)
    lake.delete(WINDOWS, {"entity_id": "A"})
    assert lake.count(WINDOWS) == 1


def test_results_come_in_batches_too(lake: Lake) -> None:
    lake.upsert(WINDOWS, window_rows([DAY], [f"N{i}" for i in range(5)]))
    sql = f"SELECT entity_id FROM ({lake.source(WINDOWS)}) SEMI JOIN wanted USING (entity_id)"
    wanted = lake.read(WINDOWS, columns=["entity_id"], where={"entity_id": ["N1", "N2"]})
    batches = list(lake.stream(sql, {"wanted": wanted}, batch_rows=1))
    assert sorted(x for b in batches for x in b["entity_id"].to_pylist()) == ["N1", "N2"]


def test_tables_given_to_a_query_are_not_kept(lake: Lake) -> None:
    given = pa.table({"n": list(range(10))})
    alive = weakref.ref(given)
    assert lake.query("SELECT sum(n) AS n FROM given", {"given": given})["n"].to_pylist() == [45]
    with pytest.raises(duckdb.Error):
        lake.query("SELECT nothing FROM given", {"given": given})
    del given
    gc.collect()
    assert alive() is None


def test_a_session_let_go_ends_once_its_reads_have(lake: Lake) -> None:
    lake.upsert(WINDOWS, window_rows([DAY], ["A", "B"]))
    reading = lake.stream(lake.source(WINDOWS, columns=["entity_id"]), batch_rows=1)
    before = lake.cursor()
    lake.release()
    assert reading.read_all().num_rows == 2
    assert lake.count(WINDOWS) == 2
    assert lake.cursor() is not before


@pytest.mark.parametrize("name", ["my lake", "é#1", "it's", "a=b;c", "what? * {x}"])
def test_a_lake_may_lie_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    lake = Lake.open(tmp_path / name, create=True)
    days = days_from(DAY, 2)
    lake.upsert("prices_daily", price_rows(days, ["A"], 10.0))
    lake.upsert("prices_daily", price_rows(days[1:], ["A"], 12.0))
    found = Lake.open(tmp_path / name)
    assert found.read("prices_daily", columns=["close"])["close"].to_pylist() == [10.0, 12.0]
    assert found.connect().sql("SELECT sum(close) FROM prices_daily").fetchall() == [(22.0,)]
    assert len(found.days("prices_daily")) == len(found.states("prices_daily").days) == 2
    assert found.digest("prices_daily") == lake.digest("prices_daily")
    assert Lake.open(found.location.path.as_uri()).location == found.location  # type: ignore[union-attr]


@pytest.mark.parametrize(("name", "what"), [("100%", "%"), ("lake [v1]", r"\[ \]")])
def test_a_name_that_delta_takes_for_something_else_is_refused(tmp_path: Path, name: str, what: str) -> None:
    with pytest.raises(RequestError, match=rf"a lake cannot lie in .*: Delta does not take {what} in a path"):
        Lake.open(tmp_path / name, create=True)
    assert not (tmp_path / name).exists()
