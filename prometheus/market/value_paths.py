"""The path of a portfolio's value: its stored weights, applied to what its names did next.

1. The return of session s is the sum of weight times simple return over the names of the book in force: the latest one
   stored before s, at most ``CARRY`` sessions ago. Weights are targets: a book is as if rebalanced to them on every
   session until the next. Cash earns nothing. A name without a return stands still, and moves when it has one again.
2. A portfolio younger than the path that is looked at begins with its first book: sessions up to that book's own have
   the return its weights would have had, of the names that had one, scaled up to all it holds. What a book that begins
   today is made of is known today; that it was held is not claimed, and ``own`` tells the two apart.
3. A session without a book in force later than that, or on which half the weight or more has no return, is not known.

Returns are fixed-point integers and sums over names are exact, as in :mod:`prometheus.market.rolling`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.market.baskets import MEMBER_LIMIT
from prometheus.market.panel import EntitySeries
from prometheus.market.rolling import Fixed, Flags, Floats, Positions, from_fixed, to_fixed

CARRY = 21
"""Sessions a book is in force without a newer one."""

MIN_KNOWN = 0.5
"""Share of the gross weight whose returns must be known."""

LEAST_RETURN = -0.99
"""Least simple return of a session: a book of shorts can lose more than all, a path cannot show it."""


@dataclass(frozen=True, eq=False)
class ValuePath:
    """Daily returns of one portfolio, as one beginning of it has them.

    Attributes
    ----------
    ret : ndarray of int64, shape (n_sessions,)
        Log returns in fixed point, 0 where unknown.
    known : ndarray of bool, shape (n_sessions,)
    own : ndarray of bool, shape (n_sessions,)
        The return is that of a book in force.
    """

    ret: Fixed
    known: Flags
    own: Flags


class BookPaths:
    """Value paths of one portfolio over a panel's sessions.

    Parameters
    ----------
    panel : EntitySeries
        Returns of names.
    names : ndarray of int64, shape (n,)
        Rows of the panel the columns of ``weights`` are.
    positions : ndarray of int64, shape (books,)
        Session of each stored book, ascending, at least one; negative where it lies before the panel.
    weights : ndarray of float64, shape (books, n)
    """

    def __init__(self, panel: EntitySeries, names: NDArray[np.int64], positions: Positions, weights: Floats) -> None:
        self._simple = np.minimum(np.expm1(from_fixed(panel.ret[names])), MEMBER_LIMIT)
        self._ok = panel.ret_ok[names]
        self._positions, self._weights = positions, weights
        sessions = np.arange(panel.n_sessions)
        latest = np.searchsorted(positions, sessions) - 1
        held = np.maximum(latest, 0)
        self.in_force: Flags = (latest >= 0) & (sessions - positions[held] <= CARRY)
        self._ret, self._known = self._returns(weights[held].T, self.in_force, fill=False)

    def begins(self, targets: Positions, reach: int) -> NDArray[np.int64]:
        """Place of the book each target's path begins with; -1 where books reach back all the way.

        Parameters
        ----------
        targets : ndarray of int64
            Sessions with a book of their own.
        reach : int
            Sessions up to and including a target that its path has.
        """
        first = targets - reach + 1
        whole = (first >= 0) & self.in_force[np.maximum(first, 0)]
        return np.where(whole, -1, np.searchsorted(self._positions, first)).astype(np.int64)

    def path(self, begin: int) -> ValuePath:
        """Path that begins with a book; as books were in force throughout when -1."""
        if begin < 0:
            return ValuePath(self._ret, self._known, self.in_force & self._known)
        at = int(self._positions[begin])
        before = np.arange(len(self._ret)) <= at
        weights = np.broadcast_to(self._weights[begin][:, None], self._simple.shape)
        ret, known = self._returns(weights, before, fill=True)
        own = self.in_force & self._known & ~before
        return ValuePath(np.where(before, ret, self._ret), np.where(before, known, self._known), own)

    def _returns(self, weights: Floats, wanted: Flags, *, fill: bool) -> tuple[Fixed, Flags]:
        absolute = np.abs(weights)
        gross = from_fixed(to_fixed(absolute).sum(axis=0))
        held = from_fixed(to_fixed(np.where(self._ok, absolute, 0.0)).sum(axis=0))
        known = wanted & (held >= MIN_KNOWN * gross)
        total = from_fixed(to_fixed(np.where(self._ok, weights * self._simple, 0.0)).sum(axis=0))
        if fill:
            total = total * np.divide(gross, held, out=np.ones(len(held)), where=held > 0)
        return to_fixed(np.where(known, np.log1p(np.maximum(total, LEAST_RETURN)), 0.0)), known
