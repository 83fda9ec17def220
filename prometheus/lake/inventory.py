"""What lies in a table's folder against what its log names: the two part when a writer is killed or loses a race."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.fs import DeltaStorageHandler
from pyarrow import fs as pafs

from prometheus.errors import BadDataError
from prometheus.lake.contract import TableContract
from prometheus.lake.drift import nullability_drift, structural_drift
from prometheus.lake.lake import Lake

LOG = "_delta_log"
_CHECKPOINT = ".checkpoint.parquet"


@dataclass(frozen=True)
class StoredFile:
    """One file below a table's folder: bytes, and seconds since it was last written."""

    path: str
    size: int
    age: float


@dataclass(frozen=True)
class LoggedFile:
    """One data file of the current version, as the log has it."""

    path: str
    size: int
    partition: Mapping[str, Any]


@dataclass(frozen=True)
class LoggedCommit:
    """Data files one version added and removed. ``whole``: the files added are all the version is made of."""

    version: int
    added: frozenset[str]
    removed: frozenset[str]
    whole: bool = False


@dataclass(frozen=True)
class TableInventory:
    """Files of one table. Paths are relative to its folder, as they stand on disk.

    Attributes
    ----------
    table : str
    version : int
        The version that was current.
    current : dict of str to LoggedFile
        What the current version is made of.
    stored : dict of str to StoredFile
        What lies there, the log aside.
    commits : tuple of LoggedCommit
        What the log still tells, ascending.
    unfinished : tuple of StoredFile
        Temporary files of commits that never came to be.
    """

    table: str
    version: int
    current: Mapping[str, LoggedFile]
    stored: Mapping[str, StoredFile]
    commits: tuple[LoggedCommit, ...]
    unfinished: tuple[StoredFile, ...]

    @cached_property
    def missing(self) -> list[str]:
        """Files the current version names that are not there."""
        return sorted(self.current.keys() - self.stored.keys())

    @cached_property
    def resized(self) -> list[str]:
        """Files that are there with another number of bytes than was committed."""
        both = self.current.keys() & self.stored.keys()
        return sorted(p for p in both if self.stored[p].size != self.current[p].size)

    @cached_property
    def orphans(self) -> list[StoredFile]:
        """Files no version names, and temporary files of the log: nothing can read them."""
        named = self.current.keys() | set().union(*(c.added | c.removed for c in self.commits))
        return [*(self.stored[p] for p in sorted(self.stored.keys() - named)), *self.unfinished]

    @cached_property
    def misplaced(self) -> list[str]:
        """Files whose folders say another partition than the log does."""
        return sorted(p for p, file in self.current.items() if folders_of(p) != _as_text(file.partition))

    def whole_versions(self, there: Collection[str] | None = None) -> list[int]:
        """Versions that can be restored: the log can rebuild them, and all their files are there."""
        held = self.stored.keys() if there is None else set(there)
        lacking: set[str] = set()
        whole: list[int] = []
        known = False
        for commit in self.commits:
            known = known or commit.whole
            lacking = (set() if commit.whole else lacking - commit.removed) | (commit.added - held)
            if known and not lacking:
                whole.append(commit.version)
        return sorted(set(whole))


def take_inventory(lake: Lake, table: str) -> TableInventory | None:
    """Compare a table's folder with its log; None when the table was never written.

    The folder is listed before the log is read: a file committed in between is then in both, never taken for one
    that nobody names.

    Raises
    ------
    BadDataError
        When the log cannot be read.
    """
    try:
        handle = lake._handles.open(table)
    except DeltaError as error:
        raise BadDataError(f"its log cannot be read ({str(error).splitlines()[0]})") from None
    if handle is None:
        return None
    filesystem = files_of(lake, table, handle)
    found = _files_below(filesystem, "")
    log = _files_below(filesystem, LOG)
    handle.update_incremental()
    return TableInventory(
        table=table,
        version=handle.version(),
        current=current_files(handle),
        stored={f.path: f for f in found if not f.path.startswith(("_", "."))},
        commits=tuple(_commits(filesystem, [f.path for f in log if not _is_unfinished(f.path)])),
        unfinished=tuple(f for f in log if _is_unfinished(f.path)),
    )


def schema_drift(lake: Lake, declared: TableContract) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Where a stored table differs from its contract: in what it is made of, and in which columns may be null."""
    handle = lake._handles.open(declared.name)
    return (structural_drift(handle, declared), nullability_drift(handle, declared)) if handle is not None else ((), ())


def files_of(lake: Lake, table: str, handle: DeltaTable) -> pafs.FileSystem:
    """Return the table's folder as a file system, wherever the lake lies."""
    if lake.location.path is not None:
        return pafs.SubTreeFileSystem(lake.location.table_uri(table), pafs.LocalFileSystem())
    return object_files(handle)


def object_files(handle: DeltaTable) -> pafs.FileSystem:
    """Return a table's folder as the table's own object store shows it."""
    return pafs.PyFileSystem(DeltaStorageHandler.from_table(handle._table))


def current_files(handle: DeltaTable) -> dict[str, LoggedFile]:
    """Data files of a handle's version, by their path on disk."""
    actions = pa.table(handle.get_add_actions(flatten=True))
    columns = {n.removeprefix("partition."): n for n in actions.column_names if n.startswith("partition.")}
    partitions = {name: actions[column].to_pylist() for name, column in columns.items()}
    files = {}
    for i, (path, size) in enumerate(zip(actions["path"].to_pylist(), actions["size_bytes"].to_pylist(), strict=True)):
        stored = unquote(path)
        files[stored] = LoggedFile(stored, size, {name: values[i] for name, values in partitions.items()})
    return files


def folders_of(path: str) -> dict[str, str]:
    """Values of the partition columns as a file's folders say them."""
    pairs = (part.partition("=") for part in path.split("/")[:-1])
    return {unquote(name): unquote(value) for name, _, value in pairs}


def _as_text(partition: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in partition.items()}


def _files_below(filesystem: pafs.FileSystem, folder: str) -> list[StoredFile]:
    now = time.time()
    return [
        StoredFile(info.path, info.size, now - info.mtime_ns / 1e9 if info.mtime_ns else 0.0)
        for info in filesystem.get_file_info(pafs.FileSelector(folder, recursive=True))
        if info.type == pafs.FileType.File
    ]


def _commits(filesystem: pafs.FileSystem, log: Sequence[str]) -> Iterator[LoggedCommit]:
    """What each version added and removed, ascending; the latest checkpoint stands for all before it."""
    told = {int(path[len(LOG) + 1 : -len(".json")]): path for path in log if path.endswith(".json")}
    checkpoints = {int(path[len(LOG) + 1 : -len(_CHECKPOINT)]): path for path in log if path.endswith(_CHECKPOINT)}
    latest = max(checkpoints, default=None)
    for version in sorted({*told, *checkpoints}):
        if version in told:
            yield _commit(filesystem, version, told[version])
        if version == latest:
            yield _checkpoint(filesystem, version, checkpoints[version])


def _commit(filesystem: pafs.FileSystem, version: int, path: str) -> LoggedCommit:
    added, removed = set(), set()
    with filesystem.open_input_file(path) as file:
        for line in file.read().splitlines():
            action = json.loads(line)
            if "add" in action:
                added.add(unquote(action["add"]["path"]))
            elif "remove" in action:
                removed.add(unquote(action["remove"]["path"]))
    return LoggedCommit(version, frozenset(added), frozenset(removed), whole=version == 0)


def _checkpoint(filesystem: pafs.FileSystem, version: int, path: str) -> LoggedCommit:
    with filesystem.open_input_file(path) as file:
        table = pq.ParquetFile(file).read(columns=["add.path", "remove.path"])
    added, removed = (
        frozenset(map(unquote, table[kind].combine_chunks().drop_null().field("path").to_pylist()))
        for kind in ("add", "remove")
    )
    return LoggedCommit(version, added, removed, whole=True)


def _is_unfinished(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.startswith("_commit_") or "#" in name or name.endswith(".tmp")
