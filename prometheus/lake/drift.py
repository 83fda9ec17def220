"""Where a stored table differs from its contract: it was written by another version, or by somebody else."""

from __future__ import annotations

import pyarrow as pa
from deltalake import DeltaTable

from prometheus.lake.contract import TableContract


def structural_drift(handle: DeltaTable, declared: TableContract) -> tuple[str, ...]:
    """Columns, types and partitions that differ, in words: the table's rows cannot be read as the contract's."""
    stored = _fields(handle)
    wanted = {f.name: f for f in declared.schema}
    found = [f"{name} is missing" for name in wanted if name not in stored]
    found += [f"{name} is not declared" for name in stored if name not in wanted]
    found += [
        f"{name} is {stored[name].type}, declared {wanted[name].type}"
        for name in wanted
        if name in stored and not _same_type(stored[name].type, wanted[name].type)
    ]
    partitions = tuple(handle.metadata().partition_columns)
    if partitions != declared.partition_by:
        names = [", ".join(columns) or "nothing" for columns in (partitions, declared.partition_by)]
        found.append(f"partitioned by {names[0]}, declared {names[1]}")
    return tuple(found)


def nullability_drift(handle: DeltaTable, declared: TableContract) -> tuple[str, ...]:
    """Columns that may be null on one side only, in words."""
    stored = _fields(handle)
    loose = {True: "may be null", False: "must not be null"}
    return tuple(
        f"{field.name} {loose[stored[field.name].nullable]}, declared: {loose[field.nullable]}"
        for field in declared.schema
        if field.name in stored and stored[field.name].nullable != field.nullable
    )


def _fields(handle: DeltaTable) -> dict[str, pa.Field]:
    return {f.name: f for f in pa.schema(handle.schema().to_arrow())}


def _same_type(one: pa.DataType, other: pa.DataType) -> bool:
    """Equal but for the nullability of list elements and struct fields, which files do not keep."""
    return bool(_loose(one).equals(_loose(other)))


def _loose(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind):
        return pa.list_(pa.field("element", _loose(kind.value_type)))
    if pa.types.is_struct(kind):
        fields = (kind.field(i) for i in range(kind.num_fields))
        return pa.struct([pa.field(f.name, _loose(f.type)) for f in fields])
    return kind
