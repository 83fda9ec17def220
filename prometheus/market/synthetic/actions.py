"""Dividends and splits, and the prices as traded that they leave behind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.market.synthetic.companies import SESSIONS_PER_YEAR, Company
from prometheus.market.synthetic.config import MarketConfig
from prometheus.market.synthetic.returns import ReturnPanel, crash_start, merger_notice
from prometheus.market.synthetic.streams import Floats, stream

NOTICE = 15
"""Sessions between the announcement of a split or dividend and its ex-date."""

_PRICE_BEFORE_SPLIT = 1.4
_PRICE_BEFORE_CONSOLIDATION = 0.033
_HIGHEST = 3.3
_LOWEST = 0.02
_RATIOS, _RATIO_CHANCES = (2.0, 3.0, 7.0), (0.65, 0.28, 0.07)


@dataclass(frozen=True)
class Dividends:
    """Cash payments, one entry each.

    Attributes
    ----------
    name, ex, announced : ndarray of int64
        Column of the name; sessions of the ex-date and of the announcement.
    amount : ndarray of float64
        Per share as traded on the ex-date.
    """

    name: NDArray[np.int64]
    ex: NDArray[np.int64]
    announced: NDArray[np.int64]
    amount: Floats


@dataclass(frozen=True)
class Splits:
    """Splits, one entry each; ``ratio`` is new shares for one old (0.1 for a consolidation 1:10)."""

    name: NDArray[np.int64]
    ex: NDArray[np.int64]
    announced: NDArray[np.int64]
    ratio: Floats


@dataclass(frozen=True)
class PricePaths:
    """Closes of one market before rounding.

    Attributes
    ----------
    log_close : ndarray of float64, shape (sessions, names)
        Log close as traded; NaN where not listed.
    log_shares : ndarray of float64, shape (sessions, names)
        Log of shares per share held at the first session: the cumulated splits.
    start : ndarray of float64, shape (names,)
        Price of the first session listed.
    dividends, splits : Dividends, Splits
    """

    log_close: Floats
    log_shares: Floats
    start: Floats
    dividends: Dividends
    splits: Splits


def price_paths(seed: int, market: MarketConfig, names: tuple[Company, ...], panel: ReturnPanel) -> PricePaths:
    """Turn total returns into prices as traded.

    An amount is set at its announcement from the price of that day and then held for a year, never from the price of
    the ex-date, which nobody knows yet. On the ex-date the close falls by exactly the amount, so that
    log((close + amount) / previous close) is the total return. Splits are those in the cast, and for every other name
    a rule: above a multiple of the usual price level they are split, below a fraction of it consolidated 1:10.
    """
    length, count = panel.log_return.shape
    total = np.cumsum(np.where(panel.listed, panel.log_return, 0.0), axis=0)
    first = np.array([n.listed for n in names])
    last = np.array([length - 1 if n.last is None else min(n.last, length - 1) for n in names])
    start = np.array([_start_price(market, n, total[:, k], length) for k, n in enumerate(names)])
    total += np.log(start)
    dividends, paid = _dividends(seed, market, names, total, panel.log_return, first, last)
    total -= np.cumsum(paid, axis=0)
    splits = _splits(seed, market, names, total, panel.listed, first, last)
    steps = np.zeros((length, count))
    np.add.at(steps, (splits.ex, splits.name), np.log(splits.ratio))
    log_shares = np.cumsum(steps, axis=0)
    log_close = np.where(panel.listed, total - log_shares, np.nan)
    # Amounts so far are per share of the first session.
    amount = dividends.amount / np.exp(log_shares[dividends.ex, dividends.name])
    rounded = Dividends(dividends.name, dividends.ex, dividends.announced, np.round(amount, 4))
    return PricePaths(log_close, log_shares, start, rounded, splits)


def _start_price(market: MarketConfig, name: Company, total: Floats, length: int) -> float:
    """First price; a name cast for a split starts where it will stand high (or low) enough by then."""
    if name.split is None or not 0 < name.split.at < length:
        return name.price
    ratio = name.split.ratio
    share = _PRICE_BEFORE_SPLIT * ratio if ratio > 1 else _PRICE_BEFORE_CONSOLIDATION
    return float(share * market.price_level / np.exp(total[name.split.at - 1]))


def _dividends(
    seed: int,
    market: MarketConfig,
    names: tuple[Company, ...],
    total: Floats,
    log_return: Floats,
    first: NDArray[np.int64],
    last: NDArray[np.int64],
) -> tuple[Dividends, Floats]:
    """Schedule payments; return them and minus the log price factor of each, shape (sessions, names)."""
    length, count = total.shape
    paid = np.zeros((length, count))
    interval = SESSIONS_PER_YEAR / market.dividends_per_year
    offset = np.array([stream(seed, "dividend", n.instrument_id).random() for n in names]) * interval
    ends = [min((e for e in (merger_notice(n), crash_start(n)) if e is not None), default=length) for n in names]
    until = np.minimum(last, np.array(ends))
    each_yield = np.array([n.dividend_yield for n in names]) / market.dividends_per_year
    taken = np.zeros(count)
    held = np.zeros(count)
    rows: list[tuple[NDArray[np.int64], ...]] = []
    amounts: list[Floats] = []
    for payment in range(int(length / interval) + 1):
        ex = (offset + payment * interval).astype(np.int64)
        due = np.flatnonzero((each_yield > 0) & (ex - NOTICE >= first) & (ex < until))
        if len(due) == 0:
            continue
        announced = ex[due] - NOTICE
        target = each_yield[due] * np.exp(total[announced, due] - taken[due])
        # Boards change the amount once a year, and rather raise than cut it.
        review = (payment % market.dividends_per_year == 0) | (held[due] == 0)
        changed = np.where(held[due] == 0, target, np.clip(target, 0.85 * held[due], 1.2 * held[due]))
        held[due] = np.where(review, changed, held[due])
        before = np.exp(total[ex[due] - 1, due] - taken[due] + log_return[ex[due], due])
        # Binds only where a price has all but vanished since the board met.
        amount = np.minimum(held[due], 0.9 * before)
        fall = -np.log1p(-amount / before)
        paid[ex[due], due] = fall
        taken[due] += fall
        rows.append((due, ex[due], announced))
        amounts.append(amount)
    if not rows:
        none = np.empty(0, dtype=np.int64)
        return Dividends(none, none, none, np.empty(0)), paid
    name, ex, announced = (np.concatenate(c) for c in zip(*rows, strict=True))
    return Dividends(name, ex, announced, np.concatenate(amounts)), paid


def _splits(
    seed: int,
    market: MarketConfig,
    names: tuple[Company, ...],
    log_price: Floats,
    listed: NDArray[np.bool_],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
) -> Splits:
    length, count = log_price.shape
    found: list[tuple[int, int, float]] = []
    shares = np.zeros(count)
    since = first.copy()
    for column, name in enumerate(names):
        if name.split is not None and name.split.at < length:
            found.append((column, name.split.at, name.split.ratio))
            shares[column] = np.log(name.split.ratio)
            since[column] = name.split.at
    liking = np.array([
        _RATIOS[np.searchsorted(np.cumsum(_RATIO_CHANCES[:-1]), stream(seed, "split", n.instrument_id).random())]
        for n in names
    ])  # fmt: skip
    high = np.log(_HIGHEST * market.price_level * liking)
    low = np.log(_LOWEST * market.price_level)
    open_columns = np.arange(count)
    sessions = np.arange(length)[:, None]
    while len(open_columns):
        price = log_price[:, open_columns] - shares[open_columns]
        crossed = (price > high[open_columns]) | (price < low)
        crossed &= listed[:, open_columns] & (sessions >= since[open_columns])
        at = np.argmax(crossed, axis=0)
        ex = at + NOTICE
        hit = crossed.any(axis=0) & (ex <= last[open_columns])
        up = price[at, np.arange(len(open_columns))] > high[open_columns]
        ratio = np.where(up, liking[open_columns], 0.1)
        for k in np.flatnonzero(hit):
            found.append((int(open_columns[k]), int(ex[k]), float(ratio[k])))
        shares[open_columns[hit]] += np.log(ratio[hit])
        since[open_columns[hit]] = ex[hit]
        open_columns = open_columns[hit]
    found.sort(key=lambda s: (s[1], s[0]))
    name_of = np.array([s[0] for s in found], dtype=np.int64)
    ex_of = np.array([s[1] for s in found], dtype=np.int64)
    return Splits(name_of, ex_of, np.maximum(ex_of - NOTICE, 0), np.array([s[2] for s in found]))
