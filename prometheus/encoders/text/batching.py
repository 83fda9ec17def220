"""From token lists to blocks for the model: windows over long texts, batches without padding waste.

1. A text of more tokens than the model takes is cut into windows that overlap; the last window ends with the text,
   so every window but a lone one is full and nothing is cut off.
2. Windows are laid one after the other, longest first, into batches of at most ``batch_tokens`` tokens. Windows of
   equal length stand together and attend as one group, so no token is padding.
3. Each batch is filled up with idle tokens to a whole number of blocks of 256. Matrix products of such heights give
   a row the same bits wherever it stands, which heights of a few rows do not: a text's vector then does not depend
   on the texts it shares a batch with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOKEN_BLOCK = 256


@dataclass(frozen=True)
class Windows:
    """Token windows of some texts, in text order.

    Attributes
    ----------
    tokens : tuple of w ndarrays, int64
        Token ids of each window, special tokens included.
    first : ndarray of shape (n,), int64
        Index of each text's first window.
    """

    tokens: tuple[NDArray[np.int64], ...]
    first: NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """Windows laid one after the other for one pass of the model.

    Attributes
    ----------
    windows : ndarray of shape (b,), int64
        Which windows, in the order they lie.
    ids, positions : ndarray of shape (t,), int64
        Token ids and their positions in their window; ``t`` is a multiple of :data:`TOKEN_BLOCK`, the idle tokens
        at the end are zero.
    groups : tuple of (count, length)
        Runs of windows of equal length.
    """

    windows: NDArray[np.int64]
    ids: NDArray[np.int64]
    positions: NDArray[np.int64]
    groups: tuple[tuple[int, int], ...]


def split_windows(
    contents: Sequence[Sequence[int]], opening: int, closing: int, max_tokens: int, overlap: int
) -> Windows:
    """Cut token lists into windows.

    Parameters
    ----------
    contents : sequence of n token lists
        Without special tokens.
    opening, closing : int
        Special tokens put around every window.
    max_tokens : int
        Most tokens of a window, the two special ones included.
    overlap : int
        Tokens that two neighbouring windows share; the last two may share more.
    """
    room = max_tokens - 2
    if not 0 <= overlap < room:
        raise ValueError(f"windows of {max_tokens} tokens cannot overlap by {overlap}; at most {room - 1} is possible")
    tokens: list[NDArray[np.int64]] = []
    first = np.empty(len(contents), dtype=np.int64)
    for i, content in enumerate(contents):
        first[i] = len(tokens)
        last = max(len(content) - room, 0)
        for start in [*range(0, last, room - overlap), last]:
            tokens.append(np.array([opening, *content[start : start + room], closing], dtype=np.int64))
    return Windows(tuple(tokens), first)


def plan_batches(windows: Windows, batch_tokens: int) -> Iterator[Batch]:
    """Lay windows into batches, longest first, ties in window order.

    The plan depends on the windows and ``batch_tokens`` alone.
    """
    lengths = np.array([len(t) for t in windows.tokens], dtype=np.int64)
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        ends = np.cumsum(lengths[order[start : start + batch_tokens]])
        count = max(int(np.searchsorted(ends, batch_tokens, side="right")), 1)
        yield _lay(windows, order[start : start + count], lengths)
        start += count


def pool_windows(windows: Windows, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """One unit vector per text: its only window's, or the mean of its windows' unit vectors, renormalised.

    Parameters
    ----------
    windows : Windows
        Of n texts.
    vectors : ndarray of shape (w, d), float32
        Unit vectors of the windows.

    Returns
    -------
    ndarray of shape (n, d), float32
    """
    if len(windows.first) == 0:
        return np.empty((0, vectors.shape[1]), dtype=np.float32)
    pooled = vectors[windows.first]
    counts = np.diff(windows.first, append=len(vectors))
    for i in np.flatnonzero(counts > 1):
        at = windows.first[i]
        mean = vectors[at : at + counts[i]].mean(axis=0, dtype=np.float64)
        pooled[i] = mean / np.sqrt(np.square(mean).sum())
    return pooled


def _lay(windows: Windows, chosen: NDArray[np.int64], lengths: NDArray[np.int64]) -> Batch:
    sizes = lengths[chosen]
    total = int(sizes.sum())
    height = -(-total // TOKEN_BLOCK) * TOKEN_BLOCK
    ids = np.zeros(height, dtype=np.int64)
    positions = np.zeros(height, dtype=np.int64)
    ids[:total] = np.concatenate([windows.tokens[w] for w in chosen])
    positions[:total] = np.arange(total) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    kinds, counts = np.unique(sizes, return_counts=True)
    groups = tuple((int(n), int(length)) for length, n in zip(kinds[::-1], counts[::-1], strict=True))
    return Batch(chosen, ids, positions, groups)
