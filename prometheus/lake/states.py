"""What a table held, by day and by when it was known: equal states mean equal inputs, so nothing is stale.

Every row counts with a hash of its content (:mod:`.row_hashes`), under its ``as_of_date`` and, where the table keeps
versions, its ``known_at``. What an output day may use is then a sum over a rectangle: rows dated inside the declared
history and known by the day's cut-off. A correction known later falls outside the rectangles of the days before it.

Files are immutable, so their sums are kept (:mod:`.state_cache`) under the files' names, those of the whole table and
those under each condition on rows that was asked for: no row is hashed twice for one question. A table in files of a
day is summed as it is written, from the rows in memory; other files are read once, when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import unquote

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.lake.row_hashes import row_hashes
from prometheus.lake.state_cache import SCHEMA, StateCache

FilesRead = Callable[[Sequence[str]], Iterator[pa.Table]]
"""Rows of some files, batch by batch; with the column ``file_index``, the place of each row's file among them."""

_EVER = np.iinfo(np.int64).min


@dataclass(frozen=True)
class TableStates:
    """Sums of row hashes (modulo 2^64) by day and instant of knowledge.

    Attributes
    ----------
    days : ndarray of datetime64[D], shape (n,)
        Ascending, repeated when a day has rows of several instants.
    known : ndarray of datetime64[us], shape (n,)
        Instant from which the rows are known; NaT for tables without versions.
    states : ndarray of uint64, shape (n,)
    """

    days: NDArray[np.datetime64]
    known: NDArray[np.datetime64]
    states: NDArray[np.uint64]

    @classmethod
    def of(cls, groups: pl.DataFrame) -> TableStates:
        """Build from columns day (null: nothing to count), known (microseconds, or the least integer) and state."""
        total = groups.drop_nulls("day").group_by("day", "known").agg(pl.col("state").sum()).sort("day", "known")
        known = total["known"].to_numpy().astype("datetime64[us]")  # the least integer is NaT
        return cls(total["day"].to_numpy().astype("datetime64[D]"), known, total["state"].to_numpy())

    def between(
        self,
        first: NDArray[np.datetime64] | None,
        last: NDArray[np.datetime64],
        known_by: NDArray[np.datetime64] | None = None,
    ) -> NDArray[np.uint64]:
        """State over ``first..last`` for many ranges at once.

        Parameters
        ----------
        first, last : ndarray of datetime64[D], shape (m,)
            Ascending. Without ``first`` from the beginning; of rows with versions then all that are known, whatever
            their day.
        known_by : ndarray of datetime64[us], shape (m,), optional
            Ascending cut-offs; without them rows count whenever they became known.
        """
        m = len(last)
        begin = np.searchsorted(last, self.days, side="left")
        if known_by is not None:
            dated = np.isnat(self.known)
            heard = np.searchsorted(known_by, self.known, side="left")
            begin = np.where(dated, begin, heard if first is None else np.maximum(begin, heard))
        end = np.full(len(begin), m) if first is None else np.searchsorted(first, self.days, side="right")
        counts = begin < end
        steps = np.zeros(m + 1, dtype=np.uint64)
        np.add.at(steps, begin[counts], self.states[counts])
        np.subtract.at(steps, end[counts], self.states[counts])
        running: NDArray[np.uint64] = np.cumsum(steps[:m], dtype=np.uint64)
        return running


def file_groups(files: Sequence[str], read: FilesRead) -> Iterator[pl.DataFrame]:
    """Hash the rows of files and sum them by file, day and instant, batch by batch.

    A file may come in several batches. One without rows comes once, last, with no day, so that it counts as read.
    """
    names = pl.DataFrame({"file": [_name(f) for f in files]}).with_row_index("place").cast({"place": pl.Int64})
    seen = np.zeros(len(files), dtype=np.bool_)
    for rows in _ahead(read(files)):
        place = rows["file_index"].to_numpy().astype(np.int64)
        seen[place] = True
        yield (
            _dated(rows.drop_columns(["file_index"]))
            .with_columns(pl.Series("place", place))
            .group_by("place", "day", "known")
            .agg(pl.col("state").sum())
            .join(names, "place")
            .select(list(SCHEMA))
        )
    empty = names.filter(pl.Series(~seen))
    yield empty.select("file", *(pl.lit(None, kind).alias(n) for n, kind in SCHEMA.items() if n != "file"))


def groups_written(rows: pa.Table, files: Sequence[str], partition_by: Sequence[str]) -> pl.DataFrame:
    """Sum the rows just written as :func:`file_groups` would sum those of their files.

    Parameters
    ----------
    rows : pyarrow.Table
        All rows of the partitions written, every column, in the contract's order.
    files : sequence of str
        URIs of the files those partitions have now. Nothing is said of a partition in several, nor of one whose name
        is not that of any rows: they are read when they are asked for.
    partition_by : sequence of str
        Columns of text, and ``as_of_date``.
    """
    others = [c for c in partition_by if c != "as_of_date"]
    where = ["day", *others]
    labels = pl.DataFrame(pl.from_arrow(rows.select(others))) if others else pl.DataFrame()
    sums = _dated(rows).with_columns(labels).group_by(*where, "known").agg(pl.col("state").sum())
    named = [{"file": _name(uri), **_partition(uri, partition_by)} for uri in files]
    held = pl.DataFrame(named, schema={"file": pl.String, **dict.fromkeys(partition_by, pl.String)})
    held = held.with_columns(pl.col("as_of_date").str.to_date(strict=False).alias("day"))
    alone = held.filter(pl.len().over(where) == 1)
    return sums.join(alone, on=where).select(list(SCHEMA))


def _partition(uri: str, partition_by: Sequence[str]) -> dict[str, str]:
    """Values of the partition columns, from the folders a file lies in."""
    folders = (folder.partition("=") for folder in uri.split("/")[-1 - len(partition_by) : -1])
    return {column: unquote(value) for column, _, value in folders}


def _ahead(batches: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Batches in turn, each read while the one before it is worked on."""
    with ThreadPoolExecutor(1, thread_name_prefix="states") as pool:
        upcoming = pool.submit(next, batches, None)
        while (rows := upcoming.result()) is not None:
            upcoming = pool.submit(next, batches, None)
            yield rows


def _dated(rows: pa.Table) -> pl.DataFrame:
    n = rows.num_rows
    known = rows["known_at"].cast(pa.int64()).to_numpy() if "known_at" in rows.column_names else np.full(n, _EVER)
    days = rows["as_of_date"].cast(pa.int32()).to_numpy().astype("datetime64[D]")
    return pl.DataFrame({"day": days, "known": known, "state": row_hashes(rows)}).cast({"day": pl.Date})


def _name(uri: str) -> str:
    return uri.rpartition("/")[2]


def states_of_files(
    files: Sequence[str], current: Callable[[], Sequence[str]], cache: StateCache, read: FilesRead
) -> TableStates:
    """State of the rows in some files of a table.

    Parameters
    ----------
    files : sequence of str
        URIs whose rows count.
    current : callable
        URIs of all files of the table now: what the cache goes on holding.
    cache : StateCache
    read : callable
    """
    held = cache.load()
    known = set(held["file"].unique().to_list())
    missing = [f for f in files if _name(f) not in known]
    if missing:
        held = pl.concat([held, *file_groups(missing, read)])
    if missing or cache.is_in_parts:
        alive = pl.DataFrame({"file": [_name(f) for f in current()]}, schema={"file": pl.String})
        cache.store(held.join(alive, on="file", how="semi"))
    asked = pl.DataFrame({"file": [_name(f) for f in files]}, schema={"file": pl.String})
    return TableStates.of(held.join(asked, on="file", how="semi"))
