"""Fitted heads as plain rows, one a state, and back: everything inference needs and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prometheus.engines.regime.base import LABELS, RegimeHead, States
from prometheus.engines.regime.features import Projection
from prometheus.engines.regime.hmm import HmmHead
from prometheus.engines.regime.jump import JumpHead
from prometheus.engines.regime.nowcast import NowcastHead
from prometheus.engines.regime.volatility import VolatilityHead

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class StoredState:
    """One state of a fitted head; what a head does not have is empty or None.

    Attributes
    ----------
    label : str
    num_windows : int
    mean_volatility, mean_return : float
    center : tuple of float
        Mean features; of bands (volatility, nowcast) the log volatility of theirs.
    spread : tuple of float
        Covariance of the features, row by row.
    transition : tuple of float
        In the order of ``LABELS``: probability of each next state (hmm), or its price (jump).
    start : float, optional
        What the recursion begins from: probability (hmm) or cost (jump) at the last window fitted on.
    temperature : float, optional
        Scale of the costs in the softmax.
    input_mean, input_axes : tuple of float
        Features are (vector - mean) times the axes, axis by axis.
    """

    label: str
    num_windows: int
    mean_volatility: float
    mean_return: float
    center: Numbers
    spread: Numbers = ()
    transition: Numbers = ()
    start: float | None = None
    temperature: float | None = None
    input_mean: Numbers = ()
    input_axes: Numbers = ()


def states_of(head: RegimeHead) -> list[StoredState]:
    """Rows of a fitted head.

    Raises
    ------
    TypeError
        For a head that is stored otherwise.
    """
    if isinstance(head, VolatilityHead):
        return [
            _state(head.states, k, center=(float(c),), temperature=head.temperature) for k, c in enumerate(head.centers)
        ]
    if isinstance(head, NowcastHead):
        return [
            _state(head.states, k, center=(float(c),), temperature=head.temperature, projection=head.projection)
            for k, c in enumerate(head.centers)
        ]
    if isinstance(head, JumpHead):
        prices = head.penalty * (1.0 - np.eye(len(head.centers)))
        return [
            _state(
                head.states,
                k,
                center=_plain(head.centers[k]),
                transition=_plain(prices[k]),
                start=float(head.start[k]),
                temperature=head.temperature,
                projection=head.projection,
            )
            for k in range(len(head.centers))
        ]
    if isinstance(head, HmmHead):
        return [
            _state(
                head.states,
                k,
                center=_plain(head.means[k]),
                spread=_plain(head.covariances[k]),
                transition=_plain(head.transitions[k]),
                start=float(head.start[k]),
                projection=head.projection,
            )
            for k in range(len(head.means))
        ]
    raise TypeError(f"{type(head).__name__} has no stored form here")


def head_of(backend: str, stored: Sequence[StoredState]) -> RegimeHead:
    """Return the head that rows were made from.

    Parameters
    ----------
    backend : {'jump', 'hmm', 'nowcast', 'volatility'}
    stored : sequence of StoredState
        In any order.
    """
    rows = sorted(stored, key=lambda s: LABELS.index(s.label))
    states = States(
        np.array([s.num_windows for s in rows], dtype=np.int64),
        np.array([s.mean_volatility for s in rows]),
        np.array([s.mean_return for s in rows]),
    )
    centers = np.array([s.center for s in rows])
    temperature = rows[0].temperature or 0.0
    if backend == "volatility":
        return VolatilityHead(centers[:, 0], temperature, states)
    mean = np.array(rows[0].input_mean)
    projection = Projection(mean, np.array(rows[0].input_axes).reshape(-1, len(mean)))
    if backend == "nowcast":
        return NowcastHead(projection, centers[:, 0], temperature, states)
    start = np.array([s.start for s in rows], dtype=np.float64)
    transitions = np.array([s.transition for s in rows])
    if backend == "jump":
        return JumpHead(projection, centers, float(transitions.max()), start, temperature, states)
    p = centers.shape[1]
    covariances = np.array([s.spread for s in rows]).reshape(-1, p, p)
    return HmmHead(projection, centers, covariances, transitions, start, states)


def _plain(values: np.ndarray) -> Numbers:
    return tuple(float(v) for v in values.reshape(-1))


def _state(
    states: States,
    k: int,
    *,
    center: Numbers,
    spread: Numbers = (),
    transition: Numbers = (),
    start: float | None = None,
    temperature: float | None = None,
    projection: Projection | None = None,
) -> StoredState:
    return StoredState(
        label=LABELS[k],
        num_windows=int(states.counts[k]),
        mean_volatility=float(states.mean_volatility[k]),
        mean_return=float(states.mean_return[k]),
        center=center,
        spread=spread,
        transition=transition,
        start=start,
        temperature=temperature,
        input_mean=() if projection is None else _plain(projection.mean),
        input_axes=() if projection is None else _plain(projection.axes),
    )
