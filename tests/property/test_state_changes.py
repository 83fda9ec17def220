"""Forecasts of state changes, whatever the labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from prometheus.engines.stability import StabilityStateChangeForecaster
from prometheus.engines.state_changes import MODELS, smoothed

SMOOTHINGS = st.floats(1e-6, 1e3)
FORECASTERS = st.builds(
    StabilityStateChangeForecaster,
    model=st.sampled_from([m.name for m in MODELS]),
    smoothing=SMOOTHINGS,
    entity_weight=st.sampled_from([0.0, 1.0, 200.0]),
)
GRIDS = st.tuples(st.integers(0, 25), st.integers(0, 4)).flatmap(
    lambda shape: arrays(np.int8, shape, elements=st.integers(-1, 4))
)
HORIZONS = st.integers(1, 30)


@settings(max_examples=60)
@given(GRIDS, HORIZONS, FORECASTERS)
def test_every_row_is_a_distribution(
    grid: np.ndarray, horizon: int, forecaster: StabilityStateChangeForecaster
) -> None:
    found = forecaster.forecast(grid, horizon)
    assert len(found) == (grid >= 0).sum()
    assert (found.probabilities > 0).all()
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(found.p_worsen_any + found.p_improve_any, found.p_change_any, atol=1e-12)
    own = found.probabilities[np.arange(len(found)), found.current]
    np.testing.assert_allclose(found.p_change_any + own, 1.0, atol=1e-12)
    assert (found.p_to_breaker <= found.p_to_targetable_or_breaker).all()


@settings(max_examples=60)
@given(GRIDS, HORIZONS, FORECASTERS, st.data())
def test_what_comes_later_changes_nothing(
    grid: np.ndarray, horizon: int, forecaster: StabilityStateChangeForecaster, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(grid)))
    later = data.draw(arrays(np.int8, (len(grid) - cut, grid.shape[1]), elements=st.integers(-1, 4)))
    longer, shorter = (
        forecaster.forecast(np.vstack([grid[:cut], later]), horizon),
        forecaster.forecast(grid[:cut], horizon),
    )
    before = longer.session < cut
    for name in ("session", "entity", "current", "probabilities", "num_transitions", "num_from_current"):
        np.testing.assert_array_equal(getattr(longer, name)[before], getattr(shorter, name))


@settings(max_examples=60)
@given(GRIDS, HORIZONS, FORECASTERS, st.randoms(use_true_random=False))
def test_the_order_of_entities_is_irrelevant(
    grid: np.ndarray, horizon: int, forecaster: StabilityStateChangeForecaster, random: np.random.Generator
) -> None:
    order = list(range(grid.shape[1]))
    random.shuffle(order)
    plain, mixed = forecaster.forecast(grid, horizon), forecaster.forecast(grid[:, order], horizon)
    back = np.lexsort([np.array(order, dtype=np.int64)[mixed.entity], mixed.session])
    np.testing.assert_array_equal(mixed.probabilities[back], plain.probabilities)
    np.testing.assert_array_equal(mixed.current[back], plain.current)


@settings(max_examples=60)
@given(arrays(np.int64, (4, 4), elements=st.integers(0, 10_000)), SMOOTHINGS, SMOOTHINGS)
def test_more_smoothing_draws_every_probability_towards_even(counts: np.ndarray, one: float, other: float) -> None:
    less, more = sorted([one, other])
    far, near = (smoothed(counts, a) - 0.25 for a in (less, more))
    assert (np.abs(near) <= np.abs(far) + 1e-12).all()
    assert (near * far >= -1e-12).all()


@settings(max_examples=40)
@given(st.integers(1, 60), st.integers(0, 4), HORIZONS, FORECASTERS)
def test_one_entity_that_never_moved(
    num_sessions: int, code: int, horizon: int, forecaster: StabilityStateChangeForecaster
) -> None:
    found = forecaster.forecast(np.full(num_sessions, code, dtype=np.int8), horizon)
    stays = found.probabilities[:, code]
    assert (np.diff(stays) >= -1e-12).all()  # the longer it stays, the likelier it does
    others = np.delete(found.probabilities, code, axis=1)
    np.testing.assert_allclose(others, others[:, :1].repeat(4, axis=1), atol=1e-12)
    if num_sessions > horizon and forecaster.smoothing < 0.5:
        assert stays[-1] > 0.2


def test_labels_never_seen_keep_what_smoothing_gives_them() -> None:
    forecaster = StabilityStateChangeForecaster(smoothing=1e-9)
    found = forecaster.forecast(np.array([0, 1] * 50, dtype=np.int8), 2)
    assert found.p_to_targetable_or_breaker[-1] == pytest.approx(0.0, abs=1e-7)
