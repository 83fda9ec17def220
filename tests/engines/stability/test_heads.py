"""Ridge from sums, heads that grow by years, outcomes and forecasts."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.engines.ridge import ANCHOR_SHARE, PENALTIES
from prometheus.engines.stability import (
    HORIZON,
    EmbeddingStability,
    LinearHead,
    PastWindows,
    RidgeSums,
    YearlyHeads,
    next_outcomes,
)
from prometheus.engines.stability.scenarios import SevereScenarios
from prometheus.evaluation import next_log_drawdown, next_log_realised_variance
from tests.engines.stability.test_scores import series_of

RNG = np.random.default_rng(11)
X = RNG.standard_normal((400, 6)) * np.array([1.0, 3.0, 0.2, 1.0, 1.0, 0.0]) + 1.0
Y = np.stack([X[:, 0] - 0.5 * X[:, 1] + 0.1 * RNG.standard_normal(400), RNG.standard_normal(400)], axis=1)


def sums_of(x: np.ndarray, y: np.ndarray, pieces: int = 1) -> RidgeSums:
    sums = RidgeSums(x.shape[1], y.shape[1])
    for some in np.array_split(np.arange(len(x)), pieces):
        sums.add(x[some], y[some])
    return sums


def test_ridge_from_sums_is_ridge() -> None:
    found = sums_of(X, Y, pieces=7).solve()
    centre, spread = X.mean(axis=0), np.where(X.std(axis=0) > 0, X.std(axis=0), 1.0)
    for p, penalty in enumerate(PENALTIES):
        z = (X - centre) / spread
        slopes = np.linalg.solve(z.T @ z + penalty * np.eye(6), z.T @ (Y - Y.mean(axis=0)))
        ours = X @ found.slopes[p] + found.intercepts[p]
        assert ours == pytest.approx(z @ slopes + Y.mean(axis=0), abs=1e-5)
    assert (found.slopes[:, 5] == 0).all(), "a feature that does not vary says nothing"


def test_errors_on_other_rows_come_from_their_sums() -> None:
    solution = sums_of(X[:300], Y[:300]).solve()
    rest = sums_of(X[300:], Y[300:])
    for p in range(len(PENALTIES)):
        forecast = X[300:] @ solution.slopes[p] + solution.intercepts[p]
        assert rest.squared_errors(solution)[p] == pytest.approx(np.square(Y[300:] - forecast).sum(axis=0), rel=1e-9)


def test_an_anchored_head_is_half_the_regression_on_the_anchor() -> None:
    sums, anchor = sums_of(X, Y), np.array([1])
    plain, drawn = sums.solve(), sums.solve(anchor)
    assert np.delete(drawn.slopes, 1, axis=1) == pytest.approx((1 - ANCHOR_SHARE) * np.delete(plain.slopes, 1, axis=1))
    alone = sums_of(X[:, [1]], Y).solve(np.array([0])).slopes  # on itself alone, under every penalty
    least = 2 * alone[0, 0] - sums_of(X[:, [1]], Y).solve().slopes[0, 0]
    assert drawn.slopes[0, 1] == pytest.approx(0.5 * plain.slopes[0, 1] + 0.5 * least, abs=1e-6)


def test_the_penalty_is_chosen_on_years_not_yet_fitted_on() -> None:
    heads = YearlyHeads(X.shape[1], 2)
    nothing = RidgeSums(X.shape[1], 2)
    for year in np.array_split(np.arange(len(X)), 4):
        first = heads.fitted() if year[0] else []
        heads.add_year(nothing, sums_of(X[year], Y[year]))
        assert all(h.held_back_r2 is None for h in first) == (year[0] <= 100)
    of_signal, of_noise = heads.fitted()
    assert of_signal.penalty < of_noise.penalty
    assert of_signal.held_back_r2 > 0.9 > 0.1 > of_noise.held_back_r2
    assert 0.01 < of_signal.head.residual_variance < 0.03 < of_noise.head.residual_variance


def test_rows_that_overlap_those_fitted_on_choose_no_penalty() -> None:
    a, b = YearlyHeads(X.shape[1], 2), YearlyHeads(X.shape[1], 2)
    for heads in (a, b):
        heads.add_year(RidgeSums(6, 2), sums_of(X[:200], Y[:200]))
    a.add_year(sums_of(X[200:250], 50 * Y[200:250]), sums_of(X[250:], Y[250:]))
    b.add_year(RidgeSums(6, 2), sums_of(X[250:], Y[250:]))
    assert [h.held_back_r2 for h in a.fitted()] == [h.held_back_r2 for h in b.fitted()]
    assert [h.num_rows for h in a.fitted()] == [400, 400]


def test_outcomes_are_those_of_the_evaluation() -> None:
    returns = 0.02 * np.random.default_rng(2).standard_normal((3, 80))
    at = np.array([10, 30, 58])
    outcomes, known = next_outcomes(series_of(returns), at)
    assert known.all()
    assert outcomes[:, :, 0] == pytest.approx(next_log_realised_variance(returns, HORIZON)[:, at], abs=1e-8)
    assert outcomes[:, :, 1] == pytest.approx(next_log_drawdown(returns, HORIZON)[:, at], abs=1e-8)
    few = np.ones(returns.shape, dtype=bool)
    few[1, 45:] = False
    assert next_outcomes(series_of(returns, few), at)[1].tolist() == [[True] * 3, [True, True, False], [True] * 3]


def test_a_forecast_is_scored_by_the_formulas_and_each_row_by_itself() -> None:
    vectors = RNG.standard_normal((50, 384)).astype(np.float32)
    slopes = (0.01 * RNG.standard_normal((2, 384))).astype(np.float32)
    backend = EmbeddingStability(LinearHead(slopes[0], -8.0, 0.2), LinearHead(slopes[1], -2.5, 0.3))
    zeros = np.zeros(50)
    past = PastWindows(zeros, zeros, np.full(50, -0.1), np.full(50, 63))
    states = backend.states(past, vectors)
    volatility = np.sqrt(np.exp(vectors.astype(np.float64) @ slopes[0] - 8.0 + 0.1))
    drawdown = np.minimum(np.exp(vectors.astype(np.float64) @ slopes[1] - 2.5 + 0.15), 1.0)
    assert states.forecast_volatility == pytest.approx(volatility)
    assert states.forecast_drawdown == pytest.approx(drawdown)
    assert states.scores.drawdown == pytest.approx(np.clip(50 * np.minimum(drawdown * np.sqrt(3), 1) / 0.2, 0, 100))
    assert (states.scores.trend == 25.0).all()
    alone = backend.states(past.take(np.array([9])), vectors[9:10])
    assert alone.scores.overall[0] == states.scores.overall[9]


def test_the_nearest_scenario_is_by_cosine_without_the_masked_slots() -> None:
    severe = SevereScenarios(("S/a", "S/b"), np.array([[1, 0, 0, 9], [0, 2, 0, -9]], dtype=np.float32))
    rows = np.array([[3, 1, 0, -7], [0.1, 5, 0, 7], [0, 0, 0, 1]], dtype=np.float32)
    place, cosine = severe.nearest(rows, np.array([3]))
    assert place.tolist() == [0, 1, 0]
    assert cosine == pytest.approx([3 / np.sqrt(10), 5 / np.sqrt(25.01), 0.0], abs=1e-6)
