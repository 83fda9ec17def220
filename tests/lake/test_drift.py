"""A table that another version wrote is refused in a sentence, whatever reads or writes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from prometheus.errors import ContractError
from prometheus.lake import Lake, contract
from prometheus.lake.drift import nullability_drift, structural_drift

TABLE = "regimes"


def made(root: Path, schema: pa.Schema, partition_by: list[str]) -> DeltaTable:
    uri = str(root / contract(TABLE).layer / TABLE)
    return DeltaTable.create(uri, schema=schema, partition_by=partition_by)


def test_a_table_as_declared_has_none(tmp_path: Path) -> None:
    declared = contract(TABLE)
    handle = made(tmp_path, declared.schema, list(declared.partition_by))
    assert structural_drift(handle, declared) == ()
    assert nullability_drift(handle, declared) == ()


def test_vectors_and_structs_as_declared_have_none(lake: Lake) -> None:
    for name in ("numeric_window_embeddings", "joint_embeddings"):
        handle = lake._handles.create(contract(name))
        assert structural_drift(handle, contract(name)) == ()


def test_what_differs_is_named(tmp_path: Path) -> None:
    declared = contract(TABLE)
    fields = [f.with_type(pa.string()) if f.name == "confidence" else f for f in declared.schema if f.name != "backend"]
    fields = [f.with_nullable(True) if f.name == "region" else f for f in fields]
    handle = made(tmp_path, pa.schema([*fields, pa.field("mood", pa.string())]), ["region"])
    assert structural_drift(handle, declared) == (
        "backend is missing",
        "mood is not declared",
        "confidence is string, declared double",
        "partitioned by region, declared model_id, variant, as_of_year",
    )
    assert nullability_drift(handle, declared) == ("region may be null, declared: must not be null",)


@pytest.mark.parametrize(
    "ask",
    [
        lambda lake: lake.read(TABLE),
        lambda lake: lake.states(TABLE),
        lambda lake: lake.version(TABLE),
        lambda lake: lake.connect(),
        lambda lake: lake.upsert(TABLE, contract(TABLE).empty()),
    ],
    ids=["read", "states", "version", "sql", "upsert"],
)
def test_it_is_refused(lake: Lake, ask: Callable[[Lake], Any]) -> None:
    made(Path(lake.location.root), contract(TABLE).schema, ["as_of_year"])
    with pytest.raises(ContractError, match="partitioned by as_of_year, declared model_id, variant, as_of_year"):
        ask(lake)
