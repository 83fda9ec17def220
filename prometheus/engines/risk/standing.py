"""Where holdings stand among the names of their market: momentum, volatility, liquidity.

Each is a z-score over the market's members on the session, limited to +-3; a book's standing is the mean of its names'
by absolute weight, as long as half the weight has one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from prometheus.engines.risk.base import Flags, Floats, exact_sum
from prometheus.market.baskets import MIN_MEMBERS
from prometheus.market.factors import MIN_RETURNS, SESSIONS
from prometheus.market.membership import Membership
from prometheus.market.panel import PricePanel
from prometheus.market.rolling import Positions, RollingSums, from_fixed, to_fixed
from prometheus.market.volatility import trailing_volatility

MOMENTUM, VOLATILITY, LIQUIDITY = "momentum", "volatility", "liquidity"
STANDINGS = (MOMENTUM, VOLATILITY, LIQUIDITY)

SKIPPED = 21
"""Sessions before the last that momentum leaves out: what reverses."""

SHORT = 63
"""Sessions of volatility and of mean log dollar volume."""

MIN_SHARE = 2 / 3
"""Least share of those sessions with a known value."""

LIMIT = 3.0
_VOLUME_BITS = 40


def standings(
    panel: PricePanel, membership: Membership, market_id: str, positions: Positions, rows: NDArray[np.int64]
) -> dict[str, Floats]:
    """Standing of some names of a panel.

    Parameters
    ----------
    panel : PricePanel
        Must reach ``SESSIONS`` back from each position.
    membership : Membership
    market_id : str
    positions : ndarray of int64, shape (decisions,)
    rows : ndarray of int64, shape (names,)

    Returns
    -------
    dict of str to ndarray of float64, shape (decisions, names)
        NaN where not known.
    """
    here = membership.markets.index(market_id) if market_id in membership.markets else -2
    member = membership.market[:, positions] == here
    returns, known = RollingSums(panel.ret), RollingSums(panel.ret_ok)
    earlier = np.maximum(positions - SKIPPED, 0)
    gain = from_fixed(returns.ending(positions, SESSIONS) - returns.ending(positions, SKIPPED))
    enough = (known.ending(earlier, SESSIONS - SKIPPED) >= MIN_RETURNS) & (positions >= SKIPPED)
    volatility, _ = trailing_volatility(panel.ret, panel.ret_ok, positions, (SHORT,))
    traded = ~np.isnan(panel.log_dollar_volume)
    volume = RollingSums(to_fixed(np.where(traded, panel.log_dollar_volume, 0.0), _VOLUME_BITS))
    days = RollingSums(traded).ending(positions, SHORT)
    usual = from_fixed(volume.ending(positions, SHORT), _VOLUME_BITS) / np.maximum(days, 1)
    still = np.where(volatility[0] > 0, volatility[0], np.nan)
    raw = {
        MOMENTUM: np.where(enough, gain, np.nan),
        VOLATILITY: np.log(still),
        LIQUIDITY: np.where(days >= round(MIN_SHARE * SHORT), usual, np.nan),
    }
    return {name: _scores(values, member)[rows].T for name, values in raw.items()}


def _scores(values: Floats, member: Flags) -> Floats:
    """Z-scores over the members of each session, of everybody with a value."""
    counts = member & ~np.isnan(values)
    n = counts.sum(axis=0)
    mean = exact_sum(np.where(counts, values, 0.0), axis=0) / np.maximum(n, 1)
    apart = np.where(counts, values - mean, 0.0)
    spread = np.sqrt(exact_sum(apart * apart, axis=0) / np.maximum(n - 1, 1))
    good = (n >= MIN_MEMBERS) & (spread > 0)
    scores: Floats = np.clip((values - mean) / np.where(good, spread, np.nan), -LIMIT, LIMIT)
    return scores


def standing_of(weights: Floats, scores: Floats) -> Floats:
    """Mean standing of holdings by absolute weight, signed; NaN where less than half the weight has one."""
    known = ~np.isnan(scores)
    absolute = np.abs(weights)
    held, total = exact_sum(np.where(known, absolute, 0.0)), exact_sum(absolute)
    mean = exact_sum(np.where(known, weights * np.nan_to_num(scores), 0.0)) / np.where(held > 0, held, 1.0)
    return np.where((held > 0) & (held >= 0.5 * total), mean, np.nan)
