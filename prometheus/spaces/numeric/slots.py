"""Named slots: what each number of a numeric embedding means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from prometheus.market.rolling import Positions, sliding
from prometheus.spaces.numeric.model import NumericModel
from prometheus.spaces.numeric.state import SeriesState

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class Slot:
    """One number of a block.

    Attributes
    ----------
    name : str
        Unique in a model.
    doc : str
        What it is, with its unit.
    center, spread : float
        The slot holds (raw - center) / spread. Both are fixed by hand so that slots have roughly unit scale on daily
        equities; they are part of the model and never re-estimated, or old and new vectors could not be compared.
    """

    name: str
    doc: str
    center: float = 0.0
    spread: float = 1.0


@dataclass(frozen=True)
class Cells:
    """Which windows of a stretch of sessions are wanted, and the statistics to describe them with.

    Attributes
    ----------
    state : SeriesState
    index : ndarray of int64, shape (t,)
        Places of these sessions in ``state.positions``, consecutive.
    positions : ndarray of int64, shape (t,)
        The sessions.
    target, name : ndarray of int64, shape (m,)
        Place in ``index`` and name of each wanted window, by session, then name.
    """

    state: SeriesState
    index: Positions
    positions: Positions
    target: NDArray[np.int64]
    name: NDArray[np.int64]

    def pick(self, values: NDArray[T], out: NDArray[T] | None = None) -> NDArray[T]:
        """Values of the wanted windows, in row order, of an array of shape (n_names, t)."""
        picked: NDArray[T] = np.take(np.ascontiguousarray(values).reshape(-1), self._flat, out=out, mode="clip")
        return picked

    @cached_property
    def _flat(self) -> Positions:
        flat: Positions = self.name * len(self.positions) + self.target
        return flat

    def windows(self, values: NDArray[T], window: int) -> NDArray[T]:
        """Every window of the sessions in reach, as rows of one view for :meth:`window_rows` to pick from.

        The sessions are copied together first: gathering from the whole series would touch a page of memory per name.
        """
        return sliding(np.ascontiguousarray(values[:, self._reach(window)]), window)

    def window_rows(self, window: int) -> Positions:
        """Row of each wanted window in :meth:`windows`."""
        reach = self._reach(window)
        rows: Positions = (
            self.name * (reach.stop - reach.start) + self.positions[self.target] - reach.start - window + 1
        )
        return rows

    def _reach(self, window: int) -> slice:
        return slice(max(int(self.positions[0]) - window + 1, 0), int(self.positions[-1]) + 1)


RowSource = Callable[[int, int], NDArray[np.float32]]
"""Slot values of rows start .. stop-1 of some cells: shape (stop - start, slots), finite, not yet clipped, computed in
float64 and rounded once. The array may be overwritten by the next call."""


@runtime_checkable
class SlotBlock(Protocol):
    """One block of a numeric model."""

    @property
    def name(self) -> str:
        """The name models and encoders call it by."""
        ...

    def slots(self, model: NumericModel) -> tuple[Slot, ...]:
        """Slots in order; the same for every entity type."""
        ...

    def rows(self, model: NumericModel, cells: Cells) -> RowSource:
        """Prepare the values of some windows."""
        ...
