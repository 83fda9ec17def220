"""A dry run over several stages counts with what the earlier ones would write."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from prometheus.clock import exchange_sessions
from prometheus.lake import Lake
from prometheus.runtime import Chunk, Input, Output, RunOptions, Stage, StageReader, Upcoming, run_stage, setting
from prometheus.vectors import from_list_array
from tests.lake_rows import price_rows
from tests.news_rows import regime_table
from tests.toy_stage import TOY, ToyParams

FIRST, LAST = dt.date(2020, 1, 2), dt.date(2020, 1, 31)
SESSIONS = exchange_sessions("XNYS", FIRST, LAST).dates.tolist()
WINDOWS = "numeric_window_embeddings"
CHANGED = SESSIONS[10]
DRY = RunOptions(dry_run=True)


@dataclasses.dataclass(frozen=True)
class CopyParams(ToyParams):
    """Parameters of a stage that copies windows."""

    toy_variant: str = setting("v0", "variant of the windows read")


def _copied(params: CopyParams, reader: StageReader, chunk: Chunk) -> Output:
    """Copy each day's window into regimes."""
    days = chunk.days["US"]
    where = {"variant": params.toy_variant}
    rows = reader.read(WINDOWS, dates=(days[0], days[-1]), where=where).sort_by("as_of_date")
    out = Output()
    made = rows["as_of_date"].to_pylist()
    out.rows["regimes"] = regime_table(made, from_list_array(rows["vector"]), variant=params.variant)
    return out


def _counted(params: ToyParams, reader: StageReader, chunk: Chunk) -> Output:
    return Output()


COPY: Stage[Any] = dataclasses.replace(
    TOY,
    name="copy",
    params=CopyParams,
    inputs=(Input(WINDOWS, history=1, where=lambda p: {"variant": p.toy_variant}),),
    outputs=("regimes",),
    compute=_copied,
)
LAST_STEP: Stage[Any] = dataclasses.replace(
    TOY, name="last", inputs=(Input("regimes", history=0),), outputs=("joint_embeddings",), compute=_counted
)
APART: Stage[Any] = dataclasses.replace(LAST_STEP, name="apart", inputs=(Input("prices_daily", history=0),))
CHAIN = (TOY, COPY, LAST_STEP, APART)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Everything made, then a price delivered late."""
    lake = Lake.open(tmp_path / "lake", create=True)
    lake.deliver("prices_daily", price_rows(SESSIONS, ["A", "B"]))
    for stage in CHAIN:
        run_stage(lake, stage, stage.params(), FIRST, LAST)
    lake.deliver("prices_daily", price_rows([CHANGED], ["C"], close=400.0))
    return lake


def plans(lake: Lake, capsys: pytest.CaptureFixture[str], **params: Any) -> dict[str, list[str]]:
    """Lines of each stage's plan in one dry run."""
    upcoming, said = Upcoming(), {}
    for stage in CHAIN:
        given = params if stage is COPY else {}
        run_stage(lake, stage, stage.params(**given), FIRST, LAST, options=DRY, upcoming=upcoming)
        said[stage.name] = capsys.readouterr().err.splitlines()
    return said


def reach(days: int) -> list[dt.date]:
    """Sessions whose inputs reach back to the late price within some days, through every stage."""
    return [d for d in SESSIONS if CHANGED <= d <= CHANGED + dt.timedelta(days=days)]


def test_what_reads_days_that_will_be_made_again_will_be_too(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    before = {table: lake.version(table) for table in lake.tables()}
    said = plans(lake, capsys)
    toy, copied = reach(3), reach(4)
    kept = len(SESSIONS) - len(copied)
    assert f"  {len(toy)} stale: inputs changed" in said["toy"]
    assert said["copy"][1:] == [
        f"  {kept} done",
        f"  {len(copied)} upstream: toy",
        f"  US: {copied[0]} to {copied[-1]}, {len(copied)} days",
    ]
    assert said["last"][1:3] == [f"  {kept} done", f"  {len(copied)} upstream: copy"]
    assert said["apart"][1:3] == [f"  {len(SESSIONS) - 1} done", "  1 stale: inputs changed"]
    assert {table: lake.version(table) for table in lake.tables()} == before


def test_it_is_what_the_run_then_makes(lake: Lake) -> None:
    done = {s.name: run_stage(lake, s, s.params(), FIRST, LAST, upcoming=Upcoming()).done for s in (TOY, COPY)}
    # The day after the last changed window reads a window that came out as it was, and the one that changed.
    assert done == {"toy": len(reach(3)), "copy": len(reach(4))}


def test_another_variant_is_not_read(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    run_stage(lake, TOY, ToyParams(variant="twice", scale=2.0), FIRST, LAST)
    given = {"variant": "other", "toy_variant": "twice"}
    run_stage(lake, COPY, CopyParams(**given), FIRST, LAST)
    capsys.readouterr()
    assert plans(lake, capsys, **given)["copy"][1:] == [f"  {len(SESSIONS)} done"]


def test_alone_a_stage_counts_with_the_lake_only(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    run_stage(lake, COPY, CopyParams(), FIRST, LAST, options=DRY)
    assert f"  {len(SESSIONS)} done" in capsys.readouterr().err.splitlines()
