"""Blocks of vectors and the list columns they lie in."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus.errors import ContractError
from prometheus.vectors import from_list_array, to_list_array, vectors_at

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
