"""The one write path: upsert by key inside the partitions touched, as one atomic Delta commit.

Read the partitions, replace the requested keys, write, all through **one** table handle with the partitions as the
overwrite predicate: then a row another run put there in between raises a conflict instead of being lost, and the
whole step is repeated on what is there now.
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError

from prometheus.errors import CommitConflictError
from prometheus.lake.contract import TableContract
from prometheus.lake.digest import partition_digests, rows_digest, sort_rows
from prometheus.lake.predicates import Scalar, condition, too_many
from prometheus.lake.tables import COMMITS_TO_CHECKPOINT, files_of
from prometheus.vectors import rows_at

ReadFiles = Callable[[Sequence[str]], pa.Table]

_ATTEMPTS = 12
_ROW_GROUP = 16_384  # vectors; small enough that two cores read one file in parallel
_DENSE_TABLES = frozenset({"text_embeddings", "joint_embeddings", "branch_statistics"})


@dataclass(frozen=True)
class Replacing:
    """Which existing rows a write answers for, beyond the keys it brings.

    Attributes
    ----------
    partitions : mapping of str to collection
        Values of partition columns whose rows may go, for days that turned out empty.
    keys : mapping of str to collection
        Rows in those partitions that match every column are taken out before the new ones go in. A partition column
        may be among them.
    like : mapping of str to str
        Further text columns whose whole value must match a regular expression (RE2), where writers share partitions.
    """

    partitions: Mapping[str, Collection[Scalar]] = field(default_factory=dict)
    keys: Mapping[str, Collection[Scalar]] = field(default_factory=dict)
    like: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Commit:
    """What a write did.

    Attributes
    ----------
    table : str
    version : int
        Version of the table afterwards.
    rows : int
        Rows brought.
    changed : bool
        False when the table already held exactly these rows and nothing was committed.
    digest : str
        Digest of the rows brought, in key order.
    """

    table: str
    version: int
    rows: int
    changed: bool
    digest: str


def upsert(
    table: Callable[[], DeltaTable],
    rows: pa.Table,
    declared: TableContract,
    read_files: ReadFiles,
    *,
    replacing: Sequence[Replacing] = (),
    metadata: Mapping[str, str] | None = None,
    merge: Callable[[pa.Table, pa.Table], pa.Table] | None = None,
    check: Callable[[pa.Table], None] | None = None,
    written: Callable[[pa.Table, Callable[[], Sequence[str]]], None] | None = None,
) -> Commit:
    """Replace rows by key inside the partitions touched, in one commit.

    Of those partitions only the ones whose rows come out different are written: a day's files change exactly when its
    rows do.

    Parameters
    ----------
    table : callable
        Opens a fresh handle; called again after a conflict.
    rows : pyarrow.Table
        Validated rows in the contract's schema.
    declared : TableContract
    read_files : callable
        Reads every column of the given files.
    replacing : sequence of Replacing
    metadata : mapping of str to str, optional
        Kept with the commit, next to the digest.
    merge : callable, optional
        ``merge(existing, rows)`` gives what the partitions shall hold; the default replaces by key.
    check : callable, optional
        ``check(existing)`` may refuse, by raising, to put rows beside those the partitions hold.
    written : callable, optional
        ``written(rows, files)`` is told, after the commit, all rows of the partitions written; ``files()`` lists their
        files.

    Raises
    ------
    CommitConflictError
        When other runs kept changing the same partitions; nothing of this write is in the table then.
    """
    rows = sort_rows(rows, declared)
    digest = rows_digest(rows, declared)
    touched = partition_predicate(rows, declared, replacing)
    for attempt in range(_ATTEMPTS):
        handle = table()
        files = files_of(handle, touched)
        wanted, predicate = rows, touched
        if files:
            existing = read_files(files)
            if check is not None:
                check(existing)
            wanted = (merge or _merger(declared, replacing))(existing, rows)
            changed = _changed_partitions(existing, wanted, declared)
            if changed:
                wanted, predicate = _narrowed(wanted, declared, changed)
            else:
                return Commit(declared.name, handle.version(), rows.num_rows, changed=False, digest=digest)
        elif wanted.num_rows == 0:
            return Commit(declared.name, handle.version(), 0, changed=False, digest=digest)
        try:
            write_deltalake(
                handle,
                wanted,
                mode="overwrite",
                predicate=predicate,
                writer_properties=_writer_properties(declared),
                commit_properties=CommitProperties(
                    custom_metadata={**(metadata or {}), "rows": str(rows.num_rows), "digest": digest}
                ),
                post_commithook_properties=_after_commit(handle),
            )
        except CommitFailedError:
            _wait(attempt)
            continue
        if written is not None:
            written(wanted, functools.partial(files_of, handle, predicate))
        return Commit(declared.name, handle.version(), rows.num_rows, changed=True, digest=digest)
    raise CommitConflictError(
        f"{declared.name}: other runs changed the same partitions {_ATTEMPTS} times in a row ({touched[:120]}); "
        "nothing was written: let them end and run this again"
    )


def append(
    table: Callable[[], DeltaTable],
    rows: pa.Table,
    declared: TableContract,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Append rows whose keys cannot be in the table already (books keyed by run).

    Parameters
    ----------
    table : callable
        Opens a fresh handle; called again after a conflict (two runs that make the table at the same moment).

    Raises
    ------
    CommitConflictError
        When other runs kept getting in between; nothing is written.
    """
    for attempt in range(_ATTEMPTS):
        try:
            handle = table()
            write_deltalake(
                handle,
                rows,
                mode="append",
                writer_properties=_writer_properties(declared),
                commit_properties=CommitProperties(custom_metadata=dict(metadata or {})),
                post_commithook_properties=_after_commit(handle),
            )
        except CommitFailedError:
            _wait(attempt)
            continue
        return
    raise CommitConflictError(
        f"{declared.name}: other runs got in between {_ATTEMPTS} times in a row; nothing was written: let them end "
        "and run this again"
    )


def _after_commit(handle: DeltaTable) -> PostCommitHookProperties:
    """Look for log entries past their retention once between two checkpoints: each time the whole log is listed."""
    clean = None if (handle.version() + 1) % COMMITS_TO_CHECKPOINT == 0 else False
    return PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=clean)


def _wait(attempt: int) -> None:
    time.sleep(random.uniform(0.0, 0.05 * 2 ** min(attempt, 6)))


def partition_predicate(rows: pa.Table, declared: TableContract, replacing: Sequence[Replacing]) -> str:
    """SQL of every partition the write touches: the product of its columns' values, of very many all between them."""
    where: dict[str, list[Scalar]] = {}
    for column in declared.partition_by:
        values = set(pc.unique(rows.column(column)).to_pylist())
        values.update(*(area.partitions.get(column, area.keys.get(column, ())) for area in replacing))
        where[column] = sorted(values)
    return condition(where, loosely=True)


def _changed_partitions(existing: pa.Table, wanted: pa.Table, declared: TableContract) -> set[tuple[Scalar, ...]]:
    before = partition_digests(sort_rows(existing, declared), declared)
    after = partition_digests(wanted, declared)
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def _narrowed(
    wanted: pa.Table, declared: TableContract, changed: Collection[tuple[Scalar, ...]]
) -> tuple[pa.Table, str]:
    """Rows and predicate of the smallest product of partition values that covers what changed."""
    values = {column: sorted({key[i] for key in changed}) for i, column in enumerate(declared.partition_by)}
    if not values:
        return wanted, "true"
    predicate = condition(values, loosely=True)
    for column, some in values.items():
        if too_many(some):  # then the predicate takes in what lies between them too
            between = sorted({*some, *pc.unique(wanted.column(column)).to_pylist()})
            values[column] = between[between.index(some[0]) : between.index(some[-1]) + 1]
    inside = _inside(wanted, declared, Replacing(values))
    return rows_at(wanted, np.flatnonzero(inside)), predicate


def _merger(declared: TableContract, replacing: Sequence[Replacing]) -> Callable[[pa.Table, pa.Table], pa.Table]:
    def merge(existing: pa.Table, rows: pa.Table) -> pa.Table:
        kept = existing
        for area in replacing:
            if area.keys and kept.num_rows:
                kept = rows_at(kept, np.flatnonzero(pc.invert(_inside(kept, declared, area))))
        kept = without_keys(kept, rows, declared.key)
        return sort_rows(pa.concat_tables([kept, rows]), declared)

    return merge


def _inside(rows: pa.Table, declared: TableContract, area: Replacing) -> pa.ChunkedArray:
    """Which rows lie in the partitions of an area and match all its keys."""
    hits = [
        pc.is_in(rows.column(column), value_set=pa.array(list(values), declared.schema.field(column).type))
        for column, values in {**area.partitions, **area.keys}.items()
    ]
    hits += [pc.match_substring_regex(rows.column(c), f"(?s)^(?:{wanted})$") for c, wanted in area.like.items()]
    return functools.reduce(pc.and_, hits)


def without_keys(existing: pa.Table, rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """Existing rows whose key is not among the new ones."""
    if existing.num_rows == 0 or rows.num_rows == 0:
        return existing
    old = pl.DataFrame(pl.from_arrow(existing.select(list(key)))).with_row_index("__row")
    new = pl.DataFrame(pl.from_arrow(rows.select(list(key))))
    kept = old.join(new, on=list(key), how="anti", maintain_order="left")["__row"]
    return existing if len(kept) == existing.num_rows else rows_at(existing, kept.to_numpy())


def _writer_properties(declared: TableContract) -> WriterProperties:
    # Windows hold many zeros, which zstd halves; dense vectors barely shrink and read faster under lz4.
    compression, level = ("LZ4_RAW", None) if declared.name in _DENSE_TABLES else ("ZSTD", 1)
    return WriterProperties(
        compression=compression,  # type: ignore[arg-type]
        compression_level=level,
        max_row_group_size=_ROW_GROUP,
        # Day files hold some hundred rows: a dictionary or min/max a column costs more than it saves, and a
        # dictionary of vectors quadruples the time to write them.
        default_column_properties=ColumnProperties(dictionary_enabled=False, statistics_enabled="NONE"),
    )
