"""Two runs over the same days: whatever the order of their commits, no row of old inputs counts as done."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from prometheus.lake import Lake
from prometheus.runtime import RunOptions, run, run_stage
from prometheus.runtime.lineage import Lineage
from tests.lake_rows import price_rows
from tests.runtime.test_run import FIRST, LAST, SESSIONS, mean_of
from tests.toy_stage import TOY, ToyParams

SERIAL = RunOptions(executor="serial", chunk_days=1_000)
LATE = SESSIONS[10]


@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize("made_before", [True, False])
def test_data_in_one_order_and_lineage_in_the_other(
    tmp_path: Path, late: bool, made_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run has read the old rows; the second commits before it, and writes its lineage after it."""
    lake = Lake.open(tmp_path / "lake", create=True)
    lake.deliver("prices_daily", price_rows(SESSIONS, ["A"]))
    if made_before:
        run_stage(lake, TOY, ToyParams(), FIRST, LAST)
        lake.deliver("prices_daily", price_rows(SESSIONS, ["Z"], close=100.0))
    committed: dict[str, threading.Event] = {"first": threading.Event(), "second": threading.Event()}
    computed, recorded = threading.Event(), threading.Event()
    plain_commit, plain_after = run._commit, Lineage.after

    def me() -> str:
        return threading.current_thread().name

    def commit(*args: Any) -> int:
        if me() == "first":
            computed.set()
            assert committed["second"].wait(60)
        rows = plain_commit(*args)
        committed[me()].set()
        return rows

    def after(self: Lineage, *args: Any) -> None:
        assert committed["first"].wait(60)
        if me() == "second":
            assert recorded.wait(60)
        plain_after(self, *args)
        if me() == "first":
            recorded.set()

    def go() -> None:
        run_stage(Lake.open(tmp_path / "lake"), TOY, ToyParams(), FIRST, LAST, options=SERIAL)

    monkeypatch.setattr(run, "_commit", commit)
    monkeypatch.setattr(Lineage, "after", after)
    threads = [threading.Thread(target=go, name=name) for name in ("first", "second")]
    threads[0].start()
    assert computed.wait(60)
    if late:
        lake.deliver("prices_daily", price_rows([LATE], ["B"], close=500.0))
    threads[1].start()
    for thread in threads:
        thread.join(120)
    monkeypatch.undo()
    again = run_stage(Lake.open(tmp_path / "lake"), TOY, ToyParams(), FIRST, LAST)
    assert (again.done > 0) == late  # equal inputs give equal rows, whoever came last
    forced = Lake.open(tmp_path / "lake")
    mean = mean_of(forced, LATE)
    run_stage(forced, TOY, ToyParams(), FIRST, LAST, options=RunOptions(force=True))
    assert mean == mean_of(forced, LATE)
    assert run_stage(forced, TOY, ToyParams(), FIRST, LAST).done == 0
