"""Exact sums by group and their decayed means, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.stages.exact_sums import Terms, decayed_means, grouped_sums

FOREVER = np.iinfo(np.int64).max


def unit(rng: np.random.Generator, n: int, d: int = 8) -> np.ndarray:
    v = rng.normal(size=(n, d))
    return (v / np.linalg.norm(v, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("seed", range(2))
def test_the_order_of_the_terms_changes_no_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = unit(rng, 400)
    vectors[::2] *= np.float32(1e-7)  # whose last bits a plain sum would lose, now in one order, now in another
    rows = rng.integers(0, 400, 9_000)
    groups = np.sort(rng.integers(0, 7, 9_000))
    sums = grouped_sums(vectors, rows, groups, 8)
    for g in range(8):
        np.testing.assert_allclose(sums[g], vectors[rows[groups == g]].sum(axis=0, dtype=np.float64), atol=1e-7)
    again = rng.permutation(9_000)
    again = again[np.argsort(groups[again], kind="stable")]
    np.testing.assert_array_equal(grouped_sums(vectors, rows[again], groups, 8), sums)


def test_sums_beyond_the_exact_range_are_refused() -> None:
    huge = np.full((2, 4), 30_000.0, dtype=np.float32)
    with pytest.raises(ValueError, match="beyond the exact range"):
        grouped_sums(huge, np.array([0, 1]), np.array([0, 0]), 1)


@pytest.mark.parametrize("seed", range(3))
def test_decayed_means_are_those_of_a_loop_and_of_each_target_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, p, n = unit(rng, 60), 300, 80
    since = rng.integers(0, 60, p)
    until = np.where(rng.random(p) < 0.7, FOREVER, since + rng.integers(1, 40, p))
    terms = Terms(rng.integers(0, 5, p), rng.integers(100, 130, p), since, until, rng.integers(0, 60, p))
    names, days, cutoffs = rng.integers(0, 6, n), rng.integers(98, 140, n), rng.integers(0, 100, n)
    weights = 0.5 ** (np.arange(4) / 2.0)
    found = decayed_means(vectors, terms, names, days, cutoffs, weights)
    assert 0 < found.found.sum() < n
    for i in range(n):
        age = days[i] - terms.days
        counts = (terms.names == names[i]) & (age >= 0) & (age < 4) & (since <= cutoffs[i]) & (cutoffs[i] < until)
        assert found.found[i] == counts.any()
        if counts.any():
            w = weights[age[counts]]
            np.testing.assert_allclose(found.means[i], w @ vectors[terms.rows[counts]] / w.sum(), atol=1e-7)
            assert found.newest[i] == terms.days[counts].max()
        one = slice(i, i + 1)
        alone = decayed_means(vectors, terms, names[one], days[one], cutoffs[one], weights)
        np.testing.assert_array_equal(alone.means[0], found.means[i])
        assert alone.found[0] == found.found[i]


def test_no_terms_and_no_targets() -> None:
    none = np.empty(0, dtype=np.int64)
    vectors, weights = np.empty((0, 8), dtype=np.float32), np.ones(3)
    empty = decayed_means(
        vectors, Terms(none, none, none, none, none), np.array([0]), np.array([5]), np.array([9]), weights
    )
    assert (empty.found.tolist(), empty.means.shape) == ([False], (1, 8))
    assert len(decayed_means(vectors, Terms(none, none, none, none, none), none, none, none, weights).found) == 0
