"""Deliveries of raw rows: what is new, what is a correction, what is already there.

Raw rows are never overwritten. A row that is delivered again unchanged is not written again; one whose values changed
becomes a new version, known from the instant of its delivery, because nobody could have known it earlier. A row that
moves to another day (an article whose publication date is corrected) is withdrawn from the old day at the instant it
is known on the new one, so that no day needs to be read to know what stands on another.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.lake.contract import TableContract
from prometheus.lake.validation import conform

Silent = Mapping[str, NDArray[np.bool_]]
"""By column, the delivered rows whose file says nothing about it."""

SUPERSEDED = "said before and corrected since: the correction stands (restating takes the file's word)"
PAST = "contradicts a version held, with a later one beside it: what was known then stays"
STAYS_WITHDRAWN = "withdrawn, and the file does not say otherwise: stays withdrawn"
TWO_DAYS = "of two days at one instant: the last one told stands"
MOVED = "moved to another day, withdrawn from the old one"


@dataclass(frozen=True)
class Delivery:
    """How a delivery of raw rows went into the lake.

    Attributes
    ----------
    table : str
    new : int
        Rows the table did not hold in any version.
    corrected : int
        Further versions of rows: contradictions of what was held, and what the delivery itself says of a row later.
    unchanged : int
        Rows not written: held already, or said again after a correction.
    notes : Counter
        Rows by what else there is to say of them.
    """

    table: str
    new: int = 0
    corrected: int = 0
    unchanged: int = 0
    notes: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Delivery) -> Delivery:
        return Delivery(
            self.table,
            self.new + other.new,
            self.corrected + other.corrected,
            self.unchanged + other.unchanged,
            self.notes + other.notes,
        )


@dataclass(frozen=True)
class Terms:
    """How delivered rows are to be taken.

    Attributes
    ----------
    now : datetime
        Instant of the delivery, UTC.
    own_instants : bool
        ``known_at`` dates the very version (a collection instant): a version with an instant of its own is taken as
        it is. Otherwise it follows from the row's date, and whatever contradicts the version held is known from
        ``now``.
    silent : mapping of str to ndarray of bool
        Columns the file of a row does not have: what is held stays.
    restating : bool or ndarray of bool
        Rows that repeat a version corrected since take the correction back: all of them, or those marked.
    """

    now: dt.datetime
    own_instants: bool = True
    silent: Silent = field(default_factory=dict)
    restating: bool | NDArray[np.bool_] = False


def versions_to_write(
    existing: pa.Table, delivered: pa.Table, declared: TableContract, terms: Terms
) -> tuple[pa.Table, Delivery]:
    """Rows of a delivery that must be written, given the versions already held.

    Parameters
    ----------
    existing, delivered : pyarrow.Table
        Rows in the contract's schema; ``delivered`` with unique keys. Of rows that may move, ``existing`` must hold
        every version, whatever its day.
    declared : TableContract
    terms : Terms
        Its arrays aligned with ``delivered``.

    Returns
    -------
    rows : pyarrow.Table
        Versions to add.
    delivery : Delivery
    """
    columns, natural = declared.schema.names, list(declared.natural_key)
    values = [c for c in columns if c != "known_at"]
    brought = _frame(delivered).with_row_index("__row")
    first_of_each = brought.select(pl.struct(natural).is_first_distinct()).to_series()
    rows_named = int(first_of_each.sum())
    if existing.num_rows == 0 and (rows_named == brought.height or not declared.may_move):
        return delivered, Delivery(declared.name, new=rows_named, corrected=brought.height - rows_named)

    notes: Counter[str] = Counter()
    held = _frame(existing).join(brought.select(natural), on=natural, how="semi", nulls_equal=True)
    latest = _latest(held, natural)
    silence = _Silence.of(brought, held, latest, natural, terms)
    asked = silence.filled(by_then=terms.own_instants, notes=notes)

    same = asked.join(held, on=columns, how="semi", nulls_equal=True)
    rest = asked.join(same, on="__row", how="anti")
    identity = [*natural, "known_at"] if terms.own_instants else natural
    contradicting = rest.join(held, on=identity, how="semi", nulls_equal=True)
    fresh = rest.join(contradicting, on="__row", how="anti")
    if terms.own_instants:
        contradicting = silence.filled().join(contradicting, on="__row", how="semi")
    agrees = pl.concat([same, contradicting]).join(latest, on=values, how="semi", nulls_equal=True)
    contradicting = contradicting.join(agrees, on="__row", how="anti")

    # What a row is now is said by its last version in the delivery; an earlier one cannot change what was known then.
    last = _latest(asked, natural)
    repeated = same.join(agrees.select(natural), on=natural, how="anti").join(last, on="__row", how="semi")
    repeated = repeated.join(fresh.select(natural), on=natural, how="anti")
    restating = np.broadcast_to(np.asarray(terms.restating), brought.height)
    again = repeated.filter(pl.Series(restating[repeated["__row"].to_numpy()], dtype=pl.Boolean))
    contradicting = pl.concat([contradicting, again])
    _note(notes, SUPERSEDED, repeated.join(again, on="__row", how="anti"))
    corrected = contradicting.join(last, on="__row", how="semi")
    _note(notes, PAST, contradicting.join(last, on="__row", how="anti"))
    corrected = _known_from(corrected, latest, natural, terms.now)

    out = pl.concat([fresh, corrected]).sort("__row").drop("__row")
    if declared.may_move:
        one_day = out.unique([*natural, "known_at"], keep="last", maintain_order=True)
        _note(notes, TWO_DAYS, out.join(one_day, on=list(declared.key), how="anti"))
        out = one_day
        markers = _markers(pl.concat([held, out]), natural).join(held, on=list(declared.key), how="anti")
        _note(notes, MOVED, markers)
        out = pl.concat([out, markers])
    written = out.height
    new = out.join(held, on=natural, how="anti", nulls_equal=True).select(pl.struct(natural).n_unique()).item()
    rows = conform(out.to_arrow(compat_level=pl.CompatLevel.oldest()), declared)
    unchanged = delivered.num_rows - fresh.height - corrected.height
    return rows, Delivery(declared.name, new=new, corrected=written - new, unchanged=unchanged, notes=notes)


def _frame(rows: pa.Table) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(rows))


def _note(notes: Counter[str], reason: str, rows: pl.DataFrame) -> None:
    if rows.height:
        notes[reason] += rows.height


def _latest(rows: pl.DataFrame, natural: list[str]) -> pl.DataFrame:
    """Last version of each row; where one is withdrawn at the instant it moves, the one on the new day."""
    ordered = rows.sort(["known_at", "withdrawn"], descending=[False, True], maintain_order=True)
    return ordered.unique(natural, keep="last", maintain_order=True)


@dataclass(frozen=True)
class _Silence:
    """Delivered rows, and what is held where their file is silent."""

    brought: pl.DataFrame
    held: pl.DataFrame
    latest: pl.DataFrame
    natural: list[str]
    silent: Silent

    @classmethod
    def of(
        cls, brought: pl.DataFrame, held: pl.DataFrame, latest: pl.DataFrame, natural: list[str], terms: Terms
    ) -> _Silence:
        some = {c: np.asarray(mask) for c, mask in terms.silent.items() if np.any(mask)} if held.height else {}
        flags = (pl.Series(f"__silent_{c}", mask, dtype=pl.Boolean) for c, mask in some.items())
        return cls(brought.with_columns(flags), held, latest, natural, some)

    def filled(self, *, by_then: bool = False, notes: Counter[str] | None = None) -> pl.DataFrame:
        """Fill in the latest version held, or the one known by the row's own instant.

        Rows that are withdrawn, and whose file does not say otherwise, are left out.
        """
        plain = [c for c in self.brought.columns if not c.startswith("__silent_")]
        if not self.silent:
            return self.brought.select(plain)
        told = [pl.col(c).alias(f"__held_{c}") for c in self.silent]
        if by_then:
            rows = self.brought.sort("known_at", maintain_order=True).join_asof(
                self.held.sort("known_at").select(*self.natural, "known_at", *told),
                on="known_at",
                by=self.natural,
                check_sortedness=False,
            )
            rows = rows.sort("__row")
        else:
            versions = self.latest.select(*self.natural, *told)
            rows = self.brought.join(versions, on=self.natural, how="left", nulls_equal=True, maintain_order="left")
        gone = pl.lit(False)
        if "withdrawn" in self.silent:
            gone = (pl.col("__silent_withdrawn") & pl.col("__held_withdrawn")).fill_null(False)
        if notes is not None:
            _note(notes, STAYS_WITHDRAWN, rows.filter(gone))
        rows = rows.filter(~gone)
        for c in self.silent:
            kept = pl.col(f"__silent_{c}") & pl.col(f"__held_{c}").is_not_null()
            if notes is not None and c != "withdrawn":
                _note(notes, f"{c} is not in the file: the value held stays", rows.filter(kept))
            rows = rows.with_columns(pl.when(kept).then(f"__held_{c}").otherwise(c).alias(c))
        return rows.select(plain)


def _known_from(corrected: pl.DataFrame, latest: pl.DataFrame, natural: list[str], now: dt.datetime) -> pl.DataFrame:
    """Corrections with their instant: that of the delivery, and in any case after the version they correct."""
    stands = latest.select(*natural, pl.col("known_at").alias("__before") + pl.duration(microseconds=1))
    dated = corrected.join(stands, on=natural, how="left", nulls_equal=True, maintain_order="left")
    instant = pl.lit(now).dt.cast_time_unit("us").dt.convert_time_zone("UTC")
    return dated.with_columns(pl.max_horizontal(instant, "__before").alias("known_at")).drop("__before")


def _markers(versions: pl.DataFrame, natural: list[str]) -> pl.DataFrame:
    """For each version whose successor lies on another day: its withdrawal, known when the successor is."""
    ordered = versions.sort(
        [*natural, "known_at", "withdrawn"], descending=[False] * (len(natural) + 1) + [True], maintain_order=True
    )
    following = [pl.col(c).shift(-1).over(natural).alias(f"__next_{c}") for c in ("as_of_date", "known_at")]
    ordered = ordered.with_columns(following)
    moved = ordered.filter(~pl.col("withdrawn") & (pl.col("__next_as_of_date") != pl.col("as_of_date")))
    marked = moved.with_columns(pl.col("__next_known_at").alias("known_at"), pl.lit(True).alias("withdrawn"))
    return marked.select(versions.columns)
