"""Digests of rows: same keys and bit-for-bit the same values give the same digest, whatever the file layout."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

if TYPE_CHECKING:
    from prometheus.lake.contract import TableContract


def storage_order(contract: TableContract) -> list[str]:
    """Column order rows are kept in: by partition, then by key."""
    return [*contract.partition_by, *(k for k in contract.key if k not in contract.partition_by)]


def sort_rows(rows: pa.Table, contract: TableContract) -> pa.Table:
    """Return rows in storage order (unchanged, and not copied, when they are in order already)."""
    if rows.num_rows < 2:
        return rows
    order = storage_order(contract)
    keys = pl.DataFrame(pl.from_arrow(rows.select(order)))
    positions = keys.with_row_index("__row").sort(order, maintain_order=True)["__row"].to_numpy()
    if (positions[1:] > positions[:-1]).all():
        return rows
    return rows.take(pa.array(positions))


def new_digest() -> Any:
    """Return an empty running digest."""
    return xxhash.xxh3_128()


def rows_digest(rows: pa.Table, contract: TableContract) -> str:
    """128-bit xxh3 of rows in key order, over every column of the contract in its declared order.

    A digest tells equal from different rows; it is not a signature.
    """
    h = new_digest()
    feed_rows(h, sort_rows(rows, contract), contract)
    return str(h.hexdigest())


def feed_rows(h: Any, rows: pa.Table, contract: TableContract) -> None:
    """Feed rows in storage order into a running digest, one partition after the other."""
    for start, stop in _partition_bounds(rows, contract):
        _feed_partition(h, rows.slice(start, stop - start), contract)


def partition_digests(rows: pa.Table, contract: TableContract) -> dict[tuple[Any, ...], bytes]:
    """Digest of each partition's rows, by the values of the partition columns; rows in storage order."""
    digests = {}
    for start, stop in _partition_bounds(rows, contract):
        part = rows.slice(start, stop - start)
        h = new_digest()
        _feed_partition(h, part, contract)
        digests[tuple(part.column(c)[0].as_py() for c in contract.partition_by)] = h.digest()
    return digests


def _feed_partition(h: Any, part: pa.Table, contract: TableContract) -> None:
    h.update(str(part.num_rows).encode())
    for name in contract.schema.names:
        h.update(name.encode())
        column = part.column(name)
        _feed(h, column.chunk(0) if column.num_chunks == 1 else column)


def _partition_bounds(rows: pa.Table, contract: TableContract) -> list[tuple[int, int]]:
    if rows.num_rows == 0:
        return []
    if not contract.partition_by:
        return [(0, rows.num_rows)]
    keys = pl.DataFrame(pl.from_arrow(rows.select(list(contract.partition_by))))
    starts = keys.with_row_index("__row").group_by(list(contract.partition_by)).agg(pl.col("__row").min())
    edges = [*sorted(starts["__row"].to_list()), rows.num_rows]
    return list(itertools.pairwise(edges))


def _feed(h: Any, array: pa.Array | pa.ChunkedArray) -> None:
    if isinstance(array, pa.ChunkedArray):
        if array.num_chunks == 0:
            return
        array = pa.concat_arrays(array.chunks)
    kind = array.type
    if array.null_count:
        h.update(np.packbits(array.is_null().to_numpy(zero_copy_only=False)).tobytes())
    if pa.types.is_list(kind):
        _feed_lengths(h, pc.list_value_length(array))
        _feed(h, array.flatten())
    elif pa.types.is_struct(kind):
        for i in range(kind.num_fields):
            h.update(kind.field(i).name.encode())
            _feed(h, array.field(i))
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        _feed_lengths(h, pc.binary_length(array))
        text = array.cast(pa.large_string()) if pa.types.is_string(kind) else array
        text = text.drop_null() if text.null_count else text
        _, offsets, data = text.buffers()
        if data is not None:
            bounds = np.frombuffer(offsets, dtype=np.int64)[text.offset : text.offset + len(text) + 1]
            h.update(memoryview(data)[bounds[0] : bounds[-1]])
    else:
        values = array.drop_null() if array.null_count else array
        if pa.types.is_date32(kind):
            values = values.cast(pa.int32())
        elif pa.types.is_timestamp(kind):
            values = values.cast(pa.int64())
        dense = np.ascontiguousarray(values.to_numpy(zero_copy_only=False))
        h.update(dense.data.cast("B") if dense.size else b"")


def _feed_lengths(h: Any, lengths: pa.Array) -> None:
    h.update(np.ascontiguousarray(pc.fill_null(lengths, 0).to_numpy(zero_copy_only=False).astype(np.int64)).tobytes())
