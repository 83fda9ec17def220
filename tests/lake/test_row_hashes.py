"""Row hashes: equal rows agree, any change shows, and sums of them are not fooled by rows that trade values."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from prometheus.lake.row_hashes import row_hashes
from prometheus.vectors import to_list_array

VECTORS = np.random.default_rng(0).standard_normal((3, 384)).astype(np.float32)


def table(**other: object) -> pa.Table:
    pairs = pa.list_(pa.struct([pa.field("label", pa.string()), pa.field("share", pa.float64())]))
    columns = {
        "name": pa.array(["a", "b", "c"]),
        "day": pa.array([dt.date(2020, 1, d) for d in (1, 2, 3)]),
        "at": pa.array([dt.datetime(2020, 1, d, tzinfo=dt.UTC) for d in (1, 2, 3)], pa.timestamp("us", tz="UTC")),
        "value": pa.array([1.5, None, -0.25]),
        "count": pa.array([1, 2, 3], pa.int64()),
        "kept": pa.array([True, False, None]),
        "shares": pa.array([[{"label": "x", "share": 0.5}], [], None], pairs),
        "vector": to_list_array(VECTORS),
    }
    return pa.table({**columns, **other})


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("name", pa.array(["a", "b", None])),
        ("name", pa.array(["a", "b", ""])),
        ("value", pa.array([1.5, 0.0, -0.25])),
        ("value", pa.array([1.5, None, 0.25])),
        ("count", pa.array([1, 2, 4], pa.int64())),
        ("kept", pa.array([True, False, False])),
        ("vector", to_list_array(np.nextafter(VECTORS, np.float32(9)))),
    ],
)
def test_a_changed_value_shows(column: str, values: pa.Array) -> None:
    before, after = row_hashes(table()), row_hashes(table(**{column: values}))
    changed = np.array([a != b for a, b in zip(table()[column].to_pylist(), values.to_pylist(), strict=True)])
    assert changed.any()
    np.testing.assert_array_equal(before != after, changed)


def test_a_changed_struct_in_a_list_shows() -> None:
    kind = table().schema.field("shares").type
    other = pa.array([[{"label": "x", "share": 0.25}], [], None], kind)
    assert (row_hashes(table()) != row_hashes(table(shares=other))).tolist() == [True, False, False]


def test_layout_does_not_matter() -> None:
    rows = table()
    parts = pa.concat_tables([rows.slice(2, 1), rows.slice(0, 2)])
    assert parts["name"].num_chunks == 2
    np.testing.assert_array_equal(np.sort(row_hashes(rows)), np.sort(row_hashes(parts)))


def test_two_rows_that_trade_values_change_the_sum() -> None:
    for column in ("value", "count", "vector"):
        swapped = table()[column].combine_chunks().take(pa.array([1, 0, 2]))
        assert row_hashes(table()).sum() != row_hashes(table(**{column: swapped})).sum()


def test_many_rows_are_hashed_as_one_by_one() -> None:
    """More rows than are worked on at once, vectors and lists of several lengths."""
    n = 40_000
    block = np.random.default_rng(1).standard_normal((n, 3)).astype(np.float32)
    lengths = np.arange(n) % 4
    rows = pa.table(
        {
            "vector": pa.ListArray.from_arrays(np.arange(0, 3 * n + 1, 3, dtype=np.int32), pa.array(block.reshape(-1))),
            "list": pa.ListArray.from_arrays(
                np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32), pa.array(np.arange(lengths.sum()))
            ),
        }
    )
    whole = row_hashes(rows)
    assert len(set(whole.tolist())) == n
    np.testing.assert_array_equal(whole, np.concatenate([row_hashes(rows.slice(i, 1_000)) for i in range(0, n, 1_000)]))


def test_a_list_that_is_missing_moves_no_other_rows_list() -> None:
    lists = [["a", "b"], None, ["c"], [], None, ["d", "e"]]
    rows = pa.table({"lists": pa.array(lists, pa.list_(pa.string()))})
    alone = [row_hashes(rows.slice(i, 1))[0] for i in range(len(lists))]
    assert row_hashes(rows).tolist() == alone
    assert len(set(alone)) == 5  # the two that are missing are equal
