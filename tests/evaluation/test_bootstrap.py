"""The stationary bootstrap against its definition, closed forms and its promise of coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest

from prometheus.evaluation import Bootstrap, difference_interval, mean_block_length, mean_interval
from prometheus.evaluation.bootstrap import expanded_tail, resampled_means, stationary_indices


def ar1(n: int, rho: float, rng: np.random.Generator) -> np.ndarray:
    noise = rng.standard_normal(n + 200)
    out = np.empty(n + 200)
    out[0] = noise[0]
    for t in range(1, n + 200):
        out[t] = rho * out[t - 1] + math.sqrt(1 - rho * rho) * noise[t]
    return out[200:]


def test_blocks_are_runs_that_wrap_and_have_the_mean_length() -> None:
    rows = stationary_indices(100, 8.0, 500, np.random.default_rng(0))
    assert rows.shape == (500, 100)
    assert rows.min() == 0
    assert rows.max() == 99
    follows = rows[:, 1:] == (rows[:, :-1] + 1) % 100
    # A new block begins with probability 1/8, and one in a hundred of those goes on by chance.
    assert follows.mean() == pytest.approx(1 - (1 / 8) * (1 - 1 / 100), abs=0.004)
    assert ((rows[:, :-1] == 99) & (rows[:, 1:] == 0)).any()
    np.testing.assert_allclose(np.bincount(rows.ravel(), minlength=100) / rows.size, 0.01, atol=0.002)


def test_variance_of_the_mean_is_the_one_of_politis_and_romano() -> None:
    """Lemma 1: n Var* = R(0) + 2 sum (1 - k/n)(1-p)^k R_c(k), over circular autocovariances."""
    n, length = 200, 5.0
    x = ar1(n, 0.5, np.random.default_rng(3))
    centred = x - x.mean()
    circular = np.array([centred @ np.roll(centred, -k) / n for k in range(n)])
    p = 1 / length
    weights = [(1 - k / n) * (1 - p) ** k for k in range(1, n)]
    expected = (circular[0] + 2 * np.dot(weights, circular[1:])) / n
    drawn = resampled_means(x[:, None], length, 40_000, 0)[:, 0]
    assert drawn.mean() == pytest.approx(x.mean(), abs=4 * math.sqrt(expected / 40_000))
    assert drawn.var() == pytest.approx(expected, rel=0.03)


def test_single_rows_are_the_plain_bootstrap() -> None:
    x = np.random.default_rng(1).standard_normal(400)
    drawn = resampled_means(x[:, None], 1.0, 20_000, 5)[:, 0]
    assert drawn.std() == pytest.approx(x.std() / 20, rel=0.02)
    low, high = mean_interval(x, Bootstrap(mean_block=1.0, draws=20_000))
    half = 1.96 * x.std() / 20
    assert (low, high) == pytest.approx((x.mean() - half, x.mean() + half), abs=0.003)


def test_the_seed_decides() -> None:
    x = ar1(300, 0.3, np.random.default_rng(2))
    assert mean_interval(x) == mean_interval(x)
    assert mean_interval(x) != mean_interval(x, Bootstrap(seed=1))


@pytest.mark.parametrize(("rho", "low", "high"), [(0.0, 1.0, 3.5), (0.5, 5.0, 14.0), (0.9, 20.0, 78.0)])
def test_block_length_follows_the_memory(rho: float, low: float, high: float) -> None:
    rng = np.random.default_rng(0)
    lengths = [mean_block_length(ar1(1_000, rho, rng)) for _ in range(20)]
    assert low <= float(np.median(lengths)) <= high


def test_block_length_is_near_the_best_for_an_ar1() -> None:
    """With the true autocovariances rho^k: G = 2 rho / (1 - rho)^2, spectral sum (1 + rho) / (1 - rho)."""
    rho, n = 0.5, 20_000
    g, s = 2 * rho / (1 - rho) ** 2, (1 + rho) / (1 - rho)
    best = (2 * g * g / (2 * s * s)) ** (1 / 3) * n ** (1 / 3)
    rng = np.random.default_rng(1)
    assert np.mean([mean_block_length(ar1(n, rho, rng)) for _ in range(5)]) == pytest.approx(best, rel=0.2)


def test_block_length_of_what_has_none() -> None:
    assert mean_block_length(np.zeros(100)) == 1.0
    assert mean_block_length(np.arange(5.0)) == 1.0
    assert mean_block_length(np.tile([1.0, -1.0], 50)) <= 30


def test_a_difference_is_paired() -> None:
    rng = np.random.default_rng(4)
    shared = 10 * rng.standard_normal(500)
    low, high = difference_interval(shared + 0.5, shared + 0.1 * rng.standard_normal(500))
    assert 0.45 < low < 0.5 < high < 0.55
    with pytest.raises(ValueError, match="equal lengths"):
        difference_interval(shared, shared[1:])


def test_wrong_requests() -> None:
    with pytest.raises(ValueError, match="level between 0 and 1"):
        Bootstrap(level=1.0)
    with pytest.raises(ValueError, match="at least 1 long"):
        Bootstrap(mean_block=0.5)
    with pytest.raises(ValueError, match="finite"):
        mean_interval(np.array([1.0, np.nan]))


def coverage(rho: float, n: int, trials: int, bootstrap: Bootstrap) -> float:
    rng = np.random.default_rng(11)
    covered = 0
    for _ in range(trials):
        low, high = mean_interval(ar1(n, rho, rng), bootstrap)
        covered += low <= 0.0 <= high
    return covered / trials


def test_intervals_of_noise_with_memory_cover_and_plain_ones_do_not() -> None:
    blocks = coverage(0.5, 300, 150, Bootstrap(draws=400))
    plain = coverage(0.5, 300, 150, Bootstrap(draws=400, mean_block=1.0))
    assert blocks >= 0.85
    assert plain <= 0.80


def test_few_values_get_the_interval_of_student() -> None:
    """Of normal values the expanded percentile interval is nearly the t interval; the plain one is a quarter shorter."""
    from scipy.stats import t

    rng = np.random.default_rng(7)
    ratios = []
    for _ in range(40):
        x = rng.standard_normal(10)
        low, high = mean_interval(x, Bootstrap(mean_block=1.0, draws=8_000))
        ratios.append((high - low) / (2 * t.ppf(0.975, 9) * x.std(ddof=1) / math.sqrt(10)))
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.03)


def test_intervals_of_few_values_cover() -> None:
    """Plain percentiles of ten values hold the truth in 89 of 100 trials; what is promised is 95."""
    rng = np.random.default_rng(12)
    inside = 0
    for _ in range(2_000):
        low, high = mean_interval(rng.standard_normal(10), Bootstrap(mean_block=1.0, draws=600))
        inside += low <= 0.0 <= high
    assert inside / 2_000 >= 0.92


def test_many_blocks_need_no_correction_and_one_gets_all_draws() -> None:
    assert expanded_tail(0.025, 1e6) == pytest.approx(0.025, rel=1e-4)
    assert expanded_tail(0.025, 1.0) == 0.0
    tails = [expanded_tail(0.025, k) for k in (1.5, 2, 3, 10, 100, 1_000)]
    assert tails == sorted(tails)
    assert mean_interval(np.array([3.0])) == (3.0, 3.0)


@pytest.mark.soak
@pytest.mark.parametrize(("rho", "least"), [(0.0, 0.93), (0.3, 0.91), (0.6, 0.89), (0.8, 0.85)])
def test_coverage_near_the_level(rho: float, least: float) -> None:
    assert least <= coverage(rho, 1_000, 600, Bootstrap(draws=800)) <= 0.98
