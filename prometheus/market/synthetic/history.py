"""One market put together: everything that tables and texts are written from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from prometheus.clock import Sessions, exchange_sessions
from prometheus.market.synthetic.actions import PricePaths, price_paths
from prometheus.market.synthetic.companies import SESSIONS_PER_YEAR, Company, companies
from prometheus.market.synthetic.config import MarketConfig, SyntheticConfig
from prometheus.market.synthetic.factors import RegionFactors, region_factors
from prometheus.market.synthetic.fundamentals import Reports, quarterly_reports
from prometheus.market.synthetic.moments import market_volatility, planted_correlation
from prometheus.market.synthetic.prices import Bars, daily_bars
from prometheus.market.synthetic.regimes import Codes, grid_positions
from prometheus.market.synthetic.returns import ReturnPanel, total_returns
from prometheus.market.synthetic.streams import Floats

Days = NDArray[np.datetime64]


@dataclass(frozen=True)
class MarketHistory:
    """A market's whole simulated past; panels are (sessions, names)."""

    config: SyntheticConfig
    market: MarketConfig
    sessions: Sessions
    names: tuple[Company, ...]
    factors: RegionFactors
    panel: ReturnPanel
    paths: PricePaths
    bars: Bars
    reports: Reports

    @cached_property
    def simple_return(self) -> Floats:
        """Simple total returns, NaN where not listed."""
        simple: Floats = np.expm1(self.panel.log_return)
        return simple

    @cached_property
    def market_return(self) -> Floats:
        """Equal-weighted mean of the simple returns of listed names, shape (sessions,); summed in name order."""
        listed = self.panel.listed
        total = np.where(listed, self.simple_return, 0.0).sum(axis=1)
        return np.asarray(total / np.maximum(listed.sum(axis=1), 1))

    @cached_property
    def cumulated(self) -> Floats:
        """Cumulated log total return from the first session listed, shape (sessions + 1, names), first row 0."""
        steps = np.where(self.panel.listed, self.panel.log_return, 0.0)
        return np.vstack([np.zeros((1, steps.shape[1])), np.cumsum(steps, axis=0)])

    @cached_property
    def market_value(self) -> Floats:
        """Market value of every name at its first price, shape (names,)."""
        return np.array([n.market_value for n in self.names])

    @cached_property
    def market_volatility(self) -> Floats:
        """Conditional volatility of the equal-weighted market, per year, shape (sessions,)."""
        return market_volatility(self.config, self.names, self.factors, self.panel)

    @cached_property
    def planted_correlation(self) -> Floats:
        """Mean planted correlation of all pairs of names, shape (sessions,)."""
        return planted_correlation(self.config, self.names, self.factors)

    def has_left(self, name: Company) -> bool:
        """Whether a name left the market within the history."""
        return name.last is not None and name.last < len(self.sessions)


def market_history(config: SyntheticConfig, market: MarketConfig, grid: Days, codes: Codes) -> MarketHistory:
    """Simulate one market.

    Parameters
    ----------
    grid : ndarray of datetime64[D], shape (weekdays,)
    codes : ndarray of int8, shape (weekdays,)
        Planted regimes of the market's region.
    """
    sessions = exchange_sessions(market.calendar_id, config.first, config.last)
    at = grid_positions(sessions, grid)
    names = companies(config, market, len(sessions))
    factors = region_factors(config, market, codes, at, 1.0 / SESSIONS_PER_YEAR)
    panel = total_returns(config, names, factors)
    paths = price_paths(config.seed, market, names, panel)
    bars = daily_bars(config, market, sessions, names, factors, panel, paths)
    reports = quarterly_reports(config.seed, names, sessions, panel, paths)
    return MarketHistory(config, market, sessions, names, factors, panel, paths, bars, reports)
