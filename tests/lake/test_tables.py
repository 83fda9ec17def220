"""Delta tables that are not the lake's own, and handles on those that are."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from prometheus.errors import BadDataError
from prometheus.lake import Lake, contract, tables
from prometheus.lake.tables import Location, delta_folder_columns, read_delta_folder


def test_a_users_own_table_is_read_whole(tmp_path: Path) -> None:
    rows = pa.table({"day": ["2024-01-02"] * 2, "close": [1.0, 2.0]})
    write_deltalake(str(tmp_path / "theirs"), rows)
    write_deltalake(str(tmp_path / "theirs"), rows, mode="append")
    assert read_delta_folder(tmp_path / "theirs").num_rows == 4
    assert delta_folder_columns(tmp_path / "theirs") == ["day", "close"]


@pytest.mark.parametrize("read", [read_delta_folder, delta_folder_columns])
def test_a_folder_without_a_log_is_no_table(tmp_path: Path, read: object) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(BadDataError, match=r"plain is no Delta table \(it has no _delta_log\)"):
        read(tmp_path / "plain")  # type: ignore[operator]


def test_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Location.of("here/../there") == Location(str(tmp_path / "there"))
    assert Location.of(f"file://{tmp_path}/x/") == Location(f"{tmp_path}/x")
    assert Location.of("gs://bucket/x/") == Location("gs://bucket/x")
    assert Location.of("c:/lake").path == tmp_path / "c:" / "lake"  # a letter is a drive, or a folder, but no scheme
    assert Location.of(tmp_path).table_uri("regimes") == f"{tmp_path}/engines/regimes"


def test_a_new_table_is_that_of_its_contract(lake: Lake) -> None:
    declared = contract("prices_daily")
    lake.upsert("prices_daily", declared.empty())
    made = lake._handles.create(declared)
    meta = made.metadata()
    assert (meta.name, meta.description) == (declared.name, declared.doc)
    assert tuple(meta.partition_columns) == declared.partition_by
    assert meta.configuration["delta.dataSkippingNumIndexedCols"] == "0"
    assert lake._handles.create(declared).version() == made.version() == 0
    assert DeltaTable.is_deltatable(str(lake.location.path / "raw" / "prices_daily"))  # type: ignore[operator]


def test_readers_see_what_another_lake_object_wrote(lake: Lake) -> None:
    other = Lake.open(lake.location.root, create=True)
    assert other.version("prices_daily") is None
    lake._handles.create(contract("prices_daily"))
    assert other.version("prices_daily") == 0


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tables whose log was replayed."""
    seen: list[str] = []
    true = DeltaTable.update_incremental

    def noted(self: DeltaTable) -> None:
        seen.append(self.metadata().name or "")
        true(self)

    monkeypatch.setattr(DeltaTable, "update_incremental", noted)
    return seen


def _event(number: int) -> pa.Table:
    day = dt.date(2024, 1, 2)
    row = {"run_id": "r", "chunk": number, "first_date": day, "last_date": day, "rows": 1, "seconds": 1.0}
    return pa.Table.from_pylist([row], schema=contract("job_chunks").schema)


def test_a_log_is_replayed_only_when_it_has_gone_on(lake: Lake, replays: list[str]) -> None:
    lake.append("job_chunks", _event(0))
    assert lake.count("job_chunks") == 1
    lake.append("job_chunks", _event(1))
    lake._handles.for_writing(contract("job_chunks"))
    assert replays == [], "a writer's own handle knows its own commits"
    assert lake.count("job_chunks") == lake.count("job_chunks") == 2
    assert replays == ["job_chunks"]
    Lake.open(lake.location.root).append("job_chunks", _event(2))
    lake.append("job_chunks", _event(3))
    assert lake.count("job_chunks") == 4
    assert replays == ["job_chunks"] * 3


def test_a_log_cleaned_behind_a_handle_is_replayed(lake: Lake, replays: list[str]) -> None:
    """Nothing follows the version of an old handle in a log that was cleaned since, and yet it is not the last."""
    lake.append("job_chunks", _event(0))
    assert lake.version("job_chunks") == 1
    other = Lake.open(lake.location.root)
    for number in range(1, 4):
        other.append("job_chunks", _event(number))
    DeltaTable(lake.location.table_uri("job_chunks")).create_checkpoint()
    for version in range(4):
        Path(lake.location.table_uri("job_chunks"), "_delta_log", f"{version:020d}.json").unlink()
    assert lake.count("job_chunks") == 4


def test_handles_are_opened_anew_after_a_checkpoint(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handle gets slower with every version it has moved on by."""
    monkeypatch.setattr(tables, "COMMITS_TO_CHECKPOINT", 5)
    opened: list[str] = []
    true = lake._handles.open

    def noted(name: str, version: int | None = None) -> DeltaTable | None:
        opened.append(name)
        return true(name, version)

    monkeypatch.setattr(lake._handles, "open", noted)
    for number in range(12):
        lake.append("job_chunks", _event(number))
        assert lake.count("job_chunks") == number + 1
    assert len(opened) == 2 + 2 * 2, "a reader's and a writer's, at first and after two checkpoints"
