"""Moments that the planted laws imply: what estimates from the generated prices should come near."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from prometheus.market.synthetic.companies import Company
from prometheus.market.synthetic.config import SyntheticConfig
from prometheus.market.synthetic.factors import RegionFactors
from prometheus.market.synthetic.returns import ReturnPanel, market_loading
from prometheus.market.synthetic.streams import Floats


def _same_sector(config: SyntheticConfig, names: tuple[Company, ...]) -> Floats:
    """Membership of each name, shape (names, sectors), by the sector it was first classified in."""
    return np.array([[float(n.sector == s) for s in config.sectors] for n in names])


def planted_correlation(config: SyntheticConfig, names: tuple[Company, ...], factors: RegionFactors) -> Floats:
    """Mean correlation of all pairs of names in each session, shape (sessions,).

    With market loading a_i and sector loading b_i, a pair correlates by a_i a_j, plus b_i b_j in one sector; sums over
    pairs come from squares of sums. 0 when there is one name.
    """
    share = market_loading(factors, np.array([n.loading for n in names]))
    own = (1.0 - share) * config.returns.sector_share
    count = len(names)
    pairs = np.sqrt(share).sum(axis=1) ** 2 - share.sum(axis=1)
    pairs += ((np.sqrt(own) @ _same_sector(config, names)) ** 2).sum(axis=1) - own.sum(axis=1)
    return np.asarray(pairs / max(count * (count - 1), 1))


def market_volatility(
    config: SyntheticConfig, names: tuple[Company, ...], factors: RegionFactors, panel: ReturnPanel
) -> Floats:
    """Conditional volatility of the equal-weighted market in each session, per year, shape (sessions,)."""
    listed: NDArray[np.float64] = panel.listed / np.maximum(panel.listed.sum(axis=1, keepdims=True), 1)
    scale = np.exp(factors.log_volatility)[:, None] * np.array([n.volatility for n in names])
    share = market_loading(factors, np.array([n.loading for n in names]))
    sector_variance = (1.0 - share) * config.returns.sector_share
    common = (listed * scale * np.sqrt(share)).sum(axis=1) ** 2
    by_sector = (listed * scale * np.sqrt(sector_variance)) @ _same_sector(config, names)
    own = np.nan_to_num(panel.volatility) ** 2 - scale**2 * (share + sector_variance)
    variance = common + (by_sector**2).sum(axis=1) + (listed**2 * np.maximum(own, 0.0)).sum(axis=1)
    return np.asarray(np.sqrt(variance))
