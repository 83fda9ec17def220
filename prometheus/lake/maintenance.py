"""Keeping a lake healthy: dropping what is no longer current, going back to an earlier version.

Files no version names (left by killed writers and by those that lost a race) are removed by
:func:`remove_orphans`; files of versions past their retention by :func:`vacuum`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import DeltaError

from prometheus.errors import BadDataError, RequestError
from prometheus.lake.contracts import contract
from prometheus.lake.inventory import current_files, files_of, take_inventory
from prometheus.lake.lake import Lake

HOUR = 3600.0


@dataclass(frozen=True)
class Retention:
    """How long what is no longer current is kept; see ``conf/retention``.

    Attributes
    ----------
    retain_hours : int
        Every version that was current within these hours can be restored.
    orphan_hours : int
        Files no version names are let be until they are this old.
    checkpoint : bool
        Write a checkpoint after a vacuum.
    clean_log : bool
        Drop log entries past the table's log retention after a vacuum.
    """

    retain_hours: int = 168
    orphan_hours: int = 24
    checkpoint: bool = True
    clean_log: bool = True

    def __post_init__(self) -> None:
        for name in ("retain_hours", "orphan_hours"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise RequestError(f"{name} must be a whole number of hours, 0 or more; got {value!r}")
        for name in ("checkpoint", "clean_log"):
            if not isinstance(getattr(self, name), bool):
                raise RequestError(f"{name} must be true or false; got {getattr(self, name)!r}")

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Retention:
        """Build from a configuration node.

        Raises
        ------
        RequestError
            When a key is unknown or a value is no number of hours.
        """
        unknown = sorted(mapping.keys() - cls.__dataclass_fields__.keys())
        if unknown:
            known = ", ".join(cls.__dataclass_fields__)
            raise RequestError(f"retention has no {', '.join(unknown)}; it has {known}")
        return cls(**mapping)


@dataclass(frozen=True)
class Vacuumed:
    """What a vacuum removed from a table, or would.

    Attributes
    ----------
    table : str
    files, size : int
        How many, and their bytes.
    versions : tuple of int
        Versions that can still be restored.
    """

    table: str
    files: int
    size: int
    versions: tuple[int, ...]


def vacuum(lake: Lake, table: str, retention: Retention, *, dry_run: bool = True) -> Vacuumed | None:
    """Remove the files of versions that stopped being current before the retention began.

    Rows of the current version are never touched. None when the table was never written.
    """
    inventory = take_inventory(lake, contract(table).name)
    handle = lake._handles.open(table)
    if inventory is None or handle is None:
        return None
    options: dict[str, Any] = {
        "retention_hours": retention.retain_hours,
        "enforce_retention_duration": False,
        # A full vacuum also takes what no version names, by age alone: it must touch neither what a running writer
        # has yet to commit, nor files replaced so long ago that checkpoints have forgotten when.
        "full": retention.orphan_hours <= retention.retain_hours <= _remembered_hours(handle),
    }
    # What was vacuumed before is named again for as long as the log remembers it.
    gone = inventory.stored.keys() & set(handle.vacuum(dry_run=True, **options))
    left = inventory.stored.keys() - gone
    size = sum(inventory.stored[path].size for path in gone)
    if not dry_run:
        if gone:
            handle.vacuum(dry_run=False, **options)
        if retention.checkpoint:
            handle.create_checkpoint()
        if retention.clean_log:
            handle.cleanup_metadata()
        inventory = take_inventory(lake, table) or inventory
    return Vacuumed(table, len(gone), size, tuple(inventory.whole_versions(left)))


def _remembered_hours(handle: DeltaTable) -> float:
    """How long the table's checkpoints remember a replaced file."""
    text = (handle.metadata().configuration or {}).get("delta.deletedFileRetentionDuration", "interval 1 week")
    found = re.fullmatch(r"(?:interval )?(\d+) (hour|day|week)s?", text.strip().lower())
    return int(found[1]) * {"hour": 1, "day": 24, "week": 168}[found[2]] if found else 0.0


@dataclass(frozen=True)
class Restore:
    """A way back to an earlier version, not yet gone.

    Attributes
    ----------
    table : str
    version : int
        The version to go back to.
    current : int
        The version to leave.
    files_back, files_away : int
        Files that become current again, and that stop being it.
    changed : tuple of dict
        Values of the partition columns of every partition whose files differ.
    """

    table: str
    version: int
    current: int
    files_back: int
    files_away: int
    changed: tuple[Mapping[str, Any], ...]


def plan_restore(lake: Lake, table: str, version: int) -> Restore:
    """Say what going back to a version would change.

    Raises
    ------
    RequestError
        When there is no such version, or its files or the log entries that tell of it are gone.
    """
    inventory = take_inventory(lake, contract(table).name)
    if inventory is None:
        raise RequestError(f"{table} was never written, so there is no version of it to restore")
    if not 0 <= version <= inventory.version:
        raise RequestError(f"{table} has versions 0 to {inventory.version}, not {version}")
    whole = inventory.whole_versions()
    if version not in whole:
        raise RequestError(
            f"version {version} of {table} cannot be restored: files it was made of, or the log that tells of them, "
            f"were vacuumed; versions that can be: {ranges(whole) or 'none'}"
        )
    handle = lake._handles.open(table, version)
    assert handle is not None
    then, now = current_files(handle), inventory.current
    back, away = then.keys() - now.keys(), now.keys() - then.keys()
    changed = {tuple(f.partition.items()) for f in (*(then[p] for p in back), *(now[p] for p in away))}
    partitions = tuple(dict(items) for items in sorted(changed, key=str))
    return Restore(table, version, inventory.version, len(back), len(away), partitions)


def ranges(numbers: Sequence[int]) -> str:
    """Ascending whole numbers in words: ``0, 4 to 9``."""
    out: list[str] = []
    for _, group in itertools.groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [n for _, n in group]
        out.append(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}")
    return ", ".join(out)


def restore(lake: Lake, plan: Restore) -> int:
    """Go back to a version; it becomes the newest one, and its number is returned.

    Raises
    ------
    BadDataError
        When a run changed the table since the plan was made, or its files went away.
    """
    handle = lake._handles.open(plan.table)
    if handle is None or handle.version() != plan.current:
        raise BadDataError(f"{plan.table} was changed while its restore was prepared; run the command again")
    if plan.changed:
        try:
            handle.restore(
                plan.version,
                commit_properties=CommitProperties(custom_metadata={"restored": str(plan.version)}),
            )
        except DeltaError as error:
            raise BadDataError(f"{plan.table} could not be restored to version {plan.version}: {error}") from None
    return int(handle.version())


def remove_orphans(lake: Lake, table: str, older_than_hours: int) -> list[str]:
    """Remove files no version names, once they are old enough that no running writer can still commit them.

    Returns
    -------
    list of str
        What was removed, relative to the table's folder.
    """
    inventory = take_inventory(lake, table)
    handle = lake._handles.open(table)
    if inventory is None or handle is None:
        return []
    removed = [f.path for f in inventory.orphans if f.age >= older_than_hours * HOUR]
    filesystem = files_of(lake, table, handle)
    for path in removed:
        filesystem.delete_file(path)
    return removed


def forget_files(lake: Lake, table: str) -> list[str]:
    """Take files that are gone out of the table's log, and with them the rows they held.

    Returns
    -------
    list of str
        The files, relative to the table's folder.
    """
    handle = lake._handles.open(table)
    if handle is None:
        return []
    report: dict[str, Any] = handle.repair(dry_run=False)
    return sorted(report["files_removed"])
