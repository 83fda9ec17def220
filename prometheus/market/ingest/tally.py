"""Bookkeeping of an ingest: where every row went, which cells were nulled, and the quarantined rows themselves."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

import polars as pl
import pyarrow as pa

from prometheus.lake.contract import TableContract
from prometheus.lake.contracts.raw import QUARANTINE

Fate = Literal["nulled", "dropped", "quarantined", "noted"]

FILE, ROW, STEM, ID, REASON, REFUSED = "__file", "__row", "__stem", "__id", "__reason", "__refused"
"""Columns that travel with the rows: file (relative to the root), row number in it from 1, file stem, number within
the chunk after the steps, and the reason for a quarantine (``REFUSED`` when a step gave it)."""

WORST_KEPT, WORST_SHOWN = 100, 5
"""How many of those a reason strikes are remembered per chunk of files, and how many are shown."""


@dataclass
class Tally:
    """What happened to the rows of one intake.

    ``read + added == rows delivered + rows quarantined + sum(dropped.values())`` always; ``nulled`` counts cells,
    ``noted`` what was found and let stand or set right.

    Attributes
    ----------
    read : int
        Rows in the files.
    added : int
        Rows a step made out of one (an article of three tickers is read once and adds two).
    nulled, dropped, quarantined, noted : Counter
        By reason.
    worst : dict of (fate, reason) to Counter
        How often each instrument, issuer or article was met.
    """

    read: int = 0
    added: int = 0
    nulled: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    noted: Counter[str] = field(default_factory=Counter)
    worst: dict[tuple[Fate, str], Counter[str]] = field(default_factory=dict)

    def note(self, fate: Fate, reason: str, rows: pl.DataFrame, who: str) -> None:
        """Count ``rows`` under a reason, and whom they concern by the column ``who`` (the file where it is empty)."""
        if rows.height == 0:
            return
        counter: Counter[str] = getattr(self, fate)
        counter[reason] += rows.height
        label = pl.col(FILE)
        if who in rows.columns:
            label = pl.coalesce(pl.col(who).cast(pl.String), label)
        met = rows.select(label.alias("who"))["who"].value_counts(name="n")
        top = met.sort(["n", "who"], descending=[True, False]).head(WORST_KEPT)
        self.worst.setdefault((fate, reason), Counter()).update(dict(top.iter_rows()))

    def offenders(self, fate: Fate, reason: str) -> tuple[tuple[str, int], ...]:
        """Those a reason struck most often, most often first."""
        counted = self.worst.get((fate, reason), Counter())
        return tuple(sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:WORST_SHOWN])

    @property
    def counts(self) -> dict[str, int]:
        """Everything counted, as ``'quarantined: not a session of XNYS' -> 28``."""
        fates: tuple[tuple[Fate, Counter[str]], ...] = (
            ("nulled", self.nulled),
            ("dropped", self.dropped),
            ("quarantined", self.quarantined),
            ("noted", self.noted),
        )
        return {f"{fate}: {reason}": n for fate, counter in fates for reason, n in sorted(counter.items())}

    def __add__(self, other: Tally) -> Tally:
        worst = {key: Counter(counted) for key, counted in self.worst.items()}
        for key, counted in other.worst.items():
            worst.setdefault(key, Counter()).update(counted)
        return Tally(
            self.read + other.read,
            self.added + other.added,
            self.nulled + other.nulled,
            self.dropped + other.dropped,
            self.quarantined + other.quarantined,
            self.noted + other.noted,
            worst,
        )


@dataclass(frozen=True)
class Intake:
    """Rows of one table, ready for the lake, and what could not be taken.

    Attributes
    ----------
    feed, table : str
    rows : pyarrow.Table
        Exactly the contract's schema, in key order.
    quarantined : pyarrow.Table
        Schema of the ``quarantine`` contract.
    tally : Tally
    files : tuple of str
        What was read, relative to the source root.
    assumed : str
        ``assumed`` when ``known_at`` (or another date) is the map's assumption, else empty: summaries carry the word.
    """

    feed: str
    table: str
    rows: pa.Table
    quarantined: pa.Table
    tally: Tally
    files: tuple[str, ...]
    assumed: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """Everything counted, by fate and reason."""
        return self.tally.counts


def to_contract(rows: pl.DataFrame, contract: TableContract) -> pa.Table:
    """Rows with the contract's columns as Arrow, in its order and types, sorted by its key."""
    ordered = rows.sort(contract.key).select([c.name for c in contract.columns])
    return ordered.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(contract.schema)


def quarantine_rows(refused: pl.DataFrame, source: pl.DataFrame, table: str, cells: list[str]) -> pa.Table:
    """Quarantine rows of those in ``refused`` (columns ID and REASON), written out as ``source`` had them.

    ``cells`` are the columns that tell apart several rows made from one source row; they go into the reason, so that
    two cells of one row do not fall onto one quarantine key.
    """
    own = [c for c in source.columns if not c.startswith("__")]
    joined = refused.select(ID, REASON).join(source, on=ID, how="left")
    reason = pl.col(REASON)
    for cell in cells:
        reason = pl.format("{} [{}]", reason, pl.col(cell).cast(pl.String).fill_null("none"))
    kept = joined.select(
        table_name=pl.lit(table),
        source_file=pl.col(FILE),
        source_row=pl.col(ROW).cast(pl.Int64),
        reason=reason,
        row_json=pl.struct(own).struct.json_encode(),
    )
    return to_contract(kept, QUARANTINE)
