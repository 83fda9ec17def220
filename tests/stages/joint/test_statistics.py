"""What calibrated variants are scaled by: the past alone, and the same whichever way it is asked for."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from prometheus.clock import exchange_sessions
from prometheus.errors import RequestError, VariantConflictError
from prometheus.lake import Lake
from prometheus.runtime import RunSummary
from prometheus.stages.joint.statistics import MIN_DATES
from prometheus.vectors import from_list_array
from tests.demo_lakes import run
from tests.joint_worlds import averaged, drawn, fresh, joint_rows, listing, make, rows_by_key, windows

TABLE = "branch_statistics"
YEAR = dt.date(2025, 1, 2), dt.date(2025, 1, 31)
STATES = "stab_fragility_states"
NAMES = ("AAA.US", "BBB.US", "CCC.US")
DAYS = exchange_sessions("XNYS", dt.date(2022, 1, 3), dt.date(2025, 1, 31)).dates.tolist()
"""Three years and a month; windows are stored on every third day, so the world stays small."""
HELD = [d for d in DAYS if d < dt.date(2025, 1, 1)][::3] + DAYS[-3:]
Sums = dict[tuple[str, int], tuple[int, float, np.ndarray]]


def world(root: Path, days: list[dt.date] = HELD, profiles: bool = True) -> Lake:
    lake = fresh(root, *(listing(n, f"ISS_{n[:3]}") for n in NAMES))
    windows(lake, "num-stab-core-v1", days, NAMES)
    if profiles:
        joint_rows(lake, "PROFILE_CORE_V0", drawn("PROFILE_CORE_V0", days[::4], ["ISS_AAA"]))
    return lake


def fit(lake: Lake, first: dt.date, last: dt.date, variant: str = "test") -> RunSummary:
    return run(lake, f"branch_statistics_{STATES}", first, last, variant=variant)


def fits(lake: Lake, variant: str = "test") -> Sums:
    rows = lake.read(TABLE, where={"variant": variant})
    means = from_list_array(rows["mean"])
    return {
        (r["branch"], r["year"]): (r["num_dates"], r["rms"], means[i])
        for i, r in enumerate(rows.drop_columns(["mean"]).to_pylist())
    }


def test_population_is_every_row_of_every_name_before_the_year(tmp_path: Path) -> None:
    """Profiles serve 95 days, so the branch has a value on more dates than have a profile."""
    lake = world(tmp_path / "lake")
    fit(lake, dt.date(2025, 1, 2), dt.date(2025, 1, 31))
    (row,) = lake.read(TABLE, where={"branch": "stab", "year": 2025}).drop_columns(["mean"]).to_pylist()
    assert (row["joint_type"], row["region"], row["as_of_date"]) == (
        "STAB_FRAGILITY_V0",
        "US_EQ",
        dt.date(2024, 12, 31),
    )
    stored = lake.read("numeric_window_embeddings")
    past = from_list_array(stored["vector"])[[d.year < 2025 for d in stored["as_of_date"].to_pylist()]].astype(float)
    dates, rms, mean = fits(lake)["stab", 2025]
    assert (dates, len(past)) == (len(HELD) - 3, 3 * (len(HELD) - 3))
    np.testing.assert_allclose(mean, past.mean(axis=0), atol=1e-7)
    assert rms == pytest.approx(np.sqrt(np.square(past - past.mean(axis=0)).sum(axis=1).mean()), rel=1e-9)
    of_profile = lake.read("joint_embeddings", where={"joint_type": "PROFILE_CORE_V0"}).sort_by("as_of_date")
    dated = np.array(of_profile["as_of_date"].to_pylist(), dtype="datetime64[D]")
    vectors = from_list_array(of_profile["vector"]).astype(float)
    at = [
        np.flatnonzero((dated <= d) & (dated >= d - np.timedelta64(95, "D"))) for d in np.array(DAYS, "datetime64[D]")
    ]
    values = [vectors[i[-1]] for i, d in zip(at, DAYS, strict=True) if len(i) and d.year < 2025]
    dates, rms, mean = fits(lake)["profile", 2025]
    assert dates == len(values) > len(HELD)
    np.testing.assert_allclose(mean, np.mean(values, axis=0), atol=1e-7)


def test_what_a_row_of_statistics_does_not_say_is_the_same_for_all(tmp_path: Path) -> None:
    """Neither the joint model nor names are in its key."""
    lake = world(tmp_path / "lake")
    fit(lake, *YEAR)
    held = fits(lake)
    with pytest.raises(VariantConflictError, match="joint_model_id was 'joint-stab-fragility-v1', now 'other'"):
        run(lake, f"branch_statistics_{STATES}", *YEAR, variant="test", joint_model_id="other")
    with pytest.raises(RequestError, match="are of every name there is"):
        run(lake, f"branch_statistics_{STATES}", *YEAR, variant="test", instrument_id=("AAA.US",))
    np.testing.assert_equal(fits(lake), held)


def test_one_request_for_two_years_is_two_requests(tmp_path: Path) -> None:
    lake = world(tmp_path / "lake")
    fit(lake, dt.date(2024, 1, 2), dt.date(2025, 1, 31), "once")
    fit(lake, dt.date(2025, 1, 2), dt.date(2025, 1, 31), "twice")
    fit(lake, dt.date(2024, 3, 1), dt.date(2024, 12, 30), "twice")
    once, twice = fits(lake, "once"), fits(lake, "twice")
    assert once.keys() == twice.keys()
    assert {year for _, year in once} == {2024, 2025}
    for key, (dates, rms, mean) in once.items():
        assert (dates, rms, mean.tobytes()) == (twice[key][0], twice[key][1], twice[key][2].tobytes()), key


def test_what_comes_later_changes_no_fit(tmp_path: Path) -> None:
    short, whole = world(tmp_path / "short", [d for d in HELD if d.year < 2024]), world(tmp_path / "whole")
    for lake in (short, whole):
        fit(lake, dt.date(2024, 1, 2), dt.date(2024, 12, 31))
    dates, rms, mean = fits(whole)["stab", 2024]
    assert (dates, rms, mean.tobytes()) == (*fits(short)["stab", 2024][:2], fits(short)["stab", 2024][2].tobytes())
    assert dates == sum(d.year < 2024 for d in HELD)


def test_an_optional_branch_of_few_dates_has_no_row_and_is_absent_where_it_would_be_scaled(tmp_path: Path) -> None:
    days = DAYS[-MIN_DATES - 21 :]
    lake = world(tmp_path / "lake", days, profiles=False)
    profile = joint_rows(lake, "PROFILE_CORE_V0", drawn("PROFILE_CORE_V0", days[-30:], ["ISS_AAA"]))
    fit(lake, days[-1], days[-1], "v0")
    assert {branch for branch, _ in fits(lake, "v0")} == {"stab"}
    make(lake, STATES, days[-1], days[-1], calibrate="v0")
    (_, rms, mean) = fits(lake, "v0")["stab", 2025]
    rows = rows_by_key(lake, "STAB_FRAGILITY_V0")
    assert {r["scope"]["source"] for r in rows.values()} == {"stab"}
    stored = lake.read("numeric_window_embeddings", dates=(days[-1], days[-1])).sort_by("entity_id")
    for name, z in zip(NAMES, from_list_array(stored["vector"]).astype(float), strict=True):
        np.testing.assert_allclose(rows[days[-1], name]["vector"], (z - mean) / rms, atol=1e-5)
    make(lake, STATES, days[-1], days[-1], variant="plain")
    both = averaged((1.0, from_list_array(stored["vector"])[0].astype(float)), (1.0, profile[days[-1], "ISS_AAA"]))
    np.testing.assert_allclose(
        rows_by_key(lake, "STAB_FRAGILITY_V0", "plain")[days[-1], "AAA.US"]["vector"], both, atol=1e-6
    )


def test_one_date_too_few_of_a_required_branch_and_no_row_is_calibrated(tmp_path: Path) -> None:
    days = [d for d in DAYS if d.year < 2025][-MIN_DATES + 1 :] + DAYS[-1:]
    lake = world(tmp_path / "lake", days, profiles=False)
    assert fit(lake, days[-1], days[-1], "v0").skipped == {f"fewer than {MIN_DATES} past dates in a branch": 1}
    assert fits(lake, "v0") == {}
    summary = make(lake, STATES, days[-1], days[-1], calibrate="v0")
    assert (summary.rows, summary.skipped) == (0, {"no branch statistics for the year": 3})
    windows(lake, "num-stab-core-v1", [dt.date(2024, 6, 3)], NAMES[:1])
    fit(lake, days[-1], days[-1], "v0")
    assert fits(lake, "v0")["stab", 2025][0] == MIN_DATES == 126


def test_scenarios_are_scaled_as_states_are(tmp_path: Path) -> None:
    """By the statistics of the branch stab, so that a state and the path it came from stay comparable."""
    lake = world(tmp_path / "lake", profiles=False)
    fit(lake, DAYS[-1], DAYS[-1], "v0")
    windows(lake, "num-scenario-core-v1", DAYS[-1:], ["SET/0"], entity_type="SCENARIO")
    make(
        lake,
        STATES,
        DAYS[-1],
        DAYS[-1],
        calibrate="v0",
        scenario_id="SET/0",
        weights={"stab": 0.0, "scenario": 1.0, "profile": 0.0},
    )
    (_, rms, mean) = fits(lake, "v0")["stab", 2025]
    stored = lake.read("numeric_window_embeddings", where={"entity_type": "SCENARIO"})
    path = from_list_array(stored["vector"])[0].astype(float)
    row = rows_by_key(lake, "STAB_FRAGILITY_V0")[DAYS[-1], "AAA.US"]
    np.testing.assert_allclose(row["vector"], (path - mean) / rms, atol=1e-5)
    assert row["scope"]["source"] == "scenarios"
