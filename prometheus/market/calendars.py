"""The session list of each calendar, kept in the lake: a library update must not move yesterday's windows."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa

from prometheus.clock import Sessions, exchange_sessions
from prometheus.lake import Lake, contract

_MARGIN = dt.timedelta(days=370)
"""Sessions kept past the last date asked for: a next open is always known, and most days need no extension."""


def stored_sessions(lake: Lake, calendar_id: str) -> Sessions | None:
    """Sessions of a calendar as the lake holds them, or None when it holds none."""
    rows = lake.read("calendar_sessions", where={"calendar_id": calendar_id}).sort_by("as_of_date")
    if rows.num_rows == 0:
        return None
    return Sessions(
        calendar_id=calendar_id,
        dates=rows["as_of_date"].to_numpy().astype("datetime64[D]"),
        opens_at=rows["opens_at"].cast(pa.timestamp("us")).to_numpy().astype("datetime64[us]"),
        closes_at=rows["closes_at"].cast(pa.timestamp("us")).to_numpy().astype("datetime64[us]"),
    )


def ensure_sessions(lake: Lake, calendar_id: str, first: dt.date, last: dt.date) -> Sessions:
    """Sessions of a calendar over at least ``first`` to ``last``, extending what the lake holds when needed.

    Sessions already in the lake are kept as they are, even where the library has changed its mind since.
    """
    held = stored_sessions(lake, calendar_id)
    if held is not None and held.dates[0] <= np.datetime64(first) and held.dates[-1] >= np.datetime64(last):
        return held
    start, end = first - dt.timedelta(days=31), last + _MARGIN
    if held is not None:
        start, end = min(start, held.dates[0].item()), max(end, held.dates[-1].item())
    fresh = exchange_sessions(calendar_id, start, end)
    if held is not None:
        outside = (fresh.dates < held.dates[0]) | (fresh.dates > held.dates[-1])
        fresh = Sessions(calendar_id, fresh.dates[outside], fresh.opens_at[outside], fresh.closes_at[outside])
    lake.upsert("calendar_sessions", _rows(fresh))
    stored = stored_sessions(lake, calendar_id)
    assert stored is not None
    return stored


def _rows(sessions: Sessions) -> pa.Table:
    n = len(sessions)
    return pa.table(
        [
            pa.array([sessions.calendar_id] * n, pa.string()),
            pa.array(sessions.dates),
            pa.array(sessions.opens_at).cast(pa.timestamp("us", tz="UTC")),
            pa.array(sessions.closes_at).cast(pa.timestamp("us", tz="UTC")),
        ],
        schema=contract("calendar_sessions").schema,
    )
