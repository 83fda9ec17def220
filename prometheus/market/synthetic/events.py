"""What happens to listings: announcements with their instants, for news, filings and reference tables alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prometheus.market.synthetic.history import MarketHistory
from prometheus.market.synthetic.returns import MERGER_PREMIUM, crash_start, merger_notice
from prometheus.market.synthetic.sectors import adjective

_SECTOR_NOTICE = 10

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class ListingEvent:
    """One announcement.

    Attributes
    ----------
    kind : str
        A key of :data:`~prometheus.market.synthetic.lexicon_company.EVENT_TEXTS`.
    column : int
        The name.
    session : int
        Session of the announcement.
    known_at : datetime64[us]
    facts : dict
        What sentences about it need.
    """

    kind: str
    column: int
    session: int
    known_at: np.datetime64
    facts: dict[str, str]


def spoken_date(day: np.datetime64) -> str:
    """Write a date as in '3 August 2022', whatever the locale."""
    date = day.astype("datetime64[D]").item()
    return f"{date.day} {MONTHS[date.month - 1]} {date.year}"


def spoken_weekday(instant: np.datetime64) -> str:
    """Write the weekday of an instant as in 'on Tuesday'."""
    return f"on {WEEKDAYS[instant.astype('datetime64[D]').item().weekday()]}"


def announced_at(history: MarketHistory, session: int) -> np.datetime64:
    """Instant of an announcement after the close of a session."""
    return np.datetime64(history.sessions.closes_at[session] + np.timedelta64(15, "m"))


def listing_events(history: MarketHistory) -> list[ListingEvent]:
    """All announcements of one market within its history, by instant."""
    sessions, names = history.sessions, history.names
    length = len(sessions)
    found: list[ListingEvent] = []

    def add(kind: str, column: int, session: int, *, early: bool = False, **facts: str) -> None:
        if 0 <= session < length:
            known = sessions.opens_at[session] - np.timedelta64(45, "m")
            if not early or known < sessions.dates[session].astype("datetime64[us]"):
                known = announced_at(history, session)
            found.append(ListingEvent(kind, column, session, np.datetime64(known), facts))

    splits = history.paths.splits
    for column, ex, session, ratio in zip(splits.name, splits.ex, splits.announced, splits.ratio, strict=True):
        kind, text = ("SPLIT", f"{ratio:.0f}-for-1") if ratio > 1 else ("CONSOLIDATION", f"1-for-{1 / ratio:.0f}")
        add(kind, int(column), int(session), ratio=text, date=spoken_date(sessions.dates[ex]))
    for column, name in enumerate(names):
        notice, slide = merger_notice(name), crash_start(name)
        if name.listed > 0:
            add("LISTING", column, name.listed, early=True)
        if notice is not None:
            add("MERGER", column, notice, early=True, premium=f"{100 * MERGER_PREMIUM:.0f}")
        if slide is not None:
            add("DISTRESS", column, slide, early=True)
        if name.last is not None:
            add("DELISTING", column, name.last)
        if name.gap and name.gap[0] > 0:
            add("SUSPENSION", column, name.gap[0] - 1)
        if name.moved and name.moved[0] < length:
            date = spoken_date(sessions.dates[name.moved[0]])
            add("SECTOR_CHANGE", column, sector_notice(name.moved[0]), new_sector=adjective(name.moved[1]), date=date)
    return sorted(found, key=lambda e: (e.known_at, e.column, e.kind))


def sector_notice(moved: int) -> int:
    """Session in which a change of sector is announced."""
    return max(moved - _SECTOR_NOTICE, 0)
