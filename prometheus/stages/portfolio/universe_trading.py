"""How names listed on a session had traded by then: what a universe's filters ask of prices."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prometheus.clock import CutoffRule
from prometheus.market.as_known import KnownPanel, panels_as_known
from prometheus.market.listings import described_as_known
from prometheus.market.rolling import Floats, RollingSums, columns, rolling_quantiles
from prometheus.runtime import StageReader
from prometheus.stages.numeric.windows import MarketPrices, read_market

HISTORY = 252
"""Trailing sessions, the session itself included."""

HISTORY_DAYS = 400
"""Calendar days that hold them, holidays included."""

ADV_SESSIONS, ADV_LEAST = 63, 42
"""Trailing sessions whose median counts, and those among them on which money must have changed hands."""

PRICE_SESSIONS = 5
"""Trailing sessions of which the last close counts; what is older is no price."""

AS_TRADED, SPLIT_ADJUSTED = "as_traded", "split_adjusted"
"""What a close is: a source that brings a name's corporate actions has its closes as traded, any other is taken to have
divided them by the splits since."""


def trading_as_known(reader: StageReader, market_id: str, days: Sequence[dt.date], cutoff: CutoffRule) -> pl.DataFrame:
    """Describe the trading of every name with a listing in force, as known at each session's cut-off.

    Returns
    -------
    polars.DataFrame
        ``as_of_date``, ``instrument_id``, ``issuer_id``, ``sector``, ``asset_class``, ``history`` (sessions with a
        price among the trailing 252), ``adv`` (median money traded, null where unknown), ``price`` (last close, null
        without one), ``price_kind``; by session, then name.
    """
    market = read_market(reader, market_id, days, history=HISTORY, cutoff=cutoff)
    dates, known_by = market.sessions.dates[market.targets], market.session_cutoffs[market.targets]
    listed = described_as_known(market.instruments, dates, known_by).filter(pl.col("market_id") == market_id)
    history = np.zeros((len(dates), len(market.names)), dtype=np.int64)
    adv, price = np.full(history.shape, np.nan), np.full(history.shape, np.nan)
    for known in panels_as_known(
        market.prices,
        None,  # splits move neither money traded nor how often a name traded
        market.sessions,
        market.session_cutoffs,
        market.targets,
        history=HISTORY,
        names=market.names,
        apart=True,
    ):
        at = np.ix_(np.searchsorted(market.targets, known.targets), np.searchsorted(market.names, known.panel.names))
        history[at], adv[at], price[at] = (found.T for found in _trading(known))
    day = np.searchsorted(dates, listed["as_of_date"].to_numpy().astype("datetime64[D]"))
    name = np.searchsorted(market.names, listed["instrument_id"].to_list())
    with_actions = _has_actions(market, known_by)[day, name]
    return listed.select("as_of_date", "instrument_id", "issuer_id", "sector", "asset_class").with_columns(
        history=history[day, name],
        adv=pl.Series(adv[day, name]).fill_nan(None),
        price=pl.Series(price[day, name]).fill_nan(None),
        price_kind=pl.Series(np.where(with_actions, AS_TRADED, SPLIT_ADJUSTED)),
    )


def _trading(known: KnownPanel) -> tuple[NDArray[np.int64], Floats, Floats]:
    """History, money traded and last close at the targets; shape (n_names, n_targets) each."""
    panel, at = known.panel, known.positions
    assert panel.close is not None
    observed = RollingSums(panel.observed).ending(at, HISTORY)
    median = rolling_quantiles(panel.log_dollar_volume, at, ADV_SESSIONS, (0.5,), ADV_LEAST)[0]
    has = ~np.isnan(panel.close)
    last = np.maximum.accumulate(np.where(has, np.arange(panel.n_sessions), -1), axis=1)
    last = columns(last, at)
    fresh = (last >= 0) & (at - last < PRICE_SESSIONS)
    close = np.take_along_axis(panel.close, np.maximum(last, 0), axis=1)
    return observed, np.exp(median), np.where(fresh, close, np.nan)


def _has_actions(market: MarketPrices, known_by: NDArray[np.datetime64]) -> NDArray[np.bool_]:
    """Whether some corporate action of a name is known; shape (n_targets, n_names)."""
    out = np.zeros((len(known_by), len(market.names)), dtype=bool)
    rows = pl.DataFrame(pl.from_arrow(market.actions.select(["instrument_id", "known_at", "withdrawn"])))
    first = (
        rows.filter(~pl.col("withdrawn") & pl.col("instrument_id").is_in(list(market.names)))
        .group_by("instrument_id")
        .agg(pl.col("known_at").min().dt.replace_time_zone(None))
        .sort("instrument_id")
    )
    if first.height:
        since = first["known_at"].to_numpy().astype("datetime64[us]")
        out[:, np.searchsorted(market.names, first["instrument_id"].to_list())] = since <= known_by[:, None]
    return out
