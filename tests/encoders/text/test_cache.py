"""encode_with_cache: once, ever, whatever interrupts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from prometheus.encoders.text import cache as cache_module
from prometheus.encoders.text.cache import TextVectorCache, encode_with_cache
from prometheus.encoders.text.file_cache import FileTextCache
from prometheus.encoders.text.hashing import HashingDescriptor
from prometheus.encoders.text.protocol import text_hash
from prometheus.errors import EncoderMismatchError


class Counting:
    """The hashing encoder, keeping what it was asked; fails once ``patience`` calls are through."""

    def __init__(self, patience: int = 1_000_000) -> None:
        self.descriptor = HashingDescriptor()
        self.calls: list[list[str]] = []
        self._patience = patience

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        if len(self.calls) == self._patience:
            raise KeyboardInterrupt
        self.calls.append(list(texts))
        return self.descriptor.load().encode(texts)


@pytest.fixture
def cache(tmp_path: Path) -> FileTextCache:
    return FileTextCache(tmp_path, HashingDescriptor().fingerprint)


def test_each_distinct_text_is_encoded_once_ever(cache: FileTextCache) -> None:
    assert isinstance(cache, TextVectorCache)
    encoder = Counting()
    first = encode_with_cache(encoder, ["b", "a", "b", "c"], cache)
    assert encoder.calls == [["b", "a", "c"]]
    assert (first.encoded, first.reused) == (3, 0)
    assert first.hashes == tuple(map(text_hash, "babc"))
    second = encode_with_cache(encoder, ["c", "d", "a"], cache)
    assert encoder.calls[1:] == [["d"]]
    assert (second.encoded, second.reused) == (1, 2)
    np.testing.assert_array_equal(first.vectors, HashingDescriptor().load().encode(["b", "a", "b", "c"]))
    np.testing.assert_array_equal(second.vectors, HashingDescriptor().load().encode(["c", "d", "a"]))


def test_an_interrupted_call_keeps_what_was_finished(cache: FileTextCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_BLOCK_TEXTS", 10)
    texts = [f"text {i}" for i in range(45)]
    with pytest.raises(KeyboardInterrupt):
        encode_with_cache(Counting(patience=3), texts, cache)
    assert len(cache) == 30
    encoder = Counting()
    done = encode_with_cache(encoder, texts, cache)
    assert [len(c) for c in encoder.calls] == [10, 5]
    assert (done.encoded, done.reused) == (15, 30)
    np.testing.assert_array_equal(done.vectors, HashingDescriptor().load().encode(texts))


def test_long_texts_are_kept_by_characters(cache: FileTextCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_BLOCK_CHARACTERS", 100)
    encoder = Counting()
    encode_with_cache(encoder, ["a" * 60, "b" * 40, "c", "d" * 500, "e"], cache)
    assert [[t[0] for t in call] for call in encoder.calls] == [["a", "b"], ["c"], ["d"], ["e"]]


def test_a_cached_vector_is_reused_even_when_the_encoder_would_differ(cache: FileTextCache) -> None:
    kept = np.full((1, 384), 384**-0.5, dtype=np.float32)
    cache.put([text_hash("a")], kept)
    np.testing.assert_array_equal(encode_with_cache(Counting(), ["a"], cache).vectors, kept)


def test_blank_texts_are_refused_before_anything_is_computed(cache: FileTextCache) -> None:
    encoder = Counting()
    with pytest.raises(ValueError, match="text 1 of 2 is blank"):
        encode_with_cache(encoder, ["a", " \n"], cache)
    assert encoder.calls == []


def test_another_encoders_cache_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderMismatchError, match="open a cache for this fingerprint"):
        encode_with_cache(Counting(), ["a"], FileTextCache(tmp_path, "other"))


def test_no_texts(cache: FileTextCache) -> None:
    done = encode_with_cache(Counting(), [], cache)
    assert done.vectors.shape == (0, 384)
    assert (done.encoded, done.reused, done.hashes) == (0, 0, ())
