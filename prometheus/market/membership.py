"""Who belongs to which market and sector on each session, from dated instrument rows."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from prometheus.clock.sessions import Instants, Sessions

NOBODY = -1
"""Code of a name that is in no market, or in no sector that has a name."""

Codes = NDArray[np.int16]


@dataclass(frozen=True)
class Membership:
    """Market and sector of names over sessions.

    Attributes
    ----------
    names : tuple of str
        Instruments, in the order of the panel they go with.
    markets, sectors : tuple of str
        Entity ids the codes stand for, ascending: ``US_EQ``, and ``US_EQ/Energy``.
    market, sector : ndarray of int16, shape (n_names, n_sessions)
        Index into ``markets`` and ``sectors``, or ``NOBODY``.
    """

    names: tuple[str, ...]
    markets: tuple[str, ...]
    sectors: tuple[str, ...]
    market: Codes
    sector: Codes

    def span(self, start: int, stop: int) -> Membership:
        """Restrict to sessions ``start`` to ``stop - 1``."""
        s = slice(start, stop)
        return Membership(self.names, self.markets, self.sectors, self.market[:, s], self.sector[:, s])

    def of_market(self, market_id: str) -> Membership:
        """Leave out what belongs to other markets: of those, only names that were of this one too are here."""
        here = self.market == (self.markets.index(market_id) if market_id in self.markets else NOBODY - 1)
        nobody = np.int16(NOBODY)
        market, sector = (np.where(here, codes, nobody) for codes in (self.market, self.sector))
        return Membership(self.names, self.markets, self.sectors, market, sector)


@dataclass(frozen=True)
class MembershipUpdate:
    """A change of what is known about one name's past.

    Attributes
    ----------
    name : int
        Row.
    market, sector : ndarray of int16, shape (n_sessions,)
        The name's codes as known from then on.
    """

    name: int
    market: Codes
    sector: Codes


@dataclass(frozen=True)
class _Listing:
    """One version of one instrument row."""

    valid_from: dt.date
    start: int
    stop: int
    market: int
    sector: int
    known_at: np.datetime64
    known: int
    withdrawn: bool


_COLUMNS = [
    *("instrument_id", "valid_from", "market_id", "asset_class", "sector"),
    *("valid_to", "delisted_on", "known_at", "withdrawn"),
]


def build_membership(instruments: pa.Table, names: Sequence[str], sessions: Sessions) -> Membership:
    """Read membership from rows that are known, at most one version of each.

    A row holds from ``valid_from`` to ``valid_to`` and ``delisted_on``, all included; where rows of one instrument
    overlap, the one that starts later holds. Only EQUITY belongs; a row without a sector belongs to its market alone.

    Parameters
    ----------
    instruments : pyarrow.Table
        Rows of ``instruments``.
    names : sequence of str
        Instruments of the panel; others are ignored.
    sessions : Sessions
    """
    markets, sectors, listings = _listings(instruments, names, sessions, None)
    market = np.full((len(names), len(sessions)), NOBODY, dtype=np.int16)
    sector = market.copy()
    for name, mine in listings.items():
        market[name], sector[name] = _codes_of(mine, len(sessions))
    return Membership(tuple(names), markets, sectors, market, sector)


def membership_as_known(
    versions: pa.Table, names: Sequence[str], sessions: Sessions, cutoffs: Instants, first: int
) -> tuple[Membership, dict[int, list[MembershipUpdate]]]:
    """Membership such that each session sees what was known on it, and the late changes to the past.

    Parameters
    ----------
    versions : pyarrow.Table
        Every version of the rows of ``instruments``.
    names : sequence of str
    sessions : Sessions
    cutoffs : ndarray of datetime64[us], shape (n_sessions,)
        Cut-off of each session.
    first : int
        First position anybody decides on; whatever was known by then is no news.

    Returns
    -------
    Membership
        As known at position ``first`` for sessions up to it, and at each later session for itself, which is also what
        every later decision sees, but for the updates.
    dict of int to list of MembershipUpdate
        By the position from which they are known.
    """
    markets, sectors, listings = _listings(versions, names, sessions, cutoffs)
    n = len(sessions)
    market = np.full((len(names), n), NOBODY, dtype=np.int16)
    sector = market.copy()
    updates: dict[int, list[MembershipUpdate]] = {}
    for name, mine in listings.items():
        market[name], sector[name] = _codes_of(_latest(mine, first), n)
        current = market[name], sector[name]
        for k in sorted({listing.known for listing in mine if first < listing.known < n}):
            later = _codes_of(_latest(mine, k), n)
            if all(np.array_equal(a[:k], b[:k]) for a, b in zip(current, later, strict=True)):
                # what changes only from k on is seen by nobody before k, so it goes in without an update
                for a, b in zip(current, later, strict=True):
                    a[k:] = b[k:]
            else:
                updates.setdefault(k, []).append(MembershipUpdate(name, *later))
                current = later
    return Membership(tuple(names), markets, sectors, market, sector), updates


def listed_as_known(
    versions: pa.Table, market_id: str, names: Sequence[str], sessions: Sessions, cutoffs: Instants
) -> NDArray[np.bool_]:
    """Which decisions know each instrument as one of a market.

    An instrument counts from the version that first lists it there, whatever the span of the listing, to the version
    that takes its last listing back. Where the listings known name several markets, it is of the one whose listing
    began last by then (of the first to begin, when none has), so that no two markets have it at once.

    Parameters
    ----------
    versions : pyarrow.Table
        Every version of the rows of ``instruments``, those of other markets included.
    market_id : str
    names : sequence of str
        Ascending.
    sessions : Sessions
    cutoffs : ndarray of datetime64[us], shape (n_sessions,)
        Cut-off of each session.

    Returns
    -------
    ndarray of bool, shape (n_sessions, n_names)
        Known at the cut-off of each session.
    """
    import polars as pl

    from prometheus.clock.sessions import knowledge_index

    rows = pl.DataFrame(
        pl.from_arrow(versions.select(["instrument_id", "valid_from", "market_id", "known_at", "withdrawn"]))
    ).filter(pl.col("instrument_id").is_in(list(names)))
    instants = rows["known_at"].dt.replace_time_zone(None).to_numpy().astype("datetime64[us]")
    rows = rows.with_columns(pl.Series("at", knowledge_index(instants, cutoffs)))
    elsewhere = pl.col("withdrawn") | (pl.col("market_id") != market_id)
    summed = rows.group_by("instrument_id").agg(pl.col("at").min(), elsewhere.any().alias("elsewhere"))
    since = np.full(len(names), len(sessions), dtype=np.int64)
    stayed = summed.filter(~pl.col("elsewhere"))
    since[np.searchsorted(names, stayed["instrument_id"].to_list())] = stayed["at"].to_numpy()
    listed: NDArray[np.bool_] = np.arange(len(sessions))[:, None] >= since
    # Nearly every name has only ever been of one market: the walk through versions is for the others.
    walked = rows.join(summed.filter("elsewhere"), on="instrument_id", how="semi").sort("known_at", maintain_order=True)
    for (name,), mine in walked.group_by("instrument_id", maintain_order=True):
        known = list(mine.select("at", "valid_from", "market_id", "withdrawn").iter_rows())
        begins = np.searchsorted(sessions.dates, mine["valid_from"].to_numpy().astype("datetime64[D]"))
        changes = sorted({int(k) for k in (*mine["at"], *begins) if k < len(sessions)})
        column = listed[:, int(np.searchsorted(names, str(name)))]
        for k, until in itertools.pairwise([*changes, len(sessions)]):
            latest = {valid_from: (market, gone) for at, valid_from, market, gone in known if at <= k}
            column[k:until] = _market_of(latest, sessions.dates[k].item()) == market_id
    return listed


def _market_of(listings: dict[dt.date, tuple[str, bool]], day: dt.date) -> str | None:
    """Market of the listing that began last by a day; of the first to begin, when none has; None without any."""
    held = {valid_from: market for valid_from, (market, withdrawn) in listings.items() if not withdrawn}
    begun = [valid_from for valid_from in held if valid_from <= day]
    return held[max(begun) if begun else min(held)] if held else None


def _listings(
    table: pa.Table, names: Sequence[str], sessions: Sessions, cutoffs: Instants | None
) -> tuple[tuple[str, ...], tuple[str, ...], dict[int, list[_Listing]]]:
    from prometheus.clock.sessions import knowledge_index

    place = {name: i for i, name in enumerate(names)}
    rows = [
        row
        for row in table.select(_COLUMNS).to_pylist()
        if row["instrument_id"] in place and row["asset_class"] == "EQUITY"
    ]
    markets = tuple(sorted({row["market_id"] for row in rows}))
    sectors = tuple(sorted({f"{row['market_id']}/{row['sector']}" for row in rows if row["sector"]}))
    market_code = {market: i for i, market in enumerate(markets)}
    sector_code = {sector: i for i, sector in enumerate(sectors)}
    instants = np.array([row["known_at"].replace(tzinfo=None) for row in rows], dtype="datetime64[us]")
    known = knowledge_index(instants, cutoffs) if cutoffs is not None else np.zeros(len(rows), dtype=np.int64)
    listings: dict[int, list[_Listing]] = {}
    for row, instant, k in zip(rows, instants, known, strict=True):
        ends = [end for end in (row["valid_to"], row["delisted_on"]) if end is not None]
        stop = int(np.searchsorted(sessions.dates, np.datetime64(min(ends)), side="right")) if ends else len(sessions)
        listings.setdefault(place[row["instrument_id"]], []).append(
            _Listing(
                valid_from=row["valid_from"],
                start=int(np.searchsorted(sessions.dates, np.datetime64(row["valid_from"]))),
                stop=stop,
                market=market_code[row["market_id"]],
                sector=sector_code.get(f"{row['market_id']}/{row['sector']}", NOBODY),
                known_at=instant,
                known=int(k),
                withdrawn=bool(row["withdrawn"]),
            )
        )
    return markets, sectors, listings


def _latest(listings: list[_Listing], position: int) -> list[_Listing]:
    latest: dict[dt.date, _Listing] = {}
    for listing in sorted(listings, key=lambda item: item.known_at):
        if listing.known <= position:
            latest[listing.valid_from] = listing
    return list(latest.values())


def _codes_of(listings: list[_Listing], n_sessions: int) -> tuple[Codes, Codes]:
    market = np.full(n_sessions, NOBODY, dtype=np.int16)
    sector = market.copy()
    for listing in sorted(listings, key=lambda item: item.valid_from):
        if not listing.withdrawn:
            span = slice(listing.start, max(listing.stop, listing.start))
            market[span], sector[span] = listing.market, listing.sector
    return market, sector
