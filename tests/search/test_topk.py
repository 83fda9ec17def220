"""Exact selection: whatever the blocks, the order and the scales, it is the brute-force answer bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from prometheus.search import topk
from prometheus.search.topk import Metric, TopK, pair_scores, row_norms

Found = list[tuple[int, int, float, float]]


def brute(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], keys: NDArray[np.int64], k: int, metric: Metric
) -> Found:
    """Every pair in float64, sorted by score and key."""
    out: Found = []
    for q, query in enumerate(queries.astype(np.float64)):
        cosine, distance = pair_scores(np.repeat(query[None, :], len(vectors), axis=0), vectors.astype(np.float64))
        score = -cosine if metric == "cosine" else distance
        order = sorted(range(len(vectors)), key=lambda i: (score[i], keys[i]))[:k]
        out += [(q, int(keys[i]), float(cosine[i]), float(distance[i])) for i in order]
    return out


def selected(
    queries: NDArray[np.float32],
    vectors: NDArray[np.float32],
    keys: NDArray[np.int64],
    k: int,
    metric: Metric,
    cuts: list[int] | None = None,
    **options: Any,
) -> Found:
    best = TopK(queries, k, metric, ["key"])
    for part in np.split(np.arange(len(vectors)), sorted(cuts or [])):
        if len(part):
            best.add(pa.table({"key": keys[part]}), vectors[part], **options)
    query, rows, cosine, distance = best.finish()
    return list(zip(query.tolist(), rows["key"].to_pylist(), cosine.tolist(), distance.tolist(), strict=True))


def data(kind: str, n: int, d: int, rng: np.random.Generator) -> NDArray[np.float32]:
    block = rng.standard_normal((n, d)).astype(np.float32)
    if kind == "ties":
        block = block[rng.integers(0, max(1, n // 5), n)]
    elif kind == "close":  # all nearly parallel: cosines differ in the eighth digit
        block = (block[:1] + 1e-4 * block).astype(np.float32)
    elif kind == "scales":
        block *= (10.0 ** rng.uniform(-18, 18, (n, 1))).astype(np.float32)
    elif kind == "zeros":
        block[rng.random(n) < 0.5] = 0.0
    elif kind == "long":  # prices and volumes beside returns
        block[:, 0] += 1e7
    return block


@settings(max_examples=60)
@given(
    kind=st.sampled_from(["plain", "ties", "close", "scales", "zeros", "long"]),
    metric=st.sampled_from(["cosine", "euclidean"]),
    n=st.integers(1, 300),
    q=st.integers(1, 5),
    k=st.integers(1, 12),
    d=st.sampled_from([2, 7, 384]),
    seed=st.integers(0, 10_000),
    cuts=st.lists(st.integers(0, 300), max_size=6),
)
def test_the_answer_is_that_of_brute_force(
    kind: str, metric: Metric, n: int, q: int, k: int, d: int, seed: int, cuts: list[int]
) -> None:
    rng = np.random.default_rng(seed)
    vectors = data(kind, n, d, rng)
    queries = np.concatenate([vectors[:1], data(kind, q, d, rng)])
    keys = rng.permutation(n)
    cuts = [c for c in cuts if c <= n]
    assert selected(queries, vectors, keys, k, metric, cuts) == brute(queries, vectors, keys, k, metric)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("kind", ["plain", "ties", "close", "zeros", "long"])
def test_blocks_order_and_bounded_memory_do_not_show(
    kind: str, metric: Metric, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    vectors, keys = data(kind, 900, 64, rng), rng.permutation(900)
    queries = data(kind, 100, 64, rng)  # more than are scaled one by one
    queries[0] = 0.0
    whole = selected(queries, vectors, keys, 10, metric)
    order = rng.permutation(900)
    monkeypatch.setattr(topk, "BLOCK_ROWS", 173)
    monkeypatch.setattr(topk, "_SEED_ROWS", 31)
    monkeypatch.setattr(topk, "_MOST_PAIRS", 4_000)
    assert selected(queries, vectors[order], keys[order], 10, metric, [300, 301]) == whole
    assert whole[:10] == brute(queries[:1], vectors, keys, 10, metric)
    assert len(whole) == 1_000


def test_kept_pairs_stay_few_when_everything_ties(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topk, "_MOST_PAIRS", 500)
    rng = np.random.default_rng(2)
    vector = rng.standard_normal((1, 16)).astype(np.float32)
    best = TopK(vector, 5, "cosine", ["key"])
    most = 0
    keys = rng.permutation(20_000)
    for start in range(0, 20_000, 250):
        best.add(pa.table({"key": keys[start : start + 250]}), np.repeat(vector, 250, axis=0))
        most = max(most, len(best._pair_query))
    assert most <= 750
    assert best.finish()[1]["key"].to_pylist() == [0, 1, 2, 3, 4]


def test_what_is_not_allowed_does_not_count() -> None:
    rng = np.random.default_rng(3)
    vectors, queries = data("plain", 500, 32, rng), data("plain", 4, 32, rng)
    allowed = rng.random((4, 500)) < 0.3
    allowed[3] = False
    found = selected(queries, vectors, np.arange(500), 8, "cosine", allowed=allowed)
    for q in range(3):
        at = np.flatnonzero(allowed[q])
        mine = [(0, key, c, d) for i, key, c, d in found if i == q]
        assert mine == brute(queries[q : q + 1], vectors[at], at, 8, "cosine")
    assert {f[0] for f in found} == {0, 1, 2}


def test_nothing_added_is_nothing_found() -> None:
    query, rows, cosine, distance = TopK(np.ones((2, 4), dtype=np.float32), 3, "cosine", ["key"]).finish()
    assert len(query) == rows.num_rows == len(cosine) == len(distance) == 0
    with pytest.raises(ValueError, match="at least 1"):
        TopK(np.ones((2, 4), dtype=np.float32), 0, "cosine", ["key"])


def test_norms_beyond_the_range_of_float32_squares() -> None:
    block = np.array([[3e25, 4e25], [3e-25, 4e-25], [0.0, 0.0], [3.0, 4.0]], dtype=np.float32)
    np.testing.assert_allclose(row_norms(block), [5e25, 5e-25, 0.0, 5.0], rtol=1e-6)


def test_the_cosine_of_nothing_is_zero() -> None:
    cosine, distance = pair_scores(np.zeros((1, 3)), np.array([[3.0, 4.0, 0.0]]))
    assert (cosine[0], distance[0]) == (0.0, 5.0)
