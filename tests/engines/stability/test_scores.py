"""Scores and classes: the formulas by hand, and what windows count."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from prometheus.engines.stability import CLASSES, BasicStability, classify, past_windows, scores_of
from prometheus.engines.stability.basic import SKIP_REASONS, WINDOW
from prometheus.market.panel import EntitySeries
from prometheus.market.rolling import to_fixed


def series_of(returns: NDArray[np.float64], known: NDArray[np.bool_] | None = None) -> EntitySeries:
    """Names by sessions, from log returns; all known and observed unless said."""
    ok = np.ones(returns.shape, dtype=bool) if known is None else known
    return EntitySeries(
        entity_type="INSTRUMENT",
        names=tuple(f"N{i}" for i in range(len(returns))),
        sessions=np.arange(returns.shape[1]).astype("datetime64[D]"),
        ret=to_fixed(np.where(ok, returns, 0.0)),
        ret_ok=ok,
        observed=ok,
        log_dollar_volume=np.full(returns.shape, np.nan),
    )


def test_scores_are_those_of_the_formulas() -> None:
    found = scores_of(np.array([0.02, 0.01, 0.5]), np.array([0.20, 0.05, 0.9]), np.array([-0.20, 0.3, -0.9]))
    assert found.volatility.tolist() == [50.0, 25.0, 100.0]
    assert found.drawdown == pytest.approx([50.0, 12.5, 100.0])
    assert found.trend == pytest.approx([50.0, 0.0, 100.0])
    assert found.overall == pytest.approx([50.0, 15.0, 100.0])


def test_classes_begin_at_their_bounds() -> None:
    scores = np.array([0.0, 29.999, 30.0, 44.999, 45.0, 59.999, 60.0, 74.999, 75.0, 100.0])
    assert [CLASSES[c] for c in classify(scores)] == [c for c in CLASSES for _ in range(2)]


def test_a_window_is_63_returns_and_the_close_before_them() -> None:
    rng = np.random.default_rng(3)
    returns = 0.02 * rng.standard_normal((2, 90))
    at = np.array([63, 80, 89])
    past, reason = past_windows(series_of(returns), at)
    assert (reason == -1).all()
    for name in range(2):
        for column, t in enumerate(at):
            mine = returns[name, t - WINDOW + 1 : t + 1]
            path = np.exp(np.r_[0.0, np.cumsum(mine)])
            assert past.volatility[name, column] == pytest.approx(np.std(mine, ddof=1), rel=1e-9)
            fall = 1 - path / np.maximum.accumulate(path)
            assert past.max_drawdown[name, column] == pytest.approx(fall.max(), rel=1e-9)
            assert past.trend[name, column] == pytest.approx(path[-1] - 1, rel=1e-9)
            assert past.num_returns[name, column] == WINDOW


def test_a_fall_on_the_first_session_counts() -> None:
    returns = np.zeros((1, 70))
    returns[0, 7], returns[0, 8:] = np.log(0.7), 0.0001
    past, _ = past_windows(series_of(returns), np.array([69]))
    assert past.max_drawdown[0, 0] == pytest.approx(0.3, abs=1e-9)


def test_what_does_not_count_says_why() -> None:
    returns = 0.01 * np.random.default_rng(1).standard_normal((5, 80))
    known = np.ones(returns.shape, dtype=bool)
    known[0] = False
    known[1, 74:] = False
    known[2, 20:30] = False
    returns[3] = 0.0
    _, reason = past_windows(series_of(returns, known), np.array([79]))
    assert [SKIP_REASONS[code] if code >= 0 else "" for code in reason[:, 0]] == [
        "no_prices",
        "stale",
        "low_coverage",
        "zero_volatility",
        "",
    ]


def test_a_state_does_not_depend_on_its_company() -> None:
    rng = np.random.default_rng(5)
    past, _ = past_windows(series_of(0.03 * rng.standard_normal((40, 90))), np.array([80, 89]))
    every = past.take(np.nonzero(past.num_returns))
    together = BasicStability().states(every, np.zeros((80, 0), dtype=np.float32))
    alone = BasicStability().states(every.take(np.array([7])), np.zeros((1, 0), dtype=np.float32))
    assert alone.scores.overall[0] == together.scores.overall[7]
    assert np.isnan(together.forecast_volatility).all()
