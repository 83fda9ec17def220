"""What a stage may see: its declared inputs, nothing else, and the sessions of its market."""

from __future__ import annotations

import datetime as dt
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import CutoffRule, Market, Markets, Sessions, cutoffs
from prometheus.lake import Lake
from prometheus.market.calendars import ensure_sessions

SESSIONS_LOADED = dt.timedelta(days=4 * 366)
"""Sessions loaded before the first date asked for; longer than any window and its trailing statistics."""

_YEARS_KEPT = 12
"""Blocks (calendar years of a table, small tables whole) kept for the next chunk; two in flight use ten at most."""


class StageReader:
    """Read access of one stage.

    Parameters
    ----------
    lake : Lake
    markets : Markets
    tables : collection of str
        The stage's declared inputs; reading another table is a programming error.
    store_sessions : bool
        Whether sessions the lake lacks are written to it; a dry run writes nothing.
    """

    def __init__(self, lake: Lake, markets: Markets, tables: Sequence[str], *, store_sessions: bool = True) -> None:
        self._lake = lake
        self._store_sessions = store_sessions
        self.markets = markets
        self._tables = frozenset(tables)
        self._sessions: dict[str, Sessions] = {}
        self._lock = threading.Lock()
        self._blocks: OrderedDict[tuple[Any, ...], Future[pa.Table]] = OrderedDict()
        today = dt.date.today()
        self._span = (today - SESSIONS_LOADED, today)

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

    def read_years(
        self,
        table: str,
        *,
        columns: Sequence[str],
        dates: tuple[dt.date, dt.date],
        where: Mapping[str, Any] | None = None,
    ) -> pa.Table:
        """Read every version of a declared input over the whole calendar years a range touches.

        Neighbouring chunks share most of their history, so the last few years read are kept: a long backfill reads
        each day once, and memory holds years, not the horizon.
        """
        filters = tuple(sorted((k, tuple(v) if isinstance(v, list) else v) for k, v in (where or {}).items()))
        span = range(dates[0].year, dates[1].year + 1)
        return pa.concat_tables(
            [self._year(self._declared(table), tuple(columns), filters, year, len(span)) for year in span]
        )

    def read_once(self, table: str, *, where: Mapping[str, Any] | None = None) -> pa.Table:
        """Read every version of a small declared input, and keep it for the other chunks of the run."""
        filters = tuple(sorted((k, tuple(v) if isinstance(v, list) else v) for k, v in (where or {}).items()))
        return self._kept(
            (self._declared(table), filters),
            _YEARS_KEPT,
            lambda: self._lake.read(table, where=dict(filters), every_version=True),
        )

    def _year(
        self, table: str, columns: tuple[str, ...], filters: tuple[tuple[str, Any], ...], year: int, in_use: int
    ) -> pa.Table:
        dates = (dt.date(year, 1, 1), dt.date(year, 12, 31))
        return self._kept(
            (table, columns, filters, year),
            max(_YEARS_KEPT, 2 * in_use),
            lambda: self._lake.read(table, columns=columns, dates=dates, where=dict(filters), every_version=True),
        )

    def _kept(self, key: tuple[Any, ...], most: int, read: Callable[[], pa.Table]) -> pa.Table:
        """Return what a key stands for, reading it once even when several chunks ask at the same time."""
        with self._lock:
            block = self._blocks.get(key)
            mine = block is None
            if block is None:
                block = self._blocks[key] = Future()
            self._blocks.move_to_end(key)
            while len(self._blocks) > most:
                self._blocks.popitem(last=False)
        if mine:
            try:
                block.set_result(read())
            except BaseException as error:
                with self._lock:
                    self._blocks.pop(key, None)
                block.set_exception(error)
                raise
        return block.result()

    def days(self, table: str, where: Mapping[str, Any] | None = None) -> NDArray[np.datetime64]:
        """Days that hold any row of a declared input; see :meth:`prometheus.lake.Lake.days`."""
        return self._lake.days(self._declared(table), where)

    def days_done(self, stage: str, variant: str, scope: str) -> set[dt.date]:
        """Days that lineage calls complete for some scope of a stage.

        Only what a stage takes away may depend on it, never what it makes: a row whose key is another scope's now is
        left to that scope where it has made the day.
        """
        return self.scopes_done(stage, variant, scope=scope).get(scope, set())

    def scopes_done(self, stage: str, variant: str, **only: str) -> dict[str, set[dt.date]]:
        """Days that lineage calls complete, by scope; as :meth:`days_done`."""
        where: dict[str, Any] = {"stage": stage, "variant": variant, "complete": True, **only}
        rows = self._lake.read("lineage", columns=["scope", "as_of_date"], where=where)
        found: dict[str, set[dt.date]] = {}
        for scope, day in zip(rows["scope"].to_pylist(), rows["as_of_date"].to_pylist(), strict=True):
            found.setdefault(scope, set()).add(day)
        return found

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
        self._span = (first - min(SESSIONS_LOADED, first - dt.date.min), last)
        self._sessions.clear()

    def sessions(self, market_id: str) -> Sessions:
        """Every stored session of a market's calendar, covering the request and its history."""
        calendar_id = self.markets.market(market_id).calendar_id
        with self._lock:
            if calendar_id not in self._sessions:
                self._sessions[calendar_id] = ensure_sessions(
                    self._lake, calendar_id, *self._span, store=self._store_sessions
                )
            return self._sessions[calendar_id]

    def cutoffs(self, market_id: str, rule: CutoffRule) -> NDArray[np.datetime64]:
        """Cut-off of every stored session of a market."""
        return cutoffs(self.sessions(market_id), rule)
