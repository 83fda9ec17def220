"""The hidden Markov head: four Gaussian states with a transition matrix, filtered forward.

1. Features x_t are a few principal components of the regime embeddings (:mod:`prometheus.engines.regime.features`).
2. Initial probabilities, transitions, means and full covariances are fitted by expectation maximisation on the windows
   up to the cut, from several seeded starts side by side; the likeliest is taken. Covariances have a floor on their
   diagonal, transitions a prior count: a state cannot shrink onto a few windows.
3. States are ordered by the volatility of the windows they own.
4. At inference only the forward filter runs: P(s_t | x_1..x_t), never smoothed.

Windows that overlap are far from independent given the state, as the model has it: filtered probabilities are surer
than they should be.

References
----------
Rabiner, L. R. (1989). A tutorial on hidden Markov models and selected applications in speech recognition. Proceedings
of the IEEE 77(2), 257-286: equations 18-20 (forward), 23-25 (backward), 52-54 (re-estimation), section V.A (scaling).
Hamilton, J. D. (1989). A new approach to the economic analysis of nonstationary time series and the business cycle.
Econometrica 57(2), 357-384.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from prometheus.engines.regime.base import LABELS, MIN_WINDOWS, States, Windows, enough, named
from prometheus.engines.regime.features import Projection, fit_projection
from prometheus.engines.regime.jump import losses, seeded_starts

ROUNDS = 25
TOLERANCE = 1e-4
"""Gain in log-likelihood a window below which the fit ends."""

COVARIANCE_FLOOR = 0.02
"""Added to the diagonal of every covariance; features have unit variance."""

STAY, MOVE = 40.0, 1.0
"""Prior counts of a state followed by itself and by each other one."""

STARTS = 3

Real = NDArray[np.float64]


@dataclass(frozen=True)
class HmmHead:
    """A fitted hidden Markov head.

    Attributes
    ----------
    projection : Projection
    means : ndarray of float64, shape (k, p)
        In the order of ``labels``.
    covariances : ndarray of float64, shape (k, p, p)
    transitions : ndarray of float64, shape (k, k)
        Rows sum to one.
    start : ndarray of float64, shape (k,)
        Filtered probabilities of the last window fitted on.
    states : States
    """

    projection: Projection
    means: Real
    covariances: Real
    transitions: Real
    start: Real
    states: States

    labels = LABELS
    recursive = True

    def probabilities(self, vectors: NDArray[np.float32], recent_volatility: Real | None = None) -> Real:
        """See :class:`~prometheus.engines.regime.base.RegimeHead`."""
        logs = log_densities(self.projection(vectors), self.means[None], self.covariances[None])[:, 0]
        out = np.empty_like(logs)
        before = self.start
        for t in range(len(logs)):
            before = _step(before @ self.transitions, logs[t])
            out[t] = before
        return out


def _step(prior: Real, log_density: Real) -> Real:
    weighed = prior * np.exp(log_density - log_density.max())
    total = weighed.sum()
    # So far from every state a session was likely in that nothing is left: the density alone decides.
    weighed = weighed if total > 0 else np.exp(log_density - log_density.max())
    shares: Real = weighed / weighed.sum()
    return shares


def log_densities(features: Real, means: Real, covariances: Real) -> Real:
    """Gaussian log densities, shape (n, starts, k), of features (n, p) under (starts, k, p) and (starts, k, p, p)."""
    n, p = features.shape
    starts, k = means.shape[:2]
    out = np.empty((n, starts, k))
    for i in range(starts):
        for j in range(k):
            lower = np.linalg.cholesky(covariances[i, j])
            white = np.zeros((n, p))
            for column in range(p):  # forward substitution, row by row the same whatever the batch
                rest = features[:, column] - means[i, j, column]
                for earlier in range(column):
                    rest = rest - lower[column, earlier] * white[:, earlier]
                white[:, column] = rest / lower[column, column]
            squares = np.einsum("ij,ij->i", white, white)
            out[:, i, j] = -0.5 * (squares + p * np.log(2.0 * np.pi)) - np.log(np.diag(lower)).sum()
    return out


def _forward_backward(logs: Real, initial: Real, transitions: Real) -> tuple[Real, Real, Real]:
    """Smoothed state shares (n, starts, k), expected transitions (starts, k, k) and log-likelihood (starts,)."""
    n = len(logs)
    peak = logs.max(axis=2)
    density = np.exp(logs - peak[:, :, None])
    forward, scale = np.empty_like(density), np.empty(peak.shape)
    prior = initial
    for t in range(n):
        weighed = prior * density[t]
        scale[t] = np.maximum(weighed.sum(axis=1), np.finfo(np.float64).tiny)
        forward[t] = weighed / scale[t][:, None]
        prior = np.einsum("sj,sjk->sk", forward[t], transitions)
    backward = np.empty_like(density)
    backward[-1] = 1.0
    for t in range(n - 2, -1, -1):
        backward[t] = np.einsum("sjk,sk->sj", transitions, density[t + 1] * backward[t + 1]) / scale[t + 1][:, None]
    after = density[1:] * backward[1:] / scale[1:, :, None]
    pairs = transitions * np.einsum("tsj,tsk->sjk", forward[:-1], after)
    return forward * backward, pairs, (np.log(scale) + peak).sum(axis=0)


def fit_hmm(windows: Windows, *, components: int = 5, seed: int = 7, least: int = MIN_WINDOWS) -> HmmHead:
    """Fit the head on the windows up to a cut.

    Parameters
    ----------
    windows : Windows
        Of every session up to the cut, in order.
    components : int
        Principal components that stand for a window.
    seed : int
        Of the starts.
    least : int
        Windows it takes.

    Raises
    ------
    ValueError
        With fewer windows.
    """
    enough(windows, least)
    projection = fit_projection(windows.vectors, components)
    features = projection(windows.vectors)
    means, covariances, initial, transitions = _started(features, seed)
    before = np.full(STARTS, -np.inf)
    for _ in range(ROUNDS):
        shares, pairs, likelihood = _forward_backward(log_densities(features, means, covariances), initial, transitions)
        if float((likelihood - before).max()) < TOLERANCE * len(features):
            break
        before = likelihood
        means, covariances, initial, transitions = _estimated(features, shares, pairs)
    best = int(np.argmax(likelihood))
    order, states = named(shares[:, best].argmax(axis=1), windows)
    found = HmmHead(
        projection,
        means[best][order],
        covariances[best][order],
        transitions[best][np.ix_(order, order)],
        initial[best][order],
        states,
    )
    return replace(found, start=found.probabilities(windows.vectors)[-1])


def _started(features: Real, seed: int) -> tuple[Real, Real, Real, Real]:
    k = len(LABELS)
    shares = np.empty((len(features), STARTS, k))
    for number, centers in enumerate(seeded_starts(features, STARTS, seed)):
        for _ in range(10):
            nearest = losses(features, centers).argmin(axis=1)
            centers = np.array(
                [features[nearest == j].mean(axis=0) if (nearest == j).any() else centers[j] for j in range(k)]
            )
        shares[:, number] = losses(features, centers).argmin(axis=1)[:, None] == np.arange(k)
    return _estimated(features, shares, np.zeros((STARTS, k, k)))


def _estimated(features: Real, shares: Real, pairs: Real) -> tuple[Real, Real, Real, Real]:
    """Parameters that shares of states and expected transitions make likeliest."""
    p = features.shape[1]
    k = shares.shape[2]
    weight = shares.sum(axis=0)
    means = np.einsum("tsk,tp->skp", shares, features) / np.maximum(weight, 1e-9)[:, :, None]
    second = np.einsum("tsk,tpq->skpq", shares, features[:, :, None] * features[:, None, :])
    outer = means[..., :, None] * means[..., None, :]
    covariances = second / np.maximum(weight, 1e-9)[:, :, None, None] - outer + COVARIANCE_FLOOR * np.eye(p)
    counts = pairs + MOVE + (STAY - MOVE) * np.eye(k)
    return means, covariances, shares[0] + 1e-3, counts / counts.sum(axis=2, keepdims=True)
