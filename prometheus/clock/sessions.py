"""Trading sessions of an exchange and the instants at which their decisions are made."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from prometheus.errors import RequestError

CutoffRule = Literal["end_of_day", "session_close", "next_open"]
Days = NDArray[np.datetime64]
Instants = NDArray[np.datetime64]


@dataclass(frozen=True)
class Sessions:
    """Consecutive sessions of one exchange calendar.

    Attributes
    ----------
    calendar_id : str
        Name in ``exchange_calendars``, for example ``XNYS``.
    dates : ndarray of datetime64[D], shape (n,)
        Session dates, ascending, local to the exchange.
    opens_at, closes_at : ndarray of datetime64[us], shape (n,)
        Start and end of trading, UTC.
    """

    calendar_id: str
    dates: Days
    opens_at: Instants
    closes_at: Instants

    def __len__(self) -> int:
        return len(self.dates)

    def slice(self, start: int, stop: int) -> Sessions:
        """Return sessions ``start`` to ``stop - 1`` by position."""
        s = slice(max(start, 0), stop)
        return Sessions(self.calendar_id, self.dates[s], self.opens_at[s], self.closes_at[s])

    def between(self, first: dt.date, last: dt.date) -> Sessions:
        """Return the sessions dated ``first`` to ``last``, both included."""
        lo = int(np.searchsorted(self.dates, np.datetime64(first, "D"), side="left"))
        hi = int(np.searchsorted(self.dates, np.datetime64(last, "D"), side="right"))
        return self.slice(lo, hi)

    def positions(self, days: Days) -> NDArray[np.int64]:
        """Position of each day among the sessions; -1 where the day is no session."""
        return positions_in(self.dates, np.asarray(days, dtype="datetime64[D]"))


def positions_in(ordered: Days, days: Days) -> NDArray[np.int64]:
    """Place of each day among ascending days; -1 where it is none of them."""
    if len(ordered) == 0:
        return np.full(days.shape, -1, dtype=np.int64)
    at = np.minimum(np.searchsorted(ordered, days), len(ordered) - 1)
    return np.where(ordered[at] == days, at, -1).astype(np.int64)


def exchange_sessions(calendar_id: str, first: dt.date, last: dt.date) -> Sessions:
    """Sessions of an exchange between two dates, from ``exchange_calendars``.

    Both bounds are passed to the library explicitly: its defaults move with the day it is called on.

    Raises
    ------
    RequestError
        When the library knows no such calendar or cannot cover the dates.
    """
    import exchange_calendars as xc

    try:
        calendar = xc.get_calendar(calendar_id, start=first.isoformat(), end=last.isoformat())
    except xc.errors.InvalidCalendarName:
        raise RequestError(
            f"exchange_calendars knows no calendar {calendar_id!r}; see exchange_calendars.get_calendar_names()"
        ) from None
    except ValueError as error:
        raise RequestError(f"calendar {calendar_id} cannot cover {first} to {last}: {error}") from None
    schedule = calendar.schedule
    return Sessions(
        calendar_id=calendar_id,
        dates=schedule.index.to_numpy().astype("datetime64[D]"),
        opens_at=_utc(schedule["open"]),
        closes_at=_utc(schedule["close"]),
    )


def _utc(column: object) -> Instants:
    return column.dt.tz_convert(None).to_numpy().astype("datetime64[us]")  # type: ignore[attr-defined,no-any-return]


def cutoffs(sessions: Sessions, rule: CutoffRule = "end_of_day") -> Instants:
    """Instant up to which a decision stamped with each session may know things.

    ``end_of_day`` is the end of the UTC day, or the next session's open if that comes first; ``session_close`` the
    end of trading; ``next_open`` the next session's open. The last session has no successor here, so under
    ``next_open`` it gets the end of its UTC day, and callers hand over one session more than they decide on.

    Returns
    -------
    ndarray of datetime64[us], shape (n,)
    """
    if rule == "session_close":
        return sessions.closes_at
    midnight: Instants = (sessions.dates + np.timedelta64(1, "D")).astype("datetime64[us]")
    end_of_utc_day: Instants = (midnight - np.timedelta64(1, "us")).astype("datetime64[us]")
    next_open: Instants = np.concatenate([sessions.opens_at[1:], end_of_utc_day[-1:]])
    if rule == "next_open":
        return next_open
    if rule == "end_of_day":
        return np.minimum(end_of_utc_day.astype(np.int64), next_open.astype(np.int64)).astype("datetime64[us]")
    raise RequestError(f"there is no cut-off rule {rule!r}; use end_of_day, session_close or next_open")


def knowledge_index(known_at: Instants, session_cutoffs: Instants) -> NDArray[np.int64]:
    """Position of the first session whose cut-off is not before each instant (n = never within these sessions)."""
    return np.searchsorted(session_cutoffs, np.asarray(known_at, dtype="datetime64[us]"), side="left").astype(np.int64)
