"""Trailing exposures of instruments to their market and sector.

1. A factor's return on a session is the equal-weighted mean of the simple returns of its members, as in the baskets;
   for a member, the mean of the *others*: a name in a sector of six would otherwise explain a sixth of itself.
2. Over the last ``SESSIONS`` sessions on which both are known, at least ``MIN_RETURNS`` of them, the exposure is the
   slope of ordinary least squares with an intercept: cov(r, f) / var(f). Market and sector are fitted one at a time.
3. Residual volatility is the standard deviation of what the market's fit leaves, with n - 2 degrees of freedom,
   annualised.

Returns are fixed-point integers and every sum over names or sessions is a sum of integers, so a value depends neither
on who else is asked for nor on where a request is cut.

References
----------
W. F. Sharpe, "A simplified model for portfolio analysis", Management Science 9 (1963).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.market.baskets import MEMBER_LIMIT, MIN_MEMBERS
from prometheus.market.membership import Membership
from prometheus.market.panel import PricePanel
from prometheus.market.rolling import (
    MOMENT_BITS,
    Fixed,
    Flags,
    Floats,
    Positions,
    RollingSums,
    from_fixed,
    moment,
    to_fixed,
)
from prometheus.market.volatility import SESSIONS_A_YEAR

SESSIONS = 252
"""Trailing sessions of a fit."""

MIN_RETURNS = 126
"""Sessions among them on which both returns must be known."""

FACTOR_VOLATILITY_FLOOR = 1e-5
"""Daily volatility below which a factor counts as standing still: nothing can be said about exposure to it."""

MARKET_BETA, SECTOR_BETA, RESIDUAL_VOLATILITY = "MARKET_BETA", "SECTOR_BETA", "RESIDUAL_VOLATILITY"
FACTOR_IDS = (MARKET_BETA, SECTOR_BETA, RESIDUAL_VOLATILITY)


@dataclass(frozen=True)
class Exposures:
    """Exposures of one panel's names.

    Attributes
    ----------
    values : dict of str to ndarray of float64, shape (n_names, n_targets)
        By factor id; NaN where unknown.
    num_returns : dict of str to ndarray of int64
        Sessions the fits saw.
    """

    values: dict[str, Floats]
    num_returns: dict[str, Fixed]


def trailing_exposures(panel: PricePanel, membership: Membership, market_id: str, positions: Positions) -> Exposures:
    """Fit every name of a panel on its market and its sector.

    Parameters
    ----------
    panel : PricePanel
        Must reach ``SESSIONS`` known returns back from each position.
    membership : Membership
        Of the panel's names over its sessions. A name that is no member (a fund) is fitted on the members' mean.
    market_id : str
    positions : ndarray of int64, shape (n_targets,)
        Sessions to fit at, ascending.
    """
    # Nothing before the first fit's window is summed.
    start = max(int(positions[0]) - SESSIONS + 1, 0)
    simple = to_fixed(np.minimum(np.expm1(from_fixed(panel.ret[:, start:])), MEMBER_LIMIT))
    ok = panel.ret_ok[:, start:]
    at = positions - start
    here = membership.markets.index(market_id) if market_id in membership.markets else -2
    in_market = membership.market[:, start:] == here
    market, market_ok = market_without_self(simple, ok, in_market)
    sector, sector_ok = sector_without_self(simple, ok, np.where(in_market, membership.sector[:, start:], -1))
    on_market, on_sector = _fit(simple, ok & market_ok, market, at), _fit(simple, ok & sector_ok, sector, at)
    return Exposures(
        values={
            MARKET_BETA: on_market.slope,
            SECTOR_BETA: on_sector.slope,
            RESIDUAL_VOLATILITY: on_market.residual * np.sqrt(SESSIONS_A_YEAR),
        },
        num_returns={
            MARKET_BETA: on_market.count,
            SECTOR_BETA: on_sector.count,
            RESIDUAL_VOLATILITY: on_market.count,
        },
    )


def market_without_self(simple: Fixed, ok: Flags, belongs: Flags) -> tuple[Fixed, Flags]:
    """Mean return of the market's other members, for every name; where there are enough members."""
    counts = belongs & ok
    mine = np.where(counts, simple, 0)
    return _others(mine.sum(axis=0)[None, :], counts.sum(axis=0)[None, :], mine, counts)


def sector_without_self(simple: Fixed, ok: Flags, code: NDArray[np.int16]) -> tuple[Fixed, Flags]:
    """Mean return of the other members of the sector each name is in on each session."""
    total, members = np.zeros_like(simple), np.zeros_like(simple)
    for sector in np.unique(code[code >= 0]):
        belongs = code == sector
        counts = belongs & ok
        total = np.where(belongs, np.where(counts, simple, 0).sum(axis=0), total)
        members = np.where(belongs, counts.sum(axis=0), members)
    counts = (code >= 0) & ok
    return _others(total, members, np.where(counts, simple, 0), counts)


def _others(total: Fixed, members: Fixed, mine: Fixed, counts: Flags) -> tuple[Fixed, Flags]:
    others = members - counts
    known = np.broadcast_to((members >= MIN_MEMBERS) & (others > 0), mine.shape)
    mean = from_fixed(total - mine) / np.maximum(others, 1)
    return to_fixed(np.where(known, mean, 0.0)), known


@dataclass(frozen=True)
class _Fit:
    slope: Floats
    residual: Floats
    count: Fixed


def _fit(r: Fixed, both: Flags, f: Fixed, at: Positions) -> _Fit:
    """Ordinary least squares of r on f over the sessions where both are known."""
    y, x = np.where(both, r, 0), np.where(both, f, 0)
    n = RollingSums(both).ending(at, SESSIONS)
    count = np.maximum(n, 1)
    sx, sy = (from_fixed(RollingSums(v).ending(at, SESSIONS)) for v in (x, y))
    sxx, sxy, syy = (
        from_fixed(RollingSums(moment(a, b)).ending(at, SESSIONS), MOMENT_BITS) for a, b in ((x, x), (x, y), (y, y))
    )
    vx, vxy, vy = sxx - sx * sx / count, sxy - sx * sy / count, syy - sy * sy / count
    good = (n >= MIN_RETURNS) & (vx > count * FACTOR_VOLATILITY_FLOOR**2)
    slope = np.divide(vxy, vx, out=np.full(vx.shape, np.nan), where=good)
    left = np.maximum(vy - slope * vxy, 0.0) / np.maximum(n - 2, 1)
    return _Fit(slope, np.where(good, np.sqrt(left), np.nan), n)
