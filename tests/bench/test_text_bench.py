"""Text encoding against ``SentenceTransformer.encode`` with its defaults, and the cached repeat, in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from prometheus.encoders.text import (
    FileTextCache,
    HashingDescriptor,
    SentenceTransformerDescriptor,
    encode_with_cache,
    text_hash,
)
from prometheus.encoders.text.bundled import bundled_folder
from prometheus.encoders.text.sentence_transformers import MINILM

pytestmark = [pytest.mark.bench, pytest.mark.real, pytest.mark.text]
SAMPLE, CACHED, ROUNDS = 2_000, 20_000, 3


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def test_encoding_and_cached_repeat(real_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    folder = bundled_folder(MINILM)
    if folder is None:
        pytest.skip("the bundled weights are not installed")
    from sentence_transformers import SentenceTransformer

    tweets = pq.read_table(real_data / "stocknet" / "news_articles.parquet", columns=["headline"])[
        "headline"
    ].to_pylist()
    chosen = np.random.default_rng(0).choice(len(tweets), SAMPLE, replace=False)
    sample = [tweets[i] for i in np.sort(chosen)]
    distinct = list(dict.fromkeys(sample))
    ours, theirs = SentenceTransformerDescriptor(device="cpu").load(), SentenceTransformer(str(folder), device="cpu")
    least = float((ours.encode(sample) * theirs.encode(sample)).sum(axis=1).min())
    times: dict[str, list[float]] = {"ours": [], "ours, distinct texts only": [], "library": []}
    for _ in range(ROUNDS):
        times["ours"].append(seconds(lambda: ours.encode(sample)))
        times["library"].append(seconds(lambda: theirs.encode(sample)))
        times["ours, distinct texts only"].append(seconds(lambda: ours.encode(distinct)))
    medians = {name: statistics.median(t) for name, t in times.items()}
    ratio = medians["library"] / medians["ours"]
    per_text = (medians["library"] / SAMPLE) / (medians["ours, distinct texts only"] / len(distinct))
    print(f"\n{SAMPLE} tweets, {len(distinct)} distinct, medians of {ROUNDS}, alternating:")
    print(f"  ours    {SAMPLE / medians['ours']:7.1f} texts/s")
    print(
        f"  library {SAMPLE / medians['library']:7.1f} texts/s   ratio {ratio:.2f} (repeats not counted {per_text:.2f})"
    )
    print(f"  least cosine {least:.7f}")
    alone = np.concatenate([ours.encode([text]) for text in sample[:100]])
    moved = np.abs(alone - ours.encode(sample)[:100])
    print(
        f"  encoded alone or among {SAMPLE}: {int((moved > 0).any(axis=1).sum())} of 100 differ, at most {moved.max():.1e}"
    )
    assert least >= 0.9999
    assert ratio >= 1.2

    # The vectors' values do not matter to the time it takes to read them back: those of the hashing encoder stand in,
    # under the transformer's fingerprint, and the time to encode is measured on the sample.
    many = list(dict.fromkeys(tweets))[:CACHED]
    cache = FileTextCache(tmp_path, ours.descriptor.fingerprint)
    vectors = HashingDescriptor().load().encode(many)
    for start in range(0, CACHED, 2_048):
        cache.put([text_hash(t) for t in many[start : start + 2_048]], vectors[start : start + 2_048])

    def repeat() -> None:
        done = encode_with_cache(ours, many, FileTextCache(tmp_path, ours.descriptor.fingerprint))
        assert (done.encoded, done.reused) == (0, CACHED)

    cached = statistics.median([seconds(repeat) for _ in range(ROUNDS)])
    encoding = CACHED * medians["ours, distinct texts only"] / len(distinct)
    print(f"  {CACHED} cached texts read in {cached:.3f} s, opening included; encoding them takes {encoding:.0f} s")
    print(f"  (scaled from the sample): {encoding / cached:.0f} times faster")
    assert encoding / cached >= 50.0
