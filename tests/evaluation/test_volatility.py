"""Realised variance and HAR's features against slow forms."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.evaluation import har_features, log_realised_variance, next_log_realised_variance

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
