"""The lake: one folder (or bucket) of Delta tables, and everything that may be done to it."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.errors import MissingInputError, RequestError
from prometheus.lake.contract import TableContract
from prometheus.lake.contracts import ALL_TABLES, contract
from prometheus.lake.digest import feed_rows, new_digest, sort_rows
from prometheus.lake.predicates import Where, condition
from prometheus.lake.reader import FILE_INDEX, pruning_predicate, source_sql
from prometheus.lake.session import create_views, new_connection
from prometheus.lake.state_cache import StateCache
from prometheus.lake.states import TableStates, groups_written, states_of_files
from prometheus.lake.tables import Location, TableHandles
from prometheus.lake.validation import conform, validate
from prometheus.lake.versions import Delivery, Silent, Terms, versions_to_write
from prometheus.lake.writer import Commit, Replacing, append, upsert

Dates = tuple[dt.date, dt.date]

DEFAULT_ROOT = "./lake"
ROOT_VARIABLE = "PROMETHEUS_LAKE"
HASHED_AT_ONCE = 65_536
"""Rows read together where all of a table's rows are hashed."""
_SUMMED_WHEN_ASKED = frozenset({"joint_embeddings"})
"""Tables of a day's files in which most of what is written is where a chain ends: few stages read a joint space."""


@dataclass(frozen=True)
class Version:
    """One entry of a table's history."""

    version: int
    at: dt.datetime
    operation: str
    rows: int | None
    digest: str | None


class Lake:
    """A lake opened at a root.

    Parameters
    ----------
    root : str or Path
        Folder or URI. Tables lie below it as ``<layer>/<table>``.
    storage_options : dict of str to str, optional
        Passed to the object store (credentials, endpoint).

    Notes
    -----
    Safe to share between threads: each thread reads through its own DuckDB cursor, and each write uses a fresh
    table handle.
    """

    def __init__(self, root: str | Path, storage_options: dict[str, str] | None = None) -> None:
        self.location = Location.of(root)
        self._handles = TableHandles(self.location, storage_options)
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._lock = threading.Lock()
        self._local = threading.local()

    @classmethod
    def open(
        cls,
        root: str | Path | None = None,
        *,
        create: bool = False,
        storage_options: dict[str, str] | None = None,
    ) -> Lake:
        """Open the lake at ``root`` (default: the environment's PROMETHEUS_LAKE, else ./lake).

        Raises
        ------
        MissingInputError
            When there is no lake and ``create`` is false.
        """
        chosen = root if root is not None else os.environ.get(ROOT_VARIABLE, DEFAULT_ROOT)
        lake = cls(chosen, storage_options)
        folder = lake.location.path
        if folder is not None:
            if folder.exists() and not folder.is_dir():
                raise RequestError(f"{folder} is a file; a lake is a folder")
            if create:
                try:
                    folder.mkdir(parents=True, exist_ok=True)
                except OSError as error:
                    raise RequestError(f"a lake cannot be made at {folder}: {error.strerror}") from None
            elif not lake.tables():
                raise MissingInputError(
                    f"there is no lake at {folder}; `prometheus ingest` makes one from files, "
                    "`prometheus demo` a synthetic one"
                )
        return lake

    def __repr__(self) -> str:
        return f"Lake({self.location.root!r})"

    # -- what is there --

    def tables(self) -> list[str]:
        """Names of the tables that have been written."""
        return [t.name for t in ALL_TABLES if self._handles.exists(t.name)]

    def version(self, table: str) -> int | None:
        """Current version of a table; None when it was never written."""
        return self._handles.version(contract(table).name)

    def history(self, table: str, limit: int | None = None) -> list[Version]:
        """Versions of a table, newest first."""
        handle = self._handles.open(contract(table).name)
        if handle is None:
            return []
        return [
            Version(
                version=int(entry["version"]),
                at=dt.datetime.fromtimestamp(entry["timestamp"] / 1000, dt.UTC),
                operation=str(entry["operation"]),
                rows=int(entry["rows"]) if "rows" in entry else None,
                digest=entry.get("digest"),
            )
            for entry in handle.history(limit)
        ]

    def digest(self, table: str, where: Where | None = None) -> str:
        """128-bit xxh3 over every row of a table in key order, file layout aside.

        Two lakes built alike have equal digests; books (``job_runs`` and the like) carry instants and differ.
        """
        declared = contract(table)
        predicate = pruning_predicate(declared, None, where or {})
        h = new_digest()
        at_once = 256 if "as_of_date" in declared.partition_by else 1  # files; a year's are as large as 250 days'
        for files in self._partitions(declared, predicate, at_once):
            rows = self._run(source_sql(declared, files, where=where, every_version=True), declared)
            feed_rows(h, sort_rows(rows, declared), declared)
        return str(h.hexdigest())

    def _partitions(self, declared: TableContract, predicate: str, at_once: int) -> Iterator[list[str]]:
        """Files of whole partitions, in partition order, some at a time: digesting holds few of them in memory."""
        base = len(self.location.table_uri(declared.name))
        files = sorted((uri[base:].rpartition("/")[0], uri) for uri in self._handles.files(declared.name, predicate))
        batch: list[str] = []
        for partition, group in itertools.groupby(files, key=lambda pair: pair[0]):
            batch.extend(uri for _, uri in group)
            if len(batch) >= at_once and partition:
                yield batch
                batch = []
        if batch:
            yield batch

    def states(self, table: str, where: Where | None = None) -> TableStates:
        """State of a table by day and instant of knowledge: what staleness is decided on.

        Conditions on partition columns choose among files; of others every one has its own sums of a file, all kept.
        """
        declared = contract(table)
        files = self._handles.files(declared.name, pruning_predicate(declared, None, where or {}))
        within = {column: (where or {})[column] for column in sorted(set(where or {}) - set(declared.partition_by))}

        def rows_of(some: Sequence[str]) -> Iterator[pa.Table]:
            columns = [*declared.schema.names, FILE_INDEX]
            sql = source_sql(declared, some, columns=columns, where=within, every_version=True)
            # Fifteen years of rows that say why would be gigabytes at once; a file's rows may come alone.
            batches: list[pa.RecordBatch] = []
            for batch in self.stream(sql, batch_rows=HASHED_AT_ONCE):
                batches.append(batch)
                if sum(b.num_rows for b in batches) >= HASHED_AT_ONCE:
                    yield pa.Table.from_batches(batches)
                    batches = []
            if batches:
                yield pa.Table.from_batches(batches)

        return states_of_files(
            files, lambda: self._handles.files(declared.name), self._sums(declared, condition(within)), rows_of
        )

    def _sums(self, declared: TableContract, only: str = "true") -> StateCache:
        folder = self.location.path
        return StateCache(folder / "cache" / "states" if folder is not None else None, declared.name, only)

    def _sum_up(self, declared: TableContract, rows: pa.Table, files: Callable[[], Sequence[str]]) -> None:
        """Keep the sums of rows just written: reading vectors back to sum them would take many times as long.

        Files of a year are left alone: each of its days writes them anew, and most are asked for under conditions.
        """
        kept = self.location.path is not None
        if kept and "as_of_date" in declared.partition_by and declared.name not in _SUMMED_WHEN_ASKED:
            self._sums(declared).add(groups_written(rows, files(), declared.partition_by))

    def days(self, table: str, where: Where | None = None) -> NDArray[np.datetime64]:
        """Days that hold any row, ascending; the log alone says them where days are partitions and so are conditions.

        Every version counts, withdrawn ones included.
        """
        declared = contract(table)
        if {"as_of_date", *(where or {})} <= set(declared.partition_by):
            files = self._handles.files(declared.name, pruning_predicate(declared, None, where or {}))
            days = [uri.rpartition("/as_of_date=")[2][:10] for uri in files]
        else:
            rows = self.source(table, columns=["as_of_date"], where=where, every_version=True)
            days = self.query(f"SELECT DISTINCT as_of_date FROM ({rows})")["as_of_date"].to_pylist()
        return np.unique(np.array(days, dtype="datetime64[D]"))

    # -- reading --

    def read(
        self,
        table: str,
        *,
        columns: Sequence[str] | None = None,
        dates: Dates | None = None,
        where: Where | None = None,
        as_of: dt.datetime | None = None,
        every_version: bool = False,
        version: int | None = None,
    ) -> pa.Table:
        """Read rows of one table.

        Parameters
        ----------
        table : str
        columns : sequence of str, optional
            All of them when None.
        dates : (date, date), optional
            First and last ``as_of_date``, both included.
        where : mapping, optional
            Column to value, or to a collection of values.
        as_of : datetime, optional
            Versioned tables only: each key's latest version known by this instant. The latest of all when None.
        every_version : bool
            Every version as it stands, withdrawn ones included.
        version : int, optional
            Read the table as it was at this Delta version.

        Returns
        -------
        pyarrow.Table
            In the contract's types; no promised order. A table never written reads as no rows.
        """
        declared = contract(table)
        sql = self.source(
            table,
            columns=columns,
            dates=dates,
            where=where,
            as_of=as_of,
            every_version=every_version,
            version=version,
        )
        return self._run(sql, declared, columns)

    def source(
        self,
        table: str,
        *,
        columns: Sequence[str] | None = None,
        dates: Dates | None = None,
        where: Where | None = None,
        as_of: dt.datetime | None = None,
        every_version: bool = False,
        version: int | None = None,
    ) -> str:
        """Return the SELECT that :meth:`read` would run, to be put in parentheses inside a larger query.

        Partitions are pruned through Delta here, before DuckDB sees a file list.
        """
        declared = contract(table)
        files = self._handles.files(declared.name, pruning_predicate(declared, dates, where or {}), version)
        return source_sql(
            declared,
            files,
            columns=columns,
            dates=dates,
            where=where,
            as_of=as_of,
            every_version=every_version,
        )

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return this thread's DuckDB cursor."""
        with self._lock:
            if self._connection is None:
                self._connection = new_connection()
        cursor = getattr(self._local, "cursor", None)
        if cursor is None:
            cursor = self._local.cursor = self._connection.cursor()
        return cursor

    def query(self, sql: str, tables: Mapping[str, pa.Table] | None = None) -> pa.Table:
        """Run SQL built from :meth:`source` fragments (and Arrow tables, by name) and return the result."""
        cursor = self._bound(tables)
        try:
            return cursor.sql(sql).to_arrow_table()
        finally:
            for name in tables or ():  # a cursor lives as long as its thread, and would keep them as long
                cursor.unregister(name)

    def release(self) -> None:
        """Let go of the DuckDB session and what it keeps: its threads' memory, footers of files.

        The next read opens another; a thread in the midst of one goes on with the session it has.
        """
        with self._lock:
            self._connection = None
            self._local = threading.local()

    def stream(
        self, sql: str, tables: Mapping[str, pa.Table] | None = None, batch_rows: int = 16_384
    ) -> pa.RecordBatchReader:
        """Run SQL as :meth:`query` does and return its result batch by batch."""
        return self._bound(tables).sql(sql).to_arrow_reader(batch_rows)

    def _bound(self, tables: Mapping[str, pa.Table] | None) -> duckdb.DuckDBPyConnection:
        cursor = self.cursor()
        for name, table in (tables or {}).items():
            cursor.register(name, table)
        return cursor

    def connect(self, versions: Mapping[str, int] | None = None) -> duckdb.DuckDBPyConnection:
        """Return a DuckDB connection with every table as a view at its current (or a given) version."""
        connection = new_connection()
        create_views(connection, self._handles, dict(versions or {}))
        return connection

    def count(self, table: str, where: Where | None = None) -> int:
        """Rows of a table, every version counted."""
        sql = self.source(table, columns=list(contract(table).key[:1]), where=where, every_version=True)
        return int(self.query(f"SELECT count(*) AS n FROM ({sql})")["n"][0].as_py())

    def _run(self, sql: str, declared: TableContract, columns: Sequence[str] | None = None) -> pa.Table:
        return conform(self.query(sql), declared, columns)

    # -- writing --

    def upsert(
        self,
        table: str,
        rows: pa.Table,
        *,
        replacing: Replacing | Sequence[Replacing] = (),
        metadata: Mapping[str, str] | None = None,
        check: Callable[[pa.Table], None] | None = None,
    ) -> Commit:
        """Replace rows by key inside the partitions they touch, in one atomic commit.

        Rows are validated first; equal rows already there are not written again.

        Parameters
        ----------
        table : str
        rows : pyarrow.Table
        replacing : Replacing or sequence of Replacing
            Existing rows that go although no new row has their key.
        metadata : mapping of str to str, optional
            Kept with the commit.
        check : callable, optional
            Shown the rows held in the partitions touched, as part of the commit; what it raises stops the write.

        Raises
        ------
        ContractError
            When rows do not keep the contract; nothing is written.
        CommitConflictError
            When other runs kept changing the same partitions; nothing is written.
        """
        declared = contract(table)
        rows = validate(rows, declared)
        return upsert(
            lambda: self._writable(declared),
            rows,
            declared,
            lambda files: self._run(source_sql(declared, files, every_version=True), declared),
            replacing=[replacing] if isinstance(replacing, Replacing) else replacing,
            metadata=metadata,
            check=check,
            written=functools.partial(self._sum_up, declared),
        )

    def deliver(
        self,
        table: str,
        rows: pa.Table,
        *,
        now: dt.datetime | None = None,
        own_instants: bool = True,
        silent: Silent | None = None,
        restating: bool | NDArray[np.bool_] = False,
    ) -> Delivery:
        """Bring raw rows: new ones and corrections are added as versions, unchanged ones are not written again.

        Parameters
        ----------
        now : datetime, optional
            Instant of the delivery, from which corrections count as known.
        own_instants : bool
            Whether ``known_at`` dates the version (a collection instant). When it only follows from the row's date, a
            row held that comes with other values or on another day is a correction, known from ``now``.
        silent : mapping of str to ndarray of bool, optional
            By column, the rows whose file lacks it: they keep what is held.
        restating : bool or ndarray of bool
            Let rows that repeat a version corrected since take the correction back: all of them, or those marked.
        """
        declared = contract(table)
        if not declared.is_versioned:
            raise RequestError(f"{table} keeps no versions; write it with upsert")
        rows = validate(rows, declared)
        terms = Terms(now or dt.datetime.now(dt.UTC), own_instants, silent or {}, restating)
        first, outcome = versions_to_write(declared.empty(), rows, declared, terms)

        def merge(existing: pa.Table, _: pa.Table) -> pa.Table:
            nonlocal outcome
            added, outcome = versions_to_write(existing, rows, declared, terms)
            return sort_rows(pa.concat_tables([existing, added]), declared)

        upsert(
            lambda: self._writable(declared),
            first,
            declared,
            lambda files: self._run(source_sql(declared, files, every_version=True), declared),
            replacing=[Replacing({"as_of_date": self._days_of(declared, rows)})] if declared.may_move else (),
            merge=merge,
            written=functools.partial(self._sum_up, declared),
        )
        return outcome

    def _days_of(self, declared: TableContract, rows: pa.Table) -> list[dt.date]:
        """Days of the given rows, and those on which the table holds versions of them."""
        held = self.source(declared.name, columns=[*declared.natural_key, "as_of_date"], every_version=True)
        keys = ", ".join(declared.natural_key)
        found = self.query(
            f"SELECT DISTINCT as_of_date FROM ({held}) SEMI JOIN delivered USING ({keys}) "
            "UNION SELECT as_of_date FROM delivered",
            {"delivered": rows.select([*declared.natural_key, "as_of_date"])},
        )
        return sorted(found["as_of_date"].to_pylist())

    def append(self, table: str, rows: pa.Table) -> None:
        """Append to one of the lake's own books, whose keys contain the run."""
        declared = contract(table)
        if declared.table_class != "operations":
            raise RequestError(f"{table} is not a book of the lake; write it with upsert")
        append(lambda: self._writable(declared), validate(rows, declared), declared)

    def delete(self, table: str, where: Where) -> None:
        """Take rows out of one of the lake's own books."""
        declared = contract(table)
        handle = self._handles.open(table)
        if declared.table_class == "operations" and handle is not None:
            handle.delete(condition(where))

    def _writable(self, declared: TableContract) -> Any:
        return self._handles.for_writing(declared)


def connect(root: str | Path | None = None, versions: Mapping[str, int] | None = None) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB session over a lake: every table is a view, ``vector`` is ``FLOAT[384]``.

    Examples
    --------
    >>> import prometheus
    >>> prometheus.connect("lake").sql("select count(*) from prices_daily")  # doctest: +SKIP
    """
    return Lake.open(root).connect(versions)
