"""What a write touches: the partitions of its rows and those it answers for, no others."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pytest

from prometheus.lake import Lake, Replacing, contract, predicates
from prometheus.lake import lake as module
from prometheus.lake.writer import partition_predicate, without_keys
from tests.lake_rows import days_from, window_rows

DAY = dt.date(2024, 1, 2)
TABLE = "numeric_window_embeddings"
SURFACE = "model_id = 'num-regime-core-v1' AND variant = 'v0' AND entity_type = 'INSTRUMENT'"
TWO = SURFACE.replace("= 'v0'", "IN ('v0', 'w21')")


def test_every_partition_touched_is_named() -> None:
    declared = contract(TABLE)
    assert partition_predicate(window_rows([DAY], ["A", "B"]), declared, ()) == f"{SURFACE} AND as_of_date = '{DAY}'"
    beyond = [Replacing({"as_of_date": [DAY + dt.timedelta(2)], "variant": ["v0"]}), Replacing({"variant": ["w21"]})]
    assert partition_predicate(window_rows([DAY], ["A"]), declared, beyond) == (
        f"{TWO} AND as_of_date IN ('{DAY}', '2024-01-04')"
    )
    assert partition_predicate(window_rows([], []), declared, ()) == "false"


def test_only_the_partitions_touched_are_read(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.upsert(TABLE, window_rows(days_from(DAY, 5), ["A"]))
    read: list[str] = []
    source = module.source_sql

    def noted(declared: Any, files: Sequence[str], **asked: Any) -> str:
        read.extend(files)
        return source(declared, files, **asked)

    monkeypatch.setattr(module, "source_sql", noted)
    lake.upsert(TABLE, window_rows([DAY + dt.timedelta(1)], ["B"]))
    assert [f"as_of_date={DAY + dt.timedelta(1)}" in uri for uri in read] == [True]


def test_only_days_that_come_out_different_are_written(lake: Lake) -> None:
    lake.upsert(TABLE, window_rows(days_from(DAY, 3), ["A"], seed=1))
    before = set(lake._handles.files(TABLE))
    changed = window_rows(days_from(DAY, 3), ["A"], seed=1).slice(0, 1)
    other = window_rows([DAY + dt.timedelta(1)], ["A"], seed=2)
    lake.upsert(TABLE, module.pa.concat_tables([changed, other]))
    gone, new = before - set(lake._handles.files(TABLE)), set(lake._handles.files(TABLE)) - before
    assert [f"as_of_date={DAY + dt.timedelta(1)}" in uri for uri in (*gone, *new)] == [True, True]


def test_rows_without_the_keys_that_come() -> None:
    rows, key = window_rows([DAY], ["A", "B", "C"]), contract(TABLE).key
    assert without_keys(rows, window_rows([DAY], ["B", "D"]), key)["entity_id"].to_pylist() == ["A", "C"]
    assert without_keys(rows, window_rows([DAY], ["D"]), key) is rows
    assert without_keys(rows, window_rows([], []), key) is rows
    assert without_keys(rows, rows, key).num_rows == 0


def test_more_days_than_delta_can_be_given_a_list_of(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are said by their bounds: what lies between is written as it was."""
    monkeypatch.setattr(predicates, "_MOST_LISTED", 3)
    days = days_from(DAY, 11)
    lake.upsert(TABLE, window_rows(days, ["A", "B"]))
    held = {(r["as_of_date"], r["entity_id"]): r for r in lake.read(TABLE).to_pylist()}
    assert len(held) == 22
    some = days[1:9:2]
    brought = window_rows(some, ["B", "C"], seed=1)
    area = Replacing({"as_of_date": some}, {"entity_id": ["A"]})
    assert lake.upsert(TABLE, brought, replacing=[area]).changed
    expected = {key: row for key, row in held.items() if key[0] not in some or key[1] not in {"A", "B"}}
    expected |= {(r["as_of_date"], r["entity_id"]): r for r in brought.to_pylist()}
    rows = lake.read(TABLE).to_pylist()
    assert {(r["as_of_date"], r["entity_id"]): r for r in rows} == expected
    assert len(rows) == len(expected)
    assert not lake.upsert(TABLE, brought, replacing=[area]).changed
    assert set(lake.read(TABLE, where={"as_of_date": some})["as_of_date"].to_pylist()) == set(some)
    assert lake.upsert(TABLE, window_rows(days, ["D"])).changed
    assert lake.count(TABLE) == len(expected) + len(days)
