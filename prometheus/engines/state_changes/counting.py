"""Counting transitions: pairs of labels of one entity, some sessions apart.

A pair counts once both of its ends are known: one that ends on session t is part of what is known on t. It counts
whether or not the label changed: without the pairs that stayed, every forecast one session ahead would be a change. A
session without a label breaks the pairs it is an end of; nothing is carried over it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int8]
Counts = NDArray[np.int64]

UNKNOWN = -1
"""Code of a session without a label."""


def codes_of(values: Sequence[str | None] | NDArray[np.object_], labels: Sequence[str]) -> Codes:
    """Codes of label names: the place of each among the labels, ``UNKNOWN`` for None.

    Parameters
    ----------
    values : sequence of str or None, any shape
    labels : sequence of str

    Returns
    -------
    ndarray of int8, shape of ``values``

    Raises
    ------
    ValueError
        Naming a value that is no label.
    """
    given = np.asarray(values, dtype=object)
    codes = np.full(given.shape, UNKNOWN, dtype=np.int8)
    matched = np.zeros(given.shape, dtype=bool)
    for code, label in enumerate(labels):
        at = given == label
        codes[at] = code
        matched |= at
    others = [value for value in set(given[~matched].tolist()) if value is not None]
    if others:
        raise ValueError(f"{others[0]!r} is none of the labels {', '.join(labels)}")
    return codes


def pairs_of(codes: Codes, num_labels: int, lag: int) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Transition that ends on each session of each entity.

    Parameters
    ----------
    codes : ndarray of int8, shape (t, e)
        Sessions by entities.
    num_labels : int
    lag : int
        Sessions between the two ends.

    Returns
    -------
    pairs : ndarray of int16, shape (t, e)
        ``from * num_labels + to``; 0 where there is none.
    known : ndarray of bool, shape (t, e)
        Whether there is one.
    """
    pairs = np.zeros(codes.shape, dtype=np.int16)
    known = np.zeros(codes.shape, dtype=bool)
    if lag < len(codes):
        before, after = codes[:-lag], codes[lag:]
        known[lag:] = (before != UNKNOWN) & (after != UNKNOWN)
        pairs[lag:] = np.where(known[lag:], before * np.int16(num_labels) + after, 0)
    return pairs, known


def transition_counts(codes: Codes, num_labels: int, lag: int = 1) -> Counts:
    """Transitions of all entities together that were known by each session.

    Parameters
    ----------
    codes : ndarray of int8, shape (t, e)
        Sessions by entities, ``UNKNOWN`` where there is no label.
    num_labels : int
    lag : int
        Sessions between the two ends of a pair.

    Returns
    -------
    ndarray of int64, shape (t, num_labels, num_labels)
        Expanding counts, from row to column; those of session t hold every pair that ended by t.
    """
    pairs, known = pairs_of(codes, num_labels, lag)
    ended = np.empty((len(codes), num_labels * num_labels), dtype=np.int64)
    for pair in range(num_labels * num_labels):
        ended[:, pair] = ((pairs == pair) & known).sum(axis=1)
    return ended.cumsum(axis=0).reshape(len(codes), num_labels, num_labels)


def entity_transition_counts(codes: Codes, num_labels: int, lag: int, at: NDArray[np.int64]) -> Counts:
    """Transitions of each entity apart that were known by each of some sessions.

    Parameters
    ----------
    codes, num_labels, lag
        As in :func:`transition_counts`.
    at : ndarray of int64, shape (n,)
        Ascending positions of the sessions, at least one.

    Returns
    -------
    ndarray of int64, shape (n, e, num_labels, num_labels)
    """
    num_entities, num_pairs = codes.shape[1], num_labels * num_labels
    pairs, known = pairs_of(codes[: at[-1] + 1], num_labels, lag)
    session, entity = np.nonzero(known)
    # Each pair counts from the first of the sessions that knows it.
    slot = np.searchsorted(at, session) * num_entities + entity
    cells = slot * num_pairs + pairs[session, entity]
    ended = np.bincount(cells, minlength=len(at) * num_entities * num_pairs)
    return ended.reshape(len(at), num_entities, num_labels, num_labels).cumsum(axis=0)
