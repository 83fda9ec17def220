"""Why a day is made, or is not, in the plan's own words."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from prometheus.clock import DEFAULT_MARKETS, exchange_sessions
from prometheus.errors import VariantConflictError
from prometheus.lake import Lake, contract
from prometheus.runtime import Stage, StageReader, run_stage
from prometheus.runtime import done as words
from prometheus.runtime.plan import Plan, make_plan
from prometheus.runtime.withdrawal import latest_lineage, withdraw
from tests.lake_rows import price_rows
from tests.toy_stage import TOY, ToyParams

FIRST, LAST = dt.date(2024, 1, 2), dt.date(2024, 2, 29)
SESSIONS = exchange_sessions("XNYS", FIRST, LAST).dates.tolist()
N = len(SESSIONS)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake.open(tmp_path / "lake", create=True)
    lake.deliver("prices_daily", price_rows(SESSIONS, ["A", "B"]))
    return lake


def planned(
    lake: Lake, params: ToyParams | None = None, stage: Stage[ToyParams] = TOY, last: dt.date = LAST, **how: bool
) -> Plan:
    reader = StageReader(lake, DEFAULT_MARKETS, ["prices_daily"])
    return make_plan(lake, stage, params or ToyParams(), reader, FIRST, last, **how)  # type: ignore[arg-type]


def test_every_reason_is_told(lake: Lake) -> None:
    assert planned(lake).reasons == Counter({words.MISSING: N})
    run_stage(lake, TOY, ToyParams(), FIRST, SESSIONS[-4])
    assert planned(lake).reasons == Counter({words.DONE: N - 3, words.MISSING: 3})
    assert planned(lake).todo == {"US": tuple(SESSIONS[-3:])}
    assert planned(lake, force=True).reasons == Counter({words.FORCED: N})
    assert planned(lake, ToyParams(only=("A",))).reasons == Counter({words.PARTIAL: N})
    later = dataclasses.replace(TOY, revision=2)
    assert planned(lake, stage=later).reasons == Counter({words.STALE_SETTINGS: N - 3, words.MISSING: 3})
    other = dataclasses.replace(TOY, fingerprint=lambda params: "another encoder")
    assert planned(lake, stage=other).reasons[words.STALE_SETTINGS] == N - 3


def test_days_whose_inputs_changed_and_days_taken_back_are_told_apart(lake: Lake) -> None:
    run_stage(lake, TOY, ToyParams(), FIRST, LAST)
    lake.deliver("prices_daily", price_rows([SESSIONS[0]], ["C"]))
    reach = sum(SESSIONS[0] <= d <= SESSIONS[0] + dt.timedelta(days=3) for d in SESSIONS)
    rows = latest_lineage(lake).sort("as_of_date")
    assert withdraw(lake, rows.tail(2)) == 2
    plan = planned(lake)
    assert plan.reasons == Counter({words.DONE: N - reach - 2, words.STALE_INPUTS: reach, words.TAKEN_BACK: 2})
    assert plan.size == reach + 2
    assert plan.todo["US"] == (*SESSIONS[:reach], *SESSIONS[-2:])
    assert withdraw(lake, rows.head(0)) == 0


def test_days_of_two_surfaces_are_taken_back_in_one_go(lake: Lake) -> None:
    """Each surface has a v0: their lineage differs by settings alone."""
    for model_id in ("toy-v1", "toy-v2"):
        run_stage(lake, TOY, ToyParams(model_id=model_id), FIRST, LAST)
    assert withdraw(lake, latest_lineage(lake)) == 2 * N
    for model_id in ("toy-v1", "toy-v2"):
        assert planned(lake, ToyParams(model_id=model_id)).reasons == Counter({words.TAKEN_BACK: N})


def test_what_another_variant_has_done_says_nothing(lake: Lake) -> None:
    run_stage(lake, TOY, ToyParams(), FIRST, LAST)
    assert planned(lake, ToyParams(variant="x", scale=3.0)).reasons == Counter({words.MISSING: N})


def test_the_plan_in_words(lake: Lake) -> None:
    run_stage(lake, TOY, ToyParams(), FIRST, SESSIONS[-4])
    assert planned(lake).lines() == [
        "toy [v0]: 3 output days in 1 chunks",
        f"  {N - 3} done",
        "  3 missing",
        f"  US: {SESSIONS[-3]} to {SESSIONS[-1]}, 3 days",
    ]


def test_chunks_hold_each_day_once(lake: Lake) -> None:
    plan = planned(lake)
    assert [c.number for c in plan.chunks] == list(range(len(plan.chunks)))
    assert [d for c in plan.chunks for d in c.days["US"]] == SESSIONS
    assert {len(c.days["US"]) for c in plan.chunks[:-1]} == {TOY.chunk_days}
    assert {c.asked for c in plan.chunks} == {(FIRST, LAST)}
    by_year = planned(lake, stage=dataclasses.replace(TOY, chunk_by="year"))
    assert [c.size for c in by_year.chunks] == [N]
    weekend = planned(lake, last=FIRST)
    assert [c.size for c in weekend.chunks] == [1]


def test_a_range_without_a_session_has_nothing_to_do(lake: Lake) -> None:
    reader = StageReader(lake, DEFAULT_MARKETS, ["prices_daily"])
    plan = make_plan(lake, TOY, ToyParams(), reader, dt.date(2024, 1, 6), dt.date(2024, 1, 7))
    assert (plan.size, plan.chunks, plan.todo) == (0, (), {"US": ()})


def test_a_setting_that_came_after_the_variant_stood_for_its_default(lake: Lake) -> None:
    """A lake from before the setting was there goes on; other values than the default are other settings."""
    run_stage(lake, TOY, ToyParams(variant="x"), FIRST, LAST)
    (row,) = lake.read("variants", where={"stage": TOY.name, "variant": "x"}).to_pylist()
    settings = json.loads(row["settings"])
    del settings["scale"]
    row["settings"] = json.dumps(settings)
    lake.upsert("variants", pa.Table.from_pylist([row], schema=contract("variants").schema))
    assert planned(lake, ToyParams(variant="x")).stage == TOY.name
    with pytest.raises(VariantConflictError, match=r"scale was 1\.0, now 3\.0"):
        planned(lake, ToyParams(variant="x", scale=3.0))
