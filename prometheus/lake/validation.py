"""Rows against their contract, before anything is committed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from prometheus.errors import ContractError
from prometheus.lake.contract import TableContract
from prometheus.vectors import from_list_array


def conform(rows: pa.Table, contract: TableContract, columns: Sequence[str] | None = None) -> pa.Table:
    """Bring rows to the contract's column order and exact types.

    Raises
    ------
    ContractError
        When a column is missing, is not in the contract, or cannot be cast without loss.
    """
    wanted = list(columns) if columns is not None else contract.schema.names
    unknown = [c for c in rows.column_names if c not in contract.schema.names]
    missing = [c for c in wanted if c not in rows.column_names]
    if unknown or missing:
        raise ContractError(
            f"rows for {contract.name} do not keep its contract:"
            + (f" unknown columns {', '.join(unknown)};" if unknown else "")
            + (f" missing columns {', '.join(missing)};" if missing else "")
            + f" it has {', '.join(contract.schema.names)}"
        )
    arrays = []
    for name in wanted:
        field = contract.schema.field(name)
        column = rows.column(name)
        try:
            arrays.append(column if column.type == field.type else _cast(column, field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise ContractError(f"{contract.name}.{name} must be {field.type}, got {column.type}: {error}") from None
    return pa.table(arrays, schema=pa.schema([contract.schema.field(n) for n in wanted]))


def _cast(column: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    """Cast one column; lists are rebuilt, because Arrow will not cast a nullable element to a non-nullable one."""
    if not (pa.types.is_list(target) and pa.types.is_list(column.type)):
        return column.cast(target)
    chunks = []
    for chunk in column.chunks:
        values = chunk.flatten()
        lengths = pc.fill_null(pc.list_value_length(chunk), 0).to_numpy(zero_copy_only=False)
        offsets = np.zeros(len(chunk) + 1, dtype=np.int32)
        np.cumsum(lengths, out=offsets[1:])
        element = _rebuild_struct(values, target.value_type) if pa.types.is_struct(target.value_type) else values
        mask = chunk.is_null() if chunk.null_count else None
        chunks.append(
            pa.ListArray.from_arrays(pa.array(offsets), element.cast(target.value_type), type=target, mask=mask)
        )
    return pa.chunked_array(chunks, type=target)


def _rebuild_struct(values: pa.StructArray, target: pa.StructType) -> pa.StructArray:
    fields = [target.field(i) for i in range(target.num_fields)]
    return pa.StructArray.from_arrays([values.field(f.name).cast(f.type) for f in fields], fields=fields)


def validate(rows: pa.Table, contract: TableContract) -> pa.Table:
    """Check rows against their contract and return them conformed.

    Nulls, unique keys, width and finiteness of vectors; partitions need no check of their own, because partition
    columns are ordinary columns here and the writer takes the partition from them.

    Raises
    ------
    ContractError
        Naming the table, the column or key, and how many rows are wrong.
    """
    rows = conform(rows, contract)
    for column in contract.columns:
        nulls = rows.column(column.name).null_count
        if nulls and not column.nullable:
            raise ContractError(f"{contract.name}.{column.name} must not be null; {nulls} of {rows.num_rows} rows are")
    keys = pl.DataFrame(pl.from_arrow(rows.select(list(contract.key))))
    twins = keys.is_duplicated()
    if twins.any():
        example = keys.filter(twins).row(0)
        raise ContractError(
            f"{contract.name}: {int(twins.sum())} rows share a key with another, for example "
            f"{dict(zip(contract.key, example, strict=True))}"
        )
    for name, width in contract.vector_columns.items():
        block = from_list_array(rows.column(name), width)
        if not _all_finite(block):
            bad = int((~np.isfinite(block).all(axis=1)).sum())
            raise ContractError(f"{contract.name}.{name}: {bad} of {rows.num_rows} vectors are not finite")
    return rows


def _all_finite(block: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> bool:
    flat = block.reshape(-1)
    # One pass of a dot product is several times cheaper than a boolean block; only an overflow needs the second look.
    with np.errstate(over="ignore", invalid="ignore"):
        square = np.dot(flat, flat)
    return bool(np.isfinite(square)) or bool(np.isfinite(flat).all())
