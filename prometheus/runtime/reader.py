"""What a stage may see: its declared inputs, nothing else, and the sessions of its market."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import CutoffRule, Market, Markets, Sessions, cutoffs
from prometheus.lake import Lake
from prometheus.market.calendars import ensure_sessions

_HISTORY = dt.timedelta(days=4 * 366)
"""Sessions loaded before the first date asked for; longer than any window and its trailing statistics."""


class StageReader:
    """Read access of one stage.

    Parameters
    ----------
    lake : Lake
    markets : Markets
    tables : collection of str
        The stage's declared inputs; reading another table is a programming error.
    """

    def __init__(self, lake: Lake, markets: Markets, tables: Sequence[str]) -> None:
        self._lake = lake
        self.markets = markets
        self._tables = frozenset(tables)
        self._sessions: dict[str, Sessions] = {}
        self._lock = threading.Lock()
        today = dt.date.today()
        self._span = (today - _HISTORY, today)

    def _declared(self, table: str) -> str:
        if table not in self._tables:
            raise AssertionError(f"a stage read {table}, which is not among its inputs {sorted(self._tables)}")
        return table

    def read(
        self,
        table: str,
        *,
        columns: Sequence[str] | None = None,
        dates: tuple[dt.date, dt.date] | None = None,
        where: Mapping[str, Any] | None = None,
        as_of: dt.datetime | None = None,
        every_version: bool = False,
    ) -> pa.Table:
        """Read a declared input; see :meth:`prometheus.lake.Lake.read`."""
        return self._lake.read(
            self._declared(table),
            columns=columns,
            dates=dates,
            where=where,
            as_of=as_of,
            every_version=every_version,
        )

    def source(self, table: str, **kwargs: Any) -> str:
        """Return SQL that reads a declared input, for joins; see :meth:`prometheus.lake.Lake.source`."""
        return self._lake.source(self._declared(table), **kwargs)

    def query(self, sql: str, tables: Mapping[str, pa.Table] | None = None) -> pa.Table:
        """Run SQL built from :meth:`source` fragments and Arrow tables bound by name."""
        return self._lake.query(sql, tables)

    def stream(
        self, sql: str, tables: Mapping[str, pa.Table] | None = None, batch_rows: int = 16_384
    ) -> pa.RecordBatchReader:
        """Run SQL as :meth:`query` does, batch by batch."""
        return self._lake.stream(sql, tables, batch_rows)

    @property
    def cache_root(self) -> str:
        """Folder (or URI) below which encoders may keep what they computed from content alone."""
        return f"{self._lake.location.root}/cache"

    def market_of(self, region: str) -> Market:
        """Return the market that stands for a region."""
        return self.markets.of_region(region)

    def span(self, first: dt.date, last: dt.date) -> None:
        """Say which dates the request is about, so that sessions cover them and their history."""
        self._span = (first - _HISTORY, last)

    def sessions(self, market_id: str) -> Sessions:
        """Every stored session of a market's calendar, covering the request and its history."""
        calendar_id = self.markets.market(market_id).calendar_id
        with self._lock:
            if calendar_id not in self._sessions:
                self._sessions[calendar_id] = ensure_sessions(self._lake, calendar_id, *self._span)
            return self._sessions[calendar_id]

    def cutoffs(self, market_id: str, rule: CutoffRule) -> NDArray[np.datetime64]:
        """Cut-off of every stored session of a market."""
        return cutoffs(self.sessions(market_id), rule)
