"""Dated cuts: the sessions on which yearly fits are made; first days of tables, and days near a range."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prometheus.errors import MissingInputError
from prometheus.lake.predicates import literal
from prometheus.runtime import StageReader


def cut_days(reader: StageReader, market_id: str, first: dt.date, last: dt.date) -> list[dt.date]:
    """Last session of a market before each year that the range touches."""
    sessions = reader.sessions(market_id)
    years = np.arange(first.year, last.year + 1)
    at = np.searchsorted(sessions.dates, (years - 1970).astype("datetime64[Y]").astype("datetime64[D]")) - 1
    return [day for day, i in zip(sessions.dates[np.maximum(at, 0)].tolist(), at, strict=True) if i >= 0]


def new_week_ends(
    dates: NDArray[np.datetime64], begin: dt.date, before: dt.date | None, horizon: int
) -> tuple[NDArray[np.int64], int]:
    """Ends of weeks whose next ``horizon`` sessions were over by a cut and not yet by the cut before it.

    Parameters
    ----------
    dates : ndarray of datetime64[D], shape (n,)
        Sessions up to and including the cut.
    begin : date
        Ends before it do not count.
    before : date or None
        The cut before; None for the first.
    horizon : int

    Returns
    -------
    ndarray of int64
        Places of the ends, ascending.
    int
        Place of the cut before; -1 without one. Ends up to it overlap what was known then.
    """
    last_before = int(np.searchsorted(dates, np.datetime64(before))) if before is not None else -1
    # Weeks end with the last session before a Saturday, counted from a Saturday.
    week = (dates.astype(np.int64) + 5) // 7
    ends = np.flatnonzero(np.append(np.diff(week) > 0, False))
    over = ends + horizon
    counts = (ends >= np.searchsorted(dates, np.datetime64(begin))) & (over < len(dates)) & (over > last_before)
    return ends[counts], last_before


def first_day(reader: StageReader, table: str, where: Mapping[str, Any] | None = None) -> dt.date:
    """First ``as_of_date`` a table (or some of its partitions) holds; the end of time when it holds nothing."""
    days = reader.days(table, where)
    return days[0].item() if days.size else dt.date.max


def check_prices(reader: StageReader, first: dt.date, last: dt.date) -> None:
    """Refuse a range without a single price.

    Raises
    ------
    MissingInputError
        Naming the last day before the range that has some, and the first after it.
    """
    held = reader.days("prices_daily")
    if not ((held >= np.datetime64(first)) & (held <= np.datetime64(last))).any():
        every = reader.source("prices_daily", columns=["as_of_date"], every_version=True)
        raise MissingInputError(
            f"there are no prices between {first} and {last}{days_around(reader, every, first, last)}; bring them with "
            "`prometheus ingest source=... path=...`"
        )


def days_around(reader: StageReader, rows: str, first: dt.date, last: dt.date) -> str:
    """Say which days before and after a range without rows have some; empty where none has.

    Parameters
    ----------
    reader : StageReader
    rows : str
        SQL with a column ``as_of_date``.
    first, last : date
    """
    found = reader.query(
        f"SELECT max(as_of_date) FILTER (as_of_date < {literal(first)}) AS before, "
        f"min(as_of_date) FILTER (as_of_date > {literal(last)}) AS after FROM ({rows})"
    ).to_pylist()[0]
    words = [f"the last before are of {found['before']}"] if found["before"] else []
    words += [f"the next are of {found['after']}"] if found["after"] else []
    return f" ({', '.join(words)})" if words else ""
