"""Encode each text once, ever: a cache of vectors by content hash.

A transformer's vector may move by 1e-6 with the batch, the machine or the thread count. Once cached it is reused, so
everything made from it stays equal bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from prometheus.encoders.text.protocol import TextEncoder, refuse_blank, text_hash
from prometheus.errors import EncoderMismatchError

_BLOCK_TEXTS = 2048
_BLOCK_CHARACTERS = 1_000_000


@runtime_checkable
class TextVectorCache(Protocol):
    """Vectors by :func:`text_hash`, all of one encoder."""

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the encoder whose vectors these are."""
        ...

    def get(self, hashes: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Look texts up.

        Returns
        -------
        found : ndarray of shape (n,), bool
        vectors : ndarray of shape (n, d), float32
            Zeros where not found.
        """
        ...

    def put(self, hashes: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Keep vectors of shape (n, d); a text that is already kept stays as it is."""
        ...


@dataclass(frozen=True, eq=False)
class EncodedTexts:
    """What :func:`encode_with_cache` returns.

    Attributes
    ----------
    vectors : ndarray of shape (n, d), float32
        In the order of the texts.
    hashes : tuple of n str
        Content hash of each text.
    encoded, reused : int
        Distinct texts computed now, and distinct texts that were already known.
    """

    vectors: NDArray[np.float32]
    hashes: tuple[str, ...]
    encoded: int
    reused: int


def encode_with_cache(encoder: TextEncoder, texts: Sequence[str], cache: TextVectorCache) -> EncodedTexts:
    """Encode the texts the cache does not know, keep them, and return all.

    Every 2,048 texts (or million characters) what is finished is kept, so an interrupted call loses little.
    Duplicate texts are computed once.

    Raises
    ------
    EncoderMismatchError
        When the cache holds another encoder's vectors.
    ValueError
        When a text is blank; nothing has been computed then.
    """
    descriptor = encoder.descriptor
    if cache.fingerprint != descriptor.fingerprint:
        raise EncoderMismatchError(
            f"the text cache holds vectors of the encoder {cache.fingerprint}, but {descriptor.name} is "
            f"{descriptor.fingerprint}; open a cache for this fingerprint"
        )
    refuse_blank(texts)
    hashes = tuple(map(text_hash, texts))
    text_of = dict(zip(hashes, texts, strict=True))
    distinct = list(text_of)
    found, vectors = cache.get(distinct)
    for block in _blocks(np.flatnonzero(~found), [len(text_of[h]) for h in distinct]):
        named = [distinct[i] for i in block]
        vectors[block] = encoder.encode([text_of[h] for h in named])
        cache.put(named, vectors[block])
    if len(distinct) < len(hashes):
        row = {h: i for i, h in enumerate(distinct)}
        vectors = vectors[[row[h] for h in hashes]]
    return EncodedTexts(vectors, hashes, int((~found).sum()), int(found.sum()))


def _blocks(missing: NDArray[np.int64], sizes: Sequence[int]) -> Iterator[list[int]]:
    block: list[int] = []
    characters = 0
    for i in missing.tolist():
        if block and (len(block) == _BLOCK_TEXTS or characters + sizes[i] > _BLOCK_CHARACTERS):
            yield block
            block, characters = [], 0
        block.append(i)
        characters += sizes[i]
    if block:
        yield block
