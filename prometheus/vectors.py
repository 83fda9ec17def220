"""The one vector width of the house, and the way between NumPy blocks and Arrow list columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

EMBEDDING_DIM = 384
"""Width of every embedding: numeric, text and joint vectors live in R^384."""

_TAKEN_AT_ONCE = 256
"""Vectors on their way from one block to another; they stay in the processor's cache."""


def to_list_array(vectors: NDArray[np.float32], kind: pa.ListType | None = None) -> pa.Array:
    """Wrap a block of vectors as an Arrow list column, without a copy when it is C-contiguous float32.

    Parameters
    ----------
    vectors : ndarray of shape (n, d)
        One vector a row.
    kind : pyarrow.ListType, optional
        Type of the column, of float32 values; lists of non-null values when left out.

    Returns
    -------
    pyarrow.ListArray
        ``n`` lists of ``d`` non-null float32 values.
    """
    import pyarrow as pa

    block = np.ascontiguousarray(vectors, dtype=np.float32)
    n, width = block.shape
    offsets = pa.array(np.arange(0, (n + 1) * width, width, dtype=np.int32)[: n + 1])
    kind = kind or pa.list_(pa.field("element", pa.float32(), nullable=False))
    return pa.ListArray.from_arrays(offsets, pa.array(block.reshape(-1)), type=kind)


def from_list_array(column: pa.Array | pa.ChunkedArray, dim: int = EMBEDDING_DIM) -> NDArray[np.float32]:
    """View a list column as a (n, d) float32 block.

    Raises
    ------
    ContractError
        When any vector is not exactly ``dim`` wide.
    """
    import pyarrow as pa

    from prometheus.errors import ContractError

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if isinstance(column, pa.ChunkedArray):  # zero chunks combine to a chunked array of none
        return np.empty((0, dim), dtype=np.float32)
    values = column.flatten().to_numpy(zero_copy_only=False)
    if values.size != len(column) * dim:
        raise ContractError(
            f"a vector column holds {values.size} values in {len(column)} rows; each row must hold {dim}"
        )
    block: NDArray[np.float32] = values.reshape(len(column), dim).astype(np.float32, copy=False)
    return block


def vectors_at(column: pa.ChunkedArray, at: NDArray[np.int64], dim: int = EMBEDDING_DIM) -> NDArray[np.float32]:
    """Vectors of a list column at some places; zeros where a place is -1.

    What a query brings comes in chunks: each is taken from where it lies, and never joined to the others first.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
        Lists of ``dim`` float32 values, m in all.
    at : ndarray of int64, shape (n,)
        Places in the column, or -1.
    dim : int

    Returns
    -------
    ndarray of float32, shape (n, dim)

    Raises
    ------
    ContractError
        When any vector is not exactly ``dim`` wide.
    """
    block = np.empty((len(at), dim), dtype=np.float32)
    block[at < 0] = 0.0
    begin = 0
    for chunk in column.chunks:
        held = from_list_array(chunk, dim)
        mine = np.flatnonzero((at >= begin) & (at < begin + len(held)))
        for start in range(0, len(mine), _TAKEN_AT_ONCE):
            rows = mine[start : start + _TAKEN_AT_ONCE]
            block[rows] = held[at[rows] - begin]
        begin += len(held)
    return block


def rows_at(rows: pa.Table, at: NDArray[np.integer]) -> pa.Table:
    """Rows of a table at some places, in the order of the places.

    What :meth:`pyarrow.Table.take` returns. It joins chunks first and grows its lists as it goes, up to four times the
    bytes of the vectors it returns; here vectors are copied once, into a block of their own size.

    Parameters
    ----------
    rows : pyarrow.Table
    at : ndarray of integers, shape (n,)
        Places, each from 0 up to the number of rows less one.

    Returns
    -------
    pyarrow.Table
        Of n rows.
    """
    import pyarrow as pa

    places = at.astype(np.int64, copy=False)
    widths = {name: _common_width(rows[name]) for name in rows.column_names}
    plain = rows.select([name for name, width in widths.items() if not width]).take(pa.array(places))
    columns = [
        to_list_array(vectors_at(rows[name], places, width), rows.schema.field(name).type) if width else plain[name]
        for name, width in widths.items()
    ]
    return pa.table(columns, schema=rows.schema)


def _common_width(column: pa.ChunkedArray) -> int:
    """Width of the vectors of a column; zero of a column of anything else."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if not (pa.types.is_list(kind) and pa.types.is_float32(kind.value_type)) or column.null_count:
        return 0
    widths = pc.min_max(pc.list_value_length(column))
    if widths["min"] != widths["max"] or any(chunk.flatten().null_count for chunk in column.chunks):
        return 0
    return widths["max"].as_py() or 0
