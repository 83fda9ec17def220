"""Which dates a query is compared with: its own, what was known by then, or earlier ones an embargo away."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from prometheus.clock import DEFAULT_MARKETS, Markets, Sessions
from prometheus.errors import RequestError
from prometheus.lake import Lake
from prometheus.market.calendars import stored_sessions
from prometheus.spaces.joint import SPACES
from prometheus.spaces.numeric import MODELS

When = Literal["same_date", "known", "earlier", "apart", "any"]
"""``same_date``: the query's date alone. ``known``: up to and with it. ``earlier``: before it by at least the embargo.
``apart``: before or after it by at least the embargo (for studies of the past; it looks ahead). ``any``: all dates."""

EMBARGO_SESSIONS = 63
"""The usual window: with 63 sessions between two dates, their 63-session windows share no session."""

_SESSIONS_A_YEAR = 252
_DAYS_A_YEAR = 365.25
_FIRST, _LAST = np.datetime64("0001-01-01", "D"), np.datetime64("9999-12-31", "D")


@dataclass(frozen=True)
class Embargo:
    """Distance in time that keeps two windows from overlapping.

    Attributes
    ----------
    num_sessions : int
    sessions : Sessions, optional
        Of the market's calendar. Without them the distance is counted in calendar days:
        ``ceil(num_sessions * 365.25 / 252)``, 92 for one window of 63.
    """

    num_sessions: int = EMBARGO_SESSIONS
    sessions: Sessions | None = None

    @property
    def num_days(self) -> int:
        """Calendar days the embargo stands for where there is no calendar."""
        return math.ceil(self.num_sessions * _DAYS_A_YEAR / _SESSIONS_A_YEAR)

    def __str__(self) -> str:
        if self.sessions is None:
            return f"{self.num_days} calendar days ({self.num_sessions} sessions of no known calendar)"
        return f"{self.num_sessions} {self.sessions.calendar_id} sessions"

    def before(self, days: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
        """Last date each day may be compared with: as many sessions before the last session up to it."""
        return self._shifted(days, -1)

    def after(self, days: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
        """First later date whose window shares no session with the day's."""
        return self._shifted(days, 1)

    def _shifted(self, days: NDArray[np.datetime64], sign: int) -> NDArray[np.datetime64]:
        if self.sessions is None:
            return days + np.timedelta64(sign * self.num_days, "D")
        dates = self.sessions.dates
        at = np.searchsorted(dates, days, side="right") - 1 + sign * self.num_sessions
        inside = dates[np.clip(at, 0, len(dates) - 1)]
        # Before the first stored session nothing is known to be far enough; after the last one nothing is stored.
        return np.where(at < 0, _FIRST, np.where(at >= len(dates), _LAST, inside))


@dataclass(frozen=True, eq=False)
class Spans:
    """Dates each query may be compared with: ``first`` to ``last``, less what lies strictly between the hole's ends.

    Attributes
    ----------
    first, last, hole_first, hole_last : ndarray of datetime64[D], shape (q,)
        ``hole_first`` and ``hole_last`` are allowed themselves; without a hole they are equal.
    """

    first: NDArray[np.datetime64]
    last: NDArray[np.datetime64]
    hole_first: NDArray[np.datetime64]
    hole_last: NDArray[np.datetime64]

    @classmethod
    def of(cls, when: When, days: NDArray[np.datetime64], embargo: Embargo) -> Spans:
        """Spans of some query dates.

        Parameters
        ----------
        when : str
            See :data:`When`.
        days : ndarray of datetime64[D], shape (q,)
            NaT, where a query has no date, is allowed with ``any`` alone.
        embargo : Embargo

        Raises
        ------
        RequestError
            When a query without a date is to be compared by date.
        """
        first, last = np.full(len(days), _FIRST), np.full(len(days), _LAST)
        if when == "any":
            return cls(first, last, first, first)
        if np.isnat(days).any():
            raise RequestError(f"a query without a date cannot be compared by date ({when}); give as_of, or when='any'")
        if when == "same_date":
            return cls(days, days, first, first)
        if when == "known":
            return cls(first, days, first, first)
        if when == "earlier":
            return cls(first, embargo.before(days), first, first)
        if when == "apart":
            return cls(first, last, embargo.before(days), embargo.after(days))
        raise RequestError(f"there is no comparison {when!r}; use same_date, known, earlier, apart or any")

    @property
    def outer(self) -> tuple[dt.date, dt.date] | None:
        """First and last date any query may be compared with; None when all dates are."""
        first, last = self.first.min(), self.last.max()
        return None if (first, last) == (_FIRST, _LAST) else (first.item(), last.item())

    def allowed(self, days: NDArray[np.datetime64]) -> NDArray[np.bool_] | None:
        """Mark which of some dates each query may be compared with, shape (q, n); None when all are."""
        low, high = days.min(), days.max()
        open_ = (self.hole_last <= low) | (self.hole_first >= high) | (self.hole_first == self.hole_last)
        if ((self.first <= low) & (self.last >= high) & open_).all():
            return None
        day = days[None, :]
        marked: NDArray[np.bool_] = (day >= self.first[:, None]) & (day <= self.last[:, None])
        if not open_.all():
            marked &= ~((day > self.hole_first[:, None]) & (day < self.hole_last[:, None]))
        return marked


def window_behind(row: Mapping[str, Any]) -> int:
    """Sessions of the longest window a row was made of, 63 at least.

    Parameters
    ----------
    row : mapping
        A window embedding says its own in ``window_spec``; behind a joint row are those of the models its ``branches``
        name, and of the models of the spaces among them.
    """
    lengths: list[int] = [EMBARGO_SESSIONS, json.loads(row.get("window_spec") or "{}").get("sessions", 0)]
    models = {branch["model_id"] for branch in row.get("branches") or ()}
    seen: set[str] = set()
    while models:
        model = models.pop()
        seen.add(model)
        lengths += [MODELS[model].window] if model in MODELS else []
        of_it = {b.model_id for space in SPACES.values() if space.model_id == model for b in space.branches}
        models |= of_it - seen
    return max(lengths)


def embargo_of(
    lake: Lake | None,
    row: dict[str, Any] | None,
    *,
    num_sessions: int | None = None,
    markets: Markets = DEFAULT_MARKETS,
) -> Embargo:
    """Embargo by the calendar of the market a row belongs to, where the row says it and the lake holds its sessions.

    Parameters
    ----------
    lake : Lake, optional
    row : dict, optional
        A joint row (its ``entity_scope`` names a region) or a window embedding.
    num_sessions : int, optional
        By default those of the longest window behind the row (:func:`window_behind`).
    markets : Markets
    """
    if num_sessions is None:
        num_sessions = window_behind(row or {})
    market_id = None
    if row is not None and row.get("entity_scope"):
        region = json.loads(row["entity_scope"]).get("region")
        market_id = next((m.market_id for m in markets.by_id.values() if region and m.region == region), None)
    elif row is not None and row.get("entity_type") in {"MARKET", "SECTOR"}:
        market_id = str(row["entity_id"]).partition("/")[0]
    elif lake is not None and row is not None and row.get("entity_type") == "INSTRUMENT":
        listed = lake.read("instruments", columns=["market_id"], where={"instrument_id": row["entity_id"]})
        of_it = set(listed["market_id"].to_pylist())
        market_id = of_it.pop() if len(of_it) == 1 else None
    if lake is None or market_id not in markets.by_id:
        return Embargo(num_sessions)
    return Embargo(num_sessions, stored_sessions(lake, markets.market(market_id).calendar_id))
