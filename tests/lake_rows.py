"""Small rows for lake tests."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa

from prometheus.lake import contract
from prometheus.vectors import to_list_array


def price_rows(days: list[dt.date], names: list[str], close: float = 100.0, hour: int = 21) -> pa.Table:
    pairs = [(d, n) for d in days for n in names]
    rows = [
        {
            "as_of_date": d,
            "instrument_id": n,
            "open": None,
            "high": None,
            "low": None,
            "close": close,
            "adjusted_close": None,
            "volume": 1e6,
            "currency": "USD",
            "known_at": dt.datetime(d.year, d.month, d.day, hour, tzinfo=dt.UTC),
            "withdrawn": False,
        }
        for d, n in pairs
    ]
    return pa.Table.from_pylist(rows, schema=contract("prices_daily").schema)


def window_rows(days: list[dt.date], ids: list[str], seed: int = 0, variant: str = "v0") -> pa.Table:
    pairs = [(d, i) for d in days for i in ids]
    n = len(pairs)
    vectors = np.random.default_rng(seed).standard_normal((n, 384)).astype(np.float32)
    return pa.table(
        [
            pa.array(["num-regime-core-v1"] * n),
            pa.array([variant] * n),
            pa.array([d for d, _ in pairs]),
            pa.array(["INSTRUMENT"] * n),
            pa.array([i for _, i in pairs]),
            pa.array(["{}"] * n),
            pa.array([1.0] * n),
            to_list_array(vectors),
        ],
        schema=contract("numeric_window_embeddings").schema,
    )


def days_from(first: dt.date, n: int) -> list[dt.date]:
    return [first + dt.timedelta(days=i) for i in range(n)]
