"""Scenario generators: what each draws from, that seeds decide, and that the shapes are those the formulas say."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus.engines.scenarios import (
    BaseHistory,
    ParametricShocks,
    ScenarioPaths,
    StressRule,
    bootstrap_paths,
    historical_paths,
    parametric_paths,
    random_streams,
    stressed_paths,
)
from prometheus.errors import RequestError

SESSIONS = np.busday_offset(np.datetime64("2010-01-04"), np.arange(800))


def history(n: int = 800, seed: int = 1, unknown: float = 0.0) -> BaseHistory:
    """Student returns of about 1 % a day."""
    rng = np.random.default_rng(seed)
    known = rng.random(n) >= unknown
    return BaseHistory(SESSIONS[:n], np.where(known, 0.008 * rng.standard_t(4, n), 0.0), known)


def made(past: BaseHistory, method: str, horizon: int, n: int, seed: int = 7) -> ScenarioPaths:
    streams = random_streams(seed, method, "US_EQ", "2020-12-31", streams=3)
    if method == "historical":
        return historical_paths(past, horizon, n)
    if method == "bootstrap":
        return bootstrap_paths(past, horizon, n, streams, block_length=10.0)
    if method == "stressed":
        return stressed_paths(past, horizon, n, streams, StressRule())
    return parametric_paths(past, horizon, n, streams, ParametricShocks())


DRAWN = ("bootstrap", "stressed", "parametric")
METHODS = ("historical", *DRAWN)


@settings(max_examples=40)
@given(st.sampled_from(METHODS), st.integers(1, 80), st.integers(1, 60), st.integers(0, 2**40), st.integers(130, 800))
def test_the_same_seed_gives_the_same_bytes(method: str, horizon: int, n: int, seed: int, sessions: int) -> None:
    first, again = (made(history(sessions), method, horizon, n, seed) for _ in range(2))
    assert first.log_return.tobytes() == again.log_return.tobytes()
    assert first.scenario_ids == again.scenario_ids
    assert len(set(first.scenario_ids)) == len(first.scenario_ids) == len(first.shock_types) == len(first.log_return)
    assert first.log_return.shape[1] == horizon
    assert np.isfinite(first.log_return).all()
    if method in DRAWN:
        assert len(first.log_return) == n
        other = made(history(sessions), method, horizon, n, seed + 1)
        # one step of a level shock has no noise, and a few draws from little can agree
        assert n * horizon < 20 or method == "parametric" or other.log_return.tobytes() != first.log_return.tobytes()


@settings(max_examples=30)
@given(st.sampled_from(DRAWN), st.integers(2, 40), st.integers(1, 50), st.integers(1, 50))
def test_more_paths_leave_the_first_ones_as_they_are(method: str, horizon: int, few: int, more: int) -> None:
    past = history()
    small, large = made(past, method, horizon, few), made(past, method, horizon, few + more)
    np.testing.assert_array_equal(large.log_return[:few], small.log_return)
    assert large.shock_types[:few] == small.shock_types
    assert large.scenario_ids[:few] == small.scenario_ids


def test_method_base_and_date_share_no_draws() -> None:
    one = [
        random_streams(7, *what)[0].random() for what in (("a", "b"), ("a", "c"), ("c", "b"), ("ab",), ("a", "b", ""))
    ]
    assert len(set(one)) == len(one)
    streams = random_streams(7, "a", streams=3)
    assert len({s.random() for s in streams}) == 3


@settings(max_examples=30)
@given(st.integers(1, 60), st.integers(1, 80), st.floats(0.0, 0.05), st.integers(0, 50))
def test_historical_windows_are_the_past_itself(horizon: int, n: int, unknown: float, seed: int) -> None:
    past = history(400, seed, unknown)
    found = historical_paths(past, horizon, n)
    whole = sum(past.known[e - horizon + 1 : e + 1].all() for e in range(horizon, 400))
    assert len(found.log_return) == min(n, whole)
    for path, start, scenario_id in zip(found.log_return, found.starts, found.scenario_ids, strict=True):
        span = slice(start + 1, start + 1 + horizon)
        assert past.known[span].all()
        np.testing.assert_array_equal(path, past.log_return[span])
        assert scenario_id == f"{past.sessions[start + 1]}_{past.sessions[start + horizon]}"
    if 2 <= n <= whole:
        assert found.starts[-1] + horizon == max(
            e for e in range(horizon, 400) if past.known[e - horizon + 1 : e + 1].all()
        )
    assert list(found.starts) == sorted(found.starts)


def test_the_worst_windows_come_first_and_do_not_overlap() -> None:
    past = history()
    returns = past.log_return.copy()
    returns[300:310] = -0.05  # the worst ten sessions, and a milder ten
    returns[500:510] = -0.04
    past = dataclasses.replace(past, log_return=returns)
    assert historical_paths(past, 10, 1).scenario_ids == (f"{SESSIONS[300]}_{SESSIONS[309]}",)
    found = historical_paths(past, 10, 20)
    worst = [s for s, kind in zip(found.starts, found.shock_types, strict=True) if kind == "HISTORICAL_WORST"]
    assert len(worst) == 10
    assert {299, 499} <= set(worst)
    assert min(np.diff(worst)) >= 10
    totals = np.array([returns[e - 9 : e + 1].sum() for e in range(10, 800)])
    assert all(returns[s + 1 : s + 11].sum() <= np.quantile(totals, 0.1) for s in worst)
    kinds = [found.shock_types.count(k) for k in ("HISTORICAL_LAST", "HISTORICAL_SAMPLE")]
    assert kinds == [1, 9]
    # what is apart among the worst tenth runs out before half of many paths
    assert historical_paths(past, 10, 100).shock_types.count("HISTORICAL_WORST") < 30


def test_the_sample_is_even_over_time() -> None:
    found = historical_paths(history(), 20, 100, worst_share=0.0)
    gaps = np.diff(found.starts)
    assert found.shock_types.count("HISTORICAL_SAMPLE") == 99
    assert gaps[:-1].min() >= 7
    assert gaps[:-1].max() <= 8


def test_a_named_window_is_there_and_one_that_cannot_be_is_refused() -> None:
    past = history()
    found = historical_paths(past, 20, 3, named=(SESSIONS[123],))
    assert found.shock_types[found.scenario_ids.index(f"{SESSIONS[104]}_{SESSIONS[123]}")] == "HISTORICAL_NAMED"
    for day in (SESSIONS[10], np.datetime64("2010-01-09"), np.datetime64("2030-01-01")):
        with pytest.raises(RequestError, match=f"ends on {day}; name a session of the base's past"):
            historical_paths(past, 20, 3, named=(day,))


@settings(max_examples=25)
@given(st.sampled_from(METHODS), st.integers(1, 40), st.integers(1, 30), st.floats(0.0, 0.2))
def test_only_known_returns_are_drawn(method: str, horizon: int, n: int, unknown: float) -> None:
    """What stands where nothing is known changes nothing."""
    past = history(500, 3, unknown)
    garbage = dataclasses.replace(past, log_return=np.where(past.known, past.log_return, 9.0))
    a, b = made(past, method, horizon, n), made(garbage, method, horizon, n)
    np.testing.assert_array_equal(a.log_return, b.log_return)


def test_bootstrap_blocks_are_runs_of_the_past() -> None:
    n, horizon = 4_000, 60
    past = BaseHistory(SESSIONS, np.arange(800.0) * 1e-5, np.ones(800, dtype=bool))
    for length in (1.0, 5.0, 25.0):
        streams = random_streams(1, str(length))
        index = np.rint(bootstrap_paths(past, horizon, n, streams, block_length=length).log_return / 1e-5).astype(int)
        follows = (np.diff(index, axis=1) % 800) == 1
        # a new block follows on by chance once in 800
        assert follows.mean() == pytest.approx(1 - 1 / length + 1 / length / 800, abs=0.004)
        assert np.bincount(index.reshape(-1), minlength=800).min() > 0
        assert index.mean() == pytest.approx(399.5, abs=5)


def test_bootstrap_keeps_mean_and_variance() -> None:
    past = history(seed=5)
    drawn = made(past, "bootstrap", 20, 5_000).log_return
    assert drawn.mean() == pytest.approx(past.returns.mean(), abs=3e-4)
    assert drawn.std() == pytest.approx(past.returns.std(), rel=0.05)


def test_stressed_paths_are_of_the_worst_decile_times_one_and_a_half() -> None:
    past = history(500)
    worst = np.sort(past.returns)[:50]
    drawn = made(past, "stressed", 20, 200).log_return
    assert set(np.unique(drawn)) == set(1.5 * worst)
    streams = random_streams(3, "x", streams=3)
    mixed = stressed_paths(past, 20, 2_000, streams, StressRule(0.1, 2.0, 0.25)).log_return
    assert set(np.unique(mixed)) == set(2.0 * worst) | set(past.returns)
    expected = 0.25 * 2.0 * worst.mean() + 0.75 * past.returns.mean()
    assert mixed.mean() == pytest.approx(expected, abs=3e-4)


@pytest.mark.parametrize("horizon", [1, 2, 5, 20, 63])
def test_named_shocks_have_the_depth_they_say(horizon: int) -> None:
    past = history()
    sigma = np.sqrt(np.mean(np.square(past.log_return[-504:])))
    assert past.long_run_volatility == pytest.approx(sigma, rel=1e-12)
    found = made(past, "parametric", horizon, 400)
    kind, total = np.array(found.shock_types), found.log_return.sum(axis=1)
    assert [found.shock_types[i] for i in range(4)] == ["LEVEL", "VOLATILITY", "SLOW_BLEED", "CRASH_REBOUND"]
    unit = sigma * np.sqrt(horizon)
    depths = -total[kind == "SLOW_BLEED"] / unit
    assert depths.min() == pytest.approx(1.0, abs=0.05)
    assert depths.max() == pytest.approx(5.0, abs=0.05)
    assert np.quantile(depths, [0.25, 0.5, 0.75]) == pytest.approx([2.0, 3.0, 4.0], abs=0.06)
    np.testing.assert_allclose(total[kind == "LEVEL"], total[kind == "SLOW_BLEED"] / 2, rtol=1e-9)
    recovered = 1.0 if horizon == 1 else 0.5
    np.testing.assert_allclose(total[kind == "CRASH_REBOUND"], recovered * total[kind == "SLOW_BLEED"], rtol=1e-9)
    if horizon > 4:
        crash = -(-horizon // 4)
        path = np.cumsum(found.log_return[kind == "CRASH_REBOUND"], axis=1)[:, crash - 1]
        assert (path / total[kind == "SLOW_BLEED"]).mean() == pytest.approx(1.0, abs=0.05)
        wild = np.sqrt(np.square(found.log_return[kind == "VOLATILITY"]).mean()) / sigma
        assert wild == pytest.approx(np.sqrt(np.mean(np.linspace(1.5, 3.5, 101) ** 2)), rel=0.1)


def test_windows_need_a_session_before_them() -> None:
    """The path of a replayed window follows a session; a window that begins the past has none."""
    past = history(130)
    found = historical_paths(past, 20, 1_000)
    assert found.starts.min() == 0
    assert len(found.starts) == 110
    assert len(historical_paths(past, 130, 5).starts) == 0
