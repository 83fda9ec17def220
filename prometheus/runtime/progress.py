"""What a run says while it works: a bar on a terminal, plain lines elsewhere, JSON on request. Always on stderr."""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol


class Progress(Protocol):
    """Where a run reports."""

    def __enter__(self) -> Progress: ...

    def __exit__(self, *exc: Any) -> None: ...

    def start(self, title: str, total: int, unit: str = "days") -> None:
        """Begin a stage of ``total`` output days (or of another unit)."""

    def advance(self, days: int, rows: int) -> None:
        """Count finished output days and committed rows."""

    def say(self, message: str, **fields: Any) -> None:
        """Print one line (a summary, a warning)."""


class PlainProgress:
    """Lines for logs: at most one every few seconds while a stage runs."""

    def __init__(self, every_seconds: float = 5.0, quiet: bool = False) -> None:
        self._every = every_seconds
        self._quiet = quiet
        self._title, self._unit, self._total, self._done, self._rows, self._last = "", "days", 0, 0, 0, 0.0

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *exc: Any) -> None:
        return None

    def start(self, title: str, total: int, unit: str = "days") -> None:
        """Begin a stage."""
        self._title, self._total, self._unit = title, total, unit
        self._done, self._rows, self._last = 0, 0, time.monotonic()

    def advance(self, days: int, rows: int) -> None:
        """Count, and print when some seconds have passed."""
        self._done += days
        self._rows += rows
        now = time.monotonic()
        if not self._quiet and now - self._last >= self._every and self._done < self._total:
            self._last = now
            self.say(f"{self._title}: {self._done}/{self._total} {self._unit}, {self._rows:,} rows")

    def say(self, message: str, **fields: Any) -> None:
        """Print one line."""
        print(message, file=sys.stderr, flush=True)


class JsonProgress(PlainProgress):
    """One JSON object a line."""

    def say(self, message: str, **fields: Any) -> None:
        """Print one JSON object."""
        record = {
            "at": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
            "message": message,
            **fields,
        }
        print(json.dumps(record, default=str), file=sys.stderr, flush=True)


class RichProgress:
    """A bar with rate and remaining time, for a person at a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            SpinnerColumn,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bar

        self._console = Console(stderr=True)
        self._bar = Bar(
            SpinnerColumn(),
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}  {task.fields[rows]:>11,} rows"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._task: Any = None
        self._rows = 0

    def __enter__(self) -> RichProgress:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._bar.stop()

    def start(self, title: str, total: int, unit: str = "days") -> None:
        """Begin a stage."""
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._rows = 0
        self._task = self._bar.add_task(title, total=total, rows=0, unit=unit)

    def advance(self, days: int, rows: int) -> None:
        """Move the bar."""
        self._rows += rows
        self._bar.update(self._task, advance=days, rows=self._rows)

    def say(self, message: str, **fields: Any) -> None:
        """Print one line above the bar."""
        self._bar.console.print(message, highlight=False, markup=False, soft_wrap=True)


def progress_for(quiet: bool = False, json_logs: bool = False) -> Progress:
    """Choose how to report: JSON when asked, a bar when stderr is a terminal, plain lines elsewhere."""
    if json_logs:
        return JsonProgress()
    if not quiet and sys.stderr.isatty():
        return RichProgress()
    return PlainProgress(quiet=quiet)


def skips_text(skipped: Mapping[str, int]) -> str:
    """Skips by reason, the most frequent first."""
    if not skipped:
        return "0"
    total = sum(skipped.values())
    listed = ", ".join(
        f"{reason} {count:,}" for reason, count in sorted(skipped.items(), key=lambda kv: (-kv[1], kv[0]))
    )
    return f"{total:,} ({listed})"
