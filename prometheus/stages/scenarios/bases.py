"""Series of base entities as known on the session a scenario set is made on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.clock import CutoffRule
from prometheus.market.baskets import build_baskets
from prometheus.market.membership import listed_as_known
from prometheus.market.panel import EntitySeries
from prometheus.market.returns import RETURN_HISTORY
from prometheus.runtime import StageReader
from prometheus.stages.numeric.windows import INSTRUMENT, MARKET, MarketPrices, read_market


@dataclass(frozen=True)
class BaseSeries:
    """One base entity on one decision day.

    Attributes
    ----------
    entity_id : str
    day : date
    series : EntitySeries
        As known at the cut-off of the day; it may go on after it.
    row, position : int
        Row of the entity and position of the day in the series.
    """

    entity_id: str
    day: dt.date
    series: EntitySeries
    row: int
    position: int


def base_series(
    reader: StageReader,
    market_id: str,
    entity_ids: Sequence[str],
    days: Sequence[dt.date],
    *,
    sessions: int,
    cutoff: CutoffRule,
    infer_splits: bool,
) -> Iterator[BaseSeries]:
    """Yield each base entity on each day on which it is known at all; volume is left out.

    Parameters
    ----------
    reader : StageReader
    market_id : str
    entity_ids : sequence of str
        The market itself, or instruments of it.
    days : sequence of date
        Sessions of the market, ascending.
    sessions : int
        Sessions up to and including a day whose returns matter.
    cutoff : {'end_of_day', 'session_close', 'next_open'}
    infer_splits : bool
    """
    instruments = tuple(e for e in entity_ids if e != market_id)
    history = sessions + RETURN_HISTORY
    if market_id in entity_ids:
        market = read_market(reader, market_id, days, history=history, cutoff=cutoff)
        yield from _market(market, history, infer_splits)
    if instruments:
        market = read_market(reader, market_id, days, history=history, cutoff=cutoff, only=instruments)
        yield from _instruments(market, history, infer_splits)


def _market(market: MarketPrices, history: int, infer_splits: bool) -> Iterator[BaseSeries]:
    for known in market.panels(history, members=True, infer_splits=infer_splits):
        assert known.membership is not None
        membership = known.membership.of_market(market.market_id)
        no_volume = np.full(known.panel.ret.shape, np.nan)
        baskets = build_baskets(known.panel, membership, "MARKET", no_volume)
        if market.market_id in baskets.names:
            row = baskets.names.index(market.market_id)
            for day, position in _decisions(market, known.targets, known.positions):
                yield BaseSeries(market.market_id, day, baskets, row, position)


def _instruments(market: MarketPrices, history: int, infer_splits: bool) -> Iterator[BaseSeries]:
    listed = listed_as_known(
        market.instruments, market.market_id, market.names, market.sessions, market.session_cutoffs
    )
    for known in market.panels(history, apart=True, infer_splits=infer_splits):
        for row, name in enumerate(known.panel.names):
            column = listed[known.targets, np.searchsorted(market.names, name)]
            decisions = _decisions(market, known.targets, known.positions)
            for is_listed, (day, position) in zip(column.tolist(), decisions, strict=True):
                if is_listed:
                    yield BaseSeries(name, day, known.panel, row, position)


def _decisions(
    market: MarketPrices, targets: NDArray[np.int64], positions: NDArray[np.int64]
) -> list[tuple[dt.date, int]]:
    days: list[dt.date] = market.sessions.dates[targets].tolist()
    return list(zip(days, positions.tolist(), strict=True))


def entity_type_of(market_id: str, entity_id: str) -> str:
    """MARKET or INSTRUMENT."""
    return MARKET if entity_id == market_id else INSTRUMENT
