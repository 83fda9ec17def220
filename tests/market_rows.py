"""Small raw tables and sessions for tests of markets and windows."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Sessions
from prometheus.lake.contracts import contract


def weekdays(n: int, first: str = "2010-01-04") -> Sessions:
    """Consecutive weekdays, open 14:30 to 21:00 UTC."""
    dates = np.busday_offset(np.datetime64(first), np.arange(n), roll="forward")
    midnight = dates.astype("datetime64[us]")
    return Sessions("TEST", dates, midnight + np.timedelta64(870, "m"), midnight + np.timedelta64(21, "h"))


def price_table(
    sessions: Sessions,
    name: list[str] | NDArray[np.str_],
    position: NDArray[np.int64],
    close: NDArray[np.float64] | None = None,
    adjusted: NDArray[np.float64] | None = None,
    volume: NDArray[np.float64] | None = None,
    known_at: NDArray[np.datetime64] | None = None,
    withdrawn: NDArray[np.bool_] | None = None,
) -> pa.Table:
    """Rows of prices_daily; NaN becomes null, known_at defaults to the session's close."""
    n = len(position)
    position = np.asarray(position, dtype=np.int64)

    def real(values: NDArray[np.float64] | None) -> pa.Array:
        if values is None:
            return pa.nulls(n, pa.float64())
        return pa.array(np.asarray(values, dtype=float), mask=np.isnan(np.asarray(values, dtype=float)))

    known = sessions.closes_at[position] if known_at is None else known_at
    columns = {
        "as_of_date": pa.array(sessions.dates[position]),
        "instrument_id": pa.array(list(name), pa.string()),
        "open": pa.nulls(n, pa.float64()),
        "high": pa.nulls(n, pa.float64()),
        "low": pa.nulls(n, pa.float64()),
        "close": real(close),
        "adjusted_close": real(adjusted),
        "volume": real(volume),
        "currency": pa.nulls(n, pa.string()),
        "known_at": pa.array(known.astype("datetime64[us]"), pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC")),
        "withdrawn": pa.array(np.zeros(n, bool) if withdrawn is None else withdrawn),
    }
    return pa.table(columns, schema=contract("prices_daily").schema)


def grid_table(sessions: Sessions, close: dict[str, list[float]], **others: dict[str, list[float]]) -> pa.Table:
    """Rows of prices_daily from one list per name, NaN in close = no row."""
    names, positions, columns = [], [], {key: [] for key in ("close", *others)}
    for name, values in close.items():
        for position, value in enumerate(values):
            extra = {key: table[name][position] for key, table in others.items() if name in table}
            if np.isnan(value) and all(np.isnan(v) for v in extra.values()):
                continue
            names.append(name)
            positions.append(position)
            columns["close"].append(value)
            for key in others:
                columns[key].append(extra.get(key, np.nan))
    arrays = {key: np.array(values, dtype=float) for key, values in columns.items()}
    return price_table(sessions, names, np.array(positions, dtype=np.int64), **arrays)


def action_table(
    rows: list[tuple[str, object, str, float | None, float | None, object, bool]],
) -> pa.Table:
    """Rows of corporate_actions: name, ex_date, kind, factor, amount, known_at, withdrawn."""
    return pa.Table.from_pylist(
        [
            {
                "as_of_date": _date(ex_date),
                "instrument_id": name,
                "ex_date": _date(ex_date),
                "kind": kind,
                "factor": factor,
                "amount": amount,
                "known_at": np.datetime64(known_at, "us").item().replace(tzinfo=dt.UTC),
                "withdrawn": withdrawn,
            }
            for name, ex_date, kind, factor, amount, known_at, withdrawn in rows
        ],
        schema=contract("corporate_actions").schema,
    )


def instrument_table(rows: list[dict[str, object]]) -> pa.Table:
    """Rows of instruments; what is left out has a default."""
    defaults = {
        "valid_from": dt.date(1990, 1, 1),
        "issuer_id": None,
        "market_id": "US_EQ",
        "asset_class": "EQUITY",
        "sector": None,
        "currency": "USD",
        "valid_to": None,
        "delisted_on": None,
        "known_at": dt.datetime(1990, 1, 1, tzinfo=dt.UTC),
        "withdrawn": False,
    }
    full = [defaults | row for row in rows]
    full = [row | {"as_of_date": row["valid_from"], "symbol": row["instrument_id"]} for row in full]
    return pa.Table.from_pylist(full, schema=contract("instruments").schema)


def _date(value: object) -> dt.date:
    return np.datetime64(value, "D").item()
