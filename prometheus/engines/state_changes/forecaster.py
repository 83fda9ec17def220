"""The forecaster every engine's state changes are made by, and what it says.

1. Labels of all entities of a population are a grid of codes, sessions by entities.
2. Transitions known by each session are counted over all entities together: an expanding window.
3. They become a matrix per session (:mod:`prometheus.engines.state_changes.models`), of which an entity's current
   label picks its row.

Probabilities are of the label AT the horizon, not of any label met on the way: "to CRISIS" counts an entity that is in
CRISIS now and will be then, and "change" leaves out one that goes and comes back in time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from prometheus.engines.state_changes.counting import (
    UNKNOWN,
    Codes,
    codes_of,
    entity_transition_counts,
    transition_counts,
)
from prometheus.engines.state_changes.models import Matrices, shrunk, smoothed, transition_model

_CELLS_AT_ONCE = 1 << 21
"""Matrix cells of single entities made at a time: memory stays bounded whatever the number of sessions."""


@dataclass(frozen=True, eq=False)
class StateChanges(ABC):
    """Forecasts of every entity with a label, by session, then entity.

    Attributes
    ----------
    session : ndarray of int64, shape (n,)
        Position of the session among those given.
    entity : ndarray of int64, shape (n,)
        Column of the entity.
    current : ndarray of int8, shape (n,)
        Code of the label on the session.
    probabilities : ndarray of float64, shape (n, k)
        Of each label at the horizon; rows sum to one.
    num_transitions : ndarray of int64, shape (n,)
        Pairs known by the session, of all entities.
    num_from_current : ndarray of int64, shape (n,)
        Those among them that began with the current label; where 0, smoothing alone speaks.
    """

    labels: ClassVar[tuple[str, ...]] = ()
    """Labels from the calmest to the worst; codes count from the first."""

    session: NDArray[np.int64]
    entity: NDArray[np.int64]
    current: Codes
    probabilities: NDArray[np.float64]
    num_transitions: NDArray[np.int64]
    num_from_current: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.session)

    @property
    def current_labels(self) -> NDArray[np.str_]:
        """Names of the current labels, shape (n,)."""
        return np.array(self.labels)[self.current]

    @property
    def p_change_any(self) -> NDArray[np.float64]:
        """Probability of another label than now at the horizon, shape (n,)."""
        return self._sum(lambda code: np.not_equal(self.current, code))

    @property
    def p_worsen_any(self) -> NDArray[np.float64]:
        """Probability of a worse label than now at the horizon, shape (n,)."""
        return self._sum(lambda code: np.less(self.current, code))

    @property
    def p_improve_any(self) -> NDArray[np.float64]:
        """Probability of a better label than now at the horizon, shape (n,)."""
        return self._sum(lambda code: np.greater(self.current, code))

    @property
    @abstractmethod
    def risk_score(self) -> NDArray[np.float64]:
        """The one number engines downstream read, shape (n,); which, the engine says."""

    def p_to(self, *labels: str) -> NDArray[np.float64]:
        """Probability of being in one of some labels at the horizon, now in it or not; shape (n,)."""
        wanted = {self.labels.index(label) for label in labels}
        return self._sum(lambda code: np.full(len(self), code in wanted, dtype=np.bool_))

    def _sum(self, counts: Callable[[int], NDArray[np.bool_]]) -> NDArray[np.float64]:
        total = np.zeros(len(self))
        for code in range(self.probabilities.shape[1]):
            total += np.where(counts(code), self.probabilities[:, code], 0.0)
        return total


R = TypeVar("R", bound=StateChanges)


@dataclass(frozen=True)
class StateChangeForecaster(ABC, Generic[R]):
    """Forecasts label changes from the transitions of the past.

    Parameters
    ----------
    model : {'markov', 'direct'}
        See :mod:`prometheus.engines.state_changes.models`.
    smoothing : float
        Pseudo-count of every transition (Laplace), positive.
    entity_weight : float
        0 gives every entity the pooled matrix. Else each entity's own counts are drawn towards it as if by this many
        transitions: the larger, the closer to the pool.

    Raises
    ------
    ValueError
        When there is no such model, or a number is out of range.
    """

    model: str = "markov"
    smoothing: float = 1.0
    entity_weight: float = 0.0

    def __post_init__(self) -> None:
        transition_model(self.model)
        if not 0.0 < self.smoothing < np.inf:
            raise ValueError(f"smoothing must be a positive number; got {self.smoothing}")
        if not 0.0 <= self.entity_weight < np.inf:
            raise ValueError(f"the weight of the pool must be 0 or a positive number; got {self.entity_weight}")

    @property
    @abstractmethod
    def made(self) -> type[R]:
        """What it makes."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels from the calmest to the worst."""
        return self.made.labels

    def codes(self, values: Sequence[str | None] | NDArray[Any]) -> Codes:
        """Codes of label names, -1 for None; see :func:`~prometheus.engines.state_changes.codes_of`."""
        return codes_of(values, self.labels)

    def transition_matrices(self, codes: Codes, horizon_steps: int = 1) -> Matrices:
        """Pooled matrices as known at each session, shape (t, k, k): from the label now to that at the horizon."""
        grid = self._grid(codes, horizon_steps)
        counts = transition_counts(grid, len(self.labels), transition_model(self.model).lag(horizon_steps))
        return transition_model(self.model).ahead(smoothed(counts, self.smoothing), horizon_steps)

    def forecast(self, codes: Codes, horizon_steps: int = 1, *, at: NDArray[np.int64] | None = None) -> R:
        """Forecast every labelled entity on some sessions.

        Parameters
        ----------
        codes : ndarray of int8, shape (t, e) or (t,)
            Consecutive sessions by entities (one entity where there is one axis): labels as known at each session's
            cut-off, -1 where there is none. Nothing after a session has a say in its forecasts.
        horizon_steps : int
            Sessions ahead, at least 1.
        at : ndarray of int64, optional
            Ascending positions of the sessions that are forecast from; the others are history. All of them when
            omitted.

        Raises
        ------
        ValueError
            When a code is no label, or the horizon is less than 1.
        """
        grid = self._grid(codes, horizon_steps)
        at = np.arange(len(grid)) if at is None else np.asarray(at, dtype=np.int64)
        k, model = len(self.labels), transition_model(self.model)
        counts = transition_counts(grid, k, model.lag(horizon_steps))[at]
        row, entity = np.nonzero(grid[at] != UNKNOWN)
        current = grid[at[row], entity]
        one_lag = smoothed(counts, self.smoothing)
        if self.entity_weight:
            probabilities = self._of_entities(grid, one_lag, horizon_steps, at)[row, entity]
        else:
            probabilities = model.ahead(one_lag, horizon_steps)[row, current]
        from_each = counts.sum(axis=2)
        return self.made(
            session=at[row],
            entity=entity,
            current=current,
            probabilities=probabilities,
            num_transitions=from_each.sum(axis=1)[row],
            num_from_current=from_each[row, current],
        )

    def _of_entities(self, grid: Codes, pooled: Matrices, horizon_steps: int, at: NDArray[np.int64]) -> Matrices:
        """Row of each entity's own matrix that its label picks, shape (sessions, e, k); a block of sessions at once."""
        k, model = len(self.labels), transition_model(self.model)
        out = np.zeros((len(at), grid.shape[1], k))
        step = max(1, _CELLS_AT_ONCE // max(1, grid.shape[1] * k * k))
        for start in range(0, len(at), step):
            block = slice(start, start + step)
            own = entity_transition_counts(grid, k, model.lag(horizon_steps), at[block])
            ahead = model.ahead(shrunk(own, pooled[block], self.entity_weight), horizon_steps)
            label = np.maximum(grid[at[block]], 0).astype(np.int64)
            out[block] = np.take_along_axis(ahead, label[..., None, None], axis=2)[:, :, 0]
        return out

    def _grid(self, codes: Codes, horizon_steps: int) -> Codes:
        if horizon_steps < 1:
            raise ValueError(f"a forecast is at least 1 session ahead; got {horizon_steps}")
        grid = np.asarray(codes)
        grid = grid[:, None] if grid.ndim == 1 else grid
        if grid.size and not (grid.min() >= UNKNOWN and grid.max() < len(self.labels)):
            raise ValueError(f"codes of {', '.join(self.labels)} are {UNKNOWN} to {len(self.labels) - 1}")
        return grid.astype(np.int8)
