"""Row against row, bit for bit."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from prometheus.audit.lookahead.compare import ROW_ADDED, ROW_MISSING, Horizon, compare, differs, partitions_of
from prometheus.lake import Lake, contract
from tests.lake_rows import days_from, window_rows

TABLE = "numeric_window_embeddings"
DAYS = days_from(dt.date(2024, 1, 1), 6)
HORIZON = Horizon(DAYS[3], dt.datetime(2024, 1, 4, 21, tzinfo=dt.UTC))
NAN, OTHER_NAN = (np.array([bits], np.uint64).view(np.float64)[0] for bits in (0x7FF8000000000000, 0x7FF8000000000001))


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (pa.array([1.0, 2.0, None]), pa.array([1.0, 2.5, None]), [False, True, False]),
        (pa.array([0.0, None, 1.0]), pa.array([-0.0, 1.0, None]), [True, True, True]),
        (pa.array(np.array([NAN, NAN])), pa.array(np.array([NAN, OTHER_NAN])), [False, True]),
        (pa.array(["a", "b", None]), pa.array(["a", "c", None]), [False, True, False]),
        (pa.array([[1.0], [1.0, 2.0], None]), pa.array([[1.0], [1.0], None]), [False, True, False]),
        (pa.array([[1.0, 2.0], [3.0]]), pa.array([[1.0, 2.5], [3.0]]), [True, False]),
        (pa.array([[], [1.0]]), pa.array([[], [1.0]]), [False, False]),
        (pa.array([[{"a": "x", "b": 1.0}], []]), pa.array([[{"a": "x", "b": 2.0}], []]), [True, False]),
        (pa.array([{"a": None}, {"a": 1}]), pa.array([{"a": 1}, {"a": 1}]), [True, False]),
        (pa.array([], pa.float64()), pa.array([], pa.float64()), []),
    ],
)
def test_which_values_differ(left: pa.Array, right: pa.Array, expected: list[bool]) -> None:
    assert differs(left, right).tolist() == expected
    assert differs(pa.chunked_array([left, left]), pa.chunked_array([right, right])).tolist() == expected * 2
    padded = [pa.concat_arrays([x.slice(0, min(1, len(x))), x]).slice(min(1, len(x))) for x in (left, right)]
    assert differs(*padded).tolist() == expected


def changed(rows: pa.Table, column: str, value: float, at: int) -> pa.Table:
    values = rows[column].to_pylist()
    values[at] = value
    i = rows.column_names.index(column)
    return rows.set_column(i, rows.schema.field(i), pa.array(values, rows.schema.field(i).type))


@pytest.fixture
def lakes(tmp_path: Path) -> tuple[Lake, Lake]:
    one, two = (Lake.open(tmp_path / name, create=True) for name in ("one", "two"))
    for lake in (one, two):
        lake.upsert(TABLE, window_rows(DAYS, ["A", "B", "C"]))
    return one, two


def test_equal_rows_are_counted_on_their_side_of_the_cut(lakes: tuple[Lake, Lake]) -> None:
    parts = partitions_of(lakes[0].read(TABLE), contract(TABLE))
    found = compare(*lakes, TABLE, "v0", parts, HORIZON)
    assert (len(parts), found.compared, found.equal, found.before, found.after) == (6, 12, 12, 0, 0)


def test_values_missing_rows_and_new_rows_are_differences(lakes: tuple[Lake, Lake]) -> None:
    one, two = lakes
    rows = changed(window_rows(DAYS, ["A", "B", "D"]), "coverage", 0.5, at=3)  # name A of the second day
    two = Lake.open(Path(two.location.root).parent / "three", create=True)
    two.upsert(TABLE, rows)
    parts = partitions_of(one.read(TABLE), contract(TABLE))
    found = compare(one, two, TABLE, "v0", parts, HORIZON)
    # C is gone and D is new on each of the four days; vectors of A and B are drawn alike.
    assert found.differences["coverage"].rows == 1
    assert found.differences["coverage"].key["as_of_date"] == DAYS[1]
    assert found.differences["coverage"].key["entity_id"] == "A"
    assert found.differences["coverage"].partition["as_of_date"] == DAYS[1]
    assert (found.differences[ROW_MISSING].rows, found.differences[ROW_ADDED].rows) == (4, 4)
    assert found.differences[ROW_MISSING].key["entity_id"] == "C"
    assert (found.compared, found.equal, found.before) == (16, 7, 9)
    assert found.after == 4


def test_only_the_given_partitions_and_the_variant_are_read(lakes: tuple[Lake, Lake]) -> None:
    one, two = lakes
    two.upsert(TABLE, window_rows(DAYS, ["A", "B", "C"], seed=1, variant="other"))
    two.upsert(TABLE, window_rows(DAYS[2:3], ["A", "B", "C"], seed=1))
    parts = partitions_of(one.read(TABLE, dates=(DAYS[0], DAYS[1])), contract(TABLE))
    assert compare(one, two, TABLE, "v0", parts, HORIZON).before == 0
    parts = partitions_of(one.read(TABLE, dates=(DAYS[0], DAYS[2])), contract(TABLE))
    found = compare(one, two, TABLE, "v0", parts, HORIZON)
    assert (found.before, found.differences["vector"].rows) == (3, 3)


def test_partitions_of_tables_by_day_by_year_and_of_none() -> None:
    rows = window_rows(DAYS[:2], ["A"])
    assert partitions_of(rows, contract(TABLE)) == {("num-regime-core-v1", "v0", "INSTRUMENT", day) for day in DAYS[:2]}
    assert partitions_of(contract("regime_prototypes").empty(), contract("regime_prototypes")) == set()
