"""One 64-bit number a row, the same on every machine and version: what input states add up.

Rows are summed, so the number must not be linear in the values: two vectors that change places would leave a linear
sum as it was. Each column's bits are mixed into the row's number with the finaliser of SplitMix64 (Steele, Lea and
Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014); a vector goes in as one inner product of its
bits with fixed odd coefficients, modulo 2^64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_NULL = np.uint64(0xD1B54A32D192ED03)
# What is worked on at once stays in a processor's caches: rows, and vectors with their bits widened.
_ROWS = 32_768
_BLOCK = 1_024


def mixed(values: Hashes) -> Hashes:
    """Finaliser of SplitMix64, elementwise."""
    return _mix(values.copy())


def _mix(x: Hashes) -> Hashes:
    """:func:`mixed` in the place of its argument: a fresh array a step costs twice the arithmetic."""
    shifted = np.empty_like(x)
    x += _GOLDEN
    x ^= np.right_shift(x, np.uint64(30), out=shifted)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= np.right_shift(x, np.uint64(27), out=shifted)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= np.right_shift(x, np.uint64(31), out=shifted)
    return x


def row_hashes(rows: pa.Table) -> Hashes:
    """Hash every row over all its columns, names included.

    Parameters
    ----------
    rows : pyarrow.Table

    Returns
    -------
    ndarray of uint64, shape (n,)
    """
    total = np.zeros(rows.num_rows, dtype=np.uint64)
    for start in range(0, rows.num_rows, _ROWS):
        _hash_columns(total[start : start + _ROWS], rows.slice(start, _ROWS))
    return total


def _hash_columns(total: Hashes, rows: pa.Table) -> None:
    for name in rows.column_names:
        column = rows.column(name)
        array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        total ^= _values(array)
        total ^= np.uint64(xxhash.xxh3_64_intdigest(name.encode()))
        _mix(total)


def _values(array: pa.Array) -> Hashes:
    """One number a value; equal numbers only for equal values, as far as 64 bits go."""
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        found = _texts(array)
    elif pa.types.is_list(kind):
        found = _lists(array)
    elif pa.types.is_struct(kind):
        found = row_hashes(pa.table([array.field(i) for i in range(kind.num_fields)], [f.name for f in kind]))
    else:
        found = _mix(_bits(array))
    if array.null_count:
        found = np.where(array.is_null().to_numpy(zero_copy_only=False), _NULL, found)
    return found


def _bits(array: pa.Array) -> Hashes:
    kind = array.type
    if pa.types.is_boolean(kind):
        flags: Hashes = pc.fill_null(array, False).to_numpy(zero_copy_only=False).astype(np.uint64)
        return flags
    if pa.types.is_date32(kind):
        array = array.cast(pa.int32())
    elif pa.types.is_timestamp(kind):
        array = array.cast(pa.int64())
    values: NDArray[Any] = np.ascontiguousarray(pc.fill_null(array, 0).to_numpy(zero_copy_only=False))
    bits: Hashes = values.view(f"u{values.dtype.itemsize}").astype(np.uint64)
    return bits


def _texts(array: pa.Array) -> Hashes:
    encoded = pc.fill_null(array, "").dictionary_encode()
    distinct = encoded.dictionary.cast(pa.binary()).to_pylist()
    hashes: Hashes = np.array([xxhash.xxh3_64_intdigest(text) for text in distinct], dtype=np.uint64)
    found: Hashes = hashes[encoded.indices.to_numpy(zero_copy_only=False)]
    return found


def _lists(array: pa.Array) -> Hashes:
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    values = array.flatten()
    width = int(lengths[0]) if len(lengths) else 0
    if width and pa.types.is_float32(values.type) and not values.null_count and (lengths == width).all():
        return _mix(_vectors(values.to_numpy(zero_copy_only=False).reshape(-1, width)))
    starts = np.cumsum(lengths) - lengths
    place = np.arange(len(values)) - np.repeat(starts, lengths)
    parts = mixed(_values(values) ^ mixed(place.astype(np.uint64)))
    running = np.zeros(len(parts) + 1, dtype=np.uint64)
    np.cumsum(parts, out=running[1:])
    return mixed((running[starts + lengths] - running[starts]) ^ lengths.astype(np.uint64))


def _vectors(block: NDArray[np.float32]) -> Hashes:
    coefficients = mixed(np.arange(block.shape[1], dtype=np.uint64)) | np.uint64(1)
    out = np.empty(len(block), dtype=np.uint64)
    wide = np.empty((min(_BLOCK, len(block)), block.shape[1]), dtype=np.uint64)
    for start in range(0, len(block), _BLOCK):
        bits = block[start : start + _BLOCK].view(np.uint32)
        some = wide[: len(bits)]
        np.copyto(some, bits)
        # Of whole numbers matmul is a plain loop that keeps the interpreter's lock: two threads took turns.
        np.einsum("ij,j->i", some, coefficients, out=out[start : start + _BLOCK])
    return out
