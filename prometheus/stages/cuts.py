"""Dated cuts: the sessions on which yearly fits are made."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np

from prometheus.runtime import StageReader


def cut_days(reader: StageReader, market_id: str, first: dt.date, last: dt.date) -> list[dt.date]:
    """Last session of a market before each year that the range touches."""
    sessions = reader.sessions(market_id)
    years = np.arange(first.year, last.year + 1)
    at = np.searchsorted(sessions.dates, (years - 1970).astype("datetime64[Y]").astype("datetime64[D]")) - 1
    return [day for day, i in zip(sessions.dates[np.maximum(at, 0)].tolist(), at, strict=True) if i >= 0]


def first_day(reader: StageReader, table: str, where: Mapping[str, Any] | None = None) -> dt.date:
    """First ``as_of_date`` a table (or some of its partitions) holds; the end of time when it holds nothing."""
    held = reader.source(table, columns=["as_of_date"], where=where, every_version=True)
    first: dt.date | None = reader.query(f"SELECT min(as_of_date) AS first FROM ({held})")["first"][0].as_py()
    return first or dt.date.max
