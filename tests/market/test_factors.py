"""Exposures against least squares one name and one day at a time, and what they must not depend on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus.market.factors import FACTOR_IDS, MIN_RETURNS, SESSIONS, trailing_exposures
from prometheus.market.membership import Membership
from prometheus.market.panel import PricePanel
from prometheus.market.rolling import from_fixed, to_fixed

N_NAMES, N = 14, 420
NAMES = tuple(f"N{i:02d}" for i in range(N_NAMES))


def panel(seed: int = 0) -> PricePanel:
    """Names that follow a market with betas from 0 to 2, with gaps; the last has few returns."""
    rng = np.random.default_rng(seed)
    market = 0.01 * rng.standard_normal(N)
    simple = np.linspace(0, 2, N_NAMES)[:, None] * market + 0.01 * rng.standard_normal((N_NAMES, N))
    ok = rng.random((N_NAMES, N)) < 0.95
    ok[-1, :-100] = False
    ret = np.where(ok, to_fixed(np.log1p(simple)), 0)
    return PricePanel(
        entity_type="INSTRUMENT",
        names=NAMES,
        sessions=np.arange(N).astype("datetime64[D]"),
        ret=ret,
        ret_ok=ok,
        observed=ok,
        log_dollar_volume=np.full(ret.shape, np.nan),
    )


def membership() -> Membership:
    """Twelve members in two sectors, one of which changes its sector; the thirteenth is a fund of nothing."""
    market = np.zeros((N_NAMES, N), dtype=np.int16)
    sector = np.repeat((np.arange(N_NAMES) % 2).astype(np.int16)[:, None], N, axis=1)
    sector[0, 300:] = 1
    market[12], sector[12] = -1, -1
    return Membership(NAMES, ("US_EQ",), ("US_EQ/A", "US_EQ/B"), market, sector)


def reference(
    prices: PricePanel, members: Membership, name: int, t: int, level: str
) -> tuple[float, float, int] | None:
    """Slope, residual volatility and sessions of one fit, session by session."""
    xs, ys = [], []
    for s in range(max(t - SESSIONS + 1, 0), t + 1):
        inside = [i for i in range(N_NAMES) if members.market[i, s] == 0 and prices.ret_ok[i, s]]
        if level == "sector":
            inside = [i for i in inside if members.sector[i, s] == members.sector[name, s]]
            if members.sector[name, s] < 0:
                continue
        others = [i for i in inside if i != name]
        if len(inside) < 5 or not prices.ret_ok[name, s]:
            continue
        xs.append(np.mean(np.expm1(from_fixed(prices.ret[others, s]))))
        ys.append(np.expm1(from_fixed(prices.ret[name, s])))
    if len(xs) < MIN_RETURNS:
        return None
    x, y = np.array(xs), np.array(ys)
    slope, intercept = np.polyfit(x, y, 1)
    left = y - slope * x - intercept
    return slope, np.sqrt((left**2).sum() / (len(x) - 2) * 252), len(x)


@pytest.mark.parametrize("t", [150, 310, 419])
def test_against_least_squares_without_the_name_itself(t: int) -> None:
    prices, members = panel(), membership()
    found = trailing_exposures(prices, members, "US_EQ", np.array([t]))
    checked = 0
    for name in range(N_NAMES):
        for level, factor_id in (("market", "MARKET_BETA"), ("sector", "SECTOR_BETA")):
            expected = reference(prices, members, name, t, level)
            value = found.values[factor_id][name, 0]
            if expected is None:
                assert np.isnan(value), (name, level)
                continue
            assert value == pytest.approx(expected[0], abs=1e-8)
            assert found.num_returns[factor_id][name, 0] == expected[2]
            if level == "market":
                assert found.values["RESIDUAL_VOLATILITY"][name, 0] == pytest.approx(expected[1], rel=1e-7)
            checked += 1
    # the fund has no sector, the newcomer too few returns
    assert checked == 2 * 13 - 1


def test_betas_are_about_what_they_were_made_to_be() -> None:
    found = trailing_exposures(panel(), membership(), "US_EQ", np.array([N - 1])).values["MARKET_BETA"][:12, 0]
    # of a market of mean beta below one, whose noise does not quite average out
    assert np.corrcoef(found, np.linspace(0, 2, N_NAMES)[:12])[0, 1] > 0.95


@settings(max_examples=15)
@given(st.integers(260, 415), st.integers(1, 30), st.integers(0, 3))
def test_equal_bits_in_any_chunk(first: int, days: int, seed: int) -> None:
    """A cut series, other targets beside it, and garbage after the last session change nothing."""
    prices, members = panel(seed), membership()
    at = np.arange(first, min(first + days, N))
    together = trailing_exposures(prices, members, "US_EQ", at)
    start = first - SESSIONS + 1
    garbage = prices.ret.copy()
    garbage[:, first + 1 :] = to_fixed(np.array([0.5]))
    alone = trailing_exposures(
        dataclasses.replace(
            prices,
            sessions=prices.sessions[start:],
            ret=garbage[:, start:],
            ret_ok=prices.ret_ok[:, start:],
            observed=prices.observed[:, start:],
        ),
        members.span(start, N),
        "US_EQ",
        np.array([SESSIONS - 1]),
    )
    for factor_id in FACTOR_IDS:
        np.testing.assert_array_equal(alone.values[factor_id][:, 0], together.values[factor_id][:, 0])


def test_a_market_that_stands_still_explains_nothing() -> None:
    prices = panel()
    still = dataclasses.replace(prices, ret=np.where(np.arange(N_NAMES)[:, None] == 3, prices.ret, 0))
    found = trailing_exposures(still, membership(), "US_EQ", np.array([N - 1]))
    assert np.isnan(found.values["MARKET_BETA"][3, 0])
    assert trailing_exposures(prices, membership(), "EU_EQ", np.array([N - 1])).values["MARKET_BETA"].size == N_NAMES
    assert np.isnan(trailing_exposures(prices, membership(), "EU_EQ", np.array([N - 1])).values["MARKET_BETA"]).all()
