"""Branch vectors joined to the rows that want them."""

from __future__ import annotations

import numpy as np

from prometheus.spaces.joint import BranchRows
from prometheus.vectors import EMBEDDING_DIM

DATES = np.array(["2024-01-02", "2024-01-03", "2024-01-04"], dtype="datetime64[D]")
KEYS = np.array(["A", "B", "CC"])


def test_rows_are_picked_by_place_and_blank_where_there_is_none() -> None:
    stored = np.arange(1, 13, dtype=np.float32).reshape(3, 4)
    rows = BranchRows.picked(np.array([2, -1, 0, 2]), stored, KEYS, DATES)
    assert rows.present.tolist() == [True, False, True, True]
    np.testing.assert_array_equal(rows.vectors, [stored[2], np.zeros(4), stored[0], stored[2]])
    assert rows.source_keys.tolist() == ["CC", "", "A", "CC"]
    assert rows.source_dates.astype(str).tolist() == ["2024-01-04", "NaT", "2024-01-02", "2024-01-04"]
    some = rows.take(np.array([1, 2]))
    assert (some.present.tolist(), some.source_keys.tolist()) == ([False, True], ["", "A"])
    rows.vectors[:] = 7.0
    assert stored[0].tolist() == [1, 2, 3, 4], "what was read is not written to"


def test_nothing_read_is_nothing_present() -> None:
    rows = BranchRows.picked(np.full(3, -1), np.empty((0, EMBEDDING_DIM), np.float32), KEYS[:0], DATES[:0])
    assert not rows.present.any()
    assert rows.vectors.shape == (3, EMBEDDING_DIM)
    assert not rows.vectors.any()
    assert rows.norms().tolist() == [0, 0, 0]


def test_norms_are_those_of_all_rows_at_once() -> None:
    block = np.random.default_rng(0).normal(size=(700, EMBEDDING_DIM)).astype(np.float32)
    rows = BranchRows(np.ones(700, dtype=bool), block, np.full(700, "A"), np.full(700, DATES[0]))
    np.testing.assert_array_equal(rows.norms(), np.linalg.norm(block.astype(np.float64), axis=1))
