"""Walk-forward splits without leaks: purged of labels that reach into the test, with an embargo.

Reference
---------
Lopez de Prado, M. (2018), *Advances in Financial Machine Learning*, chapter 7 (purging and embargo).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Days = NDArray[np.datetime64]


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of one fold.

    Attributes
    ----------
    train, test : ndarray of int64
        Ascending.
    """

    train: NDArray[np.int64]
    test: NDArray[np.int64]


@dataclass(frozen=True)
class WalkForward:
    """Folds that go forward in time.

    The label of a row dated d is realised ``horizon`` sessions later, so a training row may be dated at most
    ``max(horizon, 1) + embargo`` sessions before the first session of the test: its label is then known when the
    first forecast is made, and shares no return with any label of the test.

    Attributes
    ----------
    test_days : int
        Sessions of a test fold; folds follow each other without gap or overlap, the last may be shorter.
    train_days : int, optional
        Sessions of training before the gap; all there are when None (expanding).
    min_train_days : int
        Folds whose training spans fewer sessions are left out.
    horizon : int
        Sessions a label looks ahead (purge).
    embargo : int
        Further sessions left out before the test.
    """

    test_days: int
    train_days: int | None = None
    min_train_days: int = 1
    horizon: int = 1
    embargo: int = 0

    def __post_init__(self) -> None:
        if self.test_days < 1 or self.min_train_days < 1 or (self.train_days is not None and self.train_days < 1):
            raise ValueError("a walk-forward needs at least one session of test and of training")
        if self.horizon < 0 or self.embargo < 0:
            raise ValueError(f"horizon and embargo are not negative; got {self.horizon} and {self.embargo}")

    @property
    def gap(self) -> int:
        """Sessions from the last training session to the first of the test."""
        return max(self.horizon, 1) + self.embargo

    def split(self, days: Days, calendar: Days | None = None) -> Iterator[Split]:
        """Yield folds.

        Parameters
        ----------
        days : ndarray of datetime64[D], shape (n,)
            Date of each row, in any order; several rows may share one.
        calendar : ndarray of datetime64[D], optional
            Sessions on which horizon, embargo and lengths are counted, ascending; the distinct dates of the rows when
            omitted (right only if rows exist for every session).

        Raises
        ------
        ValueError
            When a row's date is no session of the calendar.
        """
        sessions = np.unique(days) if calendar is None else np.asarray(calendar, dtype="datetime64[D]")
        at = np.searchsorted(sessions, days)
        if len(days) and (at.max() >= len(sessions) or (sessions[np.minimum(at, len(sessions) - 1)] != days).any()):
            raise ValueError("a row is dated on a day that is no session of the calendar")
        if len(days) == 0:
            return
        begin, end = int(at.min()), int(at.max())
        first = begin + self.min_train_days - 1 + self.gap
        while first <= end:
            last_train = first - self.gap
            first_train = begin if self.train_days is None else max(begin, last_train - self.train_days + 1)
            train = np.flatnonzero((at >= first_train) & (at <= last_train))
            test = np.flatnonzero((at >= first) & (at < first + self.test_days))
            if len(train) and len(test):
                yield Split(train, test)
            first += self.test_days
