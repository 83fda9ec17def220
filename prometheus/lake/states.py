"""What a table held, by day and by when it was known: equal states mean equal inputs, so nothing is stale.

Every row counts with a hash of its content (:mod:`.row_hashes`), under its ``as_of_date`` and, where the table keeps
versions, its ``known_at``. What an output day may use is then a sum over a rectangle: rows dated inside the declared
history and known by the day's cut-off. A correction known later falls outside the rectangles of the days before it.

Files are immutable, so their sums are kept in ``cache/states`` under the files' names, those of the whole table and
those under each condition on rows that was asked for: no row is hashed twice for one question. The cache can be thrown
away at any time.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from prometheus.lake.row_hashes import row_hashes

FilesRead = Callable[[Sequence[str]], Iterator[pa.Table]]
"""Rows of some files, batch by batch; with the column ``file_index``, the place of each row's file among them."""

_SCHEMA = {"file": pl.String, "day": pl.Date, "known": pl.Int64, "state": pl.UInt64}
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
            .select(list(_SCHEMA))
        )
    empty = names.filter(pl.Series(~seen))
    yield empty.select("file", *(pl.lit(None, kind).alias(n) for n, kind in _SCHEMA.items() if n != "file"))


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


class StateCache:
    """Sums of files already read, in one small Parquet file for a table and a condition.

    Parameters
    ----------
    folder : Path or None
        Where it is kept; nothing is kept without one.
    table : str
    only : str, optional
        The condition, as SQL, that rows had to meet to be counted.
    """

    def __init__(self, folder: Path | None, table: str, only: str = "true") -> None:
        name = table if only == "true" else f"{table}-{xxhash.xxh3_64_hexdigest(only.encode())}"
        self._path = folder / f"{name}.parquet" if folder is not None else None

    def load(self) -> pl.DataFrame:
        """Read what is held; nothing when there is none or it cannot be read."""
        if self._path is not None and self._path.is_file():
            try:
                held = pl.read_parquet(self._path)
            except (OSError, pl.exceptions.PolarsError):
                return pl.DataFrame(schema=_SCHEMA)
            if dict(held.schema) == _SCHEMA:
                return held
        return pl.DataFrame(schema=_SCHEMA)

    def store(self, groups: pl.DataFrame) -> None:
        """Replace what is held, in one step; a lake that cannot be written to goes without."""
        if self._path is None:
            return
        temporary = self._path.with_name(f"{self._path.stem}.{uuid.uuid4().hex}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            groups.write_parquet(temporary, compression="lz4", statistics=False)
            temporary.replace(self._path)
        except (OSError, pl.exceptions.PolarsError):  # a full disk comes as either
            temporary.unlink(missing_ok=True)


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
        alive = pl.DataFrame({"file": [_name(f) for f in current()]}, schema={"file": pl.String})
        cache.store(held.join(alive, on="file", how="semi"))
    asked = pl.DataFrame({"file": [_name(f) for f in files]}, schema={"file": pl.String})
    return TableStates.of(held.join(asked, on="file", how="semi"))
