"""A few numbers that stand for a window: principal components of the regime embeddings up to a cut.

All components share one scale, so distances are those of the embeddings: what the embedding weighs more stays heavier.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.encoders.numeric.pca import fit_pca

LARGEST_ENTRY = 1.0
"""Entries of embeddings are limited to this before the fit: sums of their products are then exact."""


@dataclass(frozen=True)
class Projection:
    """Principal components, over the windows fitted on of unit variance on average.

    Attributes
    ----------
    mean : ndarray of float64, shape (d,)
    axes : ndarray of float64, shape (p, d)
        Components over their common scale.
    """

    mean: NDArray[np.float64]
    axes: NDArray[np.float64]

    def __call__(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Scores of shape (n, p); each row the same whatever the others are."""
        rows = np.clip(vectors.astype(np.float64), -LARGEST_ENTRY, LARGEST_ENTRY) - self.mean
        return np.stack([np.einsum("ij,j->i", rows, axis) for axis in self.axes], axis=1)


def fit_projection(vectors: NDArray[np.float32], components: int) -> Projection:
    """Fit the projection on the embeddings up to a cut.

    Parameters
    ----------
    vectors : ndarray of float32, shape (n, d)
    components : int
    """
    fit = fit_pca(np.clip(vectors, -LARGEST_ENTRY, LARGEST_ENTRY), components)
    scale = np.sqrt(max(float(fit.variances.mean()), float(np.finfo(np.float32).tiny)))
    return Projection(fit.mean.astype(np.float64), fit.components.astype(np.float64) / scale)
