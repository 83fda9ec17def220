"""``prometheus lake doctor``: is everything in the lake as the log, the contracts and the books say?

Table by table: files against the log, schema against the contract, rows against the contract, then the books against
the rows. Nothing is changed unless asked to, and no row is ever removed but those of files that are gone already.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from prometheus.audit.findings import Finding, Report, counted, examples
from prometheus.audit.ledger import LedgerCheck
from prometheus.audit.rows import GIVE_UP, RowCheck
from prometheus.clock import DEFAULT_MARKETS, Markets
from prometheus.errors import BadDataError
from prometheus.lake import ALL_TABLES, Lake, contract
from prometheus.lake.inventory import LOG, TableInventory, schema_drift, take_inventory
from prometheus.lake.maintenance import HOUR, Retention, forget_files, remove_orphans
from prometheus.runtime import Stage

_CACHE = "cache"
_TEMPORARY = frozenset({".writing", ".tmp"})
_BOOKS = frozenset({"lineage", "job_runs", "variants"})
_LOOKS = 3
_LAYERS = frozenset(t.layer for t in ALL_TABLES)


def examine(
    lake: Lake,
    *,
    stages: Sequence[Stage[Any]],
    retention: Retention | None = None,
    markets: Markets = DEFAULT_MARKETS,
    quick: bool = False,
    repair: bool = False,
    forget_missing: bool = False,
) -> Report:
    """Examine a lake, and put right what can be when asked to.

    Parameters
    ----------
    lake : Lake
    stages : sequence of Stage
        Whose rows are compared with lineage.
    retention : Retention, optional
        Its ``orphan_hours`` is the age from which files no version names, temporary files, and runs that gave no
        sign since, are taken for left behind.
    markets : Markets, optional
    quick : bool
        Leave vectors unread.
    repair : bool
        Remove what was left behind, close runs that were killed, mark days that disagree with lineage as not done.
    forget_missing : bool
        Give up the rows of files that are gone: without them no query over their table succeeds.

    Returns
    -------
    Report
    """
    began = time.monotonic()
    hours = (retention or Retention()).orphan_hours
    report = Report()
    whole: dict[str, TableInventory] = {}
    unread: set[str] = set()

    def treat(findings: Iterator[Finding], allowed: bool) -> None:
        for finding in findings:
            if allowed and finding.repair is not None:
                finding.repaired = finding.repair()
            report.findings.append(finding)

    treat(_places(lake, hours), repair)
    for table in lake.tables():
        try:
            inventory = take_inventory(lake, table)
        except BadDataError as error:
            treat(iter([Finding("unreadable", table, str(error), _LOG_REMEDY)]), False)
            unread.add(table)
            continue
        assert inventory is not None
        report.tables += 1
        report.files += len(inventory.current)
        treat(_orphans(lake, inventory, hours, report.notes), repair)
        treat(_missing(lake, inventory), forget_missing)
        lost = set(inventory.missing)
        if forget_missing and lost:
            inventory = take_inventory(lake, table) or inventory
            lost = set()
        treat(_damaged(inventory), False)
        lost |= set(inventory.resized)
        drift = list(_drift(lake, table))
        treat(iter(drift), False)
        if any(f.places for f in drift):
            report.notes.append(f"{table}: rows not read, for the table is not as its contract declares")
            unread.add(table)
            continue
        rows = RowCheck(lake, inventory, sorted(lost), quick=quick)
        treat(rows.findings(), False)
        report.rows += rows.rows
        if lost or rows.unreadable:
            report.notes.append(f"{table}: not compared with lineage while files cannot be read")
            unread.add(table)
        else:
            whole[table] = inventory
    if unread & _BOOKS:
        report.notes.append("lineage not compared with rows while the books cannot be read")
    else:
        books, findings = _books(lake, stages, markets, hours, whole)
        treat(iter(findings), repair)
        report.notes += books.notes
    report.seconds = time.monotonic() - began
    return report


def _books(
    lake: Lake, stages: Sequence[Stage[Any]], markets: Markets, hours: int, whole: Mapping[str, TableInventory]
) -> tuple[LedgerCheck, list[Finding]]:
    """Compare books and rows as of one moment: what was written in between makes the comparison void."""
    tables = sorted(whole.keys() & (_BOOKS | {t for s in stages for t in s.outputs}))
    for _ in range(_LOOKS):
        before = [lake.version(t) for t in tables]
        books = LedgerCheck(lake, stages, markets, hours)
        findings = [*books.runs(), *books.rows(whole)]
        if [lake.version(t) for t in tables] == before:
            return books, findings
    books.notes.append("lineage not compared with rows: runs kept writing meanwhile")
    return books, []


_LOG_REMEDY = "bring the file of its _delta_log back from a copy; a torn last entry (the newest number) can be deleted"


def _places(lake: Lake, hours: int) -> Iterator[Finding]:
    """What lies in the lake's folder that no contract knows, and what caches left behind."""
    root = lake.location.path
    if root is None:
        return
    known = {(t.layer, t.name) for t in ALL_TABLES}
    layers = [p for p in sorted(root.iterdir()) if p.is_dir() and p.name in _LAYERS]
    entries = [p for p in sorted(root.iterdir()) if p.is_dir() and p.name not in _LAYERS and p.name != _CACHE]
    entries += [p for layer in layers for p in sorted(layer.iterdir()) if (layer.name, p.name) not in known]
    for path in entries:
        if not path.name.startswith("."):
            yield Finding(
                "unknown",
                None,
                f"{path.relative_to(root)} is no table a contract declares",
                "move it elsewhere: nothing reads it here",
                (str(path.relative_to(root)),),
            )
    now = time.time()
    tables = set(lake.tables())
    for path in (p for layer in layers for p in sorted(layer.iterdir()) if (layer.name, p.name) in known):
        if path.name not in tables and now - path.stat().st_mtime >= hours * HOUR:
            yield _unfinished(root, path)
    files = (p for p in sorted((root / _CACHE).rglob("*")) if p.suffix in _TEMPORARY)
    left = [p for p in files if now - p.stat().st_mtime >= hours * HOUR]
    if left:
        names = tuple(str(p.relative_to(root)) for p in left)
        yield Finding(
            "leftovers",
            None,
            f"{counted(len(left), 'temporary file')} of caches left by killed runs, for example {examples(names, 1)}",
            "`prometheus lake doctor --repair` removes them",
            names,
            partial(_remove_files, left),
        )


def _unfinished(root: Path, path: Path) -> Finding:
    """Describe the folder of a table that has no log."""
    place = str(path.relative_to(root))
    data = [p for p in path.rglob("*") if p.is_file() and LOG not in p.relative_to(path).parts]
    if data:
        return Finding(
            "unreadable",
            path.name,
            f"{place} has {counted(len(data), 'file')} and no log that tells which of them count",
            f"bring {place}/{LOG} back from a copy, or move the folder away and make the table again",
            (place,),
        )
    return Finding(
        "leftovers",
        path.name,
        f"{place} holds no table: a run was killed while it made it",
        "`prometheus lake doctor --repair` removes the folder",
        (place,),
        partial(_remove_folder, path),
    )


def _orphans(lake: Lake, inventory: TableInventory, hours: int, notes: list[str]) -> Iterator[Finding]:
    old = [f for f in inventory.orphans if f.age >= hours * HOUR]
    young = len(inventory.orphans) - len(old)
    if young:
        notes.append(
            f"{inventory.table}: {counted(young, 'file')} no version names, not judged: younger than {hours} hours, a "
            "run may be about to commit them (--older-than-hours 0 when nothing is running)"
        )
    if old:
        names = tuple(f.path for f in old)
        yield Finding(
            "orphans",
            inventory.table,
            f"{counted(len(old), 'file')} ({sum(f.size for f in old):,} bytes) that no version names, left by a "
            f"killed or conflicting writer: {examples(names, 1)}",
            "`prometheus lake doctor --repair` removes them; no row is lost",
            names,
            partial(_remove_orphans, lake, inventory.table, hours),
        )


def _missing(lake: Lake, inventory: TableInventory) -> Iterator[Finding]:
    if inventory.missing:
        yield Finding(
            "missing",
            inventory.table,
            f"{counted(len(inventory.missing), 'file')} of version {inventory.version} gone: "
            f"{examples(inventory.missing, 1)}",
            f"{GIVE_UP} Or `prometheus lake restore` a version whose files are all there",
            tuple(inventory.missing),
            partial(_forget, lake, inventory.table),
        )


def _damaged(inventory: TableInventory) -> Iterator[Finding]:
    for path in inventory.resized:
        stored, logged = inventory.stored[path].size, inventory.current[path].size
        yield Finding(
            "unreadable",
            inventory.table,
            f"{path} has {stored:,} bytes, {logged:,} were committed: it was cut short or written over",
            GIVE_UP,
            (path,),
        )
    for path in inventory.misplaced:
        said = ", ".join(f"{k}={v}" for k, v in inventory.current[path].partition.items())
        yield Finding(
            "dates",
            inventory.table,
            f"{path} lies in another partition's folder: the log says {said}",
            "restore a version before it was written, with `prometheus lake restore`",
            (path,),
        )


def _drift(lake: Lake, table: str) -> Iterator[Finding]:
    structural, nullability = schema_drift(lake, contract(table))
    remedy = "read it with the version of prometheus that wrote it, or build the table in a new lake"
    if structural:
        yield Finding("contract", table, f"not as its contract declares: {'; '.join(structural)}", remedy, structural)
    if nullability:
        yield Finding("contract", table, f"not as its contract declares: {'; '.join(nullability)}", remedy)


def _remove_orphans(lake: Lake, table: str, hours: int) -> str:
    return f"{counted(len(remove_orphans(lake, table, hours)), 'file')} removed"


def _forget(lake: Lake, table: str) -> str:
    return f"{counted(len(forget_files(lake, table)), 'file')} given up: their rows are gone"


def _remove_folder(path: Path) -> str:
    shutil.rmtree(path)
    return "removed"


def _remove_files(paths: Sequence[Path]) -> str:
    for path in paths:
        path.unlink(missing_ok=True)
    return f"{counted(len(paths), 'file')} removed"
