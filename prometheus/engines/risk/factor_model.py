"""Covariance of names as B F B' + D: market and sectors, and what the names do by themselves.

1. Factors are the simple returns of the equal-weighted baskets of the market and of its sectors. A name is fitted on
   the same means *without itself*, over the last 252 sessions on which all are known, by least squares: on market and
   its own sector together where the sector has enough members and does not move as one with the market, else on the
   market alone. The loadings are the name's row of B, the residual variance (n - p degrees of freedom) its entry of D.
2. F holds the factors' second moments about 0 over the last 252 sessions, each session counting half as much as one
   ``HALF_LIFE`` sessions later: volatility is where it is now, correlations what a year says.
3. Beta, as reported and as scenarios use it, is that of the fit on the market alone.

A name without 126 known returns has no loadings: it counts as one of beta 1 with the residual volatility
``PROXY_RESIDUAL``, and the report says how much of the book that is.

References
----------
R. C. Grinold and R. N. Kahn, *Active Portfolio Management*, 2nd ed. (2000), chapter 3, equation 3.13 (V = X F X' + D).
J.P. Morgan/Reuters, *RiskMetrics Technical Document*, 4th ed. (1996), section 5.2 (exponential weights, zero mean).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.engines.risk.base import Codes, Flags, Floats, exact_sum
from prometheus.market.baskets import MEMBER_LIMIT, build_baskets
from prometheus.market.factors import (
    FACTOR_VOLATILITY_FLOOR,
    MIN_RETURNS,
    SESSIONS,
    market_without_self,
    sector_without_self,
)
from prometheus.market.membership import Membership
from prometheus.market.panel import PricePanel
from prometheus.market.rolling import MOMENT_BITS, Fixed, Positions, RollingSums, from_fixed, moment, sliding, to_fixed
from prometheus.market.volatility import SESSIONS_A_YEAR

HALF_LIFE = 42.0
"""Sessions after which a session counts half in F."""

PROXY_BETA = 1.0
PROXY_RESIDUAL = 0.50
"""What stands in for a name without a fit: the market's beta, and an annualised residual volatility few names have."""

ONE_WITH_MARKET = 1e-3
"""Share of a sector's variance that the market must leave for the two to be told apart."""


@dataclass(frozen=True, eq=False)
class FactorModel:
    """Loadings and variances of some names, known at some decisions.

    Attributes
    ----------
    known : ndarray of bool, shape (decisions,)
        There is a market to speak of.
    beta : ndarray of float64, shape (decisions, names)
        Of the fit on the market alone; ``PROXY_BETA`` where there is none.
    fitted : ndarray of bool, shape (decisions, names)
        The name has a fit of its own.
    on_market, on_sector : ndarray of float64, shape (decisions, names)
        Loadings.
    sector : ndarray of int64, shape (decisions, names)
        Factor of ``on_sector``, from 1; 0 where there is none.
    residual : ndarray of float64, shape (decisions, names)
        Annualised variance.
    covariance : ndarray of float64, shape (decisions, factors, factors)
        Annualised; factor 0 is the market.
    factors : tuple of str
        Ids of the factors.
    """

    known: Flags
    beta: Floats
    fitted: Flags
    on_market: Floats
    on_sector: Floats
    sector: Codes
    residual: Floats
    covariance: Floats
    factors: tuple[str, ...]

    def take(self, rows: NDArray[np.int64]) -> FactorModel:
        """Pick decisions."""
        return FactorModel(
            self.known[rows],
            self.beta[rows],
            self.fitted[rows],
            self.on_market[rows],
            self.on_sector[rows],
            self.sector[rows],
            self.residual[rows],
            self.covariance[rows],
            self.factors,
        )

    @property
    def market_volatility(self) -> Floats:
        """Annualised volatility of the market factor, shape (decisions,); NaN where not known."""
        return np.where(self.known, np.sqrt(np.maximum(self.covariance[:, 0, 0], 0.0)), np.nan)

    def market_beta(self, weights: Floats) -> Floats:
        """Beta of weights to the market, shape (decisions,)."""
        return np.where(self.known, exact_sum(weights * self.beta), np.nan)

    def exposures(self, weights: Floats) -> Floats:
        """Loadings of weights on every factor, shape (decisions, factors)."""
        own = weights * self.on_sector
        sums = [exact_sum(np.where(self.sector == f, own, 0.0)) for f in range(1, len(self.factors))]
        return np.stack([exact_sum(weights * self.on_market), *sums], axis=1)

    def betas(self, weights: Floats) -> Floats:
        """Exposure to the market, sectors' part in it included, and to what sectors do beyond; as ``exposures``.

        A sector's own beta to the market is F's, so this is the beta the ex ante volatility has in it.
        """
        x = self.exposures(weights)
        variance = np.where(self.known, self.covariance[:, 0, 0], 1.0)
        of_market = exact_sum(x * self.covariance[:, :, 0] / variance[:, None])
        return np.column_stack([np.where(self.known, of_market, np.nan), x[:, 1:]])

    def variances(self, weights: Floats) -> tuple[Floats, Floats]:
        """Annualised variance of weights from factors, and from the names themselves; each of shape (decisions,)."""
        x = self.exposures(weights)
        products = x[:, :, None] * self.covariance * x[:, None, :]
        factors = np.maximum(exact_sum(products.reshape(len(x), -1)), 0.0)
        residual = exact_sum(weights * weights * self.residual)
        return np.where(self.known, factors, np.nan), np.where(self.known, residual, np.nan)

    def rest_volatility(self, weights: Floats) -> Floats:
        """Annualised volatility of weights besides their beta's share of the market, shape (decisions,)."""
        factors, residual = self.variances(weights)
        of_market = self.market_beta(weights) ** 2 * self.covariance[:, 0, 0]
        return np.sqrt(np.maximum(factors + residual - of_market, 0.0))


def factor_model(
    panel: PricePanel,
    membership: Membership,
    market_id: str,
    positions: Positions,
    rows: NDArray[np.int64],
    half_life: float = HALF_LIFE,
) -> FactorModel:
    """Fit some names of a panel.

    Parameters
    ----------
    panel : PricePanel
        Must reach ``SESSIONS`` known returns back from each position, with every name of the market.
    membership : Membership
        Of the panel's names over its sessions, in this market alone.
    market_id : str
    positions : ndarray of int64, shape (decisions,)
        Sessions to fit at, ascending.
    rows : ndarray of int64, shape (names,)
        Names to fit.
    half_life : float
        Sessions.
    """
    start = max(int(positions[0]) - SESSIONS + 1, 0)
    at = positions - start
    simple = to_fixed(np.minimum(np.expm1(from_fixed(panel.ret[:, start:])), MEMBER_LIMIT))
    ok = panel.ret_ok[:, start:]
    here = membership.markets.index(market_id) if market_id in membership.markets else -2
    in_market = membership.market[:, start:] == here
    codes = np.where(in_market, membership.sector[:, start:], -1)
    market, market_ok = market_without_self(simple, ok, in_market)
    sector, sector_ok = sector_without_self(simple, ok, codes)
    factors, covariance, there = _factor_covariance(panel, membership, market_id, positions, half_life)
    own = _own_factor(membership, codes[rows][:, at].T, factors)
    y, on_both = simple[rows], (ok & market_ok)[rows]
    alone = _fit_market(y, on_both, market[rows], at)
    both = _fit_both(y, on_both & sector_ok[rows], market[rows], sector[rows], at)
    usable = both.good & np.take_along_axis(there, own, axis=1) & (own > 0)
    known = there[:, 0]
    fitted = alone.good & known[:, None]
    proxied = SESSIONS_A_YEAR * np.where(usable, both.residual, alone.residual)
    return FactorModel(
        known=known,
        beta=np.where(fitted, alone.on_market, PROXY_BETA),
        fitted=fitted,
        on_market=np.where(fitted, np.where(usable, both.on_market, alone.on_market), PROXY_BETA),
        on_sector=np.where(fitted & usable, both.on_sector, 0.0),
        sector=np.where(fitted & usable, own, 0),
        residual=np.where(fitted, proxied, PROXY_RESIDUAL**2),
        covariance=covariance,
        factors=factors,
    )


def _own_factor(membership: Membership, codes: NDArray[np.int16], factors: tuple[str, ...]) -> Codes:
    """Place among the factors of the sector each name is in; 0 without one."""
    place = {name: i for i, name in enumerate(factors)}
    table = np.array([*(place.get(name, 0) for name in membership.sectors), 0], dtype=np.int64)
    found: Codes = table[codes]  # code -1 is the last entry
    return found


def _factor_covariance(
    panel: PricePanel, membership: Membership, market_id: str, positions: Positions, half_life: float
) -> tuple[tuple[str, ...], Floats, Flags]:
    """Factor ids, annualised second moments (decisions, factors, factors), and which factors are known at each."""
    start = max(int(positions[0]) - SESSIONS + 1, 0)
    stop = int(positions[-1]) + 1
    pad = max(SESSIONS - 1 - int(positions[0]), 0)
    no_volume = np.zeros(panel.ret.shape)
    found: dict[str, tuple[Floats, Flags]] = {}
    baskets = (
        build_baskets(panel, membership, "MARKET", no_volume),
        build_baskets(panel, membership, "SECTOR", no_volume),
    )
    for basket in baskets:
        simple = np.expm1(from_fixed(basket.ret[:, start:stop]))
        for row, name in enumerate(basket.names):
            flags = basket.observed[row, start:stop]
            values = np.where(flags, simple[row], 0.0)
            found[name] = np.r_[np.zeros(pad), values], np.r_[np.zeros(pad, dtype=bool), flags]
    names = (market_id, *sorted(name for name in found if name != market_id))
    n, t = len(names), len(positions)
    at = positions - start + pad - SESSIONS + 1
    weights = 0.5 ** (np.arange(SESSIONS - 1, -1, -1) / half_life)
    covariance, there = np.zeros((t, n, n)), np.zeros((t, n), dtype=bool)
    for i, a in enumerate(names):
        for j, b in enumerate(names[: i + 1]):
            if a not in found or b not in found:
                continue
            flags = found[a][1] & found[b][1]
            both = sliding(flags[None, :], SESSIONS)[at]
            product = sliding((found[a][0] * found[b][0] * flags)[None, :], SESSIONS)[at]
            total, mass = exact_sum(product * weights, bits=MOMENT_BITS), exact_sum(both * weights)
            value = SESSIONS_A_YEAR * np.divide(total, mass, out=np.zeros(t), where=mass > 0)
            covariance[:, i, j] = covariance[:, j, i] = value
            if i == j:
                there[:, i] = (both.sum(axis=1) >= MIN_RETURNS) & (value > SESSIONS_A_YEAR * FACTOR_VOLATILITY_FLOOR**2)
    return names, covariance, there


@dataclass(frozen=True, eq=False)
class _Fit:
    """Least squares of names, each of shape (decisions, names)."""

    on_market: Floats
    on_sector: Floats
    residual: Floats
    good: Flags


def _moments(flags: Flags, series: tuple[Fixed, ...], at: Positions) -> tuple[Codes, dict[tuple[int, int], Floats]]:
    """Count of flagged sessions, and centred sums of products of every two series over the windows."""
    kept = [np.where(flags, values, 0) for values in series]
    n = RollingSums(flags).ending(at, SESSIONS)
    count = np.maximum(n, 1)
    sums = [from_fixed(RollingSums(values).ending(at, SESSIONS)) for values in kept]
    centred = {}
    for i in range(len(kept)):
        for j in range(i + 1):
            square = from_fixed(RollingSums(moment(kept[i], kept[j])).ending(at, SESSIONS), MOMENT_BITS)
            centred[i, j] = (square - sums[i] * sums[j] / count).T
    return n.T, centred


def _fit_market(y: Fixed, flags: Flags, market: Fixed, at: Positions) -> _Fit:
    n, c = _moments(flags, (y, market), at)
    good = (n >= MIN_RETURNS) & (c[1, 1] > np.maximum(n, 1) * FACTOR_VOLATILITY_FLOOR**2)
    slope = np.divide(c[1, 0], c[1, 1], out=np.zeros(good.shape), where=good)
    left = np.maximum(c[0, 0] - slope * c[1, 0], 0.0) / np.maximum(n - 2, 1)
    return _Fit(slope, np.zeros(good.shape), left, good)


def _fit_both(y: Fixed, flags: Flags, market: Fixed, sector: Fixed, at: Positions) -> _Fit:
    n, c = _moments(flags, (y, market, sector), at)
    floor = np.maximum(n, 1) * FACTOR_VOLATILITY_FLOOR**2
    determinant = c[1, 1] * c[2, 2] - c[2, 1] * c[2, 1]
    good = (n >= MIN_RETURNS) & (c[1, 1] > floor) & (c[2, 2] > floor)
    good &= determinant > ONE_WITH_MARKET * c[1, 1] * c[2, 2]
    of = np.where(good, determinant, 1.0)
    on_market = np.where(good, (c[1, 0] * c[2, 2] - c[2, 0] * c[2, 1]) / of, 0.0)
    on_sector = np.where(good, (c[2, 0] * c[1, 1] - c[1, 0] * c[2, 1]) / of, 0.0)
    left = np.maximum(c[0, 0] - on_market * c[1, 0] - on_sector * c[2, 0], 0.0) / np.maximum(n - 3, 1)
    return _Fit(on_market, on_sector, left, good)
