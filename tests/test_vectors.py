"""Blocks of vectors and the list columns they lie in."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus.errors import ContractError
from prometheus.vectors import from_list_array, rows_at, to_list_array, vectors_at

WIDTH = 3


def column(sizes: list[int]) -> tuple[pa.ChunkedArray, np.ndarray]:
    """Return a column in chunks of some sizes, and its vectors."""
    block = np.random.default_rng(0).standard_normal((sum(sizes), WIDTH)).astype(np.float32)
    kind = to_list_array(block).type
    chunks = [to_list_array(part) for part in np.split(block, np.cumsum(sizes)[:-1])] if sizes else []
    return pa.chunked_array(chunks, type=kind), block


@given(st.lists(st.integers(0, 600), max_size=4), st.data())
def test_vectors_are_taken_from_wherever_they_lie(sizes: list[int], data: st.DataObject) -> None:
    held, block = column(sizes)
    at = np.array(data.draw(st.lists(st.integers(-1, sum(sizes) - 1), max_size=40)), dtype=np.int64)
    at = np.concatenate([at, np.tile(at, 10)])  # longer than _TAKEN_AT_ONCE at times
    padded = np.concatenate([block, np.zeros((1, WIDTH), np.float32)])
    np.testing.assert_array_equal(vectors_at(held, at, WIDTH), padded[at])
    np.testing.assert_array_equal(from_list_array(held, WIDTH), block)


def test_a_slice_of_a_column_is_read_where_it_begins() -> None:
    held, block = column([5, 4])
    np.testing.assert_array_equal(vectors_at(held.slice(3, 4), np.array([3, 0, -1]), WIDTH)[:2], block[[6, 3]])


def test_vectors_of_another_width_are_refused() -> None:
    with pytest.raises(ContractError, match="each row must hold 4"):
        vectors_at(column([2, 2])[0], np.array([0]), WIDTH + 1)


LISTS = pa.list_(pa.float32())
UNLIKE: dict[str, list[list[float | None] | None]] = {
    "of two widths": [[1.0], [2.0, 3.0], [4.0], [5.0, 6.0]],
    "of two widths, twelve values in all": [[1.0, 2.0, 3.0], [4.0, 5.0], [6.0, 7.0, 8.0, 9.0], [1.0, 2.0, 3.0]],
    "one missing": [[1.0], None, [3.0], [4.0]],
    "a value missing": [[1.0], [None], [3.0], [4.0]],
    "empty": [[], [], [], []],
}


@given(st.lists(st.integers(0, 400), min_size=1, max_size=4), st.data())
def test_rows_are_those_arrow_takes(sizes: list[int], data: st.DataObject) -> None:
    vectors, _ = column(sizes)
    n = sum(sizes)
    texts = [str(i) if i % 3 else None for i in range(n)]
    rows = pa.table({"text": texts, "vector": vectors, "other": vectors.cast(LISTS)})
    at = np.array(data.draw(st.lists(st.integers(0, n - 1), max_size=40)) if n else [], dtype=np.uint32)
    found = rows_at(rows, at)
    assert found.schema == rows.schema
    assert found.equals(rows.take(pa.array(at)))
    found.validate(full=True)
    assert rows_at(rows.select(["vector"]), at).equals(rows.select(["vector"]).take(pa.array(at)))


@pytest.mark.parametrize("lists", UNLIKE.values(), ids=UNLIKE.keys())
def test_lists_that_are_no_vectors_are_taken_as_they_are(lists: list[list[float | None] | None]) -> None:
    rows = pa.table({"lists": pa.array(lists, LISTS)})
    at = np.array([2, 1, 1, 3])
    assert rows_at(rows, at).equals(rows.take(pa.array(at)))


def test_vectors_are_copied_once() -> None:
    """Arrow's own take asks for more than twice as much."""
    block = np.zeros((2_000, 384), np.float32)
    rows = pa.table({"vector": pa.chunked_array([to_list_array(part) for part in np.array_split(block, 3)])})
    at = np.arange(2_000)[::-1].copy()
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    found = rows_at(rows, at)
    asked = tracemalloc.get_traced_memory()[1] + pa.total_allocated_bytes() - before
    tracemalloc.stop()
    assert block.nbytes <= asked < 1.3 * block.nbytes
    assert found["vector"].num_chunks == 1
