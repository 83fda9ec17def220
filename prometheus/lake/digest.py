"""Digests of rows: same keys and bit-for-bit the same values give the same digest, whatever the file layout."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

from prometheus.vectors import rows_at

if TYPE_CHECKING:
    from prometheus.lake.contract import TableContract

Feed = Callable[[Any, int, int], None]
"""``feed(h, start, stop)`` feeds a run of rows into a running digest."""


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
    return rows_at(rows, positions)


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
    columns = _columns(rows, contract)
    for start, stop in _partition_bounds(rows, contract):
        _feed_partition(h, columns, start, stop)


def partition_digests(rows: pa.Table, contract: TableContract) -> dict[tuple[Any, ...], bytes]:
    """Digest of each partition's rows, by the values of the partition columns; rows in storage order."""
    columns = _columns(rows, contract)
    bounds = _partition_bounds(rows, contract)
    firsts = pa.array([start for start, _ in bounds], pa.int64())
    keys = [rows.column(c).take(firsts).to_pylist() for c in contract.partition_by]
    digests = {}
    for i, (start, stop) in enumerate(bounds):
        h = new_digest()
        _feed_partition(h, columns, start, stop)
        digests[tuple(values[i] for values in keys)] = h.digest()
    return digests


def _columns(rows: pa.Table, contract: TableContract) -> list[tuple[bytes, Feed]]:
    return [(name.encode(), _by_chunk(rows.column(name))) for name in contract.schema.names]


def _feed_partition(h: Any, columns: list[tuple[bytes, Feed]], start: int, stop: int) -> None:
    h.update(str(stop - start).encode())
    for name, feed in columns:
        h.update(name)
        feed(h, start, stop)


def _partition_bounds(rows: pa.Table, contract: TableContract) -> list[tuple[int, int]]:
    if rows.num_rows == 0:
        return []
    if not contract.partition_by:
        return [(0, rows.num_rows)]
    keys = pl.DataFrame(pl.from_arrow(rows.select(list(contract.partition_by))))
    starts = keys.with_row_index("__row").group_by(list(contract.partition_by)).agg(pl.col("__row").min())
    edges = [*sorted(starts["__row"].to_list()), rows.num_rows]
    return list(itertools.pairwise(edges))


def _by_chunk(column: pa.ChunkedArray) -> Feed:
    """Feed from a column whose chunks are laid out one at a time, when runs of rows, ascending, come to them."""
    edges = [0, *itertools.accumulate(len(chunk) for chunk in column.chunks)]
    laid: dict[int, Feed] = {}

    def feed(h: Any, start: int, stop: int) -> None:
        i = bisect.bisect_right(edges, start) - 1
        if stop > edges[i + 1]:
            _feed_across(h, column.slice(start, stop - start).chunks)
            return
        if i not in laid:
            laid.clear()
            laid[i] = _laid_out(column.chunk(i))
        laid[i](h, start - edges[i], stop - edges[i])

    return feed


def _feed_across(h: Any, chunks: list[pa.Array]) -> None:
    """Feed a run of rows that lies in several chunks.

    Texts, which may be most of a table, are fed where they lie: lengths of all, then bytes of all.
    """
    if not _is_text(chunks[0].type):
        _laid_out(pa.concat_arrays(chunks))(h, 0, sum(map(len, chunks)))
        return
    if any(chunk.null_count for chunk in chunks):
        h.update(np.packbits(np.concatenate([_missing(chunk) for chunk in chunks])).data)
    for chunk in chunks:
        h.update(_lengths(pc.binary_length(chunk)).data)
    for chunk in chunks:
        edges, view = _bytes_of(chunk)
        h.update(view[edges[0] : edges[-1]])


def _laid_out(array: pa.Array) -> Feed:
    """Lay an array out as plain buffers once: partitions are many and small, and slicing Arrow for each costs more."""
    kind = array.type
    missing = _missing(array) if array.null_count else None
    before = None if missing is None else _running(missing)
    if pa.types.is_list(kind):
        values = _list_values(array)
    elif pa.types.is_struct(kind):
        values = _struct_values(array)
    elif _is_text(kind):
        values = _text_values(array)
    else:
        values = _plain_values(array, before)
    if missing is None or before is None:
        return values

    def feed(h: Any, start: int, stop: int) -> None:
        if before[start] != before[stop]:
            h.update(np.packbits(missing[start:stop]).data)
        values(h, start, stop)

    return feed


def _list_values(array: pa.Array) -> Feed:
    lengths = _lengths(pc.list_value_length(array))
    edges = _running(lengths)
    inner = _laid_out(array.flatten())

    def feed(h: Any, start: int, stop: int) -> None:
        h.update(lengths[start:stop].data)
        inner(h, int(edges[start]), int(edges[stop]))

    return feed


def _struct_values(array: pa.StructArray) -> Feed:
    fields = [(field.name.encode(), _laid_out(array.field(i))) for i, field in enumerate(array.type)]

    def feed(h: Any, start: int, stop: int) -> None:
        for name, inner in fields:
            h.update(name)
            inner(h, start, stop)

    return feed


def _text_values(array: pa.Array) -> Feed:
    lengths = _lengths(pc.binary_length(array))
    edges, view = _bytes_of(array)

    def feed(h: Any, start: int, stop: int) -> None:
        h.update(lengths[start:stop].data)
        h.update(view[edges[start] : edges[stop]])

    return feed


def _bytes_of(array: pa.Array) -> tuple[NDArray[Any], memoryview]:
    """Bytes of texts and where each begins in them; one edge more than texts."""
    # What lies under a null is anybody's; an empty text has no bytes.
    text = pc.fill_null(array, "") if array.null_count else array
    width = np.dtype(np.int64 if pa.types.is_large_string(array.type) else np.int32)
    _, offsets, data = text.buffers()
    edges = np.frombuffer(offsets, width, len(text) + 1, text.offset * width.itemsize)
    return edges, memoryview(data if data is not None else b"")


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _missing(array: pa.Array) -> NDArray[np.bool_]:
    flags: NDArray[np.bool_] = array.is_null().to_numpy(zero_copy_only=False)
    return flags


def _plain_values(array: pa.Array, before: NDArray[np.int64] | None) -> Feed:
    """Values without the nulls; ``before[i]`` of the rows before ``i`` are null."""
    values = array.drop_null() if array.null_count else array
    if pa.types.is_date32(array.type):
        values = values.cast(pa.int32())
    elif pa.types.is_timestamp(array.type):
        values = values.cast(pa.int64())
    dense = np.ascontiguousarray(values.to_numpy(zero_copy_only=False))
    if before is None:
        return lambda h, start, stop: h.update(dense[start:stop].data)
    return lambda h, start, stop: h.update(dense[start - before[start] : stop - before[stop]].data)


def _lengths(lengths: pa.Array) -> NDArray[np.int64]:
    return np.ascontiguousarray(pc.fill_null(lengths, 0).to_numpy(zero_copy_only=False).astype(np.int64))


def _running(counts: NDArray[Any]) -> NDArray[np.int64]:
    total = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=total[1:])
    return total
