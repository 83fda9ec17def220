"""Facts about clouds whose shape is known."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.reports.surface_statistics import (
    Sample,
    cosine_quantiles,
    drift,
    effective_rank,
    nearest_rows,
    norm_quantiles,
)

RNG = np.random.default_rng(1)


def cloud(n_days: int, n_keys: int, dims: int = 16, start: str = "2020-01-01", by_key: float = 0.0) -> Sample:
    days = np.repeat(np.datetime64(start) + np.arange(n_days), n_keys)
    keys = np.tile(np.array([f"K{i}" for i in range(n_keys)]), n_days)
    own = np.tile(RNG.standard_normal((n_keys, dims)), (n_days, 1))
    vectors = by_key * own + RNG.standard_normal((n_days * n_keys, dims))
    return Sample(days, keys, vectors.astype(np.float32))


def test_norms_are_told_day_by_day() -> None:
    sample = cloud(3, 101)
    days, quantiles = norm_quantiles(sample)
    norms = np.linalg.norm(sample.vectors[101:202], axis=1)
    assert days.tolist() == sorted(set(sample.days.tolist()))
    np.testing.assert_allclose(quantiles[1], np.quantile(norms, [0.05, 0.25, 0.5, 0.75, 0.95]), rtol=1e-5)


def test_cosines_tell_names_from_noise() -> None:
    found = cosine_quantiles(cloud(30, 20, by_key=3.0), 20_000)
    assert found["same key"][2] > 0.8
    assert abs(found["same day"][2]) < 0.3
    noise = cosine_quantiles(cloud(30, 20), 20_000)
    assert abs(noise["same key"][2]) < 0.1


def test_pairs_are_of_different_rows_of_one_group() -> None:
    sample = cloud(40, 1)
    assert set(cosine_quantiles(sample, 100)) == {"same key", "any"}
    doubled = Sample(sample.days, sample.keys, np.eye(40, dtype=np.float32))
    assert cosine_quantiles(doubled, 2_000)["any"].max() == 0.0


@pytest.mark.parametrize("rank", [1, 4, 16])
def test_effective_rank_counts_directions(rank: int) -> None:
    directions = np.linalg.qr(RNG.standard_normal((64, 64)))[0][:, :rank]
    vectors = (RNG.standard_normal((20_000, rank)) @ directions.T + 5.0).astype(np.float32)
    assert effective_rank(vectors) == pytest.approx(rank, rel=0.03)


def test_effective_rank_of_nothing_is_nothing() -> None:
    assert effective_rank(np.ones((5, 3), dtype=np.float32)) == 0.0
    assert effective_rank(np.ones((1, 3), dtype=np.float32)) == 0.0


def test_drift_is_in_spreads_of_the_past() -> None:
    calm = cloud(366 + 365, 4)
    moved = calm.vectors.copy()
    moved[calm.days >= np.datetime64("2021-01-01")] += 2.0
    years, distance = drift(Sample(calm.days, calm.keys, moved))
    assert years.tolist() == [2021]
    # A shift of 2 in each of 16 dimensions, against a spread of sqrt(16).
    assert distance[0] == pytest.approx(2.0, abs=0.1)
    assert drift(calm)[1][0] < 0.1


def test_neighbours_are_of_the_day_and_never_the_row_itself() -> None:
    sample = cloud(5, 12)
    found = nearest_rows(sample, queries=4, neighbours=3)
    assert len(found) == 4
    for row, others in found:
        vectors = sample.vectors.astype(float)
        same = [i for i in np.flatnonzero(sample.days == sample.days[row]).tolist() if i != row]
        cosines = {
            i: vectors[i] @ vectors[row] / np.linalg.norm(vectors[i]) / np.linalg.norm(vectors[row]) for i in same
        }
        assert [i for i, _ in others] == sorted(same, key=lambda i: -cosines[i])[:3]
        assert others[0][1] == pytest.approx(max(cosines.values()))
    assert nearest_rows(cloud(5, 1), 3, 3) == []
