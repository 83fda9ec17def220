"""The hashing encoder: recipe, stability, independence of rows."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus.encoders.text import hashing
from prometheus.encoders.text.hashing import HashingDescriptor
from prometheus.encoders.text.protocol import is_blank

encoder = HashingDescriptor().load()
PINNED_FED = {16: -1, 37: -1, 83: 1, 116: 1, 293: -1, 369: 1, 373: 1}
texts_of = st.lists(st.text(max_size=40).filter(lambda t: not is_blank(t)), min_size=1, max_size=12)


BASE, FULL = 0x9E3779B97F4A7C15, (1 << 64) - 1


def mix(x: int) -> int:
    x &= FULL
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & FULL
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & FULL
    return x ^ (x >> 31)


def spelt_out(text: str) -> np.ndarray:
    """The recipe in plain Python integers, one feature at a time."""
    plain = f" {' '.join(text.lower().split())} "
    found = []
    for width in (3, 4, 5):
        for start in range(len(plain) - width + 1):
            h = width
            for c in plain[start : start + width]:
                h = mix(h * BASE + mix(ord(c) + 1))
            found.append(h)
    runs = "".join(c if c.isalnum() else " " for c in plain).split()
    words = [mix(sum(mix(ord(c) + 1) * pow(BASE, i, 1 << 64) for i, c in enumerate(w)) + len(w)) for w in runs]
    found += words + [mix(a * BASE + b) for a, b in pairwise(words)]
    v = np.zeros(384)
    for h, tf in Counter(h >> 20 for h in found).items():
        v[(h >> 1) % 384] += (1 - 2 * (h & 1)) * (1 + math.log(tf))
    return v / np.linalg.norm(v)


@pytest.mark.parametrize(
    "text",
    [
        "Apple beats apple, APPLE\trises 5%",
        "x",
        "!!!",
        "no no no no no",
        "Umsätze  steigen\n価格 \U0001f4c8",
        "a-b c_d $E 1.5",
    ],
)
def test_the_recipe_feature_by_feature(text: str) -> None:
    np.testing.assert_allclose(encoder.encode(["before", text, "after"])[1], spelt_out(text), atol=1e-7)


def test_a_repeated_word_counts_by_the_logarithm() -> None:
    # No two words, so the only shared features are those of the repeated token and its boundaries.
    one, many = encoder.encode(["zz", "zz"]), encoder.encode(["zz zz zz zz"])
    np.testing.assert_array_equal(one[0], one[1])
    assert 0.5 < float(one[0] @ many[0]) < 1.0


def test_stable_slots_and_signs() -> None:
    """Pinned: a change here is a new revision of the encoder."""
    v = encoder.encode(["Fed"])[0]
    slots = np.flatnonzero(v)
    np.testing.assert_allclose(np.abs(v[slots]), 1 / math.sqrt(len(slots)), rtol=1e-6)
    assert {int(i): int(np.sign(v[i])) for i in slots} == PINNED_FED


def test_equal_in_every_process() -> None:
    code = (
        "import sys; from prometheus.encoders.text import HashingDescriptor as D; "
        "sys.stdout.buffer.write(D().load().encode(['Fed raises rates', 'größer 価格']).tobytes())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, env=os.environ | {"PYTHONHASHSEED": s}
        ).stdout
        for s in ("1", "2")
    }
    assert seen == {encoder.encode(["Fed raises rates", "größer 価格"]).tobytes()}


@given(texts_of)
def test_a_text_does_not_see_its_neighbours(texts: list[str]) -> None:
    together = encoder.encode(texts)
    assert np.isfinite(together).all()
    np.testing.assert_allclose(np.linalg.norm(together.astype(np.float64), axis=1), 1.0, atol=1e-6)
    for i, text in enumerate(texts):
        np.testing.assert_array_equal(encoder.encode([text])[0], together[i])


def test_slabs_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"headline {i} about the price of oil and {i * i} barrels" for i in range(200)]
    whole = encoder.encode(texts)
    monkeypatch.setattr(hashing, "_SLAB_CHARACTERS", 100)
    np.testing.assert_array_equal(encoder.encode(texts), whole)


def test_features_that_cancel_still_give_a_unit_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two features, one slot, both signs.
    def cancelling(mixed: np.ndarray, owner: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
        base = np.uint64(0 if width == 3 else 1) << np.uint64(20)
        return (np.array([base]), np.array([0])) if width in (3, 4) else (np.empty(0, np.uint64), np.empty(0, np.int64))

    monkeypatch.setattr(hashing, "_character_grams", cancelling)
    monkeypatch.setattr(hashing, "_word_grams", lambda *_: [])
    v = encoder.encode(["x"])[0]
    assert np.count_nonzero(v) == 1
    assert np.abs(v).max() == 1.0


def test_similar_spelling_is_near() -> None:
    v = encoder.encode(["Apple raises its dividend", "Apple raised the dividend", "Crude oil stocks fell sharply"])
    assert v[0] @ v[1] > 0.5 > v[0] @ v[2]
