"""Deliveries of raw rows: what is new, what is a correction, what is already there.

Raw rows are never overwritten. A row that is delivered again unchanged is not written again; one whose values changed
becomes a new version, known from the instant of its delivery, because nobody could have known it earlier.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from prometheus.lake.contract import TableContract
from prometheus.lake.validation import conform


@dataclass(frozen=True)
class Delivery:
    """How a delivery of raw rows went into the lake.

    Attributes
    ----------
    table : str
    new : int
        Rows with a key and instant the table did not hold.
    corrected : int
        Rows that contradict the version held; stored as versions known from the delivery on.
    unchanged : int
        Rows already held, not written again.
    """

    table: str
    new: int = 0
    corrected: int = 0
    unchanged: int = 0

    def __add__(self, other: Delivery) -> Delivery:
        return Delivery(
            self.table,
            self.new + other.new,
            self.corrected + other.corrected,
            self.unchanged + other.unchanged,
        )


def versions_to_write(
    existing: pa.Table, delivered: pa.Table, declared: TableContract, now: dt.datetime
) -> tuple[pa.Table, Delivery]:
    """Rows of a delivery that must be written, given the versions already held.

    A delivered row whose key and ``known_at`` are held with other values is compared with the latest version: equal,
    it is unchanged; different, it becomes a version known at ``now``.

    Parameters
    ----------
    existing, delivered : pyarrow.Table
        Rows in the contract's schema; ``delivered`` with unique keys.
    now : datetime
        Instant of the delivery, UTC.

    Returns
    -------
    rows : pyarrow.Table
        Versions to add.
    delivery : Delivery
    """
    if existing.num_rows == 0:
        return delivered, Delivery(declared.name, new=delivered.num_rows)
    columns = declared.schema.names
    held = _frame(existing)
    brought = _frame(delivered).with_row_index("__row")
    key = list(declared.key)
    natural = list(declared.natural_key)

    known = brought.join(held.select(key), on=key, how="semi", nulls_equal=True, maintain_order="left")
    fresh = brought.join(known.select("__row"), on="__row", how="anti")
    same = known.join(held, on=columns, how="semi", nulls_equal=True)
    different = known.join(same.select("__row"), on="__row", how="anti")

    values = [c for c in columns if c != "known_at"]
    latest = held.sort("known_at").unique(subset=natural, keep="last")
    settled = different.join(latest, on=values, how="semi", nulls_equal=True)
    corrected = different.join(settled.select("__row"), on="__row", how="anti").with_columns(
        pl.lit(now).dt.cast_time_unit("us").dt.convert_time_zone("UTC").alias("known_at")
    )
    out = pl.concat([fresh, corrected]).sort("__row").drop("__row")
    rows = conform(out.to_arrow(compat_level=pl.CompatLevel.oldest()), declared)
    return rows, Delivery(
        declared.name,
        new=fresh.height,
        corrected=corrected.height,
        unchanged=delivered.num_rows - fresh.height - corrected.height,
    )


def _frame(rows: pa.Table) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(rows))
