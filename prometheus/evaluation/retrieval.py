"""Retrieval gates: is what a search brings up relevant more often than chance would have it?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from prometheus.evaluation.bootstrap import Bootstrap
from prometheus.evaluation.result import Result


def precision_at_k(
    hits: NDArray[np.int64],
    num_relevant: NDArray[np.int64],
    num_candidates: NDArray[np.int64],
    k: int,
    *,
    clusters: NDArray[np.generic] | None = None,
    bootstrap: Bootstrap | None = None,
) -> Result:
    """Mean share of relevant ones among the first k found.

    Parameters
    ----------
    hits : ndarray of int64, shape (q,)
        Relevant candidates among the k found, for each query.
    num_relevant, num_candidates : ndarray of int64, shape (q,)
        Of all that were searched.
    k : int
        Where there are fewer candidates, all of them are found, and the share is of those.
    clusters : ndarray of shape (q,), optional
        Queries of one cluster (one date, one company) are resampled together.
    bootstrap : Bootstrap, optional
        Single clusters are resampled unless a block length is given.

    Returns
    -------
    Result
        ``chance`` is the exact expectation of k candidates drawn without replacement: ``R / N`` for each query, then
        the mean. The interval is that of the gain over each query's chance, put on the mean chance.
    """
    _check(hits, num_relevant, num_candidates, k)
    found = np.minimum(k, num_candidates)
    return _gate(f"precision@{k}", hits / found, num_relevant / num_candidates, clusters, bootstrap)


def recall_at_k(
    hits: NDArray[np.int64],
    num_relevant: NDArray[np.int64],
    num_candidates: NDArray[np.int64],
    k: int,
    *,
    clusters: NDArray[np.generic] | None = None,
    bootstrap: Bootstrap | None = None,
) -> Result:
    """Mean share of the relevant ones that are among the first k found; queries without any are left out.

    Parameters as in :func:`precision_at_k`; chance is ``min(k, N) / N`` for each query.
    """
    _check(hits, num_relevant, num_candidates, k)
    some = num_relevant > 0
    if not some.any():
        raise ValueError("no query has a relevant candidate; there is nothing to recall")
    share = hits[some] / num_relevant[some]
    chance = np.minimum(k, num_candidates[some]) / num_candidates[some]
    return _gate(f"recall@{k}", share, chance, None if clusters is None else clusters[some], bootstrap)


def hits_at_k(relevant: NDArray[np.bool_], k: int) -> NDArray[np.int64]:
    """Count relevant ones among the first k of ranked lists, shape (q, at least k)."""
    if relevant.ndim != 2 or relevant.shape[1] < k:
        raise ValueError(f"ranked lists must have shape (q, >= {k}); got {relevant.shape}")
    counted: NDArray[np.int64] = relevant[:, :k].sum(axis=1).astype(np.int64)
    return counted


def _check(hits: NDArray[np.int64], relevant: NDArray[np.int64], candidates: NDArray[np.int64], k: int) -> None:
    if k < 1 or len(hits) == 0:
        raise ValueError(f"a retrieval gate needs queries and k of at least 1; got {len(hits)} and {k}")
    if (candidates < 1).any() or (relevant > candidates).any():
        raise ValueError("a query has no candidates, or fewer candidates than relevant ones")
    if (hits > np.minimum(relevant, k)).any() or (hits < 0).any():
        raise ValueError("a query has more hits than relevant candidates or places")


def _gate(
    name: str,
    value: NDArray[np.float64],
    chance: NDArray[np.float64],
    clusters: NDArray[np.generic] | None,
    bootstrap: Bootstrap | None,
) -> Result:
    made = bootstrap or Bootstrap(mean_block=1.0)
    groups = np.arange(len(value)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    n = int(groups.max()) + 1
    # Sums a cluster: the ratio of resampled sums is the mean over the queries that were drawn.
    columns = np.stack([np.bincount(groups, value - chance, n), np.bincount(groups, minlength=n).astype(float)], axis=1)
    low, high = made.interval(columns, lambda means: means[:, 0] / means[:, 1])
    expected = float(chance.mean())
    unit = "queries" if clusters is None else "clusters"
    return Result(name, float(value.mean()), expected, expected + low, expected + high, n, made.level, unit)
