"""Which instrument stands for a company on a day."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prometheus.runtime import StageReader

VOLUME_SESSIONS = 63
VOLUME_DAYS = 120
"""Calendar days that hold the sessions traded value is counted over, holidays included."""

_PRICES = ("instrument_id", "as_of_date", "close", "volume", "known_at", "withdrawn")


def representatives(
    reader: StageReader,
    described: pl.DataFrame,
    market_id: str,
    days: NDArray[np.datetime64],
    known_by: NDArray[np.datetime64],
) -> pl.DataFrame:
    """Choose one instrument a company and day: the most traded over the trailing 63 sessions, as known then.

    Traded value is the sum of close times volume. Without any, or where it is equal, the instrument described first
    counts, then the first by id. A company with instruments in several markets counts in the market of the one
    described first.

    Parameters
    ----------
    reader : StageReader
        With ``prices_daily`` among its inputs, ``VOLUME_DAYS`` back.
    described : polars.DataFrame
        As :func:`~prometheus.market.listings.described_as_known` gives it, every instrument of each company.
    market_id : str
    days : ndarray of datetime64[D], shape (n,)
        Ascending sessions of the market.
    known_by : ndarray of datetime64[us], shape (n,)
        Cut-off of each.

    Returns
    -------
    polars.DataFrame
        The rows of ``described`` that count, of the market alone.
    """
    group = ["as_of_date", "issuer_id"]
    rows = described.filter(pl.col("issuer_id").is_not_null()).sort(
        "as_of_date", "issuer_id", "valid_from", "instrument_id"
    )
    rows = rows.filter(pl.col("market_id") == pl.col("market_id").first().over(group))
    rows = rows.filter(pl.col("market_id") == market_id)
    alone = pl.len().over(group) == 1
    several = rows.filter(~alone)
    if several.height == 0:
        return rows
    traded = _traded_value(reader, several, market_id, days, known_by)
    chosen = (
        several.join(traded, on=["as_of_date", "instrument_id"], how="left", maintain_order="left")
        .with_columns(pl.col("traded").fill_null(0.0))
        .sort("traded", descending=True, maintain_order=True)
        .unique(group, keep="first", maintain_order=True)
        .select(rows.columns)
    )
    return pl.concat([rows.filter(alone), chosen])


def _traded_value(
    reader: StageReader,
    asked: pl.DataFrame,
    market_id: str,
    days: NDArray[np.datetime64],
    known_by: NDArray[np.datetime64],
) -> pl.DataFrame:
    """Traded value of some instruments before each day, from the versions known at its cut-off."""
    sessions = reader.sessions(market_id)
    at = sessions.positions(days)
    begins = sessions.dates[np.maximum(at - VOLUME_SESSIONS + 1, 0)]
    names = asked["instrument_id"].unique().sort().to_list()
    prices = reader.read(
        "prices_daily",
        columns=list(_PRICES),
        dates=(begins[0].item(), days[-1].item()),
        where={"instrument_id": names},
        every_version=True,
    )
    rows = pl.DataFrame(pl.from_arrow(prices)).with_columns(pl.col("known_at").dt.replace_time_zone(None))
    windows = pl.DataFrame({"day": days, "begin": begins, "cutoff": known_by}).with_columns(
        pl.col("day", "begin").cast(pl.Date)
    )
    begun, ended = pl.col("as_of_date") >= pl.col("begin"), pl.col("as_of_date") <= pl.col("day")
    return (
        rows.join_where(windows, begun, ended, pl.col("known_at") <= pl.col("cutoff"))
        .sort("known_at", maintain_order=True)
        .unique(["day", "instrument_id", "as_of_date"], keep="last", maintain_order=True)
        .filter(~pl.col("withdrawn"))
        .sort("instrument_id", "as_of_date")
        .group_by("day", "instrument_id", maintain_order=True)
        .agg((pl.col("close") * pl.col("volume")).sum().alias("traded"))
        .rename({"day": "as_of_date"})
    )
