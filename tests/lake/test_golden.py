"""Hashes and digests are the same on every machine and in every version: lakes are compared, and judged stale, by them."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa

from prometheus.lake import contract, rows_digest
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
