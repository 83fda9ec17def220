"""What a cloud of embeddings looks like: norms, cosines, effective rank, drift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Which quantiles norms and cosines are told by."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Vectors of some days of one surface, by day, then key.

    Attributes
    ----------
    days : ndarray of datetime64[D], shape (n,)
    keys : ndarray of str, shape (n,)
    vectors : ndarray of float32, shape (n, d)
    """

    days: NDArray[np.datetime64]
    keys: NDArray[np.str_]
    vectors: Vectors

    def __len__(self) -> int:
        return len(self.days)


def norm_quantiles(sample: Sample) -> tuple[NDArray[np.datetime64], NDArray[np.float64]]:
    """Quantiles of the vectors' norms on each day.

    Returns
    -------
    days : ndarray of datetime64[D], shape (t,)
    quantiles : ndarray of float64, shape (t, len(QUANTILES))
    """
    norms = np.linalg.norm(sample.vectors.astype(np.float64), axis=1)
    days, starts = np.unique(sample.days, return_index=True)
    parts = np.split(norms, starts[1:])
    return days, np.array([np.quantile(p, QUANTILES) for p in parts]).reshape(-1, len(QUANTILES))


def cosine_quantiles(sample: Sample, pairs: int, seed: int = 0) -> dict[str, NDArray[np.float64]]:
    """Quantiles of cosines between random pairs: of one day, of one key on different days, of anything.

    A surface on which everything is alike (all quantiles near 1) or on which a name is no more like itself than like
    others tells nothing.

    Parameters
    ----------
    sample : Sample
    pairs : int
        Pairs drawn of each kind.
    seed : int

    Returns
    -------
    dict of str to ndarray of float64, shape (len(QUANTILES),)
        By ``same day``, ``same key`` and ``any``; kinds of which there is no pair are absent.
    """
    rng = np.random.default_rng(seed)
    norms = np.linalg.norm(sample.vectors.astype(np.float64), axis=1)
    unit = sample.vectors / np.maximum(norms, np.finfo(np.float64).tiny)[:, None]
    n = len(sample)
    out = {}
    everything = np.zeros(n, dtype=np.int64)
    for kind, groups in (
        ("same day", np.unique(sample.days, return_inverse=True)[1]),
        ("same key", np.unique(sample.keys, return_inverse=True)[1]),
        ("any", everything),
    ):
        left, right = _pairs(groups, pairs, rng)
        if len(left):
            cosines = np.einsum("ij,ij->i", unit[left], unit[right])
            out[kind] = np.quantile(cosines.astype(np.float64), QUANTILES)
    return out


def _pairs(
    groups: NDArray[np.int64], pairs: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw pairs of different rows of one group, groups as often as they have rows."""
    order = np.argsort(groups, kind="stable")
    sorted_groups = groups[order]
    first = np.searchsorted(sorted_groups, sorted_groups, side="left")
    size = np.searchsorted(sorted_groups, sorted_groups, side="right") - first
    usable = np.flatnonzero(size > 1)
    if len(usable) == 0:
        return usable, usable
    left = rng.choice(usable, size=min(pairs, 4 * len(usable)))
    step = 1 + (rng.random(len(left)) * (size[left] - 1)).astype(np.int64)
    right = first[left] + (left - first[left] + step) % size[left]
    return order[left], order[right]


def effective_rank(vectors: Vectors) -> float:
    """Effective rank: the exponential of the entropy of the covariance's normalised eigenvalues.

    1 when all vectors lie on a line through their mean, at most the number of dimensions (Roy and Vetterli 2007, on
    the eigenvalues of the covariance).

    Parameters
    ----------
    vectors : ndarray of float32, shape (n, d)
    """
    if len(vectors) < 2:
        return 0.0
    centred = vectors.astype(np.float64)
    centred -= centred.mean(axis=0)
    spectrum = np.maximum(np.linalg.eigvalsh(centred.T @ centred), 0.0)
    total = spectrum.sum()
    if total <= 0.0:
        return 0.0
    share = spectrum[spectrum > 0] / total
    return float(np.exp(-(share * np.log(share)).sum()))


def drift(sample: Sample) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """How far each year's mean lies from the mean of all years before, in spreads of those years.

    The spread is the root mean squared distance of the earlier vectors from their own mean. Below 1 a year lies inside
    what was seen before; a head fitted on the past meets a year far above 1 as a stranger.

    Returns
    -------
    years : ndarray of int64
        From the second year of the sample on.
    distance : ndarray of float64
    """
    years = sample.days.astype("datetime64[Y]").astype(np.int64) + 1970
    found, distances = [], []
    for year in np.unique(years)[1:]:
        past = sample.vectors[years < year].astype(np.float64)
        mean = past.mean(axis=0)
        spread = np.sqrt(np.square(past - mean).sum(axis=1).mean())
        if spread > 0:
            now = sample.vectors[years == year].astype(np.float64).mean(axis=0)
            found.append(int(year))
            distances.append(float(np.linalg.norm(now - mean) / spread))
    return np.array(found, dtype=np.int64), np.array(distances)


def nearest_rows(
    sample: Sample, queries: int, neighbours: int, seed: int = 0
) -> list[tuple[int, list[tuple[int, float]]]]:
    """Find the most alike rows of other keys on the same day, for some rows.

    Parameters
    ----------
    sample : Sample
    queries : int
        Rows asked about, spread over the days.
    neighbours : int
    seed : int

    Returns
    -------
    list of (row, list of (row, cosine))
    """
    rng = np.random.default_rng(seed)
    _, starts, counts = np.unique(sample.days, return_index=True, return_counts=True)
    several = np.flatnonzero(counts > 1)
    if len(several) == 0:
        return []
    chosen = several[np.linspace(0, len(several) - 1, min(queries, len(several))).astype(int)]
    out = []
    for k in chosen:
        block = slice(int(starts[k]), int(starts[k] + counts[k]))
        vectors = sample.vectors[block].astype(np.float64)
        norms = np.linalg.norm(vectors, axis=1)
        row = int(rng.integers(counts[k]))
        scale = norms * norms[row]
        cosine = np.divide(vectors @ vectors[row], scale, out=np.zeros(len(vectors)), where=scale > 0)
        cosine[row] = -np.inf
        best = np.argsort(-cosine, kind="stable")[: min(neighbours, len(vectors) - 1)]
        out.append((block.start + row, [(block.start + int(i), float(cosine[i])) for i in best]))
    return out
