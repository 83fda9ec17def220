"""What instruments were known to be on given days: market, sector and company behind each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

_COLUMNS = (
    "instrument_id",
    "valid_from",
    "valid_to",
    "delisted_on",
    "issuer_id",
    "market_id",
    "sector",
    "asset_class",
    "known_at",
    "withdrawn",
)
_MOMENTS = ("known_at", "valid_from", "valid_to", "delisted_on")


def described_as_known(
    versions: pa.Table, days: NDArray[np.datetime64], cutoffs: NDArray[np.datetime64]
) -> pl.DataFrame:
    """Describe each instrument on each day by the row that holds then, as known at the day's cut-off.

    Of the descriptions known by then and not taken back, the one that began last by the day counts, as long as it has
    not ended and the instrument is not delisted before the day.

    Parameters
    ----------
    versions : pyarrow.Table
        Every version of rows of ``instruments``.
    days : ndarray of datetime64[D], shape (n,)
        Ascending.
    cutoffs : ndarray of datetime64[us], shape (n,)

    Returns
    -------
    polars.DataFrame
        ``as_of_date``, ``instrument_id``, ``issuer_id``, ``market_id``, ``sector``, ``asset_class``, ``valid_from``; by
        day, then instrument.
    """
    rows = pl.DataFrame(pl.from_arrow(versions.select(_COLUMNS)))
    rows = rows.with_columns(pl.col("known_at").dt.replace_time_zone(None))
    # Most days are described as the day before was: one of each kind is looked at, and stands for the others.
    first, kind = _kinds(rows, days, cutoffs)
    asked = pl.DataFrame({"as_of_date": days, "__cutoff": cutoffs, "__kind": kind}).with_columns(
        pl.col("as_of_date").cast(pl.Date)
    )
    key = ["__kind", "instrument_id"]
    ended = (pl.col("valid_to") < pl.col("as_of_date")) | (pl.col("delisted_on") < pl.col("as_of_date"))
    described = (
        asked[first]
        .join(rows, how="cross")
        .filter(pl.col("known_at") <= pl.col("__cutoff"))
        .sort("known_at", maintain_order=True)
        .unique([*key, "valid_from"], keep="last", maintain_order=True)
        .filter(~pl.col("withdrawn") & (pl.col("valid_from") <= pl.col("as_of_date")))
        .sort("valid_from", maintain_order=True)
        .unique(key, keep="last", maintain_order=True)
        .filter(~ended.fill_null(False))
        .sort(key)
    )
    return (
        asked.select("as_of_date", "__kind")
        .join(described.drop("as_of_date"), on="__kind", maintain_order="left_right")
        .select("as_of_date", "instrument_id", "issuer_id", "market_id", "sector", "asset_class", "valid_from")
    )


def _kinds(
    rows: pl.DataFrame, days: NDArray[np.datetime64], cutoffs: NDArray[np.datetime64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Tell days apart by which rows were known, had begun and had ended.

    Each of these sets only grows in time, so days on which they count the same hold the same rows.

    Returns
    -------
    first : ndarray of int64, shape (k,)
        Place of one day of each kind.
    kind : ndarray of int64, shape (n,)
        Kind of each day.
    """
    moments = {name: rows[name].drop_nulls().unique().sort().to_numpy() for name in _MOMENTS}
    counts = [
        np.searchsorted(moments["known_at"], cutoffs, side="right"),
        np.searchsorted(moments["valid_from"], days, side="right"),
        np.searchsorted(moments["valid_to"], days, side="left"),
        np.searchsorted(moments["delisted_on"], days, side="left"),
    ]
    _, first, kind = np.unique(np.stack(counts, axis=1), axis=0, return_index=True, return_inverse=True)
    return first, kind
