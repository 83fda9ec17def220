"""From counted transitions to probabilities H sessions ahead.

Smoothing is Laplace's: with counts n_ij of transitions from label i to label j and k labels,

    P_ij = (n_ij + a) / (sum_j n_ij + a k),

so that what was never seen is rare, not impossible, and a label never left yet has a row.

References
----------
Laplace, P.-S. (1814), "Essai philosophique sur les probabilités" (a = 1). Anderson, T. W. and Goodman, L. A. (1957),
"Statistical Inference about Markov Chains", Annals of Mathematical Statistics 28(1), 89-110: counts over row sums are
the maximum likelihood estimate of a chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Matrices = NDArray[np.float64]


@runtime_checkable
class TransitionModel(Protocol):
    """How counted transitions become probabilities some sessions ahead."""

    @property
    def name(self) -> str:
        """As configuration and rows name it."""
        ...

    def lag(self, horizon: int) -> int:
        """Sessions between the two ends of the pairs it is estimated from."""
        ...

    def ahead(self, matrices: Matrices, horizon: int) -> Matrices:
        """From matrices of that lag, shape (..., k, k), to matrices of the horizon."""
        ...


@dataclass(frozen=True)
class MarkovChain:
    """A first-order chain: H steps of one session each, P^H.

    Right as far as tomorrow depends on today's label alone. Where a label tends to come back after a day away, or
    stays the longer the longer it stayed, it forgets too fast beyond a session or two.
    """

    name: str = "markov"

    def lag(self, horizon: int) -> int:
        """Pairs of consecutive sessions, whatever the horizon."""
        return 1

    def ahead(self, matrices: Matrices, horizon: int) -> Matrices:
        """Raise each matrix to the power of the horizon."""
        return matrix_powers(matrices, horizon)


@dataclass(frozen=True)
class DirectCounts:
    """The share of past sessions with today's label that had each label H sessions later.

    Assumes nothing of the sessions between, and equals the chain at one session. A pair is known H sessions after it
    began, so it learns later, and pairs that overlap say less than their number.
    """

    name: str = "direct"

    def lag(self, horizon: int) -> int:
        """Pairs as far apart as the horizon."""
        return horizon

    def ahead(self, matrices: Matrices, horizon: int) -> Matrices:
        """They are of the horizon already."""
        return matrices


MODELS: tuple[TransitionModel, ...] = (MarkovChain(), DirectCounts())
"""Models by which state changes can be forecast; the first is the default."""


def transition_model(name: str) -> TransitionModel:
    """Return a model by name.

    Raises
    ------
    ValueError
        When there is none; the sentence lists those there are.
    """
    for model in MODELS:
        if model.name == name:
            return model
    raise ValueError(f"there is no model {name!r} of state changes; there are {', '.join(m.name for m in MODELS)}")


def smoothed(counts: NDArray[np.int64], smoothing: float) -> Matrices:
    """Transition matrices from counts, shape (..., k, k); ``smoothing`` is the a of the formula above, positive."""
    raised = counts + smoothing
    totals = raised[..., 0].copy()
    for j in range(1, raised.shape[-1]):
        totals += raised[..., j]
    return raised / totals[..., None]


def shrunk(own: NDArray[np.int64], pooled: Matrices, weight: float) -> Matrices:
    """Transition matrices of single entities, drawn towards the pooled one as if by ``weight`` transitions of it.

    Parameters
    ----------
    own : ndarray of int64, shape (n, e, k, k)
        Each entity's counts.
    pooled : ndarray of float64, shape (n, k, k)
    weight : float
        Positive. With m for it, n_ij an entity's counts and P the pooled matrix: (n_ij + m P_ij) / (sum_j n_ij + m).

    Returns
    -------
    ndarray of float64, shape (n, e, k, k)
    """
    drawn: Matrices = (own + weight * pooled[:, None]) / (own.sum(axis=-1, keepdims=True) + weight)
    return drawn


def matrix_powers(matrices: Matrices, exponent: int) -> Matrices:
    """Raise each matrix of shape (..., k, k) to a power of at least 1, by repeated squaring.

    Products are summed label by label in one order, so that a matrix's power is the same bit for bit whichever
    others it is computed with.
    """
    result: Matrices | None = None
    square = matrices
    left = exponent
    while left:
        if left & 1:
            result = square if result is None else _products(result, square)
        left >>= 1
        if left:
            square = _products(square, square)
    assert result is not None
    return result


def _products(a: Matrices, b: Matrices) -> Matrices:
    out = a[..., :, 0, None] * b[..., 0, None, :]
    for j in range(1, a.shape[-1]):
        out += a[..., :, j, None] * b[..., j, None, :]
    return out
