"""Labels of sessions against the true ones: balanced accuracy, delay after a change, dwell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.str_]


def recall_of_each(told: Labels, truth: Labels) -> dict[str, float]:
    """Share of the sessions of each true label that carry it.

    Parameters
    ----------
    told, truth : ndarray of str, shape (n,)
        Sessions in order of time.
    """
    _check(told, truth)
    return {str(label): float((told[truth == label] == label).mean()) for label in np.unique(truth)}


def balanced_accuracy(told: Labels, truth: Labels) -> float:
    """Mean recall over the labels there are: 1 / their number for a guess that does not look.

    References
    ----------
    Brodersen, K. H. et al. (2010). The balanced accuracy and its posterior distribution. ICPR, 3121-3124.
    """
    return float(np.mean(list(recall_of_each(told, truth).values())))


def detection_delays(told: Labels, truth: Labels) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Sessions from each change of the truth to the first right label.

    Returns
    -------
    delays : ndarray of int64, shape (changes,)
        0 when the first session is right; the length of the spell when none of it is.
    found : ndarray of bool, shape (changes,)
        Whether the spell was ever told.
    """
    _check(told, truth)
    starts = np.flatnonzero(truth[1:] != truth[:-1]) + 1
    ends = np.append(starts[1:], len(truth))
    delays, found = np.empty(len(starts), dtype=np.int64), np.zeros(len(starts), dtype=bool)
    for i, (start, end) in enumerate(zip(starts, ends[: len(starts)], strict=True)):
        right = np.flatnonzero(told[start:end] == truth[start])
        found[i] = right.size > 0
        delays[i] = right[0] if right.size else end - start
    return delays, found


def mean_dwell(labels: Labels) -> float:
    """Mean length of a spell of one label, in sessions."""
    if len(labels) == 0:
        raise ValueError("there are no labels")
    return len(labels) / (1 + int((labels[1:] != labels[:-1]).sum()))


def _check(told: Labels, truth: Labels) -> None:
    if len(told) != len(truth) or len(truth) == 0:
        raise ValueError(f"as many labels as true ones are needed, and some; got {len(told)} and {len(truth)}")
