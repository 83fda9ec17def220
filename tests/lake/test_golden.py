"""Hashes and digests are the same on every machine and in every version: lakes are compared, and judged stale, by them."""

from __future__ import annotations

import datetime as dt
import itertools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from prometheus.lake import contract, rows_digest
from prometheus.lake.contract import Column, TableContract
from prometheus.lake.digest import partition_digests
from prometheus.lake.row_hashes import mixed, row_hashes
from prometheus.vectors import to_list_array
from tests.lake_rows import days_from, price_rows

DAYS = days_from(dt.date(2024, 1, 2), 2)
PRICES = contract("prices_daily")


def test_the_mixer_is_splitmix64() -> None:
    """First outputs of the published generator for the seeds 0 and 1234567 (Vigna's reference in C)."""
    np.testing.assert_array_equal(
        mixed(np.array([0, 1_234_567], np.uint64)), np.array([0xE220A8397B1DCDAF, 6457827717110365317], np.uint64)
    )


def test_row_hashes_are_these() -> None:
    rows = pa.table(
        {
            "text": pa.array(["a", None, "ü"]),
            "real": pa.array([1.5, -0.25, None]),
            "flag": pa.array([True, None, False]),
            "day": pa.array([dt.date(2024, 1, 2), None, dt.date(1969, 12, 31)]),
            "at": pa.array([None, 0, 1], pa.timestamp("us", tz="UTC")),
            "list": pa.array([[1, 2], [], None], pa.list_(pa.int64())),
            "vector": to_list_array(np.arange(3 * 384, dtype=np.float32).reshape(3, 384)),
        }
    )
    assert [f"{h:016x}" for h in row_hashes(rows).tolist()] == [
        "ac7ca66f10424b10",
        "684ee04ee4859636",
        "67177149f9822792",
    ]


def test_digests_are_these() -> None:
    rows = price_rows(DAYS, ["A", "B"])
    assert rows_digest(rows, PRICES) == "eb0a1e1dde89eaccaf33ecdd77e49a97"
    assert rows_digest(PRICES.empty(), PRICES) == "99aa06d3014798d86001c324468d497f"
    assert {k[0]: v.hex() for k, v in partition_digests(rows, PRICES).items()} == {
        DAYS[0]: "8cfa98eeddc1650e151dd70d3a7a00a0",
        DAYS[1]: "87f3104d63f73289c94ab1a2b5107a06",
    }


def test_a_null_that_trades_places_shows() -> None:
    rows = price_rows(DAYS[:1], ["A", "B"])
    at = rows.column_names.index("close")
    one, other = (
        rows.set_column(at, rows.schema.field("close"), pa.array(values)) for values in ([1.0, None], [None, 1.0])
    )
    assert rows_digest(one, PRICES) != rows_digest(other, PRICES)


KINDS = TableContract(
    name="kinds",
    doc="every kind of column, nulls in each",
    columns=(
        Column("as_of_date", pa.date32(), ""),
        Column("key", pa.string(), ""),
        Column("text", pa.string(), "", nullable=True),
        Column("real", pa.float64(), "", nullable=True),
        Column("flag", pa.bool_(), "", nullable=True),
        Column("at", pa.timestamp("us", tz="UTC"), "", nullable=True),
        Column("list", pa.list_(pa.struct([("name", pa.string()), ("weight", pa.float64())])), "", nullable=True),
    ),
    key=("as_of_date", "key"),
    partition_by=("as_of_date",),
    table_class="vintage",
    layer="engines",
)


def _of_every_kind() -> pa.Table:
    one, other = {"name": "x", "weight": 0.5}, {"name": None, "weight": None}
    return pa.table(
        {
            "as_of_date": [DAYS[0]] * 4 + [DAYS[1]] * 4,
            "key": ["a", "b", "c", "d"] * 2,
            "text": ["", None, "ü", "z", "z", "zz", "", "y"],
            "real": [1.0, 2.0, 3.0, 4.0, None, -0.0, None, 0.0],
            "flag": [True, None, False, None, True, True, False, True],
            "at": [None, None, None, None, 1, 2, 3, 4],
            "list": [[one], [], None, [other, one], [one, one], [other], [], [one]],
        },
        schema=KINDS.schema,
    )


@pytest.mark.parametrize("cuts", [(), (4,), (3,), (1, 6)], ids=str)
def test_digests_of_every_kind_are_these(cuts: tuple[int, ...]) -> None:
    """However the rows lie in chunks: in one, one a partition, or across partitions."""
    rows = _of_every_kind()
    edges = [0, *cuts, rows.num_rows]
    rows = pa.concat_tables([rows.slice(a, b - a) for a, b in itertools.pairwise(edges)])
    assert rows["text"].num_chunks == len(edges) - 1
    assert rows_digest(rows, KINDS) == "f8f2e1cea0895b5b27c676315bce6b1c"
    assert [v.hex() for v in partition_digests(rows, KINDS).values()] == [
        "2944ac98a5923ed17bba44d3651def7c",
        "08bb8c32c1d881a5c71ec8b3d252faee",
    ]


def test_what_lies_under_a_null_does_not_show() -> None:
    rows = _of_every_kind()
    text = rows["text"].combine_chunks()
    texts = text.chunk(0) if isinstance(text, pa.ChunkedArray) else text
    covered = pc.fill_null(texts, "anything")
    hidden = pa.StringArray.from_buffers(len(texts), *covered.buffers()[1:], texts.buffers()[0])
    assert hidden.equals(texts)
    assert hidden.buffers()[2].size > texts.buffers()[2].size
    other = rows.set_column(2, rows.schema.field("text"), hidden)
    assert partition_digests(other, KINDS) == partition_digests(rows, KINDS)
