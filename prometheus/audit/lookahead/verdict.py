"""What an audit came to: step by step, cut by cut, in words and as data."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from prometheus.audit.lookahead.compare import TableComparison

Status = Literal["clean", "void", "leak"]
FutureKind = Literal["noise", "delete"]

_FUTURES = {"noise": "replaced by noise", "delete": "deleted"}
_SHOWN = 5


def step_name(stage: str, surface: str, variant: str) -> str:
    """Name a step of the audit: stage, surface where it makes several, and variant."""
    return " ".join(word for word in (stage, surface, f"[{variant}]") if word)


@dataclass(frozen=True)
class StepVerdict:
    """One run of one stage in both lakes.

    Attributes
    ----------
    stage, variant : str
    surface : str
        Which of the stage's surfaces it made; empty where there is one, or their variants tell.
    replaced_inputs : int
        Rows among its inputs that differ between the two lakes: raw rows replaced, rows of upstream tables that
        differ.
    tables : tuple of TableComparison
        By output table.
    refused : str
        Why it could not be run at all; empty when it was.
    follows : tuple of str
        Steps upstream of it that leak: its own differences may be theirs.
    """

    stage: str
    variant: str
    replaced_inputs: int
    tables: tuple[TableComparison, ...]
    refused: str = ""
    follows: tuple[str, ...] = ()
    surface: str = ""

    @property
    def name(self) -> str:
        """Stage, surface where it makes several, and variant."""
        return step_name(self.stage, self.surface, self.variant)

    @property
    def leaks(self) -> bool:
        """Whether any row of before the cut differs."""
        return any(t.before for t in self.tables)

    @property
    def void(self) -> str:
        """Why nothing is proven of this step; empty when something is."""
        if self.refused:
            return f"it could not be run: {self.refused}"
        if not self.replaced_inputs:
            return "none of its inputs has rows known after the cut-off"
        if not sum(t.compared for t in self.tables):
            return "it has no rows of before the cut; take a later cut or a longer range"
        if not sum(t.after for t in self.tables):
            return (
                "none of its rows of after the cut differ, so it may not look at its inputs at all; take an earlier cut"
            )
        return ""


@dataclass(frozen=True)
class CutVerdict:
    """One cut of the markets that share its instant.

    Attributes
    ----------
    cut : date
    known_by : datetime
        Cut-off of the markets' last session up to the cut, UTC.
    market_ids : tuple of str
    steps : tuple of StepVerdict
        Upstream first.
    """

    cut: dt.date
    known_by: dt.datetime
    market_ids: tuple[str, ...]
    steps: tuple[StepVerdict, ...]

    @property
    def status(self) -> Status:
        """The worst of the steps."""
        if any(s.leaks for s in self.steps):
            return "leak"
        return "void" if not self.steps or any(s.void for s in self.steps) else "clean"


@dataclass(frozen=True)
class Verdict:
    """What an audit came to.

    Attributes
    ----------
    future : {'noise', 'delete'}
        What became of the raw rows known after the cut-off.
    seed : int
    cutoff : str
        Cut-off rule.
    first, last : date
        Output days made, both included.
    cuts : tuple of CutVerdict
    assumed : dict of str to tuple of str
        Raw tables read whose ``known_at`` rests on an assumption, with its words: the audit proves that ``known_at``
        is heeded, not that it is true.
    left_out : dict of str to str
        Steps not audited, each with what the lake has no rows of; empty where stages were named.
    seconds : float
    """

    future: FutureKind
    seed: int
    cutoff: str
    first: dt.date
    last: dt.date
    cuts: tuple[CutVerdict, ...]
    assumed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def status(self) -> Status:
        """``leak`` when any row of before a cut differs, ``void`` when something was left unproven, else ``clean``."""
        found = {c.status for c in self.cuts}
        return "leak" if "leak" in found else "void" if "void" in found or not found else "clean"

    def lines(self) -> list[str]:
        """Return the verdict in words, a table for each cut."""
        out: list[str] = []
        for cut in self.cuts:
            out += [*self._heading(cut), *_table(cut), *_leaks(cut), *_voids(cut), ""]
        for table, words in self.assumed.items():
            out.append(f"assumed dates: {table} ({'; '.join(words)})")
        for step, why in self.left_out.items():
            out.append(f"not audited: {step}: {why}")
        out.append(f"{self.status}: {self._sentence()} ({self.seconds:.0f} s)")
        return out

    def _heading(self, cut: CutVerdict) -> list[str]:
        seed = f" (seed {self.seed})" if self.future == "noise" else ""
        return [
            f"cut {cut.cut}, {self.cutoff}, {', '.join(cut.market_ids)}: raw rows known after "
            f"{cut.known_by:%Y-%m-%d %H:%M:%S.%f} UTC {_FUTURES[self.future]}{seed}; output days {self.first} to "
            f"{self.last}"
        ]

    def _sentence(self) -> str:
        if self.status == "leak":
            begins = [s.name for c in self.cuts for s in c.steps if s.leaks and not s.follows]
            where = ", ".join(dict.fromkeys(begins))
            return f"what became known after the cut changed rows of before it; it begins in {where}"
        if self.status == "void":
            return "nothing is proven of the steps named above"
        rows = sum(t.compared for c in self.cuts for s in c.steps for t in s.tables)
        return f"{rows:,} rows of before the cut are equal bit for bit whatever became known after it"

    def record(self) -> dict[str, Any]:
        """Return the verdict as JSON data."""
        return {
            "status": self.status,
            "future": self.future,
            "seed": self.seed,
            "cutoff": self.cutoff,
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "assumed": {table: list(words) for table, words in self.assumed.items()},
            "left_out": dict(self.left_out),
            "seconds": round(self.seconds, 3),
            "cuts": [
                {
                    "cut": c.cut.isoformat(),
                    "known_by": c.known_by.isoformat(),
                    "market_ids": list(c.market_ids),
                    "status": c.status,
                    "steps": [_step_record(s) for s in c.steps],
                }
                for c in self.cuts
            ],
        }

    def csv(self) -> str:
        """Return one line for each cut, step and output table."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(
            [
                "cut",
                "known_by",
                "stage",
                "surface",
                "variant",
                "table",
                "compared",
                "equal",
                "differing_before",
                "differing_after",
                "replaced_inputs",
            ]
        )
        for cut in self.cuts:
            for s in cut.steps:
                for t in s.tables:
                    counts = (t.compared, t.equal, t.before, t.after, s.replaced_inputs)
                    writer.writerow(
                        (cut.cut, cut.known_by.isoformat(), s.stage, s.surface, s.variant, t.table, *counts)
                    )
        return text.getvalue()


def _step_record(step: StepVerdict) -> dict[str, Any]:
    return {
        "stage": step.stage,
        "surface": step.surface,
        "variant": step.variant,
        "replaced_inputs": step.replaced_inputs,
        "void": step.void or None,
        "follows": list(step.follows),
        "tables": [
            {
                "table": t.table,
                "compared": t.compared,
                "equal": t.equal,
                "differing_before": t.before,
                "differing_after": t.after,
                "differences": [
                    {"column": d.column, "rows": d.rows, "partition": _plain(d.partition), "key": _plain(d.key)}
                    for d in worst_first(t)
                ],
            }
            for t in step.tables
        ],
    }


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v.isoformat() if isinstance(v, dt.date) else v for k, v in values.items()}


def worst_first(table: TableComparison) -> list[Any]:
    """Differences of a table, the column with the most rows first."""
    return sorted(table.differences.values(), key=lambda d: (-d.rows, d.column))


def _table(cut: CutVerdict) -> Iterator[str]:
    rows = [["stage", "table", "compared", "equal", "differ before", "differ after", "replaced inputs"]]
    for s in cut.steps:
        for i, t in enumerate(s.tables):
            counts = (t.compared, t.equal, t.before, t.after)
            inputs = f"{s.replaced_inputs:,}" if i == 0 else ""
            rows.append([s.name if i == 0 else "", t.table, *(f"{n:,}" for n in counts), inputs])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        yield "  " + "  ".join(cells).rstrip()


def _leaks(cut: CutVerdict) -> Iterator[str]:
    for s in cut.steps:
        for t in sorted(s.tables, key=lambda t: -t.before):
            if not t.before:
                continue
            after = f" (may follow from {', '.join(s.follows)})" if s.follows else ""
            yield f"leak: {s.name}, {t.table}: {t.before:,} of {t.compared:,} rows of before the cut differ{after}"
            for d in worst_first(t)[:_SHOWN]:
                said = ", ".join(f"{k}={v}" for k, v in d.key.items())
                lies = ", ".join(f"{k}={v}" for k, v in d.partition.items()) or "the table"
                yield f"  column {d.column}: {d.rows:,} rows, the first in partition {lies}: key {said}"


def _voids(cut: CutVerdict) -> Iterator[str]:
    for s in cut.steps:
        if s.void:
            yield f"void: {s.name}: {s.void}"
