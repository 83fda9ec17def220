"""Daily bars: open, high, low, close as traded, volume, and the gaps that real files have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.clock import Sessions
from prometheus.market.synthetic.actions import PricePaths
from prometheus.market.synthetic.companies import SESSIONS_PER_YEAR, Company
from prometheus.market.synthetic.config import MarketConfig, SyntheticConfig
from prometheus.market.synthetic.factors import RegionFactors
from prometheus.market.synthetic.returns import ReturnPanel
from prometheus.market.synthetic.streams import Floats, ar1, stream

_NO_TRADE = 0.06
_NO_ROW = 0.03


@dataclass(frozen=True)
class Bars:
    """Bars of one market as its exchange would report them, every array of shape (sessions, names).

    ``present`` tells which rows a file would hold; prices are rounded to the market's decimals, volume is in whole
    shares on the split base of its day.
    """

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    present: NDArray[np.bool_]


def daily_bars(
    config: SyntheticConfig,
    market: MarketConfig,
    sessions: Sessions,
    names: tuple[Company, ...],
    factors: RegionFactors,
    panel: ReturnPanel,
    paths: PricePaths,
) -> Bars:
    """Draw the bars around the closes.

    The log price of a session is a Brownian motion from the previous close (on today's share base, less the dividend)
    to the close, of variance sigma_it^2. The open is that bridge at the overnight share a of the variance,
    N(a r, a (1 - a) sigma^2); high and low are extremes of the bridge from open to close,
    (o + c +- sqrt((c - o)^2 - 2 s^2 ln U)) / 2 with s^2 = (1 - a) sigma^2 and U uniform (Glasserman, Monte Carlo
    Methods in Financial Engineering, 2004, section 6.4).

    Log volume is an AR(1) around shares outstanding x turnover that rises with the size of the day's return in units of
    its volatility (Karpoff, 1987, The relation between price changes and trading volume, JFQA 22) and with the regime,
    and falls with short sessions.
    """
    law = config.returns
    length, count = panel.log_return.shape
    draws = np.empty((count, 4, length))
    fates = np.empty((count, 2, length))
    for row, name in enumerate(names):
        normal = stream(config.seed, "bar", name.instrument_id).standard_normal((length, 2))
        draws[row, 0], draws[row, 1] = normal[:, 0], normal[:, 1]
        uniform = stream(config.seed, "range", name.instrument_id).random((length, 4))
        draws[row, 2], draws[row, 3] = uniform[:, 0], uniform[:, 1]
        fates[row, 0], fates[row, 1] = uniform[:, 2], uniform[:, 3]
    close = paths.log_close
    sigma = panel.volatility / np.sqrt(SESSIONS_PER_YEAR)
    overnight = law.overnight_share
    opening = close - (1.0 - overnight) * panel.log_return
    opening += np.sqrt(overnight * (1.0 - overnight)) * sigma * draws[:, 0].T
    middle, half = 0.5 * (opening + close), 0.5 * (close - opening)
    reach = 0.5 * (1.0 - overnight) * sigma**2
    high = middle + np.sqrt(half**2 - reach * np.log1p(-draws[:, 2].T))
    low = middle - np.sqrt(half**2 - reach * np.log1p(-draws[:, 3].T))

    surprise = np.abs(panel.log_return) / sigma - np.sqrt(2.0 / np.pi)
    traded = _base_volume(names, paths.start)[None, :] + paths.log_shares + factors.log_volume[:, None]
    traded += law.volume_log_spread * ar1(np.ascontiguousarray(draws[:, 1].T), law.volume_persistence)
    traded += law.volume_response * np.minimum(surprise, 4.0) + _short_sessions(sessions)[:, None]

    present, quiet = _gaps(names, panel.listed, paths, fates)
    bars = [_rounded(x, market.decimals) for x in (opening, high, low, close)]
    volume = np.maximum(np.round(np.exp(traded)), 1.0)
    return _stale(bars, volume, present, quiet)


def _base_volume(names: tuple[Company, ...], start: Floats) -> Floats:
    value = np.array([n.market_value * n.turnover for n in names])
    logs: Floats = np.log(np.maximum(value / start, 20.0))
    return logs


def _short_sessions(sessions: Sessions) -> Floats:
    hours = (sessions.closes_at - sessions.opens_at).astype(np.float64)
    share: Floats = np.log(hours / np.median(hours))
    return share


def _rounded(log_price: Floats, decimals: int) -> Floats:
    return np.maximum(np.round(np.exp(log_price), decimals), 10.0**-decimals)


def _gaps(
    names: tuple[Company, ...], listed: NDArray[np.bool_], paths: PricePaths, uniform: Floats
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows that are there, and those among them without a trade."""
    present = listed.copy()
    quiet = np.zeros_like(listed)
    event = np.zeros_like(listed)
    event[paths.splits.ex, paths.splits.name] = True
    event[paths.dividends.ex, paths.dividends.name] = True
    for column, name in enumerate(names):
        event[name.listed, column] = True
        if name.last is not None and name.last < len(event):
            event[name.last, column] = True
        if name.illiquid:
            quiet[:, column] = uniform[column, 0] < _NO_TRADE
            present[:, column] &= (uniform[column, 1] >= _NO_ROW) | event[:, column]
        if name.gap:
            present[name.gap[0] : name.gap[1], column] = False
    # A stale price across an ex-date would be on the wrong share base.
    return present, quiet & ~event & present


def _stale(bars: list[Floats], volume: Floats, present: NDArray[np.bool_], quiet: NDArray[np.bool_]) -> Bars:
    opening, high, low, close = bars
    columns = np.flatnonzero(quiet.any(axis=0))
    if len(columns):
        # Where nobody traded every price is the last close, volume zero.
        moving = ~quiet[:, columns]
        shown = np.where(moving & present[:, columns], np.arange(len(close))[:, None], 0)
        source = np.maximum.accumulate(shown, axis=0)
        held = np.take_along_axis(close[:, columns], source, axis=0)
        for price in bars:
            price[:, columns] = np.where(moving, price[:, columns], held)
        volume[:, columns] = np.where(moving, volume[:, columns], 0.0)
    return Bars(opening, high, low, close, volume, present)
