"""Running a stage: only what is missing or stale, resumable after any break, the same rows however it is cut."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from prometheus.audit.restoring import restore_table
from prometheus.clock import DEFAULT_MARKETS, Market, Markets, exchange_sessions
from prometheus.errors import RequestError, VariantConflictError
from prometheus.lake import Lake
from prometheus.runtime import Chunk, Output, RunOptions, StageReader, lineage, market_of_region_in_scope, run_stage
from prometheus.runtime.lineage import Lineage
from tests import toy_stage
from tests.lake_rows import price_rows
from tests.toy_stage import TOY, ToyParams

FIRST, LAST = dt.date(2020, 1, 2), dt.date(2020, 2, 28)
SESSIONS = exchange_sessions("XNYS", FIRST, LAST).dates.tolist()
TABLE = "numeric_window_embeddings"
REAL = dt.datetime


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake.open(tmp_path / "lake", create=True)
    lake.deliver("prices_daily", price_rows(SESSIONS, ["A", "B"]))
    toy_stage.CALLS.clear()
    return lake


def test_everything_is_made_once(lake: Lake) -> None:
    done = run_stage(lake, TOY, ToyParams(), FIRST, LAST)
    assert (done.planned, done.done, done.rows) == (len(SESSIONS), len(SESSIONS), len(SESSIONS))
    again = run_stage(lake, TOY, ToyParams(), FIRST, LAST)
    assert (again.done, again.already, again.rows) == (0, len(SESSIONS), 0)
    assert len(toy_stage.CALLS) == -(-len(SESSIONS) // 5)


def test_rows_do_not_depend_on_chunks_or_threads(lake: Lake, tmp_path: Path) -> None:
    run_stage(lake, TOY, ToyParams(), FIRST, LAST)
    other = Lake.open(tmp_path / "other", create=True)
    other.deliver("prices_daily", price_rows(SESSIONS, ["A", "B"]))
    run_stage(other, TOY, ToyParams(), FIRST, LAST, options=RunOptions(chunk_days=1, executor="serial"))
    assert lake.digest(TABLE) == other.digest(TABLE)


def test_a_late_row_makes_exactly_its_dependants_stale(lake: Lake) -> None:
    run_stage(lake, TOY, ToyParams(), FIRST, LAST)
    changed = SESSIONS[10]
    lake.deliver("prices_daily", price_rows([changed], ["C"], close=400.0))
    again = run_stage(lake, TOY, ToyParams(), FIRST, LAST)
    reach = [d for d in SESSIONS if changed <= d <= changed + dt.timedelta(days=3)]
    assert again.done == len(reach)
    vector = lake.read(TABLE, dates=(changed, changed))["vector"][0].as_py()
    assert vector[0] == pytest.approx(200.0)


def test_other_settings_need_another_variant(lake: Lake) -> None:
    run_stage(lake, TOY, ToyParams(), FIRST, LAST)
    with pytest.raises(VariantConflictError, match=r"scale is 1\.0, now 2\.0"):
        run_stage(lake, TOY, ToyParams(scale=2.0), FIRST, LAST)
    run_stage(lake, TOY, ToyParams(scale=2.0, variant="double"), FIRST, LAST)
    assert lake.count(TABLE, where={"variant": "double"}) == lake.count(TABLE, where={"variant": "v0"})
    with pytest.raises(VariantConflictError, match=r"already stands for other settings: scale was 2\.0, now 3\.0"):
        run_stage(lake, TOY, ToyParams(scale=3.0, variant="double"), FIRST, LAST)


def test_a_new_revision_makes_everything_stale(lake: Lake) -> None:
    run_stage(lake, TOY, ToyParams(), FIRST, LAST)
    again = run_stage(lake, dataclasses.replace(TOY, revision=2), ToyParams(), FIRST, LAST)
    assert again.done == len(SESSIONS)
    assert lake.version(TABLE) == -(-len(SESSIONS) // 5)  # equal rows were not committed again


def test_a_request_for_some_names_leaves_the_day_incomplete(lake: Lake) -> None:
    run_stage(lake, TOY, ToyParams(only=("A",)), FIRST, LAST)
    whole = run_stage(lake, TOY, ToyParams(), FIRST, LAST)
    assert whole.done == len(SESSIONS)


def test_skips_are_counted_with_their_reason(lake: Lake) -> None:
    done = run_stage(lake, TOY, ToyParams(), FIRST, LAST + dt.timedelta(days=10))
    assert done.skipped["no prices"] == 6
    assert "no prices 6" in done.line()


def test_dry_run_prints_reasons_and_writes_nothing(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    run_stage(lake, TOY, ToyParams(), FIRST, LAST, options=RunOptions(dry_run=True))
    assert f"{len(SESSIONS)} missing" in capsys.readouterr().err
    assert not toy_stage.CALLS
    assert lake.count(TABLE) == 0


def _failing_at(number: int):
    def compute(params: ToyParams, reader: StageReader, chunk: Chunk) -> Output:
        if chunk.number == number:
            raise RuntimeError("power cut")
        return toy_stage.compute(params, reader, chunk)

    return dataclasses.replace(TOY, compute=compute)


def test_a_failed_run_is_resumed_where_it_broke(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="power cut"):
        run_stage(lake, _failing_at(3), ToyParams(), FIRST, LAST, options=RunOptions(executor="serial"))
    assert lake.count(TABLE) == 15
    rest = run_stage(lake, TOY, ToyParams(), FIRST, LAST)
    assert (rest.already, rest.done) == (15, len(SESSIONS) - 15)
    other = Lake.open(tmp_path / "other", create=True)
    other.deliver("prices_daily", price_rows(SESSIONS, ["A", "B"]))
    run_stage(other, TOY, ToyParams(), FIRST, LAST)
    assert lake.digest(TABLE) == other.digest(TABLE)
    events = lake.read("job_runs", columns=["event", "error"]).to_pylist()
    assert {"event": "failed", "error": "RuntimeError: power cut"} in events


def test_an_interrupt_ends_the_chunk_and_stops(lake: Lake) -> None:
    def compute(params: ToyParams, reader: StageReader, chunk: Chunk) -> Output:
        if chunk.number == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return toy_stage.compute(params, reader, chunk)

    stopped = run_stage(
        lake,
        dataclasses.replace(TOY, compute=compute),
        ToyParams(),
        FIRST,
        LAST,
        options=RunOptions(executor="serial"),
    )
    assert stopped.interrupted
    assert lake.count(TABLE) == 15
    assert run_stage(lake, TOY, ToyParams(), FIRST, LAST).already == 15


@pytest.mark.parametrize(
    ("stage", "options", "most"),
    [
        (TOY, RunOptions(workers=3), 3),
        (TOY, RunOptions(workers=3, executor="serial"), 1),
        (TOY, RunOptions(workers=1), 1),
        (dataclasses.replace(TOY, order="sequential"), RunOptions(workers=3), 1),
    ],
    ids=["threads", "serial", "one", "sequential"],
)
def test_as_many_chunks_are_in_flight_as_may_be(lake: Lake, stage: Any, options: RunOptions, most: int) -> None:
    flying, peak, lock, full = [0], [0], threading.Lock(), threading.Event()

    def compute(params: ToyParams, reader: StageReader, chunk: Chunk) -> Output:
        with lock:
            flying[0] += 1
            peak[0] = max(peak[0], flying[0])
            if peak[0] >= most:
                full.set()
        assert full.wait(10), "fewer chunks side by side than asked for"
        out = toy_stage.compute(params, reader, chunk)
        with lock:
            flying[0] -= 1
        return out

    done = run_stage(lake, dataclasses.replace(stage, compute=compute), ToyParams(), FIRST, LAST, options=options)
    assert done.done == len(SESSIONS)
    assert peak[0] == most
    if most == 1:
        assert [c.number for c in toy_stage.CALLS] == list(range(len(toy_stage.CALLS)))


def test_data_without_lineage_is_made_again_and_lands_on_itself(lake: Lake) -> None:
    run_stage(lake, TOY, ToyParams(), FIRST, LAST)
    before = lake.digest(TABLE)
    lake.delete("lineage", {"stage": "toy"})
    assert run_stage(lake, TOY, ToyParams(), FIRST, LAST).done == len(SESSIONS)
    assert lake.digest(TABLE) == before


def mean_of(lake: Lake, day: dt.date) -> float:
    found: float = lake.read(TABLE, dates=(day, day))["vector"][0].as_py()[0]
    return found


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("dies", ["named", "killed"])
def test_rows_of_inputs_that_were_taken_back_are_not_done(
    lake: Lake, dies: str, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inputs go there and back; in between rows were made, of some names alone or by a run killed before lineage.

    A restore that is told of the stage withdraws its days; one that is not (a stage of another program) leaves it to
    what lineage says was begun.
    """
    run_stage(lake, TOY, ToyParams(), FIRST, LAST)
    version, changed = lake.version("prices_daily"), SESSIONS[10]
    lake.deliver("prices_daily", price_rows([changed], ["A"], close=500.0), own_instants=False)
    if dies == "named":
        run_stage(lake, TOY, ToyParams(only=("A",)), FIRST, LAST)
    else:

        def die(*args: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Lineage, "after", die)
        with pytest.raises(KeyboardInterrupt):
            run_stage(lake, TOY, ToyParams(), FIRST, LAST, options=RunOptions(executor="serial"))
        monkeypatch.undo()
    assert mean_of(lake, changed) > 200.0
    assert version is not None
    restore_table(lake, "prices_daily", version, stages=[TOY] if told else [])
    again = run_stage(lake, TOY, ToyParams(), FIRST, LAST)
    assert again.done > 0
    assert mean_of(lake, changed) == pytest.approx(100.0)
    assert run_stage(lake, TOY, ToyParams(), FIRST, LAST).done == 0


def test_an_output_that_is_not_written_keeps_no_other_from_being(lake: Lake) -> None:
    both = dataclasses.replace(TOY, outputs=("joint_embeddings", *TOY.outputs))
    assert run_stage(lake, both, ToyParams(), FIRST, LAST).rows == lake.count(TABLE) > 0


def test_names_made_again_from_the_same_inputs_leave_the_day_done(lake: Lake) -> None:
    run_stage(lake, TOY, ToyParams(), FIRST, LAST)
    assert run_stage(lake, TOY, ToyParams(only=("A",)), FIRST, LAST).done == len(SESSIONS)
    run_stage(lake, TOY, ToyParams(), FIRST, LAST, options=RunOptions(force=True))
    assert run_stage(lake, TOY, ToyParams(), FIRST, LAST).done == 0


def test_a_clock_that_ran_ahead_does_not_hide_what_is_made_after(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ahead(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]
            return REAL.now(tz) + dt.timedelta(hours=2)

    with monkeypatch.context() as patch:
        patch.setattr(lineage.dt, "datetime", Ahead)
        run_stage(lake, TOY, ToyParams(), FIRST, LAST)
    lake.deliver("prices_daily", price_rows([SESSIONS[10]], ["C"], close=400.0))
    assert run_stage(lake, TOY, ToyParams(), FIRST, LAST).done > 0
    assert run_stage(lake, TOY, ToyParams(), FIRST, LAST).done == 0


def test_another_calendar_makes_stale_what_was_laid_out_on_it(lake: Lake) -> None:
    dated = dataclasses.replace(TOY, market=market_of_region_in_scope)
    run_stage(lake, dated, ToyParams(), FIRST, LAST)
    assert run_stage(lake, dated, ToyParams(), FIRST, LAST).done == 0
    # Four years back the holidays differ, in these two months too.
    moved = Markets({**DEFAULT_MARKETS.by_id, "US_EQ": Market("US_EQ", "XTSE", "US")})
    again = run_stage(lake, dated, ToyParams(), FIRST, LAST, markets=moved)
    assert again.already == 0


@pytest.mark.parametrize(
    "options", [RunOptions(chunk_days=0), RunOptions(executor="carrier pigeon")], ids=["chunk", "executor"]
)
def test_impossible_options_are_refused(lake: Lake, options: RunOptions) -> None:
    with pytest.raises(RequestError):
        run_stage(lake, TOY, ToyParams(), FIRST, LAST, options=options)


def test_a_range_that_ends_before_it_begins_is_refused(lake: Lake) -> None:
    with pytest.raises(RequestError, match="before it begins"):
        run_stage(lake, TOY, ToyParams(), LAST, FIRST)


def test_a_stage_reads_only_its_declared_inputs(lake: Lake) -> None:
    def compute(params: ToyParams, reader: StageReader, chunk: Chunk) -> Output:
        reader.read("news_articles")
        return Output()

    with pytest.raises(AssertionError, match="news_articles"):
        run_stage(lake, dataclasses.replace(TOY, compute=compute), ToyParams(), FIRST, LAST)
