"""Variants: one name, one set of settings, and nothing read that is known later."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from prometheus.errors import VariantConflictError
from prometheus.lake import Lake
from prometheus.runtime import Input, market_of_region_in_scope, plan, run_stage
from tests.lake_rows import price_rows
from tests.runtime.test_run import FIRST, LAST, SESSIONS, TABLE
from tests.toy_stage import TOY, ToyParams

DATED = dataclasses.replace(
    TOY,
    market=market_of_region_in_scope,
    writes=lambda p: {TABLE: {"model_id": p.model_id, "entity_type": "MARKET"}},
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake.open(tmp_path / "lake", create=True)
    lake.deliver("prices_daily", price_rows(SESSIONS, ["A", "B"]))
    return lake


def reads(variant: str, model_id: str = "toy-v1") -> Any:
    """Return a stage that reads rows of the toy model."""
    rows = Input(TABLE, history=0, where=lambda p: {"model_id": model_id, "variant": variant, "entity_type": "MARKET"})
    return dataclasses.replace(DATED, name="reads", inputs=(*TOY.inputs, rows), surface=lambda p: "reads")


def test_of_two_runs_that_begin_a_name_at_once_one_is_refused(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    run_stage(lake, TOY, ToyParams(scale=2.0, variant="x"), FIRST, LAST)
    held = lake.digest(TABLE)
    with monkeypatch.context() as patch:
        patch.setattr(plan, "check_variant", lambda *_: None)  # as if it had looked before the other wrote
        with pytest.raises(VariantConflictError, match=r"scale was 2\.0, now 3\.0"):
            run_stage(lake, TOY, ToyParams(scale=3.0, variant="x"), FIRST, LAST)
    assert lake.digest(TABLE) == held
    assert [json.loads(s)["scale"] for s in lake.read("variants")["settings"].to_pylist()] == [2.0]


@pytest.mark.parametrize("made", ["session_close", "end_of_day", "next_open"])
@pytest.mark.parametrize("reading", ["session_close", "end_of_day", "next_open"])
def test_rows_that_know_more_than_their_reader_are_refused(lake: Lake, made: Any, reading: Any) -> None:
    order = ("session_close", "end_of_day", "next_open")
    run_stage(lake, DATED, ToyParams(cutoff=made, variant="up"), FIRST, LAST)
    params = ToyParams(cutoff=reading, variant="down", model_id="other")
    if order.index(made) > order.index(reading):
        with pytest.raises(VariantConflictError, match=f"decides at {reading} and would read {TABLE} of toy-v1"):
            run_stage(lake, reads("up"), params, FIRST, LAST)
        assert lake.count(TABLE, where={"variant": "down"}) == 0
    else:
        assert run_stage(lake, reads("up"), params, FIRST, LAST).done == len(SESSIONS)


def test_only_what_is_read_counts(lake: Lake) -> None:
    params = ToyParams(cutoff="session_close", variant="down", model_id="other")
    run_stage(lake, DATED, ToyParams(cutoff="end_of_day", variant="up"), FIRST, LAST)
    run_stage(lake, TOY, ToyParams(variant="up", model_id="event"), FIRST, LAST)  # knows of no decision
    for stage in (reads("another"), reads("up", "another"), reads("up", "event")):
        run_stage(lake, stage, params, FIRST, LAST)


def test_stages_that_make_rows_of_one_variant_agree(lake: Lake) -> None:
    run_stage(lake, TOY, ToyParams(scale=2.0, variant="x"), FIRST, LAST)
    kin = dataclasses.replace(TOY, name="kin", surface=lambda p: f"{p.model_id}!", shares={"toy": ("scale",)})
    with pytest.raises(VariantConflictError, match=r"shared with toy, stands for other settings: scale was 2\.0"):
        run_stage(lake, kin, ToyParams(scale=3.0, variant="x"), FIRST, LAST)
    run_stage(lake, kin, ToyParams(scale=2.0, variant="x"), FIRST, LAST)
    run_stage(lake, kin, ToyParams(scale=3.0, variant="y"), FIRST, LAST)
    run_stage(lake, kin, ToyParams(scale=3.0, variant="x", model_id="other"), FIRST, LAST)
