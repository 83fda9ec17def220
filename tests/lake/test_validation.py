"""Rows brought to their contract, without loss or not at all."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from prometheus.errors import ContractError
from prometheus.lake import contract
from prometheus.lake.validation import conform, validate
from prometheus.vectors import from_list_array
from tests.lake_rows import days_from, price_rows, window_rows

DAY = dt.date(2024, 1, 2)
PRICES, WINDOWS, REGIMES = (contract(t) for t in ("prices_daily", "numeric_window_embeddings", "regimes"))


def test_columns_are_put_in_order_and_cast() -> None:
    rows = price_rows([DAY], ["A"])
    loose = rows.select(rows.column_names[::-1])
    volume = loose.column_names.index("volume")
    loose = loose.set_column(volume, "volume", loose["volume"].cast(pa.int64()))
    assert conform(loose, PRICES).equals(rows)
    assert conform(loose, PRICES, ["volume", "close"]).column_names == ["volume", "close"]


def test_lists_of_structs_are_rebuilt_whole() -> None:
    kind = REGIMES.schema.field("probabilities").type
    values = [[{"label": "CRISIS", "probability": 0.25}, {"label": "CARRY", "probability": 0.75}], None, []]
    loose = pa.list_(pa.struct([pa.field("probability", pa.float32()), pa.field("label", pa.string())]))
    table = pa.table({"probabilities": pa.chunked_array([pa.array(values[:1], loose), pa.array(values[1:], loose)])})
    got = conform(table, REGIMES, ["probabilities"])
    assert got.schema.field("probabilities").type == kind
    assert got["probabilities"].to_pylist() == values


def test_unknown_and_missing_columns_are_named() -> None:
    rows = price_rows([DAY], ["A"])
    with pytest.raises(ContractError, match=r"unknown columns extra, more; it has as_of_date") as unknown:
        conform(rows.append_column("extra", pa.array([1])).append_column("more", pa.array([1])), PRICES)
    assert "missing" not in str(unknown.value)
    with pytest.raises(ContractError, match=r"missing columns close, volume;") as missing:
        conform(rows.drop_columns(["close", "volume"]), PRICES)
    assert "unknown" not in str(missing.value)


def test_a_cast_that_loses_is_refused() -> None:
    rows = price_rows([DAY], ["A"])
    close = rows.column_names.index("close")
    with pytest.raises(ContractError, match=r"prices_daily\.close must be double, got string"):
        conform(rows.set_column(close, "close", pa.array(["dear"])), PRICES)


def test_twins_and_vectors_that_are_not_finite_are_counted() -> None:
    rows = window_rows(days_from(DAY, 2), ["A", "B"])
    with pytest.raises(ContractError, match=r"4 rows share a key with another, for example .*'as_of_date'"):
        validate(pa.concat_tables([rows, rows.slice(0, 2)]), WINDOWS)
    block = from_list_array(rows["vector"]).copy()
    block[1, 3], block[2, 5], block[2, 6] = np.nan, np.inf, np.nan
    from prometheus.vectors import to_list_array

    at = rows.column_names.index("vector")
    with pytest.raises(ContractError, match=r"vector: 2 of 4 vectors are not finite"):
        validate(rows.set_column(at, rows.schema.field("vector"), to_list_array(block)), WINDOWS)


def test_long_vectors_are_finite() -> None:
    """Squares of 1e30 overflow a float; the vector itself does not."""
    from prometheus.vectors import to_list_array

    rows = window_rows([DAY], ["A"])
    long = np.full((1, 384), 1e30, np.float32)
    at = rows.column_names.index("vector")
    assert validate(rows.set_column(at, rows.schema.field("vector"), to_list_array(long)), WINDOWS).num_rows == 1
