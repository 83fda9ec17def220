"""Realised variance and HAR's features against slow forms."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.evaluation import (
    ewma_log_variance,
    har_features,
    log_realised_variance,
    next_log_drawdown,
    next_log_realised_variance,
)

RNG = np.random.default_rng(2)
RETURNS = RNG.standard_normal((3, 80)) * 0.01
RETURNS[1, 20:30] = np.nan


@pytest.mark.parametrize("window", [1, 5, 22])
def test_the_mean_square_of_what_is_known(window: int) -> None:
    got = log_realised_variance(RETURNS, window)
    for i in range(3):
        for t in range(80):
            last = RETURNS[i, max(t - window + 1, 0) : t + 1]
            known = last[np.isfinite(last)]
            if len(known) >= np.ceil(2 * window / 3):
                assert got[i, t] == pytest.approx(np.log(max(np.square(known).mean(), 1e-10)), abs=1e-6)
            else:
                assert np.isnan(got[i, t])


def test_what_comes_next_uses_nothing_of_today() -> None:
    got = next_log_realised_variance(RETURNS, 5)
    assert got[0, 10] == pytest.approx(np.log(np.square(RETURNS[0, 11:16]).mean()))
    assert np.isnan(got[:, -5:]).all()
    moved = RETURNS.copy()
    moved[:, :11] *= 7
    np.testing.assert_allclose(next_log_realised_variance(moved, 5)[:, 10:], got[:, 10:])


def test_features_are_the_past_alone_and_a_still_day_is_floored() -> None:
    features = har_features(RETURNS)
    assert features.shape == (3, 80, 3)
    moved = RETURNS.copy()
    moved[:, 51:] *= 9
    np.testing.assert_array_equal(har_features(moved)[:, :51], features[:, :51])
    still = RETURNS.copy()
    still[0, 60] = 0.0
    day, _, month = har_features(still)[0, 60]
    assert day == pytest.approx(month + np.log(0.01))


def test_the_weighted_variance_forgets_at_its_decay_and_waits_where_nothing_is_known() -> None:
    got = np.exp(ewma_log_variance(RETURNS, 0.9))
    squares = np.square(RETURNS[0, :31])
    weights = 0.1 * 0.9 ** np.arange(31)[::-1]
    weights[0] = 0.9**30
    assert got[0, 30] == pytest.approx((weights * squares).sum())
    assert got[1, 29] == pytest.approx(got[1, 19])
    assert np.isnan(ewma_log_variance(np.array([[np.nan, 0.01]])))[0].tolist() == [True, False]


def test_the_next_fall_begins_at_todays_close() -> None:
    got = np.exp(next_log_drawdown(RETURNS, 21))
    path = np.exp(np.r_[0.0, np.cumsum(RETURNS[0, 41:62])])
    assert got[0, 40] == pytest.approx((1 - path / np.maximum.accumulate(path)).max())
    assert np.isnan(got[0, 59:]).all()
    assert np.isnan(got[1, 12]), "fewer than two thirds of what comes is known"
    assert np.exp(next_log_drawdown(np.full((1, 30), 0.01), 21))[0, 0] == pytest.approx(1e-3)
