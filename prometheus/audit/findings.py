"""What the doctor says: findings, each a sentence with what to do, and notes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Finding:
    """One thing that is not as it should be.

    Attributes
    ----------
    kind : str
        ``orphans``, ``missing``, ``unreadable``, ``contract``, ``unknown``, ``duplicates``, ``nulls``, ``vectors``,
        ``dates``, ``ledger``, ``runs`` or ``leftovers``.
    table : str or None
        The table; None for the lake as a whole.
    sentence : str
        What is wrong, and where.
    remedy : str
        What to do about it.
    places : tuple of str
        Every file, partition, day, key or run it is about; the sentence shows the first few.
    repair : callable, optional
        Puts it right and says what it did.
    repaired : str
        What was done about it; empty when nothing was.
    """

    kind: str
    table: str | None
    sentence: str
    remedy: str
    places: tuple[str, ...] = ()
    repair: Callable[[], str] | None = field(default=None, repr=False, compare=False)
    repaired: str = ""

    def line(self) -> str:
        """Return the finding as one sentence."""
        about = f"{self.table}: " if self.table else ""
        return f"{about}{self.sentence}; {self.repaired or self.remedy}"

    def record(self) -> dict[str, Any]:
        """Return the finding as fields of JSON."""
        return {
            "kind": self.kind,
            "table": self.table,
            "sentence": self.sentence,
            "remedy": self.remedy,
            "places": list(self.places),
            "repaired": self.repaired or None,
        }


@dataclass
class Report:
    """What an examination came to.

    Attributes
    ----------
    findings : list of Finding
    notes : list of str
        What was not judged and why, and what waits for the next backfill.
    tables, files, rows : int
        What was examined.
    seconds : float
    """

    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tables: int = 0
    files: int = 0
    rows: int = 0
    seconds: float = 0.0

    @property
    def healthy(self) -> bool:
        """Whether nothing is left to do."""
        return all(f.repaired for f in self.findings)

    def lines(self) -> list[str]:
        """The report in words."""
        out = [f.line() for f in self.findings]
        out += [f"note: {note}" for note in self.notes]
        left = sum(not f.repaired for f in self.findings)
        repaired = len(self.findings) - left
        verdict = "healthy" if self.healthy else counted(left, "finding")
        mended = f", {repaired} repaired" if repaired else ""
        sizes = ((self.tables, "table"), (self.files, "file"), (self.rows, "row"))
        examined = ", ".join(counted(n, what) for n, what in sizes) + f" in {self.seconds:.1f} s"
        return [*out, f"{verdict}{mended}: {examined}"]

    def record(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "healthy": self.healthy,
            "findings": [f.record() for f in self.findings],
            "notes": self.notes,
            "tables": self.tables,
            "files": self.files,
            "rows": self.rows,
            "seconds": round(self.seconds, 3),
        }


def examples(places: Sequence[str], most: int = 3) -> str:
    """First few of many places, in words."""
    shown = ", ".join(places[:most])
    return shown if len(places) <= most else f"{shown} and {len(places) - most:,} more"


def counted(n: int, what: str) -> str:
    """``1 file``, ``3 files``."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"
