"""Delta tables that are not the lake's own, and handles on those that are."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from prometheus.errors import BadDataError
from prometheus.lake import Lake, contract
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
