"""Intervals where outcomes overlap: they hold the truth as often as they say, and those of blocks do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from prometheus.evaluation import Bootstrap, Intervals, LongRun, mean_interval, r2_gate, rank_ic


def overlapping(n: int, span: int, rng: np.random.Generator) -> np.ndarray:
    """Sums of ``span`` neighbouring draws: every one shares all but one with the next. The mean is 0."""
    total = np.r_[0.0, np.cumsum(rng.standard_normal(n + span))]
    return (total[span:] - total[:-span])[:n]


def coverage(n: int, span: int, trials: int, intervals: Intervals) -> float:
    rng = np.random.default_rng(3)
    found = np.array([mean_interval(overlapping(n, span, rng), intervals) for _ in range(trials)])
    return float(((found[:, 0] <= 0.0) & (found[:, 1] >= 0.0)).mean())


@pytest.mark.parametrize(("n", "span"), [(300, 5), (300, 63), (750, 21), (1_500, 63), (1_000, 1), (3_800, 63)])
def test_they_hold_the_truth_as_often_as_they_say(n: int, span: int) -> None:
    """Of 1,000 intervals 950 are promised; three standard errors are 20."""
    assert 0.92 <= coverage(n, span, 1_000, LongRun(span)) <= 0.975


def test_blocks_do_not() -> None:
    assert coverage(300, 63, 200, Bootstrap(draws=200)) < 0.85


def test_what_does_not_overlap_after_all_costs_little() -> None:
    rng = np.random.default_rng(4)
    widths = []
    for _ in range(200):
        series = rng.standard_normal(1_500)
        low, high = mean_interval(series, LongRun(21))
        widths.append((high - low) / (2.0 * 1.96 * series.std() / np.sqrt(1_500)))
    assert np.mean(widths) == pytest.approx(t.ppf(0.975, LongRun(21).cosines(1_500)) / 1.96, abs=0.02)


@given(st.integers(1, 4_000), st.integers(1, 300))
def test_no_cosine_is_as_fast_as_an_outcome_is_long(n: int, overlap: int) -> None:
    count = LongRun(overlap).cosines(n)
    assert count == 1 or (2 * n / count >= 4 * overlap and count <= 0.4 * n ** (2 / 3))
    assert count < n or n == 1


def test_the_series_moves_and_grows_with_its_interval() -> None:
    series = overlapping(500, 21, np.random.default_rng(5))
    low, high = mean_interval(series, LongRun(21))
    assert (low + high) / 2.0 == pytest.approx(series.mean())
    assert mean_interval(3.0 * series + 2.0, LongRun(21)) == pytest.approx((3.0 * low + 2.0, 3.0 * high + 2.0))
    assert mean_interval(series[::-1], LongRun(21)) == pytest.approx((low, high))
    narrow = mean_interval(series, LongRun(21, level=0.5))
    assert low < narrow[0] < narrow[1] < high


def test_of_one_value_there_is_one() -> None:
    assert mean_interval(np.array([3.0]), LongRun(5)) == pytest.approx((3.0, 3.0))


def test_a_statistic_of_means_is_taken_by_its_slopes() -> None:
    """A ratio of means: where the series below is steady, dividing by it is all that happens."""
    rng = np.random.default_rng(6)
    above = 2.0 + overlapping(800, 5, rng)
    steady = np.stack([above, np.full(800, 4.0)], axis=1)
    found = LongRun(5).interval(steady, lambda m: m[:, 0] / m[:, 1])
    assert found == pytest.approx(tuple(np.array(mean_interval(above, LongRun(5))) / 4.0))
    # And against the formula of the ratio's influence.
    below = 4.0 + rng.standard_normal(800)
    ratio = above.mean() / below.mean()
    influence = (above - ratio * below) / below.mean()
    low, high = LongRun(5).interval(np.stack([above, below], axis=1), lambda m: m[:, 0] / m[:, 1])
    want = mean_interval(influence, LongRun(5))
    assert (low - ratio, high - ratio) == pytest.approx(want, rel=1e-6)


def test_gates_take_either() -> None:
    rng = np.random.default_rng(7)
    days = np.repeat(np.arange(np.datetime64("2020-01-01"), np.datetime64("2020-10-27")), 20)
    score = rng.standard_normal(len(days))
    outcome = 0.2 * score + rng.standard_normal(len(days))
    for gate in (lambda by: rank_ic(days, score, outcome, intervals=by),
                 lambda by: r2_gate(days, outcome, 0.2 * score, 0.0 * score, intervals=by)):  # fmt: skip
        one, other = gate(LongRun(1, level=0.9)), gate(Bootstrap(level=0.9, mean_block=1.0))
        assert one.value == other.value
        assert one.level == 0.9
        assert one.high - one.low == pytest.approx(other.high - other.low, rel=0.3)
        assert one.beats_chance


def test_wrong_requests() -> None:
    with pytest.raises(ValueError, match="at least 1 row"):
        LongRun(0)
    with pytest.raises(ValueError, match="level is between 0 and 1"):
        LongRun(5, level=1.0)
    with pytest.raises(ValueError, match="finite"):
        mean_interval(np.array([1.0, np.nan]), LongRun(1))
