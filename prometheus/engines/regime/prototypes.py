"""The prototype head: regimes as the nearest of a few centroids fitted on past regime embeddings.

1. k-means (k = 4) on the windows up to a dated cut.
2. Centroids are named by what their windows did, not by position: the most volatile is CRISIS, the next RISK_OFF; of
   the two calm ones the one with the higher return is CARRY, the other NEUTRAL.
3. A window's probabilities are softmax(-squared distance / T), T being the median gap between the squared distances
   to the nearest and second nearest centroid over the windows fitted on.

References
----------
Lloyd, S. (1982). Least squares quantization in PCM. IEEE Transactions on Information Theory 28(2), 129-137.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.engines.regime.base import LABELS, MIN_WINDOWS, naming_order

__all__ = ["LABELS", "MIN_WINDOWS", "PrototypeHead", "fit_prototypes", "squared_distances"]


@dataclass(frozen=True)
class PrototypeHead:
    """A fitted prototype head.

    Attributes
    ----------
    labels : tuple of str, length k
    centroids : ndarray of float32, shape (k, d)
    temperature : float
        Scale of squared distances.
    counts : ndarray of int64, shape (k,)
        Windows in each cluster.
    mean_volatility, mean_return : ndarray of float64, shape (k,)
        Of each cluster's windows, annualised.
    """

    labels: tuple[str, ...]
    centroids: NDArray[np.float32]
    temperature: float
    counts: NDArray[np.int64]
    mean_volatility: NDArray[np.float64]
    mean_return: NDArray[np.float64]

    recursive = False

    def probabilities(
        self, vectors: NDArray[np.float32], recent_volatility: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """See :class:`~prometheus.engines.regime.base.RegimeHead`."""
        scores = -squared_distances(vectors, self.centroids) / self.temperature
        scores -= scores.max(axis=1, keepdims=True)
        weights = np.exp(scores)
        shares: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
        return shares


def squared_distances(vectors: NDArray[np.float32], centroids: NDArray[np.float32]) -> NDArray[np.float64]:
    """Squared Euclidean distance of every vector to every centroid, one row at a time the same whatever the batch."""
    rows = vectors.astype(np.float64)
    out = np.empty((len(rows), len(centroids)))
    for k, centroid in enumerate(centroids.astype(np.float64)):
        difference = rows - centroid
        out[:, k] = np.einsum("ij,ij->i", difference, difference)
    return out


def fit_prototypes(
    vectors: NDArray[np.float32],
    volatility: NDArray[np.float64],
    returns: NDArray[np.float64],
    *,
    seed: int = 7,
    restarts: int = 10,
    least: int = MIN_WINDOWS,
) -> PrototypeHead:
    """Fit the head on the windows up to a cut.

    Parameters
    ----------
    vectors : ndarray of float32, shape (n, d)
        Regime embeddings of every session up to the cut, in order of date.
    volatility, returns : ndarray of float64, shape (n,)
        Realised volatility and log return of each window, annualised; they name the centroids.
    seed, restarts : int
        Of k-means; the best of ``restarts`` starts is taken.
    least : int
        Windows it takes.

    Raises
    ------
    ValueError
        With fewer windows.
    """
    if len(vectors) < least:
        raise ValueError(f"a prototype fit needs {least} windows, got {len(vectors)}")
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):  # one thread adds in one order: the same fit on every machine size
        model = KMeans(n_clusters=len(LABELS), n_init=restarts, random_state=seed, algorithm="lloyd")
        assigned = model.fit_predict(vectors.astype(np.float64))
    counts = np.bincount(assigned, minlength=len(LABELS))
    mean_volatility = np.bincount(assigned, weights=volatility, minlength=len(LABELS)) / counts
    mean_return = np.bincount(assigned, weights=returns, minlength=len(LABELS)) / counts
    order = naming_order(mean_volatility, mean_return)
    centroids = model.cluster_centers_[order].astype(np.float32)
    nearest = np.sort(squared_distances(vectors, centroids), axis=1)
    gap = float(np.median(nearest[:, 1] - nearest[:, 0]))
    return PrototypeHead(
        labels=LABELS,
        centroids=centroids,
        temperature=max(gap, float(np.finfo(np.float32).tiny)),
        counts=counts[order].astype(np.int64),
        mean_volatility=mean_volatility[order],
        mean_return=mean_return[order],
    )
