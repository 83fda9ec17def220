"""Backends: limits in every case, stand-ins that say so, the same answer twice."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import numpy as np
import pytest

from prometheus.engines.portfolio import (
    NO_SECTOR,
    InverseVolatility,
    Limits,
    MeanVariance,
    PortfolioBackend,
    Problem,
    ScoreProportional,
    turnover_of,
)
from prometheus.engines.portfolio.base import NO_COVARIANCE, NO_POSITIVE_SCORE, NO_SOLUTION, NO_VOLATILITY, NOBODY
from prometheus.errors import MissingExtraError, RequestError
from tests.portfolio_problems import check_kept, check_turnover, known, random_limits, random_problem


def problem(n: int = 20, days: int = 1, sectors: int = 4, **given: Any) -> Problem:
    rng = np.random.default_rng(n)
    loadings, own = rng.normal(1, 0.3, n), rng.uniform(0.1, 0.3, n)
    covariance = 0.03 * np.outer(loadings, loadings) + np.diag(own**2)
    plain = Problem(
        there=np.ones((days, n), dtype=bool),
        sector=np.tile(np.arange(n) % sectors, (days, 1)),
        score=rng.normal(size=(days, n)),
        volatility=np.tile(np.sqrt(np.diagonal(covariance)), (days, 1)),
        expected_return=rng.normal(0, 0.05, (days, n)),
        covariance=known(covariance),
    )
    return dataclasses.replace(plain, **given)


@pytest.mark.parametrize("backend", [ScoreProportional(), InverseVolatility()], ids=lambda b: b.name)
def test_limits_hold_in_a_thousand_random_cases(backend: PortfolioBackend) -> None:
    rng = np.random.default_rng(11)
    full = short = 0
    for _ in range(1000):
        asked, limits = random_problem(rng), random_limits(rng)
        found = backend.allocate(asked, limits)
        check_kept(asked, limits, found)
        full += int((found.cash < 1e-6).sum())
        short += int((found.cash > 1e-6).sum())
    assert min(full, short) > 300, "cases were all of one kind"


def test_the_optimiser_keeps_limits_and_turnover_in_random_cases() -> None:
    """A thousand of them are in tests/soak."""
    rng = np.random.default_rng(12)
    checked, said = 0, set()
    for _ in range(20):
        asked, limits = random_problem(rng, most=20), random_limits(rng, turnover=True)
        found = MeanVariance().allocate(asked, limits)
        check_kept(asked, limits, found)
        checked += check_turnover(asked, limits, found)
        said |= set(found.reason)
    assert checked > 15
    assert {"", NOBODY} <= said


def test_weights_follow_the_score_and_no_name_with_a_negative_one_is_held() -> None:
    score = np.array([[3.0, 1.0, 1.0, -2.0, 0.0]])
    found = ScoreProportional().allocate(problem(5, score=score), Limits(1.0, 1.0))
    np.testing.assert_allclose(found.weights, [[0.6, 0.2, 0.2, 0.0, 0.0]], atol=1e-9)


def test_weights_follow_calm() -> None:
    volatility = np.array([[0.1, 0.2, 0.4, np.nan, 0.0]])
    found = InverseVolatility().allocate(problem(5, volatility=volatility), Limits(1.0, 1.0))
    np.testing.assert_allclose(found.weights, [[4 / 7, 2 / 7, 1 / 7, 0.0, 0.0]], atol=1e-9)


@pytest.mark.parametrize(
    ("backend", "given", "reason", "by"),
    [
        (ScoreProportional(), {"there": np.zeros((1, 20), dtype=bool)}, NOBODY, "score_proportional"),
        (ScoreProportional(), {"score": np.full((1, 20), -1.0)}, NO_POSITIVE_SCORE, "score_proportional"),
        (InverseVolatility(), {"volatility": np.full((1, 20), np.nan)}, NO_VOLATILITY, "score_proportional"),
        (InverseVolatility(), {"there": np.zeros((1, 20), dtype=bool)}, NOBODY, "inverse_volatility"),
        (MeanVariance(), {"covariance": known(np.full((20, 20), np.nan))}, NO_COVARIANCE, "score_proportional"),
        (MeanVariance(), {"covariance": None}, NO_COVARIANCE, "score_proportional"),
    ],
)
def test_what_stands_in_says_why(backend: PortfolioBackend, given: dict[str, Any], reason: str, by: str) -> None:
    found = backend.allocate(problem(**given), Limits())
    assert found.reason.tolist() == [reason]
    assert found.backend.tolist() == [by]
    assert (found.cash[0] == 1.0) == (reason in (NOBODY, NO_POSITIVE_SCORE))


def test_without_limits_it_is_the_optimum_in_closed_form() -> None:
    """Of two names the better the more of it, until its variance costs as much: set the derivative to zero."""
    covariance = np.array([[0.04, 0.006], [0.006, 0.09]])
    mu, aversion = np.array([[0.05, 0.06]]), 5.0
    asked = problem(2, expected_return=mu, covariance=known(covariance), sector=np.full((1, 2), NO_SECTOR))
    found = MeanVariance(risk_aversion=aversion).allocate(asked, Limits(1.0, 1.0)).weights[0]
    (a, c), (_, b) = covariance
    first = ((mu[0, 0] - mu[0, 1]) / aversion + b - c) / (a + b - 2 * c)
    np.testing.assert_allclose(found, [first, 1 - first], atol=1e-4)


def test_more_aversion_means_less_variance() -> None:
    asked = problem(40)
    assert asked.covariance is not None
    covariance = asked.covariance(0, np.arange(40))
    variances = []
    for aversion in (0.5, 3.0, 30.0):
        w = MeanVariance(aversion).allocate(asked, Limits(0.2, 1.0)).weights[0]
        variances.append(w @ covariance @ w)
    assert variances[0] > variances[1] > variances[2]


def test_the_same_inputs_give_the_same_bits() -> None:
    asked = problem(30, days=3)
    limits = Limits(max_turnover=0.1)
    first, again = (MeanVariance().allocate(asked, limits) for _ in range(2))
    np.testing.assert_array_equal(first.units, again.units)


def test_going_on_from_the_weights_before_is_deciding_all_in_one_go() -> None:
    asked, limits = problem(25, days=5), Limits(max_turnover=0.08)
    together = MeanVariance().allocate(asked, limits)
    assert all(
        0.07 < turnover_of(*pair) <= 0.08 + 1e-12
        for pair in zip(together.weights[1:], together.weights[:-1], strict=True)
    )
    rest = dataclasses.replace(
        asked,
        there=asked.there[2:],
        sector=asked.sector[2:],
        score=asked.score[2:],
        volatility=asked.volatility[2:],
        expected_return=asked.expected_return[2:],
        previous=together.weights[1],
    )
    np.testing.assert_array_equal(MeanVariance().allocate(rest, limits).units, together.units[2:])


def test_a_name_that_leaves_is_sold_whatever_that_turns_over() -> None:
    there = np.ones((2, 12), dtype=bool)
    there[1, :4] = False
    expected = np.tile(np.linspace(0.2, -0.2, 12), (2, 1))
    asked = problem(12, days=2, there=there, expected_return=expected)
    found = MeanVariance().allocate(asked, Limits(0.2, 1.0, 0.05))
    assert found.reason.tolist() == ["", ""]
    sold = found.weights[0, :4].sum()
    assert sold > 0.3
    assert found.cash[1] == pytest.approx(sold - 0.05, abs=1e-4), "no more is bought back than the limit"


def test_a_name_that_may_only_be_kept_is_not_sold_for_that_and_never_bought() -> None:
    there = np.ones((2, 12), dtype=bool)
    there[1, :4] = False
    expected = np.tile(np.linspace(0.2, -0.2, 12), (2, 1))
    asked = problem(12, days=2, there=there, keep=np.ones((2, 12), dtype=bool), expected_return=expected)
    found = MeanVariance().allocate(asked, Limits(0.2, 1.0, 0.05))
    assert found.cash[1] < 1e-4
    kept, before = found.weights[1, :4], found.weights[0, :4]
    assert (kept <= before).all()
    assert kept.sum() > before.sum() - 0.05


def test_where_no_weights_keep_every_limit_the_score_decides() -> None:
    """All of a sector sold into a quarter of the book at once: more than may be traded."""
    sector = np.stack([np.arange(12) % 4, np.zeros(12, dtype=np.int64)])
    found = MeanVariance().allocate(problem(12, days=2, sector=sector), Limits(0.1, 0.3, 0.05))
    assert found.backend.tolist() == ["mean_variance", "score_proportional"]
    assert found.reason.tolist() == ["", NO_SOLUTION]
    assert found.weights[1].sum() <= 0.3 + 1e-9


@dataclasses.dataclass
class Solved:
    """An optimiser that answers what it is told to."""

    weights_: Any

    def fit(self, returns: Any) -> Solved:
        return self


@pytest.mark.parametrize(("off", "reason"), [(5e-7, ""), (1e-4, NO_SOLUTION)])
def test_an_answer_outside_the_limits_is_drawn_inside_or_counts_as_none(
    monkeypatch: pytest.MonkeyPatch, off: float, reason: str
) -> None:
    before = np.full(10, 0.1)
    answer = before + np.array([0.05 + off, -0.05 - off, *[0.0] * 8])
    monkeypatch.setattr(MeanVariance, "_model", lambda self, asked: Solved(answer))
    found = MeanVariance().allocate(problem(10, previous=before), Limits(0.2, 1.0, 0.05))
    assert found.reason.tolist() == [reason]
    if not reason:
        assert 0.0499 < turnover_of(found.weights[0], before) <= 0.05 + 1e-12


def test_without_the_extra_the_refusal_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skfolio", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'prometheus-lakehouse\[portfolio\]'"):
        MeanVariance().allocate(problem(), Limits())


@pytest.mark.parametrize("wrong", [{"max_weight": 0.0}, {"max_sector_weight": 1.2}, {"max_turnover": -0.1}])
def test_limits_that_are_none_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(RequestError, match=next(iter(wrong))):
        Limits(**wrong)
    with pytest.raises(RequestError, match="risk_aversion"):
        MeanVariance(0.0)
