"""Delta tables by name: where they lie, their handles, their files. The only module that opens a Delta table."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from prometheus.errors import BadDataError, ContractError, RequestError, StorageError
from prometheus.lake.contract import TableContract
from prometheus.lake.contracts import contract
from prometheus.lake.drift import structural_drift

_TABLE_SETTINGS = {
    # Files are found by partition; min/max statistics of a vector would only swell the log.
    "delta.dataSkippingNumIndexedCols": "0",
}

_UNUSABLE = frozenset("%[]")
"""In the path of a table: percent signs are decoded, brackets end the process."""

COMMITS_TO_CHECKPOINT = 100
"""Versions from one checkpoint to the next: Delta's default."""


@dataclass(frozen=True)
class Location:
    """Where a lake lies: a folder or a bucket, as a URI."""

    root: str

    @classmethod
    def of(cls, root: str | Path) -> Location:
        """Normalise a path or URI; relative paths become absolute ones.

        Raises
        ------
        RequestError
            When a folder has a name that Delta takes for something else.
        """
        text = str(root)
        scheme, path = urlparse(text).scheme, urlparse(text).path
        if len(scheme) > 1 and scheme != "file":
            return cls(text.rstrip("/"))
        folder = unquote(path).rstrip("/") if scheme == "file" else str(Path(text).expanduser().resolve())
        unusable = sorted(set(folder) & _UNUSABLE)
        if unusable:
            raise RequestError(f"a lake cannot lie in {folder}: Delta does not take {' '.join(unusable)} in a path")
        return cls(folder)

    @property
    def path(self) -> Path | None:
        """The local folder, or None when the lake lies elsewhere."""
        return None if "://" in self.root else Path(self.root)

    def table_uri(self, name: str) -> str:
        """URI of one table: layer first, then its name."""
        return f"{self.root}/{contract(name).layer}/{name}"


@dataclass(frozen=True)
class _Held:
    """A handle, and how many checkpoints there were when it was opened.

    Every version that a handle moves on to stays a piece of its own in it, and each commit goes through all pieces:
    after some hundred it takes many times as long. Opened after a checkpoint, it has what was before in one.
    """

    handle: DeltaTable
    checkpoints: int

    @classmethod
    def of(cls, handle: DeltaTable) -> _Held:
        return cls(handle, (handle.version() + 1) // COMMITS_TO_CHECKPOINT)

    def in_one_piece(self) -> bool:
        """Whether no checkpoint has been made since."""
        return self.checkpoints == (self.handle.version() + 1) // COMMITS_TO_CHECKPOINT


class TableHandles:
    """Shared, refreshed handles for reading; one a thread for writing."""

    def __init__(self, location: Location, storage_options: dict[str, str] | None = None) -> None:
        self.location = location
        self.storage_options = storage_options
        self._handles: dict[str, _Held] = {}
        self._lock = threading.RLock()
        self._own = threading.local()

    def exists(self, name: str) -> bool:
        """Whether the table has ever been written."""
        return DeltaTable.is_deltatable(self.location.table_uri(name), self.storage_options)

    def open(self, name: str, version: int | None = None) -> DeltaTable | None:
        """Return a fresh handle at the current or a given version, or None when the table was never written.

        Raises
        ------
        RequestError
            When the version does not exist.
        """
        try:
            table = DeltaTable(self.location.table_uri(name), storage_options=self.storage_options)
        except TableNotFoundError:
            return None
        if version is not None:
            if not 0 <= version <= table.version():
                raise RequestError(f"{name} has versions 0 to {table.version()}, not {version}")
            try:
                table.load_as_version(version)
            except DeltaError:
                raise RequestError(
                    f"the log of {name} no longer tells of version {version}; what `prometheus lake vacuum --dry-run` "
                    "lists as restorable can be read"
                ) from None
        return table

    def for_writing(self, declared: TableContract) -> DeltaTable:
        """Return this thread's own handle at the current version, the table made when it is not there.

        A handle that writes must not be read through by others meanwhile; replaying the log for a new one at each
        commit of a long run would cost more than the commit.
        """
        self._require_root()
        own: dict[str, _Held] = self._own.__dict__.setdefault("handles", {})
        held = own.get(declared.name)
        if held is None:
            with self._lock:  # two threads that made it side by side would count as a conflict
                table = self._as_declared(declared.name) or self.create(declared)
                held = own[declared.name] = _Held.of(table)
        else:
            held = own[declared.name] = self._refreshed(held, declared.name)
        return held.handle

    def _require_root(self) -> None:
        """Refuse to write into a lake whose folder was taken away: making it anew would leave a lake without its past.

        Raises
        ------
        StorageError
        """
        folder = self.location.path
        if folder is not None and not folder.is_dir():
            raise StorageError(
                f"the lake's folder {folder} is not there any more: it was moved or removed while this ran, and "
                "nothing more was written; bring it back and run this again"
            )

    def files(self, name: str, predicate: str | None = None, version: int | None = None) -> list[str]:
        """URIs of the files that may hold matching rows, at the current or a given version."""
        if version is not None:
            table = self.open(name, version)
            return files_of(table, predicate) if table is not None else []
        with self._lock:
            table = self._current(name)
            return files_of(table, predicate) if table is not None else []

    def version(self, name: str) -> int | None:
        """Current version of a table, or None when it was never written."""
        with self._lock:
            table = self._current(name)
            return None if table is None else table.version()

    def create(self, declared: TableContract) -> DeltaTable:
        """Create a table if it is not there, and return a handle; a concurrent creator is no error."""
        uri = self.location.table_uri(declared.name)
        DeltaTable.create(
            uri,
            schema=declared.schema,
            mode="ignore",
            partition_by=list(declared.partition_by),
            name=declared.name,
            description=declared.doc,
            configuration=_TABLE_SETTINGS,
            storage_options=self.storage_options,
        )
        return DeltaTable(uri, storage_options=self.storage_options)

    def _current(self, name: str) -> DeltaTable | None:
        held = self._handles.get(name)
        if held is None:
            table = self._as_declared(name)
            if table is None:
                return None
            held = _Held.of(table)
        else:
            held = self._refreshed(held, name)
        self._handles[name] = held
        return held.handle

    def _as_declared(self, name: str) -> DeltaTable | None:
        """Open a table whose rows can be read as its contract's.

        Raises
        ------
        ContractError
            Naming what differs.
        """
        table = self.open(name)
        drift = structural_drift(table, contract(name)) if table is not None else ()
        if drift:
            raise ContractError(
                f"{self.location.table_uri(name)} is not as this version declares {name}: {'; '.join(drift)}. Read it "
                "with the version of prometheus that wrote it, or build the table in a new lake"
            )
        return table

    def _refreshed(self, held: _Held, name: str) -> _Held:
        """Bring a handle to the current version, or open another in its place."""
        if not self._is_latest(held.handle, name):
            held.handle.update_incremental()
        return held if held.in_one_piece() else _Held.of(self.open(name) or held.handle)

    def _is_latest(self, handle: DeltaTable, name: str) -> bool:
        """Whether the log surely has nothing newer, without listing it: each entry would be looked at.

        The handle's own entry is asked for too: a cleaned log that lost its successors has lost that one as well.
        """
        if self.location.path is None:
            return False
        log, version = Path(self.location.table_uri(name), "_delta_log"), handle.version()
        return not (log / f"{version + 1:020d}.json").exists() and (log / f"{version:020d}.json").exists()


def read_delta_folder(path: Path) -> pa.Table:
    """Read every row of a user's own Delta table, for ingest.

    Raises
    ------
    BadDataError
        When the folder holds none.
    """
    try:
        return DeltaTable(str(path)).to_pyarrow_table()
    except TableNotFoundError:
        raise BadDataError(f"{path.name} is no Delta table (it has no _delta_log)") from None


def delta_folder_columns(path: Path) -> list[str]:
    """Names of the columns of a user's own Delta table.

    Raises
    ------
    BadDataError
        When the folder holds none.
    """
    try:
        return [field.name for field in DeltaTable(str(path)).schema().fields]
    except TableNotFoundError:
        raise BadDataError(f"{path.name} is no Delta table (it has no _delta_log)") from None


def files_of(table: DeltaTable, predicate: str | None = None) -> list[str]:
    """Files of a table's current rows: URIs, or plain paths of a local one.

    A local table's folder comes percent-encoded from the log, the names below it as they are on the disk.
    """
    kwargs: dict[str, Any] = {} if predicate is None or predicate == "true" else {"file_pruning_predicate": predicate}
    uris = table.file_uris(**kwargs)
    place = urlparse(table.table_uri)
    folder = place.path.rstrip("/")
    if place.scheme != "file" or unquote(folder) == folder:
        return uris
    return [f"{unquote(folder)}{uri.removeprefix(folder)}" for uri in uris]
