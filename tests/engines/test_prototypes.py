"""The prototype head: four centroids named by what their windows did, and how sure it is."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from prometheus.engines.regime import LABELS, MIN_WINDOWS, PrototypeHead, fit_prototypes
from prometheus.engines.regime.prototypes import squared_distances

WIDTH = 384


def planted(
    n: int = 400, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Windows of four regimes far apart, their volatility and return, and which regime each is."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 4, n)
    centres = rng.standard_normal((4, WIDTH))
    vectors = (centres[kinds] + 0.05 * rng.standard_normal((n, WIDTH))).astype(np.float32)
    volatility = np.array([0.60, 0.30, 0.12, 0.10])[kinds] + 0.005 * rng.random(n)
    returns = np.array([-0.40, -0.10, 0.00, 0.20])[kinds] + 0.005 * rng.random(n)
    return vectors, volatility, returns, [LABELS[k] for k in kinds]


def test_planted_regimes_are_found_and_named_by_what_they_did() -> None:
    vectors, volatility, returns, truth = planted()
    head = fit_prototypes(vectors, volatility, returns)
    assert head.labels == LABELS
    shares = head.probabilities(vectors)
    assert [head.labels[k] for k in shares.argmax(axis=1)] == truth
    assert head.counts.tolist() == [truth.count(name) for name in LABELS]
    for k, name in enumerate(LABELS):
        mine = np.array(truth) == name
        np.testing.assert_allclose(head.centroids[k], vectors[mine].mean(axis=0, dtype=np.float64), atol=1e-6)
        assert head.mean_volatility[k] == pytest.approx(volatility[mine].mean())
        assert head.mean_return[k] == pytest.approx(returns[mine].mean())


def test_the_calm_one_that_rises_is_carry_even_when_it_is_the_more_volatile() -> None:
    vectors, volatility, returns, truth = planted()
    carry, neutral = (np.array(truth) == name for name in ("CARRY", "NEUTRAL"))
    volatility[carry], volatility[neutral] = 0.13, 0.11
    head = fit_prototypes(vectors, volatility, returns)
    assert [head.labels[k] for k in head.probabilities(vectors).argmax(axis=1)] == truth


def test_temperature_is_the_median_gap_between_the_nearest_two() -> None:
    vectors, volatility, returns, _ = planted(seed=3)
    head = fit_prototypes(vectors, volatility, returns)
    gaps = np.linalg.norm(vectors[:, None].astype(float) - head.centroids[None].astype(float), axis=2) ** 2
    ordered = np.sort(gaps, axis=1)
    assert head.temperature == pytest.approx(np.median(ordered[:, 1] - ordered[:, 0]), rel=1e-9)


def test_probabilities_are_a_softmax_of_distances() -> None:
    head = PrototypeHead(
        labels=LABELS,
        centroids=np.eye(4, WIDTH, dtype=np.float32),
        temperature=0.5,
        counts=np.full(4, 63),
        mean_volatility=np.ones(4),
        mean_return=np.ones(4),
    )
    window = np.zeros((1, WIDTH), np.float32)
    window[0, 0] = 0.75
    # squared distances: 0.0625 to the first, 0.75^2 + 1 to each of the others
    weights = np.exp(-np.array([0.0625, 1.5625, 1.5625, 1.5625]) / 0.5)
    np.testing.assert_allclose(head.probabilities(window)[0], weights / weights.sum(), rtol=1e-12)


def test_far_away_windows_still_have_probabilities() -> None:
    vectors, volatility, returns, _ = planted()
    shares = fit_prototypes(vectors, volatility, returns).probabilities(1e3 * vectors)
    assert np.isfinite(shares).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-12)


def test_equal_windows_give_equal_bits_twice_and_in_any_company() -> None:
    vectors, volatility, returns, _ = planted(seed=5)
    vectors += np.random.default_rng(6).standard_normal(vectors.shape).astype(np.float32)
    one, two = (fit_prototypes(vectors, volatility, returns) for _ in range(2))
    assert one.centroids.tobytes() == two.centroids.tobytes()
    assert one.temperature == two.temperature
    together = one.probabilities(vectors)
    alone = np.concatenate([one.probabilities(vectors[i : i + 1]) for i in range(len(vectors))])
    assert together.tobytes() == alone.tobytes()
    assert (
        squared_distances(vectors[::7], one.centroids).tobytes()
        == squared_distances(vectors, one.centroids)[::7].tobytes()
    )


def test_another_seed_is_another_start() -> None:
    rng = np.random.default_rng(8)
    vectors = rng.standard_normal((300, WIDTH)).astype(np.float32)  # no structure: starts end in different places
    fits = {
        fit_prototypes(vectors, rng.random(300), rng.random(300), seed=s, restarts=1).centroids.tobytes()
        for s in range(4)
    }
    assert len(fits) > 1


def test_too_few_windows_are_refused() -> None:
    vectors, volatility, returns, _ = planted(MIN_WINDOWS)
    fit_prototypes(vectors, volatility, returns)
    with pytest.raises(ValueError, match=f"needs {MIN_WINDOWS} windows, got {MIN_WINDOWS - 1}"):
        fit_prototypes(vectors[1:], volatility[1:], returns[1:])
