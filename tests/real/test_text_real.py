"""Text encoders on real tweets and real minutes of the Federal Open Market Committee."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from prometheus.encoders.text import (
    FileTextCache,
    HashingDescriptor,
    SentenceTransformerDescriptor,
    encode_with_cache,
    is_blank,
)
from prometheus.encoders.text.bundled import bundled_folder
from prometheus.encoders.text.sentence_transformers import MINILM

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def tweets(real_data: Path) -> list[str]:
    column = pq.read_table(real_data / "stocknet" / "news_articles.parquet", columns=["headline"])["headline"]
    return [t for t in column.to_pylist() if not is_blank(t)]


@pytest.fixture(scope="module")
def minutes(real_data: Path) -> list[str]:
    table = pq.read_table(real_data / "macro" / "macro_texts.parquet", columns=["published_at", "text"])
    return table.sort_by("published_at")["text"].to_pylist()


@pytest.fixture(scope="module")
def bundle() -> Path:
    pytest.importorskip("torch")
    folder = bundled_folder(MINILM)
    if folder is None:
        pytest.skip("the bundled weights are not installed")
    return folder


def test_hashing_reads_twenty_thousand_tweets_in_seconds(tweets: list[str]) -> None:
    encoder = HashingDescriptor().load()
    started = time.perf_counter()
    v = encoder.encode(tweets[:20_000])
    assert time.perf_counter() - started < 10.0
    np.testing.assert_allclose(np.linalg.norm(v, axis=1), 1.0, atol=1e-5)
    # Many tweets are equal; unequal ones are told apart.
    distinct = len({" ".join(t.lower().split()) for t in tweets[:20_000]})
    assert len(np.unique(v, axis=0)) > 0.99 * distinct


@pytest.mark.text
def test_tweets_equal_the_library(tweets: list[str], bundle: Path) -> None:
    from sentence_transformers import SentenceTransformer

    picked = tweets[:: len(tweets) // 150][:150]
    reference = SentenceTransformer(str(bundle), device="cpu").encode(picked)
    ours = SentenceTransformerDescriptor().load().encode(picked)
    assert (ours * reference).sum(axis=1).min() > 0.9999
    np.testing.assert_allclose(ours, reference, atol=5e-6)


@pytest.mark.text
def test_minutes_are_read_to_their_end(minutes: list[str], bundle: Path) -> None:
    from sentence_transformers import SentenceTransformer

    crisis = next(m for m in minutes if "Lehman" in m)
    encoder = SentenceTransformerDescriptor().load()
    opening = SentenceTransformer(str(bundle), device="cpu").encode([crisis])[0]
    whole, calm = encoder.encode([crisis, minutes[60]])
    # The library cuts at 256 tokens: the names of those present. The whole text says more than its first page.
    assert len(crisis) > 20_000
    assert float(opening @ whole) < 0.9
    asked = encoder.encode(["inflation, employment and the federal funds rate"])[0]
    assert float(asked @ whole) > float(asked @ opening)
    assert -1.0 <= float(whole @ calm) < 0.999


@pytest.mark.text
def test_tweets_are_encoded_once(tweets: list[str], bundle: Path, tmp_path: Path) -> None:
    encoder = SentenceTransformerDescriptor().load()
    texts = tweets[:120] + tweets[:60]
    first = encode_with_cache(encoder, texts, FileTextCache(tmp_path, encoder.descriptor.fingerprint))
    again = encode_with_cache(encoder, texts, FileTextCache(tmp_path, encoder.descriptor.fingerprint))
    assert first.encoded == len(set(texts))
    assert (again.encoded, again.reused) == (0, len(set(texts)))
    np.testing.assert_array_equal(first.vectors, again.vectors)
