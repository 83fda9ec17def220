"""How near a state is to what went badly before: its cosine to severe scenarios in the stability embedding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.encoders.numeric.exact import ExactMap


@dataclass(frozen=True, eq=False)
class SevereScenarios:
    """Severe scenarios known on a day.

    Attributes
    ----------
    ids : tuple of str
        ``set/scenario``, ascending.
    vectors : ndarray of float32, shape (k, d)
    """

    ids: tuple[str, ...]
    vectors: NDArray[np.float32]

    def nearest(
        self, vectors: NDArray[np.float32], masked: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Nearest scenario of each row, as its place in ``ids`` (the first of equals), and the cosine to it.

        Parameters
        ----------
        vectors : ndarray of float32, shape (n, d)
        masked : ndarray of int64
            Slots left out on both sides: a path has no volume.
        """
        similarity = ExactMap(_unit(self.vectors, masked).T, 1.0)(_unit(vectors, masked).astype(np.float32))
        best = np.argmax(similarity, axis=1)
        return best.astype(np.int64), similarity[np.arange(len(best)), best]


def _unit(vectors: NDArray[np.float32], masked: NDArray[np.int64]) -> NDArray[np.float64]:
    rows = vectors.astype(np.float64)
    rows[:, masked] = 0.0
    norm = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    return rows / np.where(norm > 0.0, norm, 1.0)[:, None]
