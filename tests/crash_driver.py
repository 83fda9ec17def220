"""Run a real command in this process and die, without a word, at a named point of it.

``python -m tests.crash_driver POINT K MODULE [ARGUMENT ...]``: the K-th time the point is reached the process kills
itself. Nothing in the package knows of it: what lies around the points is wrapped from here.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from prometheus.lake import writer
from prometheus.lake.lake import Lake

BOOKS = "/operations/"


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Countdown:
    """Says when something was reached for the k-th time, whichever thread reaches it."""

    def __init__(self, k: int) -> None:
        self._left = k
        self._lock = threading.Lock()

    def reached(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left == 0


def uri_of(table: DeltaTable | str) -> str:
    return table if isinstance(table, str) else table.table_uri


def commit_and_take_back(write: Callable[..., Any], table: DeltaTable | str, *rest: Any, **options: Any) -> None:
    """Leave on disk what a death between the last file and the commit leaves: the files, and no log entry."""
    write(table, *rest, **options)
    log = Path(uri_of(table).removeprefix("file://")) / "_delta_log"
    (log / f"{DeltaTable(uri_of(table)).version():020d}.json").unlink()


def wrap_writes(around: Callable[..., Any]) -> None:
    """Put something around every commit of data; the books' own commits stay as they are."""
    write, one_at_a_time = writer.write_deltalake, threading.RLock()

    def wrapped(handle: DeltaTable | str, *rest: Any, **options: Any) -> Any:
        if BOOKS in uri_of(handle) or uri_of(handle).rstrip("/").endswith(("calendar_sessions", "quarantine")):
            return write(handle, *rest, **options)
        with one_at_a_time:
            return around(write, handle, *rest, **options)

    writer.write_deltalake = wrapped


def before_commit(k: int) -> None:
    """Files written, nothing committed."""
    count = Countdown(k)

    def around(write: Callable[..., Any], handle: DeltaTable | str, *rest: Any, **options: Any) -> Any:
        if not count.reached():
            return write(handle, *rest, **options)
        commit_and_take_back(write, handle, *rest, **options)
        return die()

    wrap_writes(around)


def after_commit(k: int) -> None:
    """Data committed, no lineage yet."""
    count = Countdown(k)

    def around(write: Callable[..., Any], handle: DeltaTable | str, *rest: Any, **options: Any) -> Any:
        done = write(handle, *rest, **options)
        if count.reached():
            die()
        return done

    wrap_writes(around)


def _around_lineage(k: int, *, after: bool) -> None:
    append, count = Lake.append, Countdown(k)

    def wrapped(self: Lake, table: str, rows: Any) -> None:
        # Of days that were complete once a run says first that it begins them again: not that one.
        mine = table == "lineage" and rows["complete"][0].as_py() and count.reached()
        if mine and not after:
            die()
        append(self, table, rows)
        if mine:
            die()

    Lake.append = wrapped  # type: ignore[method-assign]


def before_lineage(k: int) -> None:
    """Every output table committed, lineage not."""
    _around_lineage(k, after=False)


def after_lineage(k: int) -> None:
    """Lineage written, the run's own books not."""
    _around_lineage(k, after=True)


def in_retry(k: int) -> None:
    """A rival commits to the same partitions first; death comes while the write is tried again."""
    count = Countdown(k)
    lost: list[bool] = []

    def around(write: Callable[..., Any], handle: DeltaTable | str, rows: Any, **options: Any) -> Any:
        if lost:
            commit_and_take_back(write, handle, rows, **options)
            return die()
        if not count.reached():
            return write(handle, rows, **options)
        rival = DeltaTable(uri_of(handle))
        write(rival, rows.slice(0, max(rows.num_rows - 1, 1)), **options)
        try:
            return write(handle, rows, **options)
        except CommitFailedError:
            lost.append(True)
            raise

    wrap_writes(around)


POINTS = {f.__name__: f for f in (before_commit, after_commit, before_lineage, after_lineage, in_retry)}


def main() -> None:
    point, k, module, *arguments = sys.argv[1:]
    POINTS[point](int(k))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
