"""Windows and batches."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus.encoders.text.batching import TOKEN_BLOCK, Windows, plan_batches, pool_windows, split_windows

CLS, SEP = 101, 102


@given(st.lists(st.integers(0, 300), min_size=1, max_size=20), st.integers(4, 40), st.data())
def test_windows_cover_every_token_in_order(sizes: list[int], max_tokens: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, max_tokens - 3))
    contents = [list(range(1000, 1000 + n)) for n in sizes]
    windows = split_windows(contents, CLS, SEP, max_tokens, overlap)
    ends = [*windows.first[1:].tolist(), len(windows.tokens)]
    for content, first, end in zip(contents, windows.first.tolist(), ends, strict=True):
        mine = windows.tokens[first:end]
        assert len(mine) >= 1
        for w in mine:
            assert (w[0], w[-1]) == (CLS, SEP)
            assert len(w) <= max_tokens
        inner = [w[1:-1].tolist() for w in mine]
        if len(content) <= max_tokens - 2:
            assert inner == [content]
            continue
        assert all(len(w) == max_tokens - 2 for w in inner)
        assert inner[0][0] == content[0]
        assert inner[-1][-1] == content[-1]
        for left, right in pairwise(inner):
            shared = left[-1] - right[0] + 1
            assert shared >= overlap
            assert right[0] > left[0]
        assert all(left[-1] - right[0] + 1 == overlap for left, right in pairwise(inner[:-1]))


@given(st.lists(st.integers(1, 60), min_size=1, max_size=80), st.integers(60, 600))
def test_batches_hold_every_window_once_and_no_padding_between(sizes: list[int], batch_tokens: int) -> None:
    tokens = tuple(np.arange(n, dtype=np.int64) + 1000 * i for i, n in enumerate(sizes))
    windows = Windows(tokens, np.arange(len(sizes)))
    seen = []
    for batch in plan_batches(windows, batch_tokens):
        assert len(batch.ids) == len(batch.positions)
        assert len(batch.ids) % TOKEN_BLOCK == 0
        used = sum(count * length for count, length in batch.groups)
        assert used <= batch_tokens
        assert len(batch.ids) - used < TOKEN_BLOCK
        assert not batch.ids[used:].any()
        assert [n for c, n in batch.groups for _ in range(c)] == [sizes[w] for w in batch.windows]
        np.testing.assert_array_equal(batch.ids[:used], np.concatenate([tokens[w] for w in batch.windows]))
        np.testing.assert_array_equal(
            batch.positions[:used], np.concatenate([np.arange(sizes[w]) for w in batch.windows])
        )
        seen += batch.windows.tolist()
    assert seen == sorted(range(len(sizes)), key=lambda w: (-sizes[w], w))


def test_pooling_of_windows() -> None:
    rng = np.random.default_rng(0)
    v = rng.normal(size=(5, 384))
    v = (v / np.linalg.norm(v, axis=1, keepdims=True)).astype(np.float32)
    windows = Windows(tuple(np.zeros(1, dtype=np.int64) for _ in range(5)), np.array([0, 1, 4]))
    pooled = pool_windows(windows, v)
    np.testing.assert_array_equal(pooled[[0, 2]], v[[0, 4]])
    mean = v[1:4].astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(pooled[1], mean / np.linalg.norm(mean), atol=1e-7)
    assert pool_windows(Windows((), np.empty(0, dtype=np.int64)), np.empty((0, 384), np.float32)).shape == (0, 384)


def test_overlap_must_leave_room() -> None:
    with pytest.raises(ValueError, match="at most 5 is possible"):
        split_windows([[1, 2]], CLS, SEP, 8, 6)
