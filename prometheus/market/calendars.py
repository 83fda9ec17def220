"""The session list of each calendar, kept in the lake: a library update must not move yesterday's windows."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa

from prometheus.clock import Sessions, exchange_sessions
from prometheus.lake import Lake, Replacing, contract

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


def ensure_sessions(lake: Lake, calendar_id: str, first: dt.date, last: dt.date, *, store: bool = True) -> Sessions:
    """Sessions of a calendar over at least ``first`` to ``last``, extending what the lake holds when needed.

    Sessions that have passed are kept as the lake has them, even where the library has changed its mind since; those
    to come are taken from the library again whenever the list is extended, so a closure announced later is heard.

    Parameters
    ----------
    lake : Lake
    calendar_id : str
    first, last : date
        Dates more than about a year ahead are not covered: nobody knows their sessions.
    store : bool
        Write the extended list to the lake; a dry run does not.
    """
    today = dt.datetime.now(dt.UTC).date()
    last = min(last, today + _MARGIN)
    held = stored_sessions(lake, calendar_id)
    if held is not None and held.dates[0] <= np.datetime64(first) and held.dates[-1] >= np.datetime64(last):
        return held
    start, end = first - min(dt.timedelta(days=31), first - dt.date.min), min(last, today) + _MARGIN
    if held is None:
        whole = exchange_sessions(calendar_id, start, end)
        obsolete: list[dt.date] = []
    else:
        passed = held.between(dt.date.min, today)
        obsolete = held.dates[len(passed) :].tolist()
        whole = exchange_sessions(calendar_id, min(start, held.dates[0].item()), max(end, held.dates[-1].item()))
        if len(passed):
            outside = (whole.dates < passed.dates[0]) | (whole.dates > passed.dates[-1])
            before = int((whole.dates < passed.dates[0]).sum())
            fresh = [a[outside] for a in (whole.dates, whole.opens_at, whole.closes_at)]
            kept = (passed.dates, passed.opens_at, passed.closes_at)
            joined = [np.concatenate([new[:before], old, new[before:]]) for new, old in zip(fresh, kept, strict=True)]
            whole = Sessions(calendar_id, *joined)
    if store:
        area = Replacing({"calendar_id": [calendar_id]}, {"as_of_date": obsolete})
        lake.upsert("calendar_sessions", _rows(whole), replacing=area)
    return whole


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
