"""Loadings against least squares done plainly, the covariance against its definition, losses against counting."""

from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np
import pytest
from numpy.typing import NDArray

from prometheus.clock import exchange_sessions
from prometheus.engines.risk import FactorModel, ScenarioLosses, ScenarioSet, factor_model, standing_of, standings
from prometheus.engines.risk.factor_model import HALF_LIFE, PROXY_BETA, PROXY_RESIDUAL
from prometheus.engines.risk.scenario_losses import NODES
from prometheus.market.membership import Membership, build_membership
from prometheus.market.panel import PricePanel, build_panel
from tests.market_rows import instrument_table, price_table

SESSIONS = exchange_sessions("XNYS", dt.date(2018, 1, 2), dt.date(2019, 12, 31))
N = 16
NAMES = tuple(f"N{i:02d}.US" for i in range(N))
LATE = 15
"""Listed late: its last 100 sessions alone have prices."""
AT = np.array([len(SESSIONS) - 40, len(SESSIONS) - 1])


Floats = NDArray[np.float64]


def _returns() -> Floats:
    rng = np.random.default_rng(8)
    market = 0.01 * rng.standard_normal(len(SESSIONS)) * np.linspace(0.5, 2.0, len(SESSIONS))
    sector = 0.006 * rng.standard_normal((2, len(SESSIONS)))
    own = np.linspace(0.004, 0.02, N)[:, None] * rng.standard_normal((N, len(SESSIONS)))
    beta = np.linspace(0.3, 1.8, N)[:, None]
    returns: Floats = beta * market + 1.2 * sector[np.arange(N) % 2] + own
    return returns


@pytest.fixture(scope="module")
def world() -> tuple[PricePanel, Membership]:
    close: Floats = 50.0 * np.exp(np.cumsum(np.log1p(_returns()), axis=1))
    name, position = np.nonzero((np.arange(N)[:, None] != LATE) | (np.arange(len(SESSIONS)) >= len(SESSIONS) - 100))
    values: Floats = close[name, position]
    volume: Floats = 1e5 * (1.0 + name.astype(np.float64))
    prices = price_table(SESSIONS, [NAMES[i] for i in name], position, close=values, adjusted=values, volume=volume)
    listed = instrument_table(
        [
            {"instrument_id": n, "sector": "Energy" if i % 2 else "Utilities", "valid_from": dt.date(2018, 1, 2)}
            for i, n in enumerate(NAMES)
        ]
    )
    return build_panel(prices, None, SESSIONS, NAMES), build_membership(listed, NAMES, SESSIONS)


@pytest.fixture(scope="module")
def model(world: tuple[PricePanel, Membership]) -> FactorModel:
    return factor_model(*world, "US_EQ", AT, np.arange(N))


def plain_fit(name: int, at: int) -> tuple[NDArray[np.float64], float, float]:
    """Loadings on market and own sector without the name, residual variance, and the slope on the market alone."""
    r = _returns()
    r[LATE, : len(SESSIONS) - 99] = np.nan
    others = np.arange(N) != name
    w = slice(at - 251, at + 1)
    market = np.nanmean(r[others], axis=0)[w]
    sector = np.nanmean(r[others & (np.arange(N) % 2 == name % 2)], axis=0)[w]
    x = np.column_stack([np.ones(252), market, sector])
    y = r[name, w]
    found, left, *_ = np.linalg.lstsq(x, y, rcond=None)
    return found[1:], 252 * float(left[0]) / (252 - 3), float(np.polyfit(market, y, 1)[0])


def test_loadings_are_least_squares_on_the_others(model: FactorModel) -> None:
    for row, at in enumerate(AT.tolist()):
        for name in (0, 7, 14):
            loadings, residual, beta = plain_fit(name, at)
            assert model.fitted[row, name]
            np.testing.assert_allclose(model.on_market[row, name], loadings[0], rtol=1e-8)
            np.testing.assert_allclose(model.on_sector[row, name], loadings[1], rtol=1e-8)
            np.testing.assert_allclose(model.residual[row, name], residual, rtol=1e-8)
            np.testing.assert_allclose(model.beta[row, name], beta, rtol=1e-8)
            assert model.factors[model.sector[row, name]] == ("US_EQ/Energy" if name % 2 else "US_EQ/Utilities")


def test_a_name_without_a_past_counts_as_a_proxy_and_says_so(model: FactorModel) -> None:
    assert not model.fitted[:, LATE].any()
    assert (model.beta[:, LATE] == PROXY_BETA).all()
    assert (model.residual[:, LATE] == PROXY_RESIDUAL**2).all()
    assert (model.on_sector[:, LATE] == 0.0).all()


def test_factors_weigh_late_sessions_more(model: FactorModel) -> None:
    r = _returns()
    r[LATE, : len(SESSIONS) - 99] = np.nan
    for row, at in enumerate(AT.tolist()):
        w = slice(at - 251, at + 1)
        factors = np.stack([np.nanmean(r, axis=0), np.nanmean(r[1::2], axis=0), np.nanmean(r[::2], axis=0)])[:, w]
        weight = 0.5 ** (np.arange(251, -1, -1) / HALF_LIFE)
        wanted = 252 * (factors * weight) @ factors.T / weight.sum()
        np.testing.assert_allclose(model.covariance[row], wanted, rtol=1e-7)
    assert model.factors == ("US_EQ", "US_EQ/Energy", "US_EQ/Utilities")
    assert model.market_volatility[1] > model.market_volatility[0]


def test_variance_is_b_f_b_plus_d(model: FactorModel) -> None:
    rng = np.random.default_rng(2)
    weights = rng.normal(0.0, 0.1, (2, N))
    factors, residual = model.variances(weights)
    for row in range(2):
        b = np.zeros((N, 3))
        b[:, 0] = model.on_market[row]
        b[np.arange(N), model.sector[row]] += np.where(model.sector[row] > 0, model.on_sector[row], 0.0)
        x = weights[row] @ b
        np.testing.assert_allclose(factors[row], x @ model.covariance[row] @ x, rtol=1e-9)
        np.testing.assert_allclose(residual[row], (weights[row] ** 2 * model.residual[row]).sum(), rtol=1e-9)
    half = model.variances(0.5 * weights)
    np.testing.assert_allclose(half[0], factors / 4, rtol=1e-9)


def test_order_and_company_change_no_bit(world: tuple[PricePanel, Membership], model: FactorModel) -> None:
    backwards = factor_model(*world, "US_EQ", AT[1:], np.arange(N)[::-1])
    np.testing.assert_array_equal(backwards.beta[0], model.beta[1, ::-1])
    np.testing.assert_array_equal(backwards.covariance[0], model.covariance[1])
    weights = np.linspace(-0.1, 0.2, N)[None, :]
    assert backwards.variances(weights[:, ::-1])[0][0] == model.take(np.array([1])).variances(weights)[0][0]


def test_a_market_that_is_not_there_leaves_everything_unknown(world: tuple[PricePanel, Membership]) -> None:
    nothing = factor_model(*world, "EU_EQ", AT, np.arange(N))
    assert not nothing.known.any()
    weights = np.full((2, N), 0.05)
    assert np.isnan(nothing.market_beta(weights)).all()
    assert np.isnan(nothing.variances(weights)[0]).all()


def test_standings_are_z_scores_of_the_market(world: tuple[PricePanel, Membership]) -> None:
    found = standings(*world, "US_EQ", AT, np.arange(N))
    r = np.log1p(_returns())
    gain = r[:, AT[1] - 251 : AT[1] - 20].sum(axis=1)[:LATE]
    np.testing.assert_allclose(found["momentum"][1, :LATE], (gain - gain.mean()) / gain.std(ddof=1), rtol=1e-7)
    assert np.isnan(found["momentum"][1, LATE])
    assert (np.diff(found["liquidity"][1, :5]) != 0).all()
    weights = np.zeros((1, N))
    weights[0, [0, LATE]] = 0.1, 0.2
    assert np.isnan(standing_of(weights, found["momentum"][1:])).all(), "less than half the weight is known"
    weights[0, 1] = 0.2
    mean = (0.1 * found["momentum"][1, 0] + 0.2 * found["momentum"][1, 1]) / 0.3
    np.testing.assert_allclose(standing_of(weights, found["momentum"][1:]), mean, rtol=1e-9)


def scenario_set(method: str, returns: NDArray[np.float64], base: str = "MARKET", of: str = "US_EQ") -> ScenarioSet:
    ids = tuple(str(i) for i in range(len(returns)))
    return ScenarioSet(f"{method}-1", method, np.datetime64("2019-12-31"), base, of, 20, ids, returns)


def test_losses_over_fair_draws_have_todays_volatility() -> None:
    rng = np.random.default_rng(1)
    draws = scenario_set("BOOTSTRAP", 0.02 + 0.05 * rng.standard_normal(400))
    beta = np.array([[1.0, 0.5]])
    losses = ScenarioLosses([draws], ("A", "B"), beta, np.array([0.40]))
    weights, rest = np.array([[0.5, 0.3]]), np.array([0.10])
    found = losses.of(weights, rest)
    root = np.sqrt(20 / 252)
    centred = draws.log_return - draws.log_return.mean()
    path = 0.40 * root * centred / centred.std()
    plain = -(0.5 * np.expm1(path) + 0.3 * np.expm1(0.5 * path))
    every = np.sort((plain[:, None] + 0.10 * root * NODES).ravel())[::-1]
    k = every.size // 20
    np.testing.assert_allclose(found.var[0], every[k - 1], rtol=1e-9)
    np.testing.assert_allclose(found.es[0], every[:k].mean(), rtol=1e-9)
    assert found.es[0] > found.var[0] > 0
    assert losses.expected_shortfall(weights, rest)[0] == found.es[0]
    np.testing.assert_allclose(losses.expected_shortfall(0.5 * weights, 0.5 * rest), 0.5 * found.es, rtol=1e-9)
    # Draws of a week are no draws of a month: those of the longest horizon count alone.
    week = dataclasses.replace(draws, set_id="week", horizon=5, log_return=0.1 * draws.log_return)
    both = ScenarioLosses([week, draws], ("A", "B"), beta, np.array([0.40]))
    assert both.num_draws == 400
    assert both.of(weights, rest).es[0] == found.es[0]
    # As it is, the worst path is one of the draws.
    assert found.worst[0] == pytest.approx(
        max(-(0.5 * np.expm1(draws.log_return) + 0.3 * np.expm1(0.5 * draws.log_return)))
    )


def test_a_names_own_path_reaches_it_alone_and_no_loss_is_more_than_all() -> None:
    crash = scenario_set("HISTORICAL", np.log1p(np.array([-0.5, 0.1])), "INSTRUMENT", "B")
    market = scenario_set("STRESSED", np.log1p(np.array([-0.4, -0.1, 0.2])))
    beta, volatility = np.array([[3.0, 0.0], [1.0, 1.0]]), np.array([0.2, np.nan])
    losses = ScenarioLosses([crash, market], ("A", "B"), beta, volatility)
    assert not losses.fair
    assert losses.num_draws == 3
    found = losses.of(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([0.1, 0.1]))
    assert found.worst[0] == pytest.approx(1 - 0.6**3)
    assert (found.worst_set[0], found.worst_path[0]) == (1, 0)
    assert found.var[0] == found.es[0] == found.worst[0]
    assert np.isnan(found.worst[1]), "no market, no losses"
    assert found.worst_set[1] == -1
    only_b = losses.of(np.array([[0.0, 0.8], [0.0, 0.0]]), np.zeros(2))
    assert only_b.worst[0] == pytest.approx(0.4)
    assert only_b.worst_set[0] == 0
