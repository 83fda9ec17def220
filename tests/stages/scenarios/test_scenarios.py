"""Scenario sets and the windows their paths end in."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from numpy.typing import NDArray

from prometheus.errors import MissingInputError, RequestError, VariantConflictError
from prometheus.lake import Lake, Replacing, contract
from prometheus.market.calendars import stored_sessions
from prometheus.runtime import RunOptions, RunSummary, run_stage
from prometheus.spaces.numeric import numeric_model, slots
from prometheus.spaces.numeric.masking import volume_masked
from prometheus.stages import stage
from prometheus.stages.scenarios.sets import month_ends
from prometheus.vectors import from_list_array
from tests.demo_lakes import copy_lake, run, sql

DAY = dt.date(2025, 1, 31)
METHODS = ("historical", "bootstrap", "stressed", "parametric")
WINDOWS = "numeric_window_embeddings"


@pytest.fixture(scope="module")
def made(demo_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Sets of every method of a market and a name, and their windows. For reading."""
    lake = copy_lake(demo_lake, tmp_path_factory.mktemp("scenarios") / "lake", only="raw")
    generate(lake, DAY, DAY, name="mine", method=METHODS, num_paths=12, market_id=("US_EQ",))
    generate(lake, DAY, DAY, name="mine", num_paths=8, instrument_id=("ACME.US",))
    run(lake, "scenario_embeddings", DAY, DAY)
    return lake


@pytest.fixture(scope="module")
def scratch(demo_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A raw lake that tests write sets of different names into."""
    return copy_lake(demo_lake, tmp_path_factory.mktemp("scratch") / "lake", only="raw")


def generate(lake: Lake, first: dt.date, last: dt.date, options: RunOptions | None = None, **params: Any) -> RunSummary:
    declared = stage("scenarios")
    return run_stage(lake, declared, declared.params(**params), first, last, options=options)


def test_a_set_says_what_it_is(made: Lake) -> None:
    sets = made.read("scenario_sets").to_pylist()
    assert {(s["method"], s["base_entity_type"], s["base_entity_id"]) for s in sets} == {
        *((m.upper(), "MARKET", "US_EQ") for m in METHODS),
        ("HISTORICAL", "INSTRUMENT", "ACME.US"),
    }
    for row in sets:
        assert row["scenario_set_id"] == f"{row['series_id']}-20250131"
        assert row["series_id"].startswith("mine-")
        assert (row["name"], row["horizon_days"], row["as_of_date"]) == ("mine", 20, DAY)
        assert row["num_paths"] == (8 if row["base_entity_id"] == "ACME.US" else 12)
        assert row["num_returns"] > 500
        assert row["first_session"] == dt.date(2022, 10, 4)
        assert 0.002 < row["long_run_volatility"] < 0.05
        assert not row["replay"]
    of_market = {s["source_digest"] for s in sets if s["base_entity_id"] == "US_EQ"}
    assert len(of_market) == 1
    assert of_market != {s["source_digest"] for s in sets if s["base_entity_id"] == "ACME.US"}


def test_every_path_has_every_step_and_its_sums_agree(made: Lake) -> None:
    rows = sql(
        made,
        """select scenario_set_id, scenario_id, list(step order by step) as steps, list(log_return order by step) as r,
                  list(cumulative_return order by step) as c, any_value(total_return) as total,
                  any_value(max_drawdown) as dd, count(distinct (shock_type, severity, total_return, max_drawdown)) as k,
                  any_value(severity) as severity, any_value(drawdown_quantile) as q, any_value(appended_after) as after
           from scenario_paths group by all""",
    )
    assert len(rows) == 4 * 12 + 8
    for row in rows:
        assert row["steps"] == list(range(1, 21))
        np.testing.assert_allclose(row["c"], np.expm1(np.cumsum(row["r"])), atol=1e-12)
        assert row["total"] == row["c"][-1]
        assert row["k"] == 1
        level = np.concatenate([[1.0], 1 + np.array(row["c"])])
        assert row["dd"] == pytest.approx((1 - level / np.maximum.accumulate(level)).max(), abs=1e-12)
        assert row["severity"] == ("HIGH" if row["q"] >= 0.95 else "MEDIUM" if row["q"] >= 0.75 else "LOW")
        assert row["after"] == DAY


def test_historical_paths_of_a_name_are_its_returns(made: Lake) -> None:
    run(made, "returns", DAY, DAY, instrument_id=("ACME.US",))
    paths = sql(
        made,
        """select p.scenario_id, list(log_return order by step) as r from scenario_paths p join scenario_sets s
           using (scenario_set_id) where s.base_entity_id = 'ACME.US' group by 1 order by 1""",
    )
    calendar = stored_sessions(made, "XNYS")
    assert calendar is not None
    sessions = calendar.dates
    last = paths[-1]
    assert last["scenario_id"].endswith("_2025-01-31")
    stamped = made.read("returns_daily", where={"instrument_id": "ACME.US", "as_of_date": DAY})["log_return"]
    assert last["r"][-1] == stamped[0].as_py()
    for path in paths:
        first, end = (np.searchsorted(sessions, np.datetime64(d)) for d in path["scenario_id"].split("_"))
        assert end - first == 19


def test_asking_again_lands_on_the_same_set(made: Lake, demo_lake: Path, tmp_path: Path) -> None:
    lake = copy_lake(demo_lake, tmp_path / "again", only="raw")
    serial, forced = RunOptions(executor="serial"), RunOptions(force=True)
    generate(lake, DAY, DAY, serial, name="mine", num_paths=8, instrument_id=("ACME.US",))
    for method in reversed(METHODS):
        generate(lake, DAY, DAY, serial, name="mine", method=(method,), num_paths=12, market_id=("US_EQ",))
    generate(lake, DAY, DAY, forced, name="mine", method=METHODS, num_paths=12, market_id=("US_EQ",))
    run(lake, "scenario_embeddings", DAY, DAY)
    for table in ("scenario_sets", "scenario_paths", WINDOWS):
        assert lake.digest(table) == made.digest(table), table
    assert generate(lake, DAY, DAY, name="mine", num_paths=8, instrument_id=("ACME.US",)).already == 1
    assert run(lake, "scenario_embeddings", DAY, DAY).done == 0


def test_another_request_is_another_set_and_other_settings_another_variant(made: Lake) -> None:
    declared = stage("scenarios").params
    base = declared(name="mine", num_paths=12)
    ids = [
        dataclasses.replace(base, **change).series_id("US_EQ", entity, method)
        for entity in ("US_EQ", "ACME.US")
        for method in ("historical", "bootstrap")
        for change in ({}, {"name": "other"}, {"num_paths": 13}, {"horizon_days": 21}, {"seed": 8})
    ]
    assert len(set(ids)) == len(ids)
    replayed = dataclasses.replace(base, replay=True, window_end=("2024-01-31",))
    assert replayed.series_id("US_EQ", "US_EQ", "bootstrap") == base.series_id("US_EQ", "US_EQ", "bootstrap")
    assert replayed.series_id("US_EQ", "US_EQ", "historical") != base.series_id("US_EQ", "US_EQ", "historical")
    with pytest.raises(VariantConflictError, match=r"block_length is 10\.0, now 5\.0"):
        generate(made, DAY, DAY, name="mine", method=("bootstrap",), block_length=5.0)


def test_nothing_known_later_gets_in(made: Lake, demo_lake: Path, tmp_path: Path) -> None:
    """Every price known after the cut-off another one, and a past corrected later: the same set."""
    lake = copy_lake(demo_lake, tmp_path / "later", only="raw")
    rows = lake.read("prices_daily", dates=(dt.date(2025, 2, 3), dt.date(2025, 3, 31)), every_version=True)
    wild = rows.set_column(rows.schema.get_field_index("close"), "close", pc.multiply(rows["close"], 3.0))
    lake.upsert("prices_daily", wild.cast(contract("prices_daily").schema))
    old = lake.read("prices_daily", dates=(dt.date(2024, 6, 3), dt.date(2024, 6, 3)), every_version=True)
    later = pa.array([dt.datetime(2025, 2, 3, 12, tzinfo=dt.UTC)] * old.num_rows, pa.timestamp("us", tz="UTC"))
    corrected = old.set_column(old.schema.get_field_index("close"), "close", pc.multiply(old["close"], 2.0))
    corrected = corrected.set_column(corrected.schema.get_field_index("known_at"), "known_at", later)
    lake.upsert("prices_daily", corrected.cast(contract("prices_daily").schema))
    generate(lake, DAY, DAY, name="mine", method=METHODS, num_paths=12, market_id=("US_EQ",))
    generate(lake, DAY, DAY, name="mine", num_paths=8, instrument_id=("ACME.US",))
    for table in ("scenario_sets", "scenario_paths"):
        assert lake.digest(table) == made.digest(table), table
    later_day = dt.date(2025, 2, 28)
    generate(lake, later_day, later_day, name="mine", num_paths=8, instrument_id=("ACME.US",))
    paths = lake.read("scenario_paths", where={"as_of_date": later_day})
    assert max(abs(r) for r in paths["log_return"].to_pylist()) > 0.5


def test_a_range_has_a_set_at_the_end_of_each_month(scratch: Lake) -> None:
    first, last = dt.date(2024, 11, 5), dt.date(2025, 1, 30)
    generate(scratch, first, last, num_paths=3, market_id=("US_EQ",), name="monthly")
    days = sorted(scratch.read("scenario_sets", where={"name": "monthly"})["as_of_date"].to_pylist())
    assert days == [dt.date(2024, 11, 29), dt.date(2024, 12, 31)]
    before = scratch.digest("scenario_paths")
    alone = generate(scratch, days[0], days[0], num_paths=3, market_id=("US_EQ",), name="monthly")
    assert alone.already == 1
    generate(scratch, days[0], days[0], RunOptions(force=True), num_paths=3, market_id=("US_EQ",), name="monthly")
    assert scratch.digest("scenario_paths") == before
    assert month_ends(np.array(["2024-01-30", "2024-01-31"], dtype="datetime64[D]")).tolist() == [dt.date(2024, 1, 31)]
    assert month_ends(np.array(["2024-01-30"], dtype="datetime64[D]")).tolist() == []


def test_too_short_a_past_is_counted(scratch: Lake) -> None:
    day = dt.date(2023, 2, 28)
    summary = generate(scratch, day, day, num_paths=3, method=METHODS)
    assert (summary.rows, summary.skipped) == (0, {"short_history": 8})
    summary = generate(scratch, DAY, DAY, num_paths=400, horizon_days=250, name="long")
    found = scratch.read("scenario_sets", where={"name": "long"}).to_pylist()
    assert {100 < s["num_paths"] < 400 for s in found} == {True}
    gone = sql(scratch, "select instrument_id, delisted_on from instruments where delisted_on < '2024-10-01' limit 1")
    summary = generate(scratch, DAY, DAY, instrument_id=(gone[0]["instrument_id"],))
    assert summary.skipped == {"stale": 1}


def windows(
    lake: Lake, entity_type: str, model_id: str
) -> tuple[NDArray[np.float32], list[str], list[dt.date], list[dict[str, Any]]]:
    rows = lake.read(WINDOWS, where={"entity_type": entity_type, "model_id": model_id})
    rows = rows.sort_by([("as_of_date", "ascending"), ("entity_id", "ascending")])
    specs = [json.loads(s) for s in rows["window_spec"].to_pylist()]
    return from_list_array(rows["vector"]), rows["entity_id"].to_pylist(), rows["as_of_date"].to_pylist(), specs


def test_replayed_windows_are_the_states_the_name_was_in(scratch: Lake) -> None:
    """A path that is an instrument's own last 63 sessions has that instrument at that date as its nearest state, rank
    one among all instruments and dates, once volume is masked; and so has every other window replayed in its place."""
    asked: dict[str, Any] = {
        "horizon_days": 63,
        "num_paths": 30,
        "replay": True,
        "instrument_id": ("ACME.US",),
        "variant": "replay",
    }
    generate(scratch, DAY, DAY, **asked)
    run(scratch, "scenario_embeddings", DAY, DAY, set_variant="replay", variant="replay")
    paths, ids, _, specs = windows(scratch, "SCENARIO", "num-scenario-core-v1")
    first = dt.date(2024, 7, 1)
    run(scratch, "numeric_embeddings", first, DAY, model_id="num-stab-core-v1", market_id=("US_EQ",))
    states, names, days, _ = windows(scratch, "INSTRUMENT", "num-stab-core-v1")
    assert len(set(names)) > 8
    model = numeric_model("num-stab-core-v1")
    masked = volume_masked(model, states).astype(np.float64)
    assert not np.array_equal(masked, states)
    norms = np.linalg.norm(masked, axis=1)
    checked = []
    for path, scenario_id, spec in zip(paths.astype(np.float64), ids, specs, strict=True):
        end = dt.date.fromisoformat(scenario_id.rpartition("_")[2])
        assert (spec["base_entity_id"], spec["steps"], spec["sessions"]) == ("ACME.US", 63, 63)
        assert dt.date.fromisoformat(spec["appended_after"]) < dt.date.fromisoformat(
            scenario_id.split("/")[1].split("_")[0]
        )
        if end < first:
            continue
        nearest = int(np.argmax(masked @ path / norms))
        assert (names[nearest], days[nearest]) == ("ACME.US", end)
        assert np.argmin(np.linalg.norm(masked - path, axis=1)) == nearest
        np.testing.assert_array_equal(masked[nearest], path)
        checked.append(end)
    assert DAY in checked
    assert len(checked) >= 4


def test_a_path_behind_todays_history_is_another_state(made: Lake, raw_copy: Lake) -> None:
    """What-if windows end in the path and stand on today's past: a calm path gives a calm window, a crash a long one."""
    paths, ids, days, specs = windows(made, "SCENARIO", "num-scenario-core-v1")
    assert len(ids) == 4 * 12 + 8
    assert set(days) == {DAY}
    assert {s["appended_after"] for s in specs} == {"2025-01-31"}
    found = {row["id"]: row for row in sql(made, "select distinct scenario_set_id || '/' || scenario_id as id, total_return, "
                                          "max_drawdown, shock_type from scenario_paths")}  # fmt: skip
    assert set(ids) == set(found)
    norms = np.linalg.norm(paths.astype(np.float64), axis=1)
    stressed = [n for n, i in zip(norms, ids, strict=True) if found[i]["shock_type"] == "STRESSED"]
    ordinary = [n for n, i in zip(norms, ids, strict=True) if found[i]["shock_type"] == "BOOTSTRAP"]
    assert min(stressed) > max(ordinary)
    at = slots(numeric_model("num-scenario-core-v1")).index("scales.return_21")
    order = np.argsort([found[i]["total_return"] for i in ids if found[i]["shock_type"] == "BOOTSTRAP"])
    column = np.array([p[at] for p, i in zip(paths, ids, strict=True) if found[i]["shock_type"] == "BOOTSTRAP"])
    assert np.corrcoef(column[order], np.arange(len(order)))[0, 1] > 0.8
    volume = [
        i for i, n in enumerate(slots(numeric_model("num-scenario-core-v1"))) if "volume" in n and "volatility" not in n
    ]
    assert not paths[:, volume].any()


def test_some_sets_leave_the_others_alone_and_paths_no_longer_made_go(raw_copy: Lake) -> None:
    generate(raw_copy, DAY, DAY, name="a", num_paths=4)
    generate(raw_copy, DAY, DAY, name="a", num_paths=4, instrument_id=("ACME.US",))
    sets = {s["base_entity_id"]: s["scenario_set_id"] for s in raw_copy.read("scenario_sets").to_pylist()}
    run(raw_copy, "scenario_embeddings", DAY, DAY, scenario_set_id=(sets["US_EQ"],))
    assert {i.split("/")[0] for i in windows(raw_copy, "SCENARIO", "num-scenario-core-v1")[1]} == {sets["US_EQ"]}
    assert run(raw_copy, "scenario_embeddings", DAY, DAY).planned == 3
    whole = raw_copy.digest(WINDOWS)
    assert raw_copy.count(WINDOWS) == 12
    run(raw_copy, "scenario_embeddings", DAY, DAY, RunOptions(force=True), market_id=("US_EQ",))
    assert raw_copy.digest(WINDOWS) == whole
    rows = raw_copy.read("scenario_paths")
    fewer = rows.filter(pc.not_equal(rows["scenario_id"], rows["scenario_id"][0]))
    gone = rows.num_rows - fewer.num_rows
    assert gone >= 20
    raw_copy.upsert("scenario_paths", fewer, replacing=Replacing({"as_of_year": [2025]}, {"variant": ["v0"]}))
    run(raw_copy, "scenario_embeddings", DAY, DAY)
    assert raw_copy.count(WINDOWS) == 12 - gone // 20
    generate(raw_copy, DAY, DAY, RunOptions(force=True), name="a", num_paths=4)
    generate(raw_copy, DAY, DAY, RunOptions(force=True), name="a", num_paths=4, instrument_id=("ACME.US",))
    run(raw_copy, "scenario_embeddings", DAY, DAY)
    assert raw_copy.digest(WINDOWS) == whole


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"name": "a b"}, r"--name 'a b': a set's name is letters, digits, _ and \. only"),
        ({"horizon_days": 0}, "--horizon-days must be 1 to 252, got 0"),
        ({"horizon_days": 253}, "--horizon-days must be 1 to 252, got 253"),
        ({"num_paths": 10_001}, "--num-paths must be 1 to 10,000, got 10001"),
        ({"seed": -1}, "--seed must be 0 or more, got -1"),
        ({"method": ("bootstrap",), "replay": True}, "--replay is about windows of the past"),
        ({"method": ("bootstrap",), "window_end": ("2024-01-31",)}, "--window-end is about windows of the past"),
        ({"window_end": ("2024-01-31", "2024-02-29"), "num_paths": 1}, "names 2 windows and --num-paths is 1"),
        ({"window_end": ("yesterday",)}, "--window-end 'yesterday' is not a date; write YYYY-MM-DD"),
        ({"window_end": ("2025-02-03",)}, "ends on 2025-02-03; name a session of the base's past"),
        ({"market_id": ("MOON_EQ",)}, "there is no market 'MOON_EQ'"),
        ({"instrument_id": ("NOBODY.US",)}, r"the lake has no instrument NOBODY\.US in market EU_EQ, US_EQ"),
        ({"stress_share": 1.5, "variant": "x"}, "stress_share must be 0 to 1, got 1.5"),
        ({"block_length": 0.5, "variant": "x"}, "block_length must be 1 to inf, got 0.5"),
    ],
)
def test_requests_that_cannot_be(made: Lake, asked: dict[str, Any], sentence: str) -> None:
    before = made.version("scenario_sets"), made.version("lineage")
    with pytest.raises(RequestError, match=sentence):
        generate(made, DAY, DAY, **asked)
    assert (made.version("scenario_sets"), made.version("lineage")) == before


def test_days_that_cannot_be(scratch: Lake) -> None:
    with pytest.raises(MissingInputError, match="there are no prices between 2015-06-01 and 2015-06-01"):
        generate(scratch, dt.date(2015, 6, 1), dt.date(2015, 6, 1))
    holiday = dt.date(2025, 1, 20)
    with pytest.raises(RequestError, match="2025-01-20 is no session of US_EQ; the last one before it is 2025-01-17"):
        generate(scratch, holiday, holiday, market_id=("US_EQ",))
    nowhere = dt.date(2024, 9, 4)
    with pytest.raises(MissingInputError, match=r"no scenario sets \(variant v0\) between .*generate_scenarios"):
        run(scratch, "scenario_embeddings", nowhere, nowhere)
    with pytest.raises(MissingInputError, match="there are no scenario sets nothing"):
        run(scratch, "scenario_embeddings", DAY, DAY, scenario_set_id=("nothing",))
