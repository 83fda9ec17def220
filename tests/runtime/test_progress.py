"""What a run says while it works, and the line it ends with."""

from __future__ import annotations

import io
import json
import sys
from collections import Counter

import pytest

from prometheus.runtime import RunSummary, progress_for
from prometheus.runtime.progress import JsonProgress, PlainProgress, RichProgress, skips_text


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("prometheus.runtime.progress.time", made)
    return made


def test_lines_are_seconds_apart(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with PlainProgress(every_seconds=5.0) as progress:
        progress.start("toy", 10)
        clock.now += 4.9
        progress.advance(1, 1_000)
        assert capsys.readouterr().err == ""
        clock.now += 0.1
        progress.advance(2, 500)
        assert capsys.readouterr().err == "toy: 3/10 days, 1,500 rows\n"
        clock.now += 4.9
        progress.advance(1, 1)
        assert capsys.readouterr().err == "", "five seconds count from the last line"
        clock.now += 60
        progress.advance(6, 1)
        assert capsys.readouterr().err == "", "the end is told by the summary"


def test_a_stage_begins_from_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    progress = PlainProgress(every_seconds=0.0)
    progress.start("one", 5)
    progress.advance(2, 20)
    progress.start("two", 3, unit="feeds")
    progress.advance(1, 7)
    assert capsys.readouterr().err.splitlines() == ["one: 2/5 days, 20 rows", "two: 1/3 feeds, 7 rows"]


def test_quiet_leaves_out_what_is_under_way_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    progress = PlainProgress(every_seconds=0.0, quiet=True)
    progress.start("one", 5)
    progress.advance(2, 20)
    progress.say("done")
    assert capsys.readouterr().err == "done\n"


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    JsonProgress().say("ünï", rows=3, day=None)
    (line,) = capsys.readouterr().err.splitlines()
    record = json.loads(line)
    assert record.pop("at").endswith("+00:00")
    assert record == {"message": "ünï", "rows": 3, "day": None}


def test_who_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert type(progress_for()) is PlainProgress
    assert type(progress_for(json_logs=True, quiet=True)) is JsonProgress
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert type(progress_for(quiet=True)) is PlainProgress
    assert type(progress_for()) is RichProgress


def test_a_bar_counts_and_gives_way_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with RichProgress() as progress:
        progress.start("one", 4)
        progress.advance(3, 30)
        progress.start("two", 2, unit="feeds")
        progress.advance(1, 5)
        progress.advance(1, 6)
        (task,) = progress._bar.tasks
        assert (task.description, task.total, task.completed) == ("two", 2, 2)
        assert task.fields == {"rows": 11, "unit": "feeds"}
        progress.say("a [bold] word")
        assert progress._bar.live.is_started
    assert not progress._bar.live.is_started
    assert "a [bold] word" in sys.stderr.getvalue()  # type: ignore[attr-defined]


def test_skips_by_reason_the_most_frequent_first() -> None:
    assert skips_text({}) == "0"
    assert skips_text({"b": 2, "c": 1_000, "a": 2}) == "1,004 (c 1,000, a 2, b 2)"


def test_the_line_a_run_ends_with() -> None:
    summary = RunSummary("toy", "v0", planned=1_200, done=900, already=300, rows=4_000, seconds=2.0)
    summary.skipped, summary.notes = Counter({"no prices": 3}), Counter({"late": 2, "early": 1_001})
    assert summary.line() == (
        "toy [v0]: planned 1,200, done 900, already done 300, skipped 3 (no prices 3), rows 4,000, 2.0 s, 2,000 rows/s"
        "; 1,001 early; 2 late"
    )
    record = summary.record()
    assert (record["seconds"], record["skipped"], record["interrupted"]) == (2.0, {"no prices": 3}, False)
    assert record["notes"] == {"late": 2, "early": 1_001}
    assert (record["stage"], record["variant"], record["planned"], record["done"]) == ("toy", "v0", 1_200, 900)
    assert (record["already"], record["rows"]) == (300, 4_000)


def test_a_run_that_did_nothing_has_no_rate() -> None:
    assert RunSummary("toy", "v0").line() == "toy [v0]: planned 0, done 0, skipped 0, rows 0, 0.0 s"
    assert RunSummary("toy", "v0", rows=5).line().endswith("rows 5, 0.0 s")
    assert RunSummary("toy", "v0", seconds=1.23456).record()["seconds"] == 1.235
