"""The books: a line for whatever happens to a run."""

from __future__ import annotations

import datetime as dt
import json
import time
from pathlib import Path

import pytest

from prometheus import __version__
from prometheus.errors import PrometheusError
from prometheus.lake import Lake
from prometheus.runtime import RunOptions, ledger, run_stage
from prometheus.runtime.ledger import IngestBook, assumptions, close_run
from tests.lake_rows import price_rows
from tests.toy_stage import TOY, ToyParams

FIRST, LAST = dt.date(2024, 1, 2), dt.date(2024, 1, 12)
DAYS = [d for d in (FIRST + dt.timedelta(i) for i in range(11)) if d.weekday() < 5]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake.open(tmp_path / "lake", create=True)
    lake.deliver("prices_daily", price_rows(DAYS[1:], ["A", "B"]))
    return lake


def runs(lake: Lake) -> list[dict[str, object]]:
    return lake.read("job_runs").sort_by("recorded_at").to_pylist()


def test_a_run_is_written_down_from_its_start_to_its_end(lake: Lake) -> None:
    run_stage(lake, TOY, ToyParams(scale=2.0, variant="x"), FIRST, LAST, options=RunOptions(executor="serial"))
    started, finished = runs(lake)
    assert [started["event"], finished["event"]] == ["started", "finished"]
    assert started["run_id"] == finished["run_id"]
    assert (started["stage"], started["variant"], started["code_version"]) == ("toy", "x", __version__)
    assert json.loads(str(started["request"]))["scale"] == 2.0
    assert (started["planned"], started["done"], started["rows"], started["skipped"]) == (9, 0, 0, "{}")
    assert (finished["planned"], finished["done"], finished["rows"]) == (9, 9, 8)
    assert json.loads(str(finished["skipped"])) == {"no prices": 1}
    assert (finished["error"], started["error"]) == (None, None)
    assert 0.0 <= float(str(started["seconds"])) <= float(str(finished["seconds"])) < 60
    chunks = lake.read("job_chunks").sort_by("chunk").to_pylist()
    assert [(c["chunk"], c["first_date"], c["last_date"], c["rows"]) for c in chunks] == [
        (0, DAYS[0], DAYS[4], 4),
        (1, DAYS[5], DAYS[8], 4),
    ]
    assert {c["run_id"] for c in chunks} == {started["run_id"]}
    assert all(0.0 <= c["seconds"] < 60 for c in chunks)


def test_chunks_close_together_are_written_down_in_one_commit(lake: Lake) -> None:
    began = time.monotonic()
    run_stage(lake, TOY, ToyParams(), FIRST, LAST, options=RunOptions(executor="serial", chunk_days=1))
    commits = lake.version("job_chunks") or 0  # the table itself is version 0
    assert lake.count("job_chunks") == len(DAYS)
    assert commits <= 1 + (time.monotonic() - began) / ledger._SECONDS_BETWEEN_CHUNKS


def test_every_day_has_its_lineage(lake: Lake) -> None:
    run_stage(lake, TOY, ToyParams(), FIRST, LAST)
    rows = lake.read("lineage").sort_by("as_of_date").to_pylist()
    assert [(r["as_of_date"], r["num_keys"], r["num_skipped"]) for r in rows] == [
        (DAYS[0], 0, 1),
        *((day, 1, 0) for day in DAYS[1:]),
    ]
    assert {(r["stage"], r["variant"], r["scope"], r["code_version"], r["complete"]) for r in rows} == {
        ("toy", "v0", "US", __version__, True)
    }
    assert {r["run_id"] for r in rows} == {runs(lake)[0]["run_id"]}
    age = dt.datetime.now(dt.UTC) - rows[0]["recorded_at"]
    assert dt.timedelta(0) <= age < dt.timedelta(minutes=1)


def test_a_failure_is_written_down_with_its_words(lake: Lake) -> None:
    from dataclasses import replace

    def fails(*_: object) -> None:
        raise PrometheusError("no such thing")

    with pytest.raises(PrometheusError):
        run_stage(lake, replace(TOY, compute=fails), ToyParams(), FIRST, LAST)  # type: ignore[arg-type]
    failed = runs(lake)[-1]
    assert (failed["event"], failed["error"], failed["done"]) == ("failed", "PrometheusError: no such thing", 0)


def test_an_ingest_is_written_down_with_what_it_assumed(lake: Lake) -> None:
    book = IngestBook(lake, "csv", "files", feeds=3, assumed={"issuers": {"always", "2020"}, "factors_daily": ["x"]})
    book.event("started")
    book.event("finished", feeds=3, rows=12, skipped={"bad date": 2})
    other = IngestBook(lake, "csv", "files", assumed={"issuers": ["2021"]})
    other.event("failed", error="broken")
    assert book.run_id != other.run_id
    started, finished, failed = runs(lake)
    assert (started["stage"], started["variant"], started["planned"], started["done"]) == ("ingest", "", 3, 0)
    assert (finished["run_id"], finished["done"], finished["rows"]) == (book.run_id, 3, 12)
    assert json.loads(str(finished["skipped"])) == {"bad date": 2}
    assert (finished["error"], failed["error"], failed["planned"]) == (None, "broken", 0)
    request = json.loads(str(started["request"]))
    assert (request["source"], request["folder"]) == ("csv", "files")
    assert assumptions(lake) == {"factors_daily": ("x",), "issuers": ("2020", "2021", "always")}


def test_a_run_that_died_is_closed_for_it(lake: Lake) -> None:
    book = IngestBook(lake, "csv", "files", feeds=2)
    book.event("started", rows=1)
    close_run(lake, book.run_id)
    started, closed = runs(lake)
    assert closed["event"] == "failed"
    assert "killed, or out of power" in str(closed["error"])
    assert {k: closed[k] for k in ("run_id", "stage", "planned", "rows", "request")} == {
        k: started[k] for k in ("run_id", "stage", "planned", "rows", "request")
    }
