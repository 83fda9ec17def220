"""P&L, drawdown and severity of paths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from prometheus.engines.scenarios import BaseHistory, SeverityRule, past_drawdowns, path_outcomes
from prometheus.engines.scenarios.outcomes import max_drawdowns


def reference(path: list[float]) -> float:
    """Largest fall from a peak of a price that begins at 1."""
    price = peak = 1.0
    worst = 0.0
    for r in path:
        price *= np.exp(r)
        peak = max(peak, price)
        worst = max(worst, 1.0 - price / peak)
    return worst


@settings(max_examples=60)
@given(arrays(np.float64, (3, 12), elements=st.floats(-0.5, 0.5)))
def test_drawdown_is_the_largest_fall_from_a_peak_the_start_included(paths: np.ndarray) -> None:
    np.testing.assert_allclose(max_drawdowns(paths), [reference(p.tolist()) for p in paths], atol=1e-12)


def test_outcomes_by_hand() -> None:
    paths = np.log([[0.5, 2.0, 1.5], [1.1, 1.1, 1.1], [1.2, 0.75, 1.0]])
    past = np.array([0.0, 0.1, 0.2, 0.3])
    found = path_outcomes(paths, past, SeverityRule(0.5, 1.0))
    np.testing.assert_allclose(found.cumulative_return[:, -1], [0.5, 0.331, -0.1], atol=1e-12)
    np.testing.assert_allclose(found.cumulative_return[0], [-0.5, 0.0, 0.5], atol=1e-12)
    np.testing.assert_allclose(found.max_drawdown, [0.5, 0.0, 0.25], atol=1e-12)
    assert found.drawdown_quantile.tolist() == [1.0, 0.0, 0.75]
    assert found.severity == ("HIGH", "LOW", "MEDIUM")


def test_by_its_own_past_a_quarter_of_windows_is_not_low() -> None:
    rng = np.random.default_rng(0)
    returns = 0.01 * rng.standard_normal(1_200)
    past = BaseHistory(np.arange(1_200).astype("datetime64[D]"), returns, np.ones(1_200, dtype=bool))
    falls = past_drawdowns(past, 20)
    assert len(falls) == 1_181
    assert (np.diff(falls) >= 0).all()
    windows = past.windows(past.window_ends(20), 20)
    severity = path_outcomes(windows, falls, SeverityRule()).severity
    shares = [severity.count(level) / len(severity) for level in ("LOW", "MEDIUM", "HIGH")]
    assert shares == pytest.approx([0.75, 0.2, 0.05], abs=0.005)


def test_without_a_past_nothing_can_be_called_severe() -> None:
    found = path_outcomes(np.full((1, 5), -0.2), np.empty(0), SeverityRule())
    assert (found.drawdown_quantile.tolist(), found.severity) == ([0.0], ("LOW",))
