"""What a contract says of its table, and the declared contracts as a whole."""

from __future__ import annotations

import pyarrow as pa
import pytest

from prometheus.errors import RequestError
from prometheus.lake import ALL_TABLES, TableContract, contract
from prometheus.lake.contract import DAY, REAL, TEXT, UTC, VECTOR, Column

PARTS = (
    Column("name", TEXT, "n"),
    Column("as_of_date", DAY, "d"),
    Column("known_at", UTC, "k"),
    Column("x", REAL, "x"),
)


def of(key: tuple[str, ...], dated_by: str = "as_of_date", **more: object) -> TableContract:
    told = {"columns": PARTS, "partition_by": ("as_of_date",), "table_class": "event", "layer": "raw", **more}
    return TableContract(name="t", doc="", key=key, dated_by=dated_by, **told)  # type: ignore[arg-type]


def test_versions_are_kept_where_the_key_says_when_they_were_known() -> None:
    plain, kept = of(("name", "as_of_date")), of(("name", "as_of_date", "known_at"))
    assert (plain.is_versioned, kept.is_versioned) == (False, True)
    assert (plain.natural_key, kept.natural_key) == (("name", "as_of_date"), ("name", "as_of_date"))
    assert not plain.may_move
    assert not kept.may_move


def test_a_row_dated_by_another_column_may_move_unless_that_column_names_it() -> None:
    moving = of(("name", "as_of_date", "known_at"), dated_by="x")
    assert moving.natural_key == ("name",)
    assert moving.may_move is True
    assert of(("name", "x", "as_of_date", "known_at"), dated_by="x").may_move is False
    assert of(("name", "as_of_date"), dated_by="x").may_move is False


@pytest.mark.parametrize("spoilt", [{"key": ("name", "nobody")}, {"key": ("name",), "partition_by": ("nobody",)}])
def test_keys_and_partitions_must_be_columns(spoilt: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(ValueError, match="nobody is in the key or partitions but not a column"):
        of(**spoilt)  # type: ignore[arg-type]


def test_a_column_by_name() -> None:
    assert of(("name",)).column("x") is PARTS[3]
    with pytest.raises(KeyError, match="t has no column y"):
        of(("name",)).column("y")


def test_columns_hold_no_nulls_unless_they_say_so() -> None:
    assert Column("a", TEXT, "").nullable is False
    assert not of(("name",)).schema.field("x").nullable
    assert of(("name",), columns=(*PARTS, Column("y", REAL, "", nullable=True))).schema.field("y").nullable
    assert of(("name",)).empty().schema == of(("name",)).schema
    assert of(("name",)).empty().num_rows == 0


def test_vectors_are_lists_of_floats_that_are_all_there() -> None:
    assert pa.list_(pa.field("element", pa.float32(), nullable=False)) == VECTOR
    assert VECTOR.value_field.name == "element"
    assert of(("name",)).vector_columns == {}
    assert of(("name",), columns=(*PARTS, Column("v", VECTOR, ""))).vector_columns == {"v": 384}


@pytest.mark.parametrize("declared", ALL_TABLES, ids=lambda t: t.name)
def test_every_declared_table_keeps_the_house_rules(declared: TableContract) -> None:
    assert contract(declared.name) is declared
    assert len({c.name for c in declared.columns}) == len(declared.columns)
    keyed = {*declared.key, *declared.partition_by}
    assert not [c.name for c in declared.columns if c.nullable and c.name in keyed]
    assert not [name for name in declared.vector_columns if declared.column(name).nullable and declared.layer != "raw"]
    if declared.layer == "raw" and declared.is_versioned:
        assert declared.column("withdrawn").type == pa.bool_()
        assert declared.column("known_at").type == UTC
    for column in declared.columns:
        for inner in _structs(column.type):
            assert not [f.name for f in inner if f.nullable], f"{column.name}: what stands in a list is whole"


def _structs(kind: pa.DataType) -> list[pa.StructType]:
    if pa.types.is_list(kind):
        return _structs(kind.value_type)
    return [kind] if pa.types.is_struct(kind) else []


def test_tables_there_are_not_are_refused() -> None:
    with pytest.raises(RequestError, match="prices_weekly"):
        contract("prices_weekly")
