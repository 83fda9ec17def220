"""Fundamentals of a whole market as known at each decision, whoever is asked for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from prometheus.market.fundamentals import (
    HISTORY_DAYS,
    FundamentalRanks,
    characteristics_as_known,
    mean_ranks,
    rank_members,
)
from prometheus.market.listings import described_as_known
from prometheus.runtime import StageReader

_COLUMNS = (
    *("issuer_id", "report_date", "period_end", "period_start", "metric", "value", "frequency"),
    *("known_at", "withdrawn"),
)


@dataclass(frozen=True)
class MarketFundamentals:
    """Ranks of a market's members on some days.

    Attributes
    ----------
    market_id : str
    names : tuple of str
        Every instrument that ever was of the market, ascending.
    ranks : FundamentalRanks
        By name and day; unknown where the name is no member on the day.
    sectors : tuple of str
        Entity ids, ascending.
    sector : ndarray of int32, shape (n_names, n_days)
        Index into ``sectors``; -1 for members of none, -2 for names that are no members.
    """

    market_id: str
    names: tuple[str, ...]
    ranks: FundamentalRanks
    sectors: tuple[str, ...]
    sector: NDArray[np.int32]

    def of(self, entity_type: str, entities: Sequence[str], days: NDArray[np.int64]) -> FundamentalRanks:
        """Ranks of some entities of one type on some of the days."""
        if entity_type == "INSTRUMENT":
            return self.ranks.take(np.searchsorted(self.names, entities), days)
        every = self.ranks.take(np.arange(len(self.names)), days)
        sector = self.sector[:, days]
        belongs = [
            sector > -2 if entity == self.market_id else sector == int(np.searchsorted(self.sectors, entity))
            for entity in entities
        ]
        return mean_ranks(every, np.stack(belongs) if belongs else np.zeros((0, *sector.shape), dtype=bool))


def market_fundamentals(
    reader: StageReader,
    market_id: str,
    instruments: pa.Table,
    days: NDArray[np.datetime64],
    known_by: NDArray[np.datetime64],
) -> MarketFundamentals:
    """Rank the members of a market on some days by what they had reported.

    Members are the equities whose description, as known at the day's cut-off, holds on the day; the company behind each
    is the description's. Two lines of stock of one company share its figures and count as two members.

    Parameters
    ----------
    reader : StageReader
        With ``fundamentals`` among its inputs, ``HISTORY_DAYS`` back.
    market_id : str
    instruments : pyarrow.Table
        Every version of the rows of whatever ever was of the market.
    days : ndarray of datetime64[D], shape (n,)
        Ascending.
    known_by : ndarray of datetime64[us], shape (n,)
        Cut-off of each.
    """
    # What is known to be no equity is no member: as if that description had been taken back.
    other = pc.not_equal(instruments["asset_class"], "EQUITY").fill_null(True)
    at = instruments.schema.get_field_index("withdrawn")
    equities = instruments.set_column(at, "withdrawn", pc.or_(instruments["withdrawn"], other))
    described = described_as_known(equities, days, known_by).filter(pl.col("market_id") == market_id)
    names = tuple(sorted(set(instruments["instrument_id"].to_pylist())))
    row = np.searchsorted(names, described["instrument_id"].to_list())
    column = np.searchsorted(days, described["as_of_date"].to_numpy().astype("datetime64[D]"))
    sector_ids = described.select(
        pl.when(pl.col("sector").is_not_null() & (pl.col("sector") != ""))
        .then(pl.lit(f"{market_id}/") + pl.col("sector"))
        .otherwise(None)
    ).to_series()
    sectors = tuple(sorted(set(sector_ids.drop_nulls().to_list())))
    sector = np.full((len(names), len(days)), -2, dtype=np.int32)
    place = {name: i for i, name in enumerate(sectors)}
    sector[row, column] = [place.get(s, -1) for s in sector_ids.to_list()]

    first, last = (d.astype("datetime64[D]").item() for d in (days[0], days[-1]))
    figures = reader.read_years("fundamentals", columns=_COLUMNS, dates=(first - dt.timedelta(HISTORY_DAYS), last))
    issuer_ids = described["issuer_id"].to_list()
    found = characteristics_as_known(figures, days, known_by, {i for i in issuer_ids if i is not None})
    issuer_place = {name: i for i, name in enumerate(found.issuers)}
    issuer = np.full((len(names), len(days)), -1, dtype=np.int64)
    issuer[row, column] = [issuer_place.get(i, -1) for i in issuer_ids]
    values = np.full((len(found.values), *issuer.shape), np.nan)
    known = issuer >= 0
    values[:, known] = found.values[:, issuer[known], np.nonzero(known)[1]]
    return MarketFundamentals(market_id, names, rank_members(values, sector > -2), sectors, sector)
