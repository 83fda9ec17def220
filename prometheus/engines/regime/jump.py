"""The jump head: persistent states, a price paid for every change of state.

1. Features x_t are a few principal components of the regime embeddings (:mod:`prometheus.engines.regime.features`).
2. The fit minimises sum_t |x_t - m_{s_t}|^2 / 2 + penalty * (number of changes of state) over the states' means m and
   the path s: alternately the best path for given means, by dynamic programming, and the best means for a given path,
   from several seeded starts.
3. Online only the forward half of the dynamic programme runs: V_t(k) = |x_t - m_k|^2 / 2 + min(V_{t-1}(k),
   min_j V_{t-1}(j) + penalty). The state of t is the k of least V_t(k): no later session has a say in it.
4. The penalty is chosen from data up to the cut: states fitted on the first two thirds of the windows and run online
   over the rest; the penalty whose states best tell the volatility of the 21 sessions that follow is taken, of those
   under which every state is entered.
5. Probabilities are softmax(-V_t / T), T being the median gap between the two least V over the windows fitted on.

References
----------
Nystrup, P., Lindstroem, E. and Madsen, H. (2020). Learning hidden Markov models with persistent states by penalizing
jumps. Expert Systems with Applications 150, 113307.
Shu, Y. and Mulvey, J. M. (2024). Dynamic factor allocation leveraging regime-switching signals. Journal of Portfolio
Management 51(3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.engines.regime.base import (
    LABELS,
    MIN_WINDOWS,
    States,
    Windows,
    enough,
    median_gap,
    named,
    shares_of,
)
from prometheus.engines.regime.features import Projection, fit_projection

PENALTIES = (2.0, 5.0, 10.0, 20.0, 40.0, 80.0)
"""Penalties tried, in squared standard deviations of a component."""

AHEAD = 21
"""Sessions whose volatility the states of a penalty are judged by."""

MOST_ROUNDS = 30

Real = NDArray[np.float64]


@dataclass(frozen=True)
class JumpHead:
    """A fitted jump head.

    Attributes
    ----------
    projection : Projection
    centers : ndarray of float64, shape (k, p)
        Mean features of each state, in the order of ``labels``.
    penalty : float
        Price of a change of state.
    start : ndarray of float64, shape (k,)
        V of the last window fitted on, less its least.
    temperature : float
    states : States
    """

    projection: Projection
    centers: Real
    penalty: float
    start: Real
    temperature: float
    states: States

    labels = LABELS
    recursive = True

    def probabilities(self, vectors: NDArray[np.float32], recent_volatility: Real | None = None) -> Real:
        """See :class:`~prometheus.engines.regime.base.RegimeHead`."""
        values = forward_values(losses(self.projection(vectors), self.centers), np.array([self.penalty]), self.start)
        return shares_of(-values / self.temperature)


def losses(features: Real, centers: Real) -> Real:
    """Half the squared distance of every row to every center, shape (n, ..., k) for centers of shape (..., k, p)."""
    flat = centers.reshape(-1, centers.shape[-1])
    out = np.empty((len(features), len(flat)))
    for k, center in enumerate(flat):
        difference = features - center
        out[:, k] = 0.5 * np.einsum("ij,ij->i", difference, difference)
    return out.reshape(len(features), *centers.shape[:-1])


def forward_values(loss: Real, penalty: Real, start: Real | None = None) -> Real:
    """Values of the forward dynamic programme, the shape of ``loss``; over the states, each less the least.

    Parameters
    ----------
    loss : ndarray of float64, shape (n, ..., k)
        Several problems side by side.
    penalty : ndarray of float64, shape (..., 1)
    start : ndarray of float64, shape (..., k), optional
        Values before the first row; zero when None.
    """
    values = np.empty_like(loss)
    before = np.zeros(loss.shape[1:]) if start is None else start - start.min(axis=-1, keepdims=True)
    for t in range(len(loss)):
        now = loss[t] + np.minimum(before, penalty)  # the least of ``before`` is 0
        before = np.subtract(now, now.min(axis=-1, keepdims=True), out=values[t])
    return values


def best_paths(loss: Real, penalty: Real) -> NDArray[np.int64]:
    """States of least total loss plus penalties, with hindsight: for fitting alone. Shape (n, b) for (n, b, k)."""
    values = forward_values(loss, penalty)
    least = values.argmin(axis=2)
    rows = np.arange(loss.shape[1])
    path = np.empty(loss.shape[:2], dtype=np.int64)
    path[-1] = state = least[-1]
    for t in range(len(loss) - 2, -1, -1):
        state = np.where(values[t, rows, state] > penalty[:, 0], least[t], state)
        path[t] = state
    return path


def fit_centers(features: Real, penalties: Sequence[float], starts: Sequence[Real]) -> list[Real]:
    """Means of least cost for each penalty, over several starts; all of them side by side."""
    centers = np.array([start for _ in penalties for start in starts])
    penalty = np.repeat(np.asarray(penalties, dtype=np.float64), len(starts))[:, None]
    path = np.full((len(features), len(centers)), -1)
    for _ in range(MOST_ROUNDS):
        loss = losses(features, centers)
        found = best_paths(loss, penalty)
        if np.array_equal(found, path):
            break
        path = found
        for i, j in np.ndindex(*centers.shape[:2]):
            mine = path[:, i] == j
            if mine.any():
                centers[i, j] = features[mine].mean(axis=0)
    cost = np.take_along_axis(loss, path[:, :, None], axis=2)[:, :, 0].sum(axis=0)
    cost += penalty[:, 0] * np.count_nonzero(np.diff(path, axis=0), axis=0)
    best = cost.reshape(len(penalties), len(starts)).argmin(axis=1)
    return [centers[i * len(starts) + k] for i, k in enumerate(best)]


def seeded_starts(features: Real, restarts: int, seed: int) -> list[Real]:
    """Centers to start from, each far from those before it (k-means++), by a seed.

    References
    ----------
    Arthur, D. and Vassilvitskii, S. (2007). k-means++: the advantages of careful seeding. SODA, 1027-1035.
    """
    starts = []
    for number in range(restarts):
        rng = np.random.default_rng([seed, number])
        chosen = [features[rng.integers(len(features))]]
        while len(chosen) < len(LABELS):
            nearest = losses(features, np.array(chosen)).min(axis=1)
            total = np.cumsum(nearest)
            at = int(np.searchsorted(total, rng.random() * total[-1])) if total[-1] > 0 else 0
            chosen.append(features[min(at, len(features) - 1)])
        starts.append(np.array(chosen))
    return starts


def fit_jump(
    windows: Windows, *, components: int = 5, seed: int = 7, restarts: int = 10, least: int = MIN_WINDOWS
) -> JumpHead:
    """Fit the head on the windows up to a cut.

    Parameters
    ----------
    windows : Windows
        Of every session up to the cut, in order.
    components : int
        Principal components that stand for a window.
    seed, restarts : int
        Of the alternation; the best of ``restarts`` starts is taken.
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
    starts = seeded_starts(features, restarts, seed)
    penalty = chosen_penalty(features, windows, starts)
    (centers,) = fit_centers(features, [penalty], starts)
    path = best_paths(losses(features, centers[None]), np.array([[penalty]]))[:, 0]
    order, states = named(path, windows)
    centers = centers[order]
    values = forward_values(losses(features, centers), np.array([penalty]))
    return JumpHead(projection, centers, penalty, values[-1], median_gap(values), states)


def chosen_penalty(features: Real, windows: Windows, starts: Sequence[Real]) -> float:
    """Penalty whose online states best tell the volatility of the next sessions; every outcome lies before the cut."""
    train = 2 * len(features) // 3
    # The outcome of a window is the trailing volatility of the window 21 sessions later; the gap keeps them apart.
    outcome = np.log(np.maximum(windows.recent_volatility[AHEAD:], 1e-4))
    told, judged = slice(0, train - AHEAD), slice(train, len(features) - AHEAD)
    errors = []
    for penalty, centers in zip(PENALTIES, fit_centers(features[:train], PENALTIES, starts[:3]), strict=True):
        online = forward_values(losses(features, centers), np.array([penalty])).argmin(axis=1)
        known = np.bincount(online[told], minlength=len(centers))
        if not known.all():  # so dear that a state is never entered: no head of four labels
            errors.append(np.inf)
            continue
        mean = np.bincount(online[told], weights=outcome[told], minlength=len(centers)) / known
        errors.append(float(np.square(outcome[judged] - mean[online[judged]]).mean()))
    return PENALTIES[int(np.argmin(errors))]
