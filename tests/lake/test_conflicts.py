"""Commits get in each other's way only where they must, and then are tried again."""

from __future__ import annotations

import datetime as dt
import itertools
import random
import threading
import time
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from prometheus.errors import CommitConflictError
from prometheus.lake import Lake, contract, writer
from prometheus.lake.tables import TableHandles
from tests.lake_rows import days_from, window_rows

DAY = dt.date(2020, 1, 1)
TABLE = "numeric_window_embeddings"


class Interruption:
    """Counts writes, and lets a rival get in just before the first one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, rival: Any, times: int = 1) -> None:
        self.writes = 0
        self._busy = False
        write = writer.write_deltalake

        def wrapped(*rest: Any, **options: Any) -> Any:
            if self._busy:
                return write(*rest, **options)
            self.writes += 1
            if self.writes <= times:
                self._busy = True
                rival()
                self._busy = False
            return write(*rest, **options)

        monkeypatch.setattr(writer, "write_deltalake", wrapped)


def job_chunk(number: int) -> pa.Table:
    row = {"run_id": "r", "chunk": number, "first_date": DAY, "last_date": DAY, "rows": 1, "seconds": 1.0}
    return pa.Table.from_pylist([row], schema=contract("job_chunks").schema)


@pytest.mark.parametrize("days", [5, 21, 126])
def test_commits_of_different_days_never_conflict(lake: Lake, monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    lake.upsert(TABLE, window_rows(days_from(DAY, 3), ["A"]))
    other = Lake.open(lake.location.root)
    later = window_rows(days_from(DAY + dt.timedelta(days=1000), days), ["B"])
    interrupted = Interruption(monkeypatch, lambda: other.upsert(TABLE, later))
    lake.upsert(TABLE, window_rows(days_from(DAY + dt.timedelta(days=500), days), ["C"]))
    assert interrupted.writes == 1, "written twice, though nobody else touched these days"
    assert lake.count(TABLE) == 3 + 2 * days


def test_a_commit_of_the_same_day_is_tried_again_on_what_is_there_then(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.upsert(TABLE, window_rows([DAY], ["A"]))
    other = Lake.open(lake.location.root)
    interrupted = Interruption(monkeypatch, lambda: other.upsert(TABLE, window_rows([DAY], ["B"])))
    lake.upsert(TABLE, window_rows([DAY], ["C"]))
    assert interrupted.writes == 2
    assert sorted(lake.read(TABLE, columns=["entity_id"])["entity_id"].to_pylist()) == ["A", "B", "C"]


def test_an_append_is_tried_again_when_the_table_was_made_meanwhile(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.append("job_chunks", job_chunk(0))
    table = DeltaTable(lake.location.table_uri("job_chunks"))
    interrupted = Interruption(monkeypatch, lambda: table.alter.set_table_description("made by another run"))
    lake.append("job_chunks", job_chunk(1))
    assert interrupted.writes == 2
    assert lake.count("job_chunks") == 2


def test_an_append_gives_up_in_a_sentence(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.append("job_chunks", job_chunk(0))
    monkeypatch.setattr(time, "sleep", lambda seconds: None)

    def rival() -> None:
        DeltaTable(lake.location.table_uri("job_chunks")).alter.set_table_description("again")

    Interruption(monkeypatch, rival, times=1000)
    with pytest.raises(CommitConflictError, match="nothing was written"):
        lake.append("job_chunks", job_chunk(1))
    assert lake.count("job_chunks") == 1


def test_an_upsert_gives_up_in_a_sentence(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.upsert(TABLE, window_rows([DAY], ["A"]))
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    monkeypatch.setattr(random, "uniform", lambda least, most: most)
    other, seeds = Lake.open(lake.location.root), itertools.count(1)
    Interruption(monkeypatch, lambda: other.upsert(TABLE, window_rows([DAY], ["B"], seed=next(seeds))), times=1000)
    with pytest.raises(CommitConflictError, match=f"{TABLE}: other runs changed the same partitions 12 times in a row"):
        lake.upsert(TABLE, window_rows([DAY], ["C"]))
    assert sorted(lake.read(TABLE, columns=["entity_id"])["entity_id"].to_pylist()) == ["A", "B"]
    assert waits == [0.05 * 2 ** min(i, 6) for i in range(12)], "each may wait twice as long as the one before"


def test_two_threads_of_a_run_make_a_table_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    create, made = TableHandles.create, []

    def slowly(self: TableHandles, declared: Any) -> DeltaTable:
        made.append(declared.name)
        time.sleep(0.05)
        return create(self, declared)

    monkeypatch.setattr(TableHandles, "create", slowly)
    threads = [
        threading.Thread(target=lake.upsert, args=(TABLE, window_rows([DAY + dt.timedelta(days=i)], ["A"])))
        for i in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [TABLE]
    assert lake.count(TABLE) == 2
