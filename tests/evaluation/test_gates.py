"""Rank IC, retrieval and forecast gates: closed forms, planted signals found, noise not."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from prometheus.evaluation import (
    Bootstrap,
    Result,
    WalkForward,
    daily_rank_ic,
    hits_at_k,
    precision_at_k,
    qlike,
    qlike_gate,
    r2_gate,
    rank_ic,
    recall_at_k,
    ridge_forecasts,
)
from prometheus.evaluation.ranks import ranks_within

DAYS = np.arange(np.datetime64("2020-01-01"), np.datetime64("2020-01-01") + 400)
QUICK = Bootstrap(draws=500)


def panel(names: int = 30, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(seed)
    days = np.repeat(DAYS, names)
    return days, rng.standard_normal(len(days)), rng


def plain_ranks(values: np.ndarray) -> np.ndarray:
    """One more than how many are less, and half of how many others are equal."""
    return np.array([(values < v).sum() + ((values == v).sum() + 1) / 2 for v in values])


def test_ranks_by_counting() -> None:
    rng = np.random.default_rng(0)
    groups, values = rng.integers(0, 7, 300), rng.integers(0, 9, 300).astype(float)
    expected = np.empty(300)
    for g in range(7):
        expected[groups == g] = plain_ranks(values[groups == g])
    np.testing.assert_array_equal(ranks_within(groups, values), expected)


def test_daily_ic_is_the_correlation_of_ranks() -> None:
    rng = np.random.default_rng(1)
    days = rng.permutation(np.repeat(DAYS[:20], 12))
    x, y = rng.integers(0, 6, 240).astype(float), rng.standard_normal(240)
    y[::17] = np.nan
    daily = daily_rank_ic(days, x, y)
    assert len(daily.days) == 20
    for day, ic, count in zip(daily.days, daily.ic, daily.num_names, strict=True):
        mine = (days == day) & np.isfinite(y)
        assert count == mine.sum()
        assert ic == pytest.approx(np.corrcoef(plain_ranks(x[mine]), plain_ranks(y[mine]))[0, 1], abs=1e-12)


def test_dates_that_cannot_be_ranked_are_left_out() -> None:
    days = np.repeat(DAYS[:3], 6)
    x = np.r_[np.arange(6.0), np.ones(6), np.arange(6.0)]
    y = np.r_[np.arange(6.0), np.arange(6.0), np.arange(3.0), [np.nan] * 3]
    assert daily_rank_ic(days, x, y).days.tolist() == [DAYS[0].item()]
    with pytest.raises(ValueError, match="no date has 5 names"):
        rank_ic(days[6:], x[6:], y[6:])


def test_rank_ic_finds_a_planted_signal_and_none_in_noise() -> None:
    days, score, rng = panel()
    noise = rng.standard_normal(len(days))
    planted = rank_ic(days, score, 0.1 * score + noise, intervals=QUICK)
    assert planted.beats_chance
    # Spearman of a normal pair: 6/pi asin(rho / 2).
    rho = 0.1 / math.sqrt(1.01)
    assert planted.low < 6 / math.pi * math.asin(rho / 2) < planted.high
    pure = rank_ic(days, score, noise, intervals=QUICK)
    assert pure.low < 0.0 < pure.high
    assert not pure.beats_chance
    assert pure.n == 400


def test_chance_of_precision_and_recall_is_the_mean_over_all_draws() -> None:
    relevant = np.array([1, 0, 1, 1, 0, 0, 1])
    k = 3
    every = [relevant[list(c)].sum() for c in itertools.combinations(range(7), k)]
    one = (np.array([2]), np.array([4]), np.array([7]), k)
    assert precision_at_k(*one).chance == pytest.approx(np.mean(every) / k, abs=1e-15)
    assert recall_at_k(*one).chance == pytest.approx(np.mean(every) / 4, abs=1e-15)
    assert precision_at_k(*one).value == pytest.approx(2 / 3)
    assert recall_at_k(*one).value == 0.5


def test_fewer_candidates_than_k() -> None:
    few = (np.array([2, 1]), np.array([2, 1]), np.array([3, 1]), 5)
    assert precision_at_k(*few).value == pytest.approx((2 / 3 + 1) / 2)
    assert recall_at_k(*few).value == recall_at_k(*few).chance == 1.0


def drawn(queries: int, lift: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hits of 10 found among 200 with 20 to 59 relevant; with a lift relevant ones are drawn more readily."""
    rng = np.random.default_rng(seed)
    relevant = rng.integers(20, 60, queries)
    hits = np.empty(queries, dtype=np.int64)
    for q in range(queries):
        weight = np.where(np.arange(200) < relevant[q], 1.0 + lift, 1.0)
        hits[q] = (rng.choice(200, 10, replace=False, p=weight / weight.sum()) < relevant[q]).sum()
    return hits, relevant, np.full(queries, 200)


def test_retrieval_gates_find_a_lift_and_none_in_chance() -> None:
    for gate in (precision_at_k, recall_at_k):
        lifted, pure = (
            gate(*drawn(150, 0.6, 0), 10, bootstrap=QUICK_ROWS),
            gate(*drawn(150, 0.0, 1), 10, bootstrap=QUICK_ROWS),
        )
        assert lifted.beats_chance
        assert pure.low < pure.chance < pure.high


QUICK_ROWS = Bootstrap(draws=500, mean_block=1.0)


def test_queries_of_a_cluster_are_resampled_together() -> None:
    hits, relevant, candidates = (np.repeat(a, 10) for a in drawn(60, 0.0, 2))
    alone = precision_at_k(hits, relevant, candidates, 10, bootstrap=QUICK_ROWS)
    together = precision_at_k(
        hits, relevant, candidates, 10, clusters=np.repeat(np.arange(60), 10), bootstrap=QUICK_ROWS
    )
    assert alone.value == together.value
    assert (alone.n, together.n, together.unit) == (600, 60, "clusters")
    assert (together.high - together.low) / (alone.high - alone.low) == pytest.approx(math.sqrt(10), rel=0.2)


def test_wrong_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="more hits"):
        precision_at_k(np.array([3]), np.array([2]), np.array([9]), 5)
    with pytest.raises(ValueError, match="no candidates"):
        recall_at_k(np.array([0]), np.array([0]), np.array([0]), 5)
    with pytest.raises(ValueError, match="nothing to recall"):
        recall_at_k(np.array([0]), np.array([0]), np.array([9]), 5)
    assert hits_at_k(np.array([[True, False, True], [False, False, True]]), 2).tolist() == [1, 0]
    with pytest.raises(ValueError, match="ranked lists"):
        hits_at_k(np.ones((2, 3), dtype=bool), 4)


def test_r2_of_a_planted_signal_and_of_noise() -> None:
    days, x, rng = panel(seed=3)
    y = 0.5 * x + rng.standard_normal(len(days))
    zero = np.zeros(len(days))
    found = r2_gate(days, y, 0.5 * x, zero, intervals=QUICK)
    assert found.value == pytest.approx(1 - np.square(y - 0.5 * x).sum() / np.square(y).sum(), abs=1e-12)
    assert found.low < 0.25 / 1.25 < found.high
    assert found.beats_chance
    assert r2_gate(days, y, zero, zero, intervals=QUICK).value == 0.0
    worse = r2_gate(days, y, 0.3 * rng.standard_normal(len(days)), zero, intervals=QUICK)
    assert worse.high < 0.0


def test_the_market_averages_names_first() -> None:
    days, _, rng = panel(seed=4)
    market = np.repeat(rng.standard_normal(400), 30)
    y = market + 5 * rng.standard_normal(len(days))
    zero = np.zeros(len(days))
    pooled = r2_gate(days, y, market, zero, intervals=QUICK)
    whole = r2_gate(days, y, market, zero, over="market", intervals=QUICK)
    assert pooled.value == pytest.approx(1 / 26, abs=0.01)
    assert whole.value == pytest.approx(1 / (1 + 25 / 30), abs=0.06)
    assert whole.n == pooled.n == 400


def test_errors_shared_by_a_date_widen_the_interval() -> None:
    days, _, rng = panel(seed=5)
    common = np.repeat(rng.standard_normal(400), 30)
    alone, shared = rng.standard_normal(len(days)), common + 0.1 * rng.standard_normal(len(days))
    zero, forecast = np.zeros(len(days)), np.full(len(days), 0.1)
    wide, narrow = (r2_gate(days, y, forecast, zero, intervals=QUICK_ROWS) for y in (shared, alone))
    assert wide.high - wide.low > 4 * (narrow.high - narrow.low)


def test_qlike_by_hand_and_its_gate() -> None:
    assert qlike(np.array([2.0]), np.array([1.0]))[0] == pytest.approx(2 - math.log(2) - 1, abs=1e-15)
    assert qlike(np.array([3.0]), np.array([3.0]))[0] == 0.0
    days, x, rng = panel(seed=6)
    variance = np.exp(0.5 * x)
    actual = variance * rng.chisquare(5, len(days)) / 5
    flat = np.full(len(days), actual.mean())
    gain = qlike_gate(days, actual, variance, flat, intervals=QUICK)
    assert gain.beats_chance
    assert gain.value == pytest.approx((qlike(actual, flat) - qlike(actual, variance)).mean(), abs=1e-12)
    none = qlike_gate(days, actual, flat, flat, intervals=QUICK)
    assert (none.value, none.low, none.high) == (0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="positive variances"):
        qlike(np.array([0.0]), np.array([1.0]))


def test_rows_without_a_number_are_left_out() -> None:
    days, x, rng = panel(seed=7)
    y = x + rng.standard_normal(len(days))
    holes = x.copy()
    holes[::3] = np.nan
    kept = np.isfinite(holes)
    zero = np.zeros(len(days))
    assert r2_gate(days, y, holes, zero, intervals=QUICK) == r2_gate(
        days[kept], y[kept], x[kept], zero[kept], intervals=QUICK
    )
    with pytest.raises(ValueError, match="no row has"):
        r2_gate(days, y, np.full(len(days), np.nan), zero)
    with pytest.raises(ValueError, match="makes no error"):
        r2_gate(days, y, x, y)


def test_ridge_walks_forward_and_sees_no_future() -> None:
    days, _, rng = panel(names=5, seed=8)
    features = rng.standard_normal((len(days), 8))
    y = features @ np.r_[np.full(3, 0.4), np.zeros(5)] + rng.standard_normal(len(days))
    walk = WalkForward(test_days=60, min_train_days=120, horizon=5, embargo=5)
    forecast = ridge_forecasts(days, features, y, walk)
    first = DAYS[120 + 10 - 1]
    assert np.isnan(forecast[days < first]).all()
    assert np.isfinite(forecast[days >= first]).all()
    found = r2_gate(days, y, forecast, np.where(np.isnan(forecast), np.nan, 0.0), intervals=QUICK)
    assert found.beats_chance
    assert found.value == pytest.approx(0.48 / 1.48, abs=0.08)
    # Targets realised after a fold's training do not move its forecasts.
    cut = DAYS[250]
    noised = np.where(days >= cut, 100 * rng.standard_normal(len(days)), y)
    again = ridge_forecasts(days, features, noised, walk)
    before = (days >= first) & (days < DAYS[120 + 10 - 1 + 120])
    np.testing.assert_array_equal(again[before], forecast[before])
    assert not np.array_equal(again[days > DAYS[330]], forecast[days > DAYS[330]])
    noise = rng.standard_normal(len(days))
    nothing = r2_gate(
        days, noise, ridge_forecasts(days, features, noise, walk), np.where(days < first, np.nan, 0.0), intervals=QUICK
    )
    assert not nothing.beats_chance


def test_a_result_reads_as_one_line() -> None:
    assert str(Result("rank IC", 0.05, 0.0, 0.01, 0.09, 400)) == (
        "rank IC 0.0500 [0.0100, 0.0900] at 95%, chance 0.0000, 400 dates: beats chance"
    )
    assert str(Result("x", 0.05, 0.02, 0.01, 0.09, 4)).endswith("does not beat chance")
