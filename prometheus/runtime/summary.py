"""How a stage is run, and what a run came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus.runtime.progress import skips_text


@dataclass(frozen=True)
class RunOptions:
    """How a stage is run; nothing here changes a value.

    Attributes
    ----------
    force : bool
        Make what is done again; equal rows are not committed twice.
    dry_run : bool
        Print the plan with reasons and stop.
    chunk_days : int, optional
        Output days in a chunk; the stage's own when None.
    executor : {'threads', 'serial'}
    workers : int, optional
        Threads; the number of processors when None.
    strict : bool
        Any skip makes the run fail.
    """

    force: bool = False
    dry_run: bool = False
    chunk_days: int | None = None
    executor: str = "threads"
    workers: int | None = None
    strict: bool = False


@dataclass
class RunSummary:
    """What a run came to.

    ``assumed`` holds, by raw table read, what an ingest assumed of when its rows were known.
    """

    stage: str
    variant: str
    planned: int = 0
    done: int = 0
    already: int = 0
    rows: int = 0
    seconds: float = 0.0
    skipped: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    interrupted: bool = False
    dry_run: bool = False
    assumed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def line(self) -> str:
        """Return the one line a run ends with."""
        rate = f", {self.rows / self.seconds:,.0f} rows/s" if self.rows and self.seconds > 0 else ""
        already = f", already done {self.already:,}" if self.already else ""
        return (
            f"{self.stage} [{self.variant}]: planned {self.planned:,}, done {self.done:,}{already}, "
            f"skipped {skips_text(self.skipped)}, rows {self.rows:,}, {self.seconds:.1f} s{rate}"
            + "".join(f"; {count:,} {note}" for note, count in sorted(self.notes.items()))
            + "".join(f"; assumed dates: {table} ({', '.join(words)})" for table, words in self.assumed.items())
        )

    def record(self) -> dict[str, Any]:
        """Return the same as :meth:`line`, as fields of a JSON log."""
        return {
            "stage": self.stage,
            "variant": self.variant,
            "planned": self.planned,
            "done": self.done,
            "already": self.already,
            "rows": self.rows,
            "seconds": round(self.seconds, 3),
            "skipped": dict(self.skipped),
            "notes": dict(self.notes),
            "interrupted": self.interrupted,
            "assumed": {table: list(words) for table, words in self.assumed.items()},
        }
