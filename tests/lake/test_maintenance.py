"""Vacuum and restore: nothing current is touched, nothing is restored that is not whole."""

from __future__ import annotations

import datetime as dt
import os
import time
from pathlib import Path

import numpy as np
import pytest

from prometheus.errors import BadDataError, RequestError
from prometheus.lake import Lake, contract
from prometheus.lake.inventory import object_files, schema_drift, take_inventory
from prometheus.lake.maintenance import (
    HOUR,
    Retention,
    forget_files,
    plan_restore,
    ranges,
    remove_orphans,
    restore,
    vacuum,
)
from tests.lake_rows import days_from, price_rows, window_rows

DAY = dt.date(2020, 1, 1)
TABLE = "numeric_window_embeddings"
NOW = Retention(retain_hours=0)


@pytest.fixture
def versions(lake: Lake) -> list[str]:
    """Three versions of two days, in a partition of an awkward name; digests by version (0 is the empty table)."""
    digests = [""]
    for seed in range(3):
        lake.upsert(TABLE, window_rows(days_from(DAY, 2), ["A", "B"], seed=seed, variant="w 21/é%"))
        digests.append(lake.digest(TABLE))
    return digests


def folder(lake: Lake, table: str = TABLE) -> Path:
    return Path(lake.location.table_uri(table))


def put_orphan(lake: Lake, age_hours: float, name: str = "part-left.parquet") -> Path:
    path = next(folder(lake).rglob("*.parquet")).with_name(name)
    path.write_bytes(b"half a file")
    os.utime(path, (time.time() - age_hours * HOUR,) * 2)
    return path


def parquet(lake: Lake) -> set[Path]:
    return set(folder(lake).rglob("*.parquet")) - set((folder(lake) / "_delta_log").glob("*"))


def test_a_vacuum_only_shows_until_it_is_told_to(lake: Lake, versions: list[str]) -> None:
    before = parquet(lake)
    shown = vacuum(lake, TABLE, NOW)
    assert shown is not None
    assert (shown.files, shown.versions) == (4, (0, 3))
    assert shown.size > 0
    assert parquet(lake) == before
    assert lake.version(TABLE) == 3


def test_a_vacuum_removes_what_is_past_its_retention_and_nothing_current(lake: Lake, versions: list[str]) -> None:
    done = vacuum(lake, TABLE, NOW, dry_run=False)
    assert done is not None
    assert done.files == 4
    assert done.versions == (0, 3, 4, 5)  # what a vacuum writes down is two versions of the same rows
    assert len(parquet(lake)) == 2
    assert Lake.open(lake.location.root).digest(TABLE) == versions[3]
    assert list((folder(lake) / "_delta_log").glob("*.checkpoint.parquet"))
    again = vacuum(lake, TABLE, NOW, dry_run=False)
    assert again is not None
    assert again.files == 0
    assert lake.version(TABLE) == 5


def test_a_vacuum_within_the_retention_removes_nothing(lake: Lake, versions: list[str]) -> None:
    done = vacuum(lake, TABLE, Retention(), dry_run=False)
    assert done is not None
    assert (done.files, done.versions) == (0, (0, 1, 2, 3))
    assert len(parquet(lake)) == 6


def test_a_vacuum_takes_old_files_no_version_names_and_never_young_ones(lake: Lake, versions: list[str]) -> None:
    young, old = put_orphan(lake, 1, "part-young.parquet"), put_orphan(lake, 400, "part-old.parquet")
    vacuum(lake, TABLE, NOW, dry_run=False)
    assert young.exists(), "what a running writer may be about to commit was removed"
    assert old.exists()
    vacuum(lake, TABLE, Retention(), dry_run=False)
    assert young.exists()
    assert not old.exists()


def test_a_long_retention_keeps_files_whose_removal_checkpoints_forgot(lake: Lake, versions: list[str]) -> None:
    """Written long ago and replaced a moment ago: within any retention, whatever the file's own age."""
    for path in parquet(lake):
        os.utime(path, (time.time() - 2000 * HOUR,) * 2)
    done = vacuum(lake, TABLE, Retention(retain_hours=672), dry_run=False)
    assert done is not None
    assert (done.files, done.versions) == (0, (0, 1, 2, 3))


def test_what_was_never_written_has_nothing_to_vacuum(lake: Lake) -> None:
    assert vacuum(lake, "regimes", NOW) is None
    with pytest.raises(RequestError, match="there is no table"):
        vacuum(lake, "nothing", NOW)


@pytest.mark.parametrize("version", [0, 1, 2])
def test_a_restore_is_a_new_version_of_the_old_rows(lake: Lake, versions: list[str], version: int) -> None:
    plan = plan_restore(lake, TABLE, version)
    assert (plan.current, plan.files_away, plan.files_back) == (3, 2, 2 if version else 0)
    assert {p["as_of_date"] for p in plan.changed} == set(days_from(DAY, 2))
    assert {p["variant"] for p in plan.changed} == {"w 21/é%"}
    assert restore(lake, plan) == lake.version(TABLE) == 4
    assert lake.count(TABLE) == (4 if version else 0)
    if version:
        assert lake.digest(TABLE) == versions[version]
    assert restore(lake, plan_restore(lake, TABLE, 3)) == 5
    assert lake.digest(TABLE) == versions[3]


def test_restoring_what_is_current_changes_nothing(lake: Lake, versions: list[str]) -> None:
    plan = plan_restore(lake, TABLE, 3)
    assert plan.changed == ()
    assert restore(lake, plan) == 3


def test_a_vacuumed_version_is_refused(lake: Lake, versions: list[str]) -> None:
    vacuum(lake, TABLE, NOW, dry_run=False)
    with pytest.raises(RequestError, match=r"version 2 .* were vacuumed; versions that can be: 0, 3 to 5"):
        plan_restore(lake, TABLE, 2)
    with pytest.raises(RequestError, match="versions 0 to 5, not 9"):
        plan_restore(lake, TABLE, 9)
    with pytest.raises(RequestError, match="never written"):
        plan_restore(lake, "regimes", 0)


def test_a_version_the_log_forgot_is_refused_by_reads_too(lake: Lake, versions: list[str]) -> None:
    vacuum(lake, TABLE, Retention(), dry_run=False)  # writes a checkpoint
    lake.upsert(TABLE, window_rows([DAY], ["C"]))
    for number in range(3):
        (folder(lake) / "_delta_log" / f"{number:020d}.json").unlink()
    assert lake.read(TABLE, version=3).num_rows == 4
    with pytest.raises(RequestError, match="no longer tells of version 1"):
        lake.read(TABLE, version=1)
    with pytest.raises(RequestError, match="versions that can be: 3 to 4"):
        plan_restore(lake, TABLE, 1)


def test_a_restore_overtaken_by_a_run_is_refused(lake: Lake, versions: list[str]) -> None:
    plan = plan_restore(lake, TABLE, 1)
    lake.upsert(TABLE, window_rows([DAY], ["C"]))
    with pytest.raises(BadDataError, match="run the command again"):
        restore(lake, plan)
    assert lake.count(TABLE) == 5


def test_a_restore_whose_files_went_away_meanwhile_is_refused(lake: Lake, versions: list[str]) -> None:
    plan = plan_restore(lake, TABLE, 1)
    removed = {f.name for f in folder(lake).rglob("*.parquet")} - {Path(uri).name for uri in lake._handles.files(TABLE)}
    assert removed
    for file in folder(lake).rglob("*.parquet"):
        if file.name in removed:
            file.unlink()
    with pytest.raises(BadDataError, match="could not be restored to version 1"):
        restore(lake, plan)
    assert lake.digest(TABLE) == versions[-1]


def test_of_a_table_never_written_nothing_is_removed_or_forgotten(lake: Lake) -> None:
    assert remove_orphans(lake, TABLE, 0) == []
    assert forget_files(lake, TABLE) == []
    assert take_inventory(lake, TABLE) is None
    assert schema_drift(lake, contract(TABLE)) == ((), ())


def test_orphans_are_removed_once_they_are_old_enough(lake: Lake, versions: list[str]) -> None:
    orphan = put_orphan(lake, 30)
    torn = folder(lake) / "_delta_log" / "_commit_x.json.tmp"
    torn.write_text("")
    assert remove_orphans(lake, TABLE, 31) == []
    assert [Path(p).name for p in remove_orphans(lake, TABLE, 29)] == [orphan.name]
    assert [Path(p).name for p in remove_orphans(lake, TABLE, 0)] == [torn.name]
    assert lake.digest(TABLE) == versions[3]
    assert plan_restore(lake, TABLE, 1).files_back == 2


def test_files_that_are_gone_can_be_given_up(lake: Lake) -> None:
    lake.upsert(TABLE, window_rows(days_from(DAY, 3), ["A"], variant="w 21/é%"))
    lost = next(folder(lake).rglob(f"as_of_date={DAY}/*.parquet"))
    lost.unlink()
    inventory = take_inventory(lake, TABLE)
    assert inventory is not None
    assert inventory.missing == [str(lost.relative_to(folder(lake)))]
    assert forget_files(lake, TABLE) == inventory.missing
    assert lake.count(TABLE) == 2


def test_an_object_store_shows_the_same_files(lake: Lake, versions: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    here = take_inventory(lake, TABLE)
    monkeypatch.setattr("prometheus.lake.inventory.files_of", lambda lake, table, handle: object_files(handle))
    there = take_inventory(lake, TABLE)
    assert here is not None
    assert there is not None
    assert there.current == here.current
    assert there.commits == here.commits
    assert {p: f.size for p, f in there.stored.items()} == {p: f.size for p, f in here.stored.items()}


def test_raw_rows_can_be_taken_back(lake: Lake) -> None:
    lake.deliver("prices_daily", price_rows(days_from(DAY, 3), ["A"]))
    before, state = lake.digest("prices_daily"), lake.states("prices_daily")
    lake.deliver("prices_daily", price_rows([DAY], ["WRONG"]))
    restore(lake, plan_restore(lake, "prices_daily", 1))
    assert lake.digest("prices_daily") == before
    assert np.array_equal(lake.states("prices_daily").states, state.states)


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"retain_hours": -1}, "whole number of hours"),
        ({"retain_hours": 1.5}, "whole number of hours"),
        ({"orphan_hours": True}, "whole number of hours"),
        ({"checkpoint": "often"}, "checkpoint must be true or false"),
        ({"retain_days": 7}, "retention has no retain_days"),
    ],
)
def test_a_retention_that_makes_no_sense_is_refused(mapping: dict[str, object], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        Retention.from_mapping(mapping)


def test_ranges_in_words() -> None:
    assert ranges([]) == ""
    assert ranges([0, 4, 5, 6, 9]) == "0, 4 to 6, 9"
