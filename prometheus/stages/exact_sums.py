"""Sums of text vectors by group, exact whatever the order of the rows and whichever groups share the call.

A float32 component is rounded once to a multiple of 2^-36, as in :mod:`prometheus.spaces.joint.daily_mean`: sums of
such numbers below 2^15 are exact in float64, so the order in which they are added changes no bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_GRAIN_BITS = 36
# Adding and subtracting this constant rounds a float64 to a multiple of 2^-36 (Dekker's trick).
_ROUNDER = 1.5 * 2.0 ** (52 - _GRAIN_BITS)
_LIMIT = 2.0 ** (51 - _GRAIN_BITS)
_BLOCK = 2048
_TARGETS = 4096


def grouped_sums(
    vectors: NDArray[np.float32], rows: NDArray[np.int64], groups: NDArray[np.int64], count: int
) -> NDArray[np.float64]:
    """Sum rows of a block by group.

    Parameters
    ----------
    vectors : ndarray of float32, shape (m, d)
    rows : ndarray of int64, shape (p,)
        Row of ``vectors`` each term is.
    groups : ndarray of int64, shape (p,)
        Group each term belongs to, ascending.
    count : int
        Groups there are.

    Returns
    -------
    ndarray of float64, shape (count, d)

    Raises
    ------
    ValueError
        When a sum leaves the range in which it is exact.
    """
    sums = np.zeros((count, vectors.shape[1]), dtype=np.float64)
    for start in range(0, len(rows), _BLOCK):
        terms = vectors[rows[start : start + _BLOCK]].astype(np.float64)
        terms += _ROUNDER
        terms -= _ROUNDER
        mine = groups[start : start + _BLOCK]
        edges = np.flatnonzero(np.diff(mine, prepend=-1))
        sums[mine[edges]] += np.add.reduceat(terms, edges, axis=0)
    if np.abs(sums).max(initial=0.0) >= _LIMIT:
        raise ValueError("vectors sum beyond the exact range; their norms are not those of embeddings")
    return sums


@dataclass(frozen=True, eq=False)
class Terms:
    """Vectors that count for a name on a day, as long as they are known.

    Attributes
    ----------
    names : ndarray of int64, shape (p,)
    days : ndarray of int64, shape (p,)
        Days since 1970.
    since, until : ndarray of int64, shape (p,)
        Microseconds since 1970: counted at cut-offs ``since <= c < until``.
    rows : ndarray of int64, shape (p,)
        Row of the vector.
    """

    names: NDArray[np.int64]
    days: NDArray[np.int64]
    since: NDArray[np.int64]
    until: NDArray[np.int64]
    rows: NDArray[np.int64]

    def take(self, at: NDArray[np.int64] | NDArray[np.bool_]) -> Terms:
        """Return some of them."""
        return Terms(self.names[at], self.days[at], self.since[at], self.until[at], self.rows[at])

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, eq=False)
class DecayedMeans:
    """Decayed means of some targets.

    Attributes
    ----------
    found : ndarray of bool, shape (n,)
        Whether the target had any vector in its window.
    means : ndarray of float64, shape (n, d)
        Zeros where there was none.
    newest : ndarray of int64, shape (n,)
        Last day that had one, since 1970.
    """

    found: NDArray[np.bool_]
    means: NDArray[np.float64]
    newest: NDArray[np.int64]


def decayed_means(
    vectors: NDArray[np.float32],
    terms: Terms,
    names: NDArray[np.int64],
    days: NDArray[np.int64],
    cutoffs: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> DecayedMeans:
    """Weighted mean of each target's vectors over the last days, by age: sum_k w_k S_k / sum_k w_k N_k.

    S_k and N_k are sum and number of the name's vectors of the day k days before, as known at the target's cut-off.
    S_k is exact and the sum over k runs in one order, so a target's value does not depend on the others.

    Parameters
    ----------
    vectors : ndarray of float32, shape (m, d)
    terms : Terms
        In any order.
    names, days, cutoffs : ndarray of int64, shape (n,)
        Targets; days and microseconds since 1970.
    weights : ndarray of float64, shape (w,)
        By age in days, from 0.
    """
    first = int(days.min()) - len(weights) + 1 if len(days) else 0
    width = int(days.max()) - first + 1 if len(days) else 0
    terms = terms.take((terms.days >= first) & (terms.days < first + width))
    code = terms.names * width + (terms.days - first)
    order = np.argsort(code, kind="stable")
    terms, code = terms.take(order), code[order]
    groups, group_of = np.unique(code, return_inverse=True)
    always = _at_every_cutoff(terms, days, cutoffs, first, width, len(weights))
    sums = grouped_sums(vectors, terms.rows[always], group_of[always], len(groups))
    counts = np.bincount(group_of[always], minlength=len(groups))
    sometimes, place = terms.take(~always), group_of[~always]
    bounds = np.searchsorted(place, np.arange(len(groups) + 1))
    n, d = len(days), vectors.shape[1]
    means, total = np.zeros((n, d)), np.zeros(n)
    newest = np.full(n, np.iinfo(np.int64).min)
    for start in range(0, n if len(groups) else 0, _TARGETS):
        block = np.arange(start, min(start + _TARGETS, n))
        for age, weight in enumerate(weights):
            wanted = names[block] * width + (days[block] - age - first)
            at = np.minimum(np.searchsorted(groups, wanted), len(groups) - 1)
            hits = np.flatnonzero(groups[at] == wanted)
            targets, at = block[hits], at[hits]
            some, many = sums[at], counts[at]
            for pairs, rows in _known_pairs(sometimes, bounds, at, cutoffs[targets]):
                some += grouped_sums(vectors, rows, pairs, len(at))
                many = many + np.bincount(pairs, minlength=len(at))
            any_ = many > 0
            targets, some, many = targets[any_], some[any_], many[any_]
            means[targets] += weight * some
            total[targets] += weight * many
            newest[targets] = np.maximum(newest[targets], days[targets] - age)
    found = total > 0
    means[found] /= total[found, None]
    return DecayedMeans(found, means, newest)


def _at_every_cutoff(
    terms: Terms, days: NDArray[np.int64], cutoffs: NDArray[np.int64], first: int, width: int, window: int
) -> NDArray[np.bool_]:
    """Which terms count at the cut-off of every target whose window holds their day."""
    earliest = np.full(width, np.iinfo(np.int64).max)
    latest = np.full(width, np.iinfo(np.int64).min)
    for age in range(window):
        np.minimum.at(earliest, days - age - first, cutoffs)
        np.maximum.at(latest, days - age - first, cutoffs)
    at = terms.days - first
    settled: NDArray[np.bool_] = (terms.since <= earliest[at]) & (terms.until > latest[at])
    return settled


def _known_pairs(
    terms: Terms, bounds: NDArray[np.int64], at: NDArray[np.int64], cutoffs: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of place in ``at`` and vector row, of the terms of its group that are known at its cut-off."""
    lengths = bounds[at + 1] - bounds[at]
    if not lengths.any():
        return
    pairs = np.repeat(np.arange(len(at)), lengths)
    begins = np.cumsum(lengths) - lengths
    which = np.arange(len(pairs)) - np.repeat(begins, lengths) + np.repeat(bounds[at], lengths)
    known = (terms.since[which] <= cutoffs[pairs]) & (cutoffs[pairs] < terms.until[which])
    if known.any():
        yield pairs[known], terms.rows[which[known]]
