"""Shared shocks: the market and sector factors of every region, on the grid of weekdays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.market.synthetic.config import MarketConfig, SyntheticConfig
from prometheus.market.synthetic.regimes import Codes
from prometheus.market.synthetic.streams import Floats, ar1, ease, stream, student


@dataclass(frozen=True)
class RegionFactors:
    """Paths that all names of a region share; every array has one entry (row) a session.

    Attributes
    ----------
    codes : ndarray of int8
        Planted regime.
    market : ndarray of float64
        Market factor, variance 1, autocorrelated as the regime says.
    log_volatility : ndarray of float64
        Log of the factor on every name's long-run volatility: the regime's, eased in, times the region's own
        stochastic volatility. Its exponential has mean square equal to the regime's factor squared.
    correlation : ndarray of float64
        Squared market loading of an average name, eased in.
    drift : ndarray of float64
        Expected simple return of the market, per year.
    jump_chance : ndarray of float64
        Probability that a name jumps in the session.
    log_volume : ndarray of float64
        Log factor on volume.
    sectors : ndarray of float64, shape (sessions, sectors)
        Sector factors, variance 1, independent of the market factor.
    """

    codes: Codes
    market: Floats
    log_volatility: Floats
    correlation: Floats
    drift: Floats
    jump_chance: Floats
    log_volume: Floats
    sectors: Floats


def region_factors(
    config: SyntheticConfig, market: MarketConfig, codes: Codes, at: NDArray[np.int64], years: float
) -> RegionFactors:
    """Draw a region's shared paths on the weekday grid and keep its sessions.

    The market factor mixes a worldwide and a regional shock so that two regions correlate by
    ``returns.region_correlation``. A trending index in quiet times is no oddity: Lo and MacKinlay (1988, "Stock market
    prices do not follow random walks", Review of Financial Studies 1) found weekly first-order autocorrelation of 0.30
    in the equal-weighted US market.

    Parameters
    ----------
    codes : ndarray of int8, shape (weekdays,)
    at : ndarray of int64, shape (sessions,)
        Grid positions of the region's sessions.
    years : float
        Length of a session in years.
    """
    law, region, length = config.returns, market.region, len(codes)

    def of_regime(parameter: str) -> Floats:
        return np.asarray(config.regime_values(parameter))[codes]

    world = student(stream(config.seed, "world"), law.degrees_market, length)
    regional = student(stream(config.seed, "market", region), law.degrees_market, length)
    shocks = np.sqrt(law.region_correlation) * world + np.sqrt(1.0 - law.region_correlation) * regional
    factor = ar1(shocks, of_regime("autocorrelation"))
    # Volatility answers the shocks of the day before: today's level is known before today's return.
    own = stream(config.seed, "volatility", region).standard_normal(length)
    answer = law.leverage * np.r_[0.0, shocks[:-1]] + np.sqrt(1.0 - law.leverage**2) * own
    stochastic = law.regional_log_volatility * ar1(answer, law.regional_persistence)
    level = ease(np.log(of_regime("volatility")), law.ramp)
    sector_paths = [
        student(stream(config.seed, "sector", region, name), law.degrees_market, length) for name in config.sectors
    ]
    return RegionFactors(
        codes=codes[at],
        market=factor[at],
        log_volatility=(level + stochastic - law.regional_log_volatility**2)[at],
        correlation=ease(of_regime("correlation"), law.ramp)[at],
        drift=of_regime("drift")[at],
        jump_chance=of_regime("jumps")[at] * years,
        log_volume=ease(np.log(of_regime("volume")), law.ramp)[at],
        sectors=np.stack(sector_paths, axis=1)[at],
    )
