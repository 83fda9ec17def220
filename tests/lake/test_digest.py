"""Equal means equal rows: same keys, every value bit for bit, file layout aside."""

from __future__ import annotations

import datetime as dt
import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from prometheus.lake import Lake, contract, rows_digest
from prometheus.vectors import from_list_array, to_list_array
from tests.lake_rows import days_from, window_rows

DAY = dt.date(2020, 1, 1)
TABLE = "numeric_window_embeddings"


def test_digest_ignores_layout_and_order(tmp_path: Path) -> None:
    rows = window_rows(days_from(DAY, 6), ["A", "B", "C"])
    one, two = Lake.open(tmp_path / "1", create=True), Lake.open(tmp_path / "2", create=True)
    one.upsert(TABLE, rows)
    shuffled = rows.take(pa.array(np.random.default_rng(1).permutation(rows.num_rows)))
    for start in range(0, rows.num_rows, 4):
        two.upsert(TABLE, shuffled.slice(start, 4))
    assert one.digest(TABLE) == two.digest(TABLE)
    assert rows_digest(rows, contract(TABLE)) == rows_digest(shuffled, contract(TABLE))


@pytest.mark.parametrize("change", ["value", "key", "missing"])
def test_digest_sees_every_change(tmp_path: Path, change: str) -> None:
    rows = window_rows(days_from(DAY, 3), ["A", "B"])
    before = rows_digest(rows, contract(TABLE))
    if change == "value":
        block = from_list_array(rows["vector"]).copy()
        block[3, 200] = np.nextafter(block[3, 200], np.float32(9))
        rows = rows.set_column(7, rows.schema.field("vector"), to_list_array(block))
    elif change == "key":
        rows = rows.set_column(4, rows.schema.field("entity_id"), pa.array(["A", "B", "A", "B", "A", "C"]))
    else:
        rows = rows.slice(1)
    assert rows_digest(rows, contract(TABLE)) != before


def test_nulls_and_empty_text_differ() -> None:
    declared = contract("quarantine")
    base = {"table_name": "t", "source_file": "f", "source_row": 1, "reason": "r"}
    empty = pa.Table.from_pylist([{**base, "row_json": ""}], schema=declared.schema)
    other = pa.Table.from_pylist([{**base, "reason": "", "row_json": "r"}], schema=declared.schema)
    assert rows_digest(empty, declared) != rows_digest(other, declared)


@pytest.mark.parametrize("missing", [(), (4,), (0, 9), tuple(range(10))])
@pytest.mark.parametrize("cuts", [(3,), (1, 2, 9), (5, 5)])
def test_texts_in_several_chunks_are_those_of_one(cuts: tuple[int, ...], missing: tuple[int, ...]) -> None:
    declared = contract("quarantine")
    said = [None if i in missing else "é" * (i % 4) + str(i) for i in range(10)]
    fields = {"table_name": ["t"] * 10, "source_file": ["f"] * 10, "source_row": range(10), "row_json": ["{}"] * 10}
    one = pa.table({**fields, "reason": said}, schema=declared.schema)
    edges = [0, *cuts, 10]
    # Slices share the buffers of the whole: what lies beside a text in them must not count.
    parts = pa.chunked_array(
        [one["reason"].chunk(0).slice(a, b - a) for a, b in itertools.pairwise(edges)], one["reason"].type
    )
    place = one.schema.get_field_index("reason")
    assert rows_digest(one.set_column(place, one.schema.field(place), parts), declared) == rows_digest(one, declared)
    said[7] = "other"
    other = pa.table({**fields, "reason": said}, schema=declared.schema)
    assert rows_digest(other, declared) != rows_digest(one, declared)
