"""Bookkeeping of an ingest: where every row went, which cells were nulled, and the quarantined rows themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.lake.contract import TableContract
from prometheus.lake.contracts.raw import QUARANTINE

Fate = Literal["nulled", "dropped", "quarantined", "noted"]

FILE, ROW, STEM, ID, REASON, REFUSED = "__file", "__row", "__stem", "__id", "__reason", "__refused"
"""Columns that travel with the rows: file (relative to the root), row number in it from 1, file stem, number within
the chunk after the steps, and the reason for a quarantine (``REFUSED`` when reading or a step gave it)."""
DROPPED, CELL = "__dropped", "__cell"
"""Columns some files need: why a line is none of the data (blank, the header again), and which of several rows made
from one line a row is."""

INTERNAL = frozenset(
    "__" + name
    for name in (
        "file", "row", "stem", "id", "reason", "refused", "dropped", "cell", "market", "closes_at", "known_at",
        "dated", "as_of", "filled", "who", "day", "at", "close", "factor", "volume", "split", "first", "first_at",
        "day_next", "close_next", "factor_next", "volume_next", "shape",
    )
)  # fmt: skip
"""Column names ingest uses itself; no file may bring one."""

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

    def remark(self, reason: str, who: str, count: int = 1) -> None:
        """Note something about a file as a whole."""
        self.noted[reason] += count
        self.worst.setdefault(("noted", reason), Counter())[who] += count

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
    own_instants : bool
        ``known_at`` dates the version a file holds; otherwise it follows from the row's own date, whatever the version.
    silent : mapping of str to ndarray of bool
        By column, the rows whose file says nothing about it (see :mod:`prometheus.market.ingest.silence`).
    """

    feed: str
    table: str
    rows: pa.Table
    quarantined: pa.Table
    tally: Tally
    files: tuple[str, ...]
    assumed: str = ""
    own_instants: bool = True
    silent: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

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
    if CELL in source.columns:
        reason = pl.when(pl.col(CELL).is_null()).then(reason).otherwise(pl.format("{} [{}]", reason, pl.col(CELL)))
    for cell in cells:
        reason = pl.format("{} [{}]", reason, pl.col(cell).cast(pl.String).fill_null("none"))
    kept = joined.select(
        table_name=pl.lit(table),
        source_file=pl.col(FILE),
        source_row=pl.col(ROW).cast(pl.Int64),
        reason=reason,
        row_json=pl.struct(_in_json(c, joined.schema[c]) for c in own).struct.json_encode(),
    )
    return to_contract(kept, QUARANTINE)


def _in_json(column: str, dtype: pl.DataType) -> pl.Expr:
    """Return a column as JSON can hold it: bytes are written in hexadecimal digits, or named where they are nested."""
    if dtype == pl.Binary:
        return pl.col(column).bin.encode("hex")
    return pl.lit("bytes").alias(column) if dtype.is_nested() and "Binary" in str(dtype) else pl.col(column)
