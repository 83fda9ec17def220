"""Total returns of every name: market, sector and own shocks under stochastic volatility, with jumps and fates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.market.synthetic.companies import SESSIONS_PER_YEAR, Company
from prometheus.market.synthetic.config import SyntheticConfig
from prometheus.market.synthetic.factors import RegionFactors
from prometheus.market.synthetic.streams import Floats, ar1, stream, student

_LARGEST_MARKET_SHARE = 0.93
_MERGER_NOTICE = 45
MERGER_PREMIUM = 0.28
_CRASH_LENGTH = 70
_CRASH_DRIFT = -0.022
_CRASH_VOLATILITY = 2.8
_MERGER_VOLATILITY = 0.12


@dataclass(frozen=True)
class ReturnPanel:
    """Returns of one market, shape (sessions, names); NaN and False where a name is not listed.

    Attributes
    ----------
    log_return : ndarray of float64
        Log total return of the session; 0 in a name's first.
    volatility : ndarray of float64
        True conditional volatility of that return given the past and the regime, per year.
    listed : ndarray of bool
    """

    log_return: Floats
    volatility: Floats
    listed: NDArray[np.bool_]


def merger_notice(company: Company) -> int | None:
    """Session in which a company's takeover is announced, None when there is none."""
    if company.exit != "MERGER" or company.last is None:
        return None
    return max(company.last - _MERGER_NOTICE, company.listed + 1)


def crash_start(company: Company) -> int | None:
    """Session from which a failing company slides, None when it does not fail."""
    if company.exit != "CRASH" or company.last is None:
        return None
    return max(company.last - _CRASH_LENGTH, company.listed + 1)


def market_loading(factors: RegionFactors, loading: Floats) -> Floats:
    """Squared loading of each name on the market factor, shape (sessions, names)."""
    return np.minimum(factors.correlation[:, None] * loading[None, :] ** 2, _LARGEST_MARKET_SHARE)


def total_returns(config: SyntheticConfig, names: tuple[Company, ...], factors: RegionFactors) -> ReturnPanel:
    """Compose the returns of a market.

    With long-run volatility s_i (per session), squared market loading c2, sector share q, regional factor
    v_t = exp(log_volatility) and own factor w_it:

        r_it = mu_it - sigma_it^2 / 2
               + s_i v_t (sqrt(c2) M_t + sqrt((1 - c2) q) S_t + sqrt((1 - c2)(1 - q)) w_it e_it)

    E[w^2] = 1 and e is a Student-t plus jumps of total variance 1, so the average variance under a regime is
    (s_i x regime factor)^2 whatever the correlation or the jumps are. Expected simple returns scale with the name's
    beta: mu_it = drift x loading_i x s_i / median.

    Returns
    -------
    ReturnPanel
    """
    law = config.returns
    length, count = len(factors.codes), len(names)
    draws = np.empty((count, 4, length))
    for row, name in enumerate(names):
        draws[row, 0] = student(stream(config.seed, "own shock", name.instrument_id), law.degrees_name, length)
        draws[row, 1] = stream(config.seed, "own volatility", name.instrument_id).standard_normal(length)
        jumps = stream(config.seed, "jump", name.instrument_id).random((length, 3))
        # Box and Muller: a normal from uniforms, so that chance and size of one session come from one row.
        draws[row, 2] = jumps[:, 0]
        draws[row, 3] = np.sqrt(-2.0 * np.log1p(-jumps[:, 1])) * np.cos(2.0 * np.pi * jumps[:, 2])
    own_volatility = np.exp(
        law.own_log_volatility * ar1(np.ascontiguousarray(draws[:, 1].T), law.own_persistence)
        - law.own_log_volatility**2
    )
    chance = factors.jump_chance[:, None]
    jump_variance = chance * law.jump_size**2
    shock = np.sqrt(1.0 - jump_variance) * draws[:, 0].T + np.where(
        chance > draws[:, 2].T, law.jump_size * draws[:, 3].T, 0.0
    )

    long_run = np.array([n.volatility for n in names])
    loading = np.array([n.loading for n in names])
    share = market_loading(factors, loading)
    rest = 1.0 - share
    regional = np.exp(factors.log_volatility)[:, None] * long_run[None, :]
    spread = np.sqrt(share + rest * (law.sector_share + (1.0 - law.sector_share) * own_volatility**2))
    volatility = regional * spread
    composed = np.sqrt(share) * factors.market[:, None]
    composed += np.sqrt(rest * law.sector_share) * _sector_paths(config, names, factors)
    composed += np.sqrt(rest * (1.0 - law.sector_share)) * own_volatility * shock
    drift = factors.drift[:, None] * (loading * long_run / law.volatility_median)[None, :]
    log_return = (drift - 0.5 * volatility**2) / SESSIONS_PER_YEAR
    log_return += regional * composed / np.sqrt(SESSIONS_PER_YEAR)
    return _with_fates(names, log_return, volatility)


def _sector_paths(config: SyntheticConfig, names: tuple[Company, ...], factors: RegionFactors) -> Floats:
    code = {name: k for k, name in enumerate(config.sectors)}
    paths = factors.sectors[:, [code[n.sector] for n in names]]
    for column, name in enumerate(names):
        if name.moved:
            paths[name.moved[0] :, column] = factors.sectors[name.moved[0] :, code[name.moved[1]]]
    return paths


def _with_fates(names: tuple[Company, ...], log_return: Floats, volatility: Floats) -> ReturnPanel:
    length = len(log_return)
    listed = np.ones(log_return.shape, dtype=bool)
    for column, name in enumerate(names):
        notice, slide = merger_notice(name), crash_start(name)
        if notice is not None and notice < length:
            # Once the price is agreed the shares hardly move.
            log_return[notice, column] += np.log1p(MERGER_PREMIUM)
            log_return[notice + 1 :, column] *= _MERGER_VOLATILITY
            volatility[notice + 1 :, column] *= _MERGER_VOLATILITY
        if slide is not None and slide < length:
            log_return[slide:, column] = _CRASH_VOLATILITY * log_return[slide:, column] + _CRASH_DRIFT
            volatility[slide:, column] *= _CRASH_VOLATILITY
        log_return[name.listed, column] = 0.0
        listed[: name.listed, column] = False
        if name.last is not None:
            listed[name.last + 1 :, column] = False
    log_return[~listed] = np.nan
    volatility[~listed] = np.nan
    return ReturnPanel(log_return, volatility, listed)
