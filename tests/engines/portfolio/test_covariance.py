"""The factor covariance: what it finds again, and what it does not know."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from prometheus.engines.portfolio import NO_SECTOR, factor_covariance
from prometheus.engines.portfolio.covariance import MIN_RETURNS, SESSIONS

SECTORS = np.array([k for k in range(8) for _ in range(9)] + [8] * 2 + [NO_SECTOR] * 6)


def planted(seed: int = 0, sessions: int = SESSIONS) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns of names with a market, sectors and a rest of their own; and the true annual covariance."""
    rng = np.random.default_rng(seed)
    n = len(SECTORS)
    beta = rng.uniform(0.6, 1.4, n)
    own = rng.uniform(0.008, 0.02, n)
    market = 0.01 * rng.standard_normal(sessions)
    returns = beta[:, None] * market + own[:, None] * rng.standard_normal((n, sessions))
    true = 1e-4 * np.outer(beta, beta) + np.diag(own**2)
    for code in range(8):
        mine = code == SECTORS
        returns[mine] += 0.006 * rng.standard_normal(sessions)
        true += 0.006**2 * np.outer(mine, mine)
    return returns, true * 252


def test_planted_structure_is_found_again() -> None:
    """Who trusts it holds what is truly calm; who trusts the sample covariance fits noise."""
    returns, true = planted()
    found, sample = factor_covariance(returns, SECTORS), np.cov(returns) * 252
    np.testing.assert_allclose(np.diagonal(found), np.diagonal(sample), rtol=0.06)
    assert found[0, 1] > found[0, 13] > 0, "names of one sector move together more"

    def variance(covariance: NDArray[np.float64]) -> float:
        w = np.linalg.solve(covariance, np.ones(len(true)))
        return float(w @ true @ w / w.sum() ** 2)

    best, by_factors, by_sample = variance(true), variance(found), variance(sample)
    assert by_factors - best < 0.5 * (by_sample - best)


def test_it_is_symmetric_of_full_rank_and_positive() -> None:
    returns, _ = planted(1, 200)
    many = np.repeat(returns, 5, axis=0)  # more names than sessions
    found = factor_covariance(many, np.repeat(SECTORS, 5))
    np.testing.assert_array_equal(found, found.T)
    assert np.linalg.eigvalsh(found)[0] > 0


def test_a_name_with_too_few_returns_is_not_known_and_leaves_the_others_alone() -> None:
    returns, _ = planted()
    gone = returns.copy()
    gone[3, : SESSIONS - MIN_RETURNS + 1] = np.nan
    found = factor_covariance(gone, SECTORS)
    assert np.isnan(found[3]).all()
    assert np.isnan(found[:, 3]).all()
    others = np.delete(np.arange(len(SECTORS)), 3)
    np.testing.assert_array_equal(found[np.ix_(others, others)], factor_covariance(returns[others], SECTORS[others]))


def test_gaps_cost_little() -> None:
    returns, _ = planted()
    holes = np.where(np.random.default_rng(3).random(returns.shape) < 0.05, np.nan, returns)
    np.testing.assert_allclose(factor_covariance(holes, SECTORS), factor_covariance(returns, SECTORS), atol=0.012)


def test_a_price_that_stands_still_has_a_variance_all_the_same() -> None:
    returns, _ = planted()
    returns[5] = 0.0
    found = factor_covariance(returns, SECTORS)
    assert 0 < found[5, 5] < 1e-6


def test_nobody() -> None:
    assert factor_covariance(np.zeros((0, 252)), np.zeros(0, dtype=np.int64)).shape == (0, 0)
    assert np.isnan(factor_covariance(np.full((2, 252), np.nan), np.array([0, 0]))).all()
