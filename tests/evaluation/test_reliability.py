"""Reliability of probabilities, bucket by bucket."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.evaluation import r2_gate, reliability


def test_buckets_by_hand() -> None:
    found = reliability([False, True, True, True], [0.1, 0.3, 0.5, 0.9], edges=[0.2, 0.5, 0.95])
    assert list(found.rows()) == [(1, 0.1, 0.0), (1, 0.3, 1.0), (2, 0.7, 1.0)]
    assert found.error == pytest.approx((0.1 + 0.7 + 2 * 0.3) / 4)


def test_honest_probabilities_are_reliable_and_squeezed_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(40_000)
    happened = rng.random(40_000) < p
    edges = np.arange(0.1, 1.0, 0.1).tolist()
    assert reliability(happened, p, edges).error < 0.01
    assert reliability(happened, 0.25 + p / 2, edges).error > 0.1


def test_brier_skill_is_the_r2_of_the_event() -> None:
    rng = np.random.default_rng(1)
    p = rng.random(500)
    y = (rng.random(500) < p).astype(float)
    days = np.arange(500).astype("datetime64[D]")
    found = r2_gate(days, y, p, np.full(500, 0.5))
    assert found.value == pytest.approx(1 - np.mean((p - y) ** 2) / 0.25)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one forecast, each between 0 and 1"):
        reliability([True], [1.2], edges=[0.5])
    with pytest.raises(ValueError, match="at least one forecast"):
        reliability([], [], edges=[0.5])
    with pytest.raises(ValueError, match="edges of buckets ascend"):
        reliability([True], [0.2], edges=[0.5, 0.5])
