"""Rows of one table against its contract, some partitions at a time: memory does not grow with the table."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from prometheus.audit.findings import Finding, counted, examples
from prometheus.lake import Lake, TableContract, contract
from prometheus.lake.inventory import TableInventory
from prometheus.lake.reader import source_sql

_BATCH_FILES = 512
_BATCH_BYTES = 256 * 2**20
_KEPT = 20

_FORCE = (
    "what a stage made is put right by its command with --force over these dates; for what was delivered go back with "
    "`prometheus lake restore`"
)
GIVE_UP = (
    "bring it back from a copy, or delete it and run `prometheus lake doctor --forget-missing`: its rows are given up, "
    "`--repair` then has the next backfill make those of a stage, raw ones are delivered again by `prometheus ingest`"
)


@dataclass
class _Trouble:
    """Wrong rows of one sort: how many, and the first few by key."""

    count: int = 0
    keys: list[str] = field(default_factory=list)


class RowCheck:
    """Examination of one table's rows.

    Parameters
    ----------
    lake : Lake
    inventory : TableInventory
    skip : collection of str
        Files known not to be readable.
    quick : bool
        Leave vectors unread.
    """

    def __init__(self, lake: Lake, inventory: TableInventory, skip: Sequence[str], *, quick: bool) -> None:
        self._lake = lake
        self._declared = contract(inventory.table)
        self._base = lake.location.table_uri(inventory.table)
        self._inventory = inventory
        self._quick = quick
        self._skip = frozenset(skip)
        self._conditions = _wrong(self._declared)
        self._troubles: dict[str, _Trouble] = {}
        self.rows = 0
        self.unreadable: dict[str, str] = {}

    def findings(self) -> Iterator[Finding]:
        """Read the table and say what is wrong with its rows."""
        for batch in self._batches():
            batch = self._narrow(batch)
            if not self._quick:
                for column, width in self._declared.vector_columns.items():
                    self._vectors(batch, column, width)
        yield from self._unreadable_findings()
        for what, trouble in self._troubles.items():
            kind, _, said = what.partition("|")
            sentence = f"{counted(trouble.count, 'row')} {said}, for example {examples(trouble.keys)}"
            yield Finding(kind, self._declared.name, sentence, _FORCE, tuple(trouble.keys))

    def _unreadable_findings(self) -> Iterator[Finding]:
        for path, why in self.unreadable.items():
            yield Finding("unreadable", self._declared.name, f"{path} cannot be read ({why})", GIVE_UP, (path,))

    def _batches(self) -> Iterator[list[str]]:
        """Files of whole partitions, some at a time."""
        current = self._inventory.current
        files = sorted((p.rpartition("/")[0], p) for p in current if p not in self._skip)
        batch: list[str] = []
        size = 0
        for _, group in itertools.groupby(files, key=lambda pair: pair[0]):
            paths = [p for _, p in group]
            batch += paths
            size += sum(current[p].size for p in paths)
            if len(batch) >= _BATCH_FILES or size >= _BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _source(self, files: Sequence[str], columns: Sequence[str]) -> str:
        uris = [f"{self._base}/{p}" for p in files]
        return source_sql(self._declared, uris, columns=columns, every_version=True)

    def _narrow(self, files: list[str]) -> list[str]:
        """Check everything but vectors; returns the files that could be read."""
        columns = _narrow_columns(self._declared)
        key = ", ".join(self._declared.key)
        wrong = "".join(f", count(*) FILTER ({condition})" for condition in self._conditions.values())
        query = f"SELECT count(*), count(DISTINCT hash({key})){wrong} FROM ({self._source(files, columns)})"
        try:
            n, distinct, *counts = self._lake.cursor().sql(query).fetchall()[0]
        except duckdb.Error:
            readable = self._readable(files, columns)
            if len(readable) == len(files):
                raise
            return self._narrow(readable) if readable else []
        self.rows += n
        if distinct != n:
            self._duplicates(files)
        for (what, condition), count in zip(self._conditions.items(), counts, strict=True):
            if count:
                self._note(what, count, files, columns, condition)
        return files

    def _readable(self, files: Sequence[str], columns: Sequence[str]) -> list[str]:
        """Read files one by one to tell the damaged ones."""
        readable = []
        probe = ", ".join(f"count({c})" for c in columns)
        for path in files:
            try:
                self._lake.cursor().sql(f"SELECT {probe} FROM ({self._source([path], columns)})").fetchall()
                readable.append(path)
            except duckdb.Error as error:
                self.unreadable[path] = _why(error)
        return readable

    def _duplicates(self, files: Sequence[str]) -> None:
        key = ", ".join(self._declared.key)
        twins = (
            f"SELECT {key}, count(*) AS n FROM ({self._source(files, self._declared.key)}) "
            f"GROUP BY {key} HAVING count(*) > 1"
        )
        count = self._lake.cursor().sql(f"SELECT count(*) FROM ({twins})").fetchall()[0][0]
        if count:  # else two keys merely share a hash
            self._add("duplicates|with a key another row has too", count, f"SELECT {key} FROM ({twins})")

    def _note(self, what: str, count: int, files: Sequence[str], columns: Sequence[str], condition: str) -> None:
        keys = ", ".join(self._declared.key)
        self._add(what, count, f"SELECT {keys} FROM ({self._source(files, columns)}) WHERE {condition}")

    def _add(self, what: str, count: int, keys: str) -> None:
        trouble = self._troubles.setdefault(what, _Trouble())
        trouble.count += count
        left = _KEPT - len(trouble.keys)
        if left > 0:
            rows = self._lake.cursor().sql(f"{keys} ORDER BY ALL LIMIT {left}").fetchall()
            trouble.keys += ["/".join(str(v) for v in row) for row in rows]

    def _vectors(self, files: list[str], column: str, width: int) -> None:
        if not files:
            return
        wrong_width = not_finite = 0
        try:
            for batch in self._lake.stream(self._source(files, [column])):
                width_off, off = _bad_vectors(batch.column(0), width)
                wrong_width += width_off
                not_finite += off
        except (duckdb.Error, pa.ArrowInvalid, OSError):
            readable = self._readable(files, [column])
            if len(readable) == len(files):
                raise
            self._vectors(readable, column, width)
            return
        columns = [*self._declared.key, column]
        lengths = f"{column} IS NULL OR len({column}) <> {width}"
        if wrong_width:
            self._note(f"vectors|with a {column} that is not {width} wide", wrong_width, files, columns, lengths)
        if not_finite:
            finite = f"len(list_filter({column}, lambda x: NOT isfinite(x))) > 0"
            self._note(f"vectors|with NaN or infinity in {column}", not_finite, files, columns, finite)


def _bad_vectors(column: pa.ListArray, width: int) -> tuple[int, int]:
    """Count vectors of another width (missing ones too), and those that are not finite."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    odd = int((lengths != width).sum())
    values = column.flatten().to_numpy(zero_copy_only=False)
    if np.isfinite(np.dot(values, values)) or np.isfinite(values).all():
        return odd, 0
    row = np.repeat(np.arange(len(lengths)), lengths)
    return odd, len(np.unique(row[~np.isfinite(values)]))


def _narrow_columns(declared: TableContract) -> list[str]:
    return [c.name for c in declared.columns if c.name not in declared.vector_columns]


def _wrong(declared: TableContract) -> dict[str, str]:
    """Conditions a row must not meet, by the kind of finding and its words."""
    conditions = {
        f"nulls|without {c.name}": f"{c.name} IS NULL"
        for c in declared.columns
        if not c.nullable and c.name not in declared.vector_columns
    }
    if declared.dated_by != "as_of_date":
        conditions[f"dates|under another as_of_date than the {declared.dated_by} says"] = (
            f"as_of_date <> CAST({declared.dated_by} AS DATE)"
        )
    if "as_of_year" in declared.schema.names:
        conditions["dates|under another year than the as_of_date says"] = "as_of_year <> year(as_of_date)"
    return conditions


def _why(error: Exception) -> str:
    """First line of an error, without the path it repeats."""
    return str(error).splitlines()[0].split(" '")[0][:160]
