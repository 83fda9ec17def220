"""Commands that die, and what must be true afterwards."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import prometheus
from prometheus.audit.doctor import examine
from prometheus.audit.findings import Report
from prometheus.lake import ALL_TABLES, Lake
from prometheus.lake.maintenance import Retention
from prometheus.stages import all_stages
from tests.toy_stage import TOY

ROOT = Path(prometheus.__file__).parent.parent
KILLED = -9
DATA = tuple(t.name for t in ALL_TABLES if t.layer != "operations")
AT_ONCE = Retention(orphan_hours=0)
_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE = 24, 1


@dataclass(frozen=True)
class Command:
    """A command, as a module and its arguments; ``{lake}`` stands for the lake's root."""

    module: str
    arguments: str

    def words(self, lake: Path) -> list[str]:
        return [self.module, *(w.replace("{lake}", str(lake)) for w in self.arguments.split())]


def link_lake(source: Path, target: Path) -> Path:
    """Copy a lake by hard links: files of a lake are written once and never changed."""
    shutil.copytree(source, target, copy_function=os.link)
    return target


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k != "RUST_BACKTRACE"} | {"PYTHONPATH": str(ROOT)}


def run(
    command: Command, lake: Path, *, point: tuple[str, int] | None = None, prepare: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, to die at a point of it when one is given."""
    driver = ["tests.crash_driver", point[0], str(point[1])] if point else []
    return subprocess.run(
        [sys.executable, "-m", *driver, *command.words(lake)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=lake.parent,
        env=environment(),
        preexec_fn=prepare,
    )


def start(command: Command, lake: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *command.words(lake)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=lake.parent,
        env=environment(),
    )


def digests(root: Path) -> dict[str, str]:
    """Digest of every data table that is there."""
    lake = Lake.open(root, create=True)
    return {table: lake.digest(table) for table in lake.tables() if table in DATA}


def doctor(root: Path, *, repair: bool = False, quick: bool = True, **options: Any) -> Report:
    """Examine a lake nothing runs on."""
    stages = [*all_stages(), TOY]
    return examine(
        Lake.open(root, create=True), stages=stages, retention=AT_ONCE, repair=repair, quick=quick, **options
    )


def unnamed_files(root: Path) -> set[str]:
    """Parquet files no commit names, told without the package: ``layer/table/partition/file``."""
    named, there = set(), set()
    for log in root.glob("*/*/_delta_log/*.json"):
        table = log.parent.parent
        for line in log.read_text().splitlines():
            action = json.loads(line)
            for kind in ("add", "remove"):
                if kind in action:
                    named.add(str((table / unquote(action[kind]["path"])).relative_to(root)))
    for file in root.glob("*/*/**/*.parquet*"):
        if "_delta_log" not in file.parts and file.relative_to(root).parts[0] != "cache":
            there.add(str(file.relative_to(root)))
    return there - named


def named_by(report: Report, root: Path) -> set[str]:
    """Data files the doctor calls orphans."""
    layers = {t.name: t.layer for t in ALL_TABLES}
    return {
        f"{layers[f.table]}/{f.table}/{path}"
        for f in report.findings
        if f.kind == "orphans" and f.table is not None
        for path in f.places
        if not path.startswith("_delta_log/")
    }


def assert_recovers(again: Callable[[Path], int], root: Path, wanted: Mapping[str, str]) -> Counter[str]:
    """After a death: the doctor names what was left, the command run again ends as if nothing had been, repair cleans.

    Parameters
    ----------
    again : callable
        Runs the command that died, and returns its exit code.
    root : Path
        The lake it left.
    wanted : mapping of str to str
        Digest of each data table after a run that was left alone.

    Returns
    -------
    Counter
        What the doctor found before anything was run again, by kind, one a place.
    """
    left = unnamed_files(root)
    first = doctor(root)
    assert named_by(first, root) == left, "the doctor does not name what the killed run left"
    assert not {f.kind for f in first.findings} & {"missing", "unreadable", "duplicates", "vectors", "nulls", "dates"}
    assert again(root) == 0
    assert digests(root) == wanted
    repaired = doctor(root, repair=True)
    assert repaired.healthy, repaired.lines()
    after = doctor(root)
    assert not after.findings, after.lines()
    assert unnamed_files(root) == set()
    assert digests(root) == wanted
    return Counter({f.kind: len(f.places) for f in first.findings})


def running(command: Command) -> Callable[[Path], int]:
    """Run a command again in a process of its own."""

    def again(root: Path) -> int:
        done = run(command, root)
        assert done.returncode == 0, done.stderr
        return done.returncode

    return again


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Poll until something holds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.005)
    return False


def began(root: Path, runs: int = 1) -> bool:
    """Whether that many runs have written down that they started (or more about themselves): a chunk begins then."""
    return book_entries(root) > runs


def book_entries(root: Path) -> int:
    """Commits to the book of runs: the one that made the table, and one an event."""
    return len(list((root / "operations" / "job_runs" / "_delta_log").glob("*.json")))


def without_override() -> None:
    """Make permissions count for the superuser too (a no-op, and not needed, for anybody else)."""
    ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, 0, 0, 0)


def make_read_only(root: Path, *, writable: bool = False) -> None:
    """Take the permission to write from every folder of a lake, or give it back."""
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(0o755 if writable else 0o555)


def refusals(done: subprocess.CompletedProcess[str]) -> Sequence[str]:
    """Lines of refusal a command ended with."""
    return [line for line in done.stderr.splitlines() if line.startswith("error: ")]


def assert_refused(done: subprocess.CompletedProcess[str], words: str) -> None:
    """A command ended with one sentence of refusal, which holds some words, and printed nothing else."""
    assert (done.returncode, done.stdout, len(refusals(done))) == (1, "", 1), done.stderr
    assert words in refusals(done)[0]
    assert "Traceback" not in done.stderr


def run_forbidden(command: Command, lake: Path) -> subprocess.CompletedProcess[str]:
    """Run a command on a lake it may not write to."""
    make_read_only(lake)
    try:
        return run(command, lake, prepare=without_override)
    finally:
        make_read_only(lake, writable=True)
