"""A text encoder without dependencies: hashed word and character n-grams.

For smoke runs, tests and installs without torch. It knows spelling, not meaning.

1. The text is lower-cased and its white space collapsed to single spaces, one at each end.
2. Features: every run of letters and digits (a word), every pair of neighbouring words, and every 3, 4 and 5
   neighbouring characters.
3. Each feature is hashed to 64 bits; the hash names one of 384 slots and a sign (Weinberger et al. 2009, "Feature
   Hashing for Large Scale Multitask Learning", eq. 2).
4. A feature that occurs tf times in the text adds sign * (1 + log tf) to its slot.
5. The vector is scaled to unit length.

Hashes are integer arithmetic modulo 2^64 (the finaliser of splitmix64: Steele, Lea and Flood 2014, "Fast Splittable
Pseudorandom Number Generators"), equal in every process and on every machine; Python's own ``hash`` is salted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from prometheus.encoders.text.protocol import fingerprint_of, require_texts
from prometheus.vectors import EMBEDDING_DIM

_REVISION = 1
_CHARACTERS = (3, 4, 5)
_SLAB_CHARACTERS = 1 << 18
_TEXT_BITS = 20
_BASE = np.uint64(0x9E3779B97F4A7C15)
_BASE_INVERSE = np.uint64(pow(0x9E3779B97F4A7C15, -1, 1 << 64))

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class HashingDescriptor:
    """Descriptor of the hashing encoder; it has no settings."""

    @property
    def name(self) -> str:
        """``hashing``."""
        return "hashing"

    @property
    def dimension(self) -> int:
        """Width of the vectors: 384."""
        return EMBEDDING_DIM

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the recipe and its revision."""
        recipe = "words-1-2-characters-3-4-5-signed-log-tf-l2"
        return fingerprint_of({"backend": "hashing", "recipe": recipe, "revision": _REVISION})

    def load(self) -> HashingEncoder:
        """Return the encoder; nothing is read."""
        return HashingEncoder(self)


@dataclass(frozen=True)
class HashingEncoder:
    """Hashed n-grams; see the module for the recipe."""

    descriptor: HashingDescriptor

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts; see :class:`prometheus.encoders.text.protocol.TextEncoder`."""
        prepared = [f" {' '.join(text.lower().split())} " for text in require_texts(texts)]
        vectors = np.empty((len(prepared), self.descriptor.dimension), dtype=np.float32)
        sizes = np.cumsum([len(text) for text in prepared])
        start = 0
        while start < len(prepared):
            # A slab bounds the memory; a text's features are counted within the text, so slabs change nothing.
            reach = (sizes[start - 1] if start else 0) + _SLAB_CHARACTERS
            stop = max(int(np.searchsorted(sizes, reach, side="right")), start + 1)
            vectors[start:stop] = _encode_slab(prepared[start:stop])
            start = stop
        return vectors


def _encode_slab(texts: list[str]) -> NDArray[np.float32]:
    joined = "".join(texts)
    characters = np.frombuffer(joined.encode("utf-32-le"), dtype="<u4").astype(np.uint64)
    owner = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    mixed = _mix(characters + np.uint64(1))
    found = [_character_grams(mixed, owner, width) for width in _CHARACTERS]
    found += _word_grams(joined, characters, mixed, owner)
    hashes = np.concatenate([h for h, _ in found])
    owners = np.concatenate([o for _, o in found])

    # One sort counts each feature within its text: the text's number stands above the top bits of the hash.
    keys = (owners.astype(np.uint64) << np.uint64(64 - _TEXT_BITS)) | (hashes >> np.uint64(_TEXT_BITS))
    distinct, counts = np.unique(keys, return_counts=True)
    text_of = (distinct >> np.uint64(64 - _TEXT_BITS)).astype(np.int64)
    named = distinct & np.uint64((1 << (64 - _TEXT_BITS)) - 1)
    slot = ((named >> np.uint64(1)) % np.uint64(EMBEDDING_DIM)).astype(np.int64)
    sign = 1.0 - 2.0 * (named & np.uint64(1)).astype(np.float64)
    logs = np.array([0.0, *(1.0 + math.log(tf) for tf in range(1, int(counts.max()) + 1))])
    size = len(texts) * EMBEDDING_DIM
    summed = np.bincount(text_of * EMBEDDING_DIM + slot, weights=sign * logs[counts], minlength=size)
    vectors = summed.reshape(len(texts), EMBEDDING_DIM)
    norms = np.sqrt(np.square(vectors).sum(axis=1))
    for i in np.flatnonzero(norms < 1e-9):
        # Features that cancel, one slot and both signs, still leave a first one.
        first = int(np.searchsorted(text_of, i))
        vectors[i] = 0.0
        vectors[i, slot[first]] = sign[first]
        norms[i] = 1.0
    unit: NDArray[np.float32] = (vectors / norms[:, None]).astype(np.float32)
    return unit


def _character_grams(mixed: Hashes, owner: NDArray[np.int64], width: int) -> tuple[Hashes, NDArray[np.int64]]:
    """Hash of every ``width`` neighbouring characters of one text, and which text."""
    n = len(mixed) - width + 1
    if n <= 0:
        return np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64)
    hashes = np.full(n, width, dtype=np.uint64)
    for i in range(width):
        hashes = _mix(hashes * _BASE + mixed[i : i + n])
    inside = owner[:n] == owner[width - 1 :]
    return hashes[inside], owner[:n][inside]


def _word_grams(
    joined: str, characters: Hashes, mixed: Hashes, owner: NDArray[np.int64]
) -> list[tuple[Hashes, NDArray[np.int64]]]:
    """Hash of every word and of every two neighbouring words of one text, and which text."""
    kinds, kind = np.unique(characters, return_inverse=True)
    in_word = np.array([chr(c).isalnum() for c in kinds.tolist()])[kind]
    edges = np.diff(in_word.astype(np.int8), prepend=0, append=0)
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    if len(starts) == 0:
        return []
    # A word's polynomial sum_i c_i B^i from running sums; dividing by B^start makes it the same word anywhere.
    powers = np.concatenate([[np.uint64(1)], np.full(len(mixed), _BASE)]).cumprod(dtype=np.uint64)
    inverses = np.concatenate([[np.uint64(1)], np.full(len(mixed), _BASE_INVERSE)]).cumprod(dtype=np.uint64)
    running = np.concatenate([[np.uint64(0)], (mixed * powers[:-1]).cumsum(dtype=np.uint64)])
    words = _mix((running[stops] - running[starts]) * inverses[starts] + (stops - starts).astype(np.uint64))
    texts = owner[starts]
    follows = texts[1:] == texts[:-1]
    pairs = _mix(words[:-1] * _BASE + words[1:])[follows]
    return [(words, texts), (pairs, texts[:-1][follows])]


def _mix(x: Hashes) -> Hashes:
    """The finaliser of splitmix64: every bit of the input moves every bit of the output."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
