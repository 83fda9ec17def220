"""Panels as they were known at each decision, without building one for every day.

A value stamped t uses of every row the latest version known at the cut-off of t. Taken literally that is a new panel
every session. Nearly all rows, though, are known on their own session and never corrected; for those the panel of a
later t, cut at t, is the panel of t. So the algorithm is:

1. Give every version of every row the position k from which it is known (:func:`~prometheus.clock.knowledge_index`).
2. Fill a grid with what is *timely*: of each row the latest version known on its own session, or by the first target.
3. Every other version is *late*: from its k on it changes a session that decisions before k have already seen. Two more
   things count as late: an action known after its ex-date, and a name that gets its first action (or loses its last),
   because that changes which prices are its whole path.
4. Late versions cut the targets into segments. Within a segment nothing seen changes, so one panel serves all of it:
   sessions after t are in it and decisions at t do not look at them.

Ordinary data make one segment of a whole chunk; a source that revises every row makes one a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from prometheus.clock.sessions import Instants, Sessions, knowledge_index
from prometheus.market.membership import Membership, MembershipUpdate, membership_as_known
from prometheus.market.panel import ActionRows, PricePanel, PriceRows, assemble, empty_grid, put_prices
from prometheus.market.returns import ActionSet, total_returns
from prometheus.market.rolling import Flags, Positions

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class KnownPanel:
    """A panel and the decisions it serves.

    Attributes
    ----------
    targets : ndarray of int64, shape (n_targets,)
        Positions among the sessions that were asked about.
    positions : ndarray of int64, shape (n_targets,)
        The same sessions in ``panel.sessions``.
    panel : PricePanel
        Cut at any of the targets, it is the panel as known then.
    membership : Membership or None
        The same for membership, over the panel's sessions; None when no instruments were given.
    """

    targets: Positions
    positions: Positions
    panel: PricePanel
    membership: Membership | None


def panels_as_known(
    prices: pa.Table,
    actions: pa.Table | None,
    sessions: Sessions,
    session_cutoffs: Instants,
    targets: Positions,
    *,
    history: int,
    names: Iterable[str] | None = None,
    instruments: pa.Table | None = None,
    apart: bool = False,
    infer_splits: bool = False,
) -> Iterator[KnownPanel]:
    """Yield panels that together serve every target.

    Parameters
    ----------
    prices, actions, instruments : pyarrow.Table
        Every version of the rows of ``prices_daily``, ``corporate_actions`` (of all dates, see
        :func:`~prometheus.market.panel.build_panel`) and ``instruments``. Prices are needed over ``history``
        sessions up to each target; more are ignored.
    sessions : Sessions
    session_cutoffs : ndarray of datetime64[us], shape (n_sessions,)
        Cut-off of each session.
    targets : ndarray of int64
        Positions of the decisions, ascending.
    history : int
        Sessions up to and including a target that its values depend on.
    names : iterable of str, optional
        Instruments to hold; default those in ``prices``.
    instruments : pyarrow.Table, optional
        For ``membership``.
    apart : bool
        Each name is used by itself: a late version of one name then leaves the others alone, and panels hold only the
        names they serve. Every (target, name) is served exactly once. Otherwise every panel holds all names.
    infer_splits : bool
        See :func:`~prometheus.market.panel.build_panel`.

    Yields
    ------
    KnownPanel
        By ascending first target.
    """
    if apart and instruments is not None:
        raise ValueError("membership compares names; it needs panels that hold all of them")
    targets = np.asarray(targets, dtype=np.int64)
    if not len(targets):
        return
    first, last = int(targets[0]), int(targets[-1])
    start = max(first - history + 1, 0)
    inside = sessions.slice(start, last + 1)
    known = _Knowledge(session_cutoffs[start : last + 1], targets - start)
    rows = PriceRows.of(prices, inside, names)
    book = _PriceBook.of(prices, rows, known)
    ledger = _ActionBook.of(actions, inside, rows.names, known, book.has_adjusted)
    roll = _Roll.of(instruments, inside, rows.names, known)
    late = [book.late_names(), ledger.late, roll.late_names()]
    changed, when = (np.concatenate(parts) for parts in zip(*late, strict=True))
    for begin, end, members in _segments(changed, when, len(rows.names), len(targets), apart):
        book.apply(begin)
        roll.apply(begin)
        span = known.targets[begin:end]
        lo, hi = max(int(span[0]) - history + 1, 0), int(span[-1]) + 1
        grid = book.grid.span(lo, hi).rows(members)
        entries, on_actions = ledger.at(begin, members, lo)
        returns = total_returns(grid, entries, on_actions, infer_splits=infer_splits)
        yield KnownPanel(
            targets=targets[begin:end],
            positions=span - lo,
            panel=assemble(tuple(rows.names[i] for i in members), inside.dates[lo:hi], grid, returns),
            membership=roll.membership.span(lo, hi) if roll.membership is not None else None,
        )


def _segments(
    changed: NDArray[np.int64], when: Positions, n_names: int, n_targets: int, apart: bool
) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
    """First target, target after the last, and names of each segment, by ascending first target."""
    everyone = np.arange(n_names)
    if not apart:
        begin = np.unique(np.r_[0, when])
        for lo, hi in zip(begin, np.r_[begin[1:], n_targets], strict=True):
            yield int(lo), int(hi), everyone
        return
    cuts = np.unique(np.stack([np.r_[everyone, changed], np.r_[np.zeros_like(everyone), when]]), axis=1)
    name, begin = cuts
    end = np.r_[begin[1:], 0]
    end[end == 0] = n_targets
    for lo, hi in np.unique(np.stack([begin, end]), axis=1).T:
        yield int(lo), int(hi), name[(begin == lo) & (end == hi)]


@dataclass(frozen=True)
class _Knowledge:
    """Cut-offs of the sessions in reach, and the targets' positions among them."""

    cutoffs: Instants
    targets: Positions

    def since(self, table: pa.Table) -> tuple[Instants, Positions]:
        """Instant and position from which each row is known."""
        import pyarrow as pa

        instants = table["known_at"].cast(pa.timestamp("us")).to_numpy().astype("datetime64[us]")
        return instants, knowledge_index(instants, self.cutoffs)

    def first_target(self, k: Positions) -> Positions:
        """Index of the first target at or after position k."""
        return np.searchsorted(self.targets, k).astype(np.int64)


class _PriceBook:
    """The grid of prices, brought forward by late versions."""

    def __init__(self, rows: PriceRows, withdrawn: Flags, known: _Knowledge, instants: Instants, k: Positions) -> None:
        n = len(known.cutoffs)
        self._rows, self._withdrawn, self._applied = rows, withdrawn, 0
        usable = np.flatnonzero((rows.name >= 0) & (rows.position >= 0) & (k < n))
        self.has_adjusted = np.zeros(len(rows.names), dtype=bool)
        self.has_adjusted[rows.name[usable[~np.isnan(rows.adjusted_close[usable])]]] = True
        cell = rows.name[usable] * n + rows.position[usable]
        order = np.lexsort((instants[usable], cell))
        row, cell = usable[order], cell[order]
        timely = k[row] <= np.maximum(rows.position[row], known.targets[0])
        on_time, cell = row[timely], cell[timely]
        newest = on_time[np.r_[cell[1:] != cell[:-1], True][: len(on_time)]]
        self.grid = empty_grid(len(rows.names), n)
        put_prices(self.grid, rows.take(newest[~withdrawn[newest]]))
        late = row[~timely]
        when = known.first_target(k[late])
        order = np.lexsort((instants[late], when))
        self._late, self._when = late[order], when[order]

    @classmethod
    def of(cls, prices: pa.Table, rows: PriceRows, known: _Knowledge) -> _PriceBook:
        return cls(rows, prices["withdrawn"].to_numpy(), known, *known.since(prices))

    def late_names(self) -> tuple[NDArray[np.int64], Positions]:
        return self._rows.name[self._late], self._when

    def apply(self, target: int) -> None:
        """Bring in every late version known at this target; of one cell's the newest."""
        until = int(np.searchsorted(self._when, target, side="right"))
        due = self._late[self._applied : until]
        self._applied = until
        cell = self._rows.name[due] * self.grid.close.shape[1] + self._rows.position[due]
        _, from_end = np.unique(cell[::-1], return_index=True)
        due = due[len(due) - 1 - from_end]
        put_prices(self.grid, self._rows.take(due))
        gone = due[self._withdrawn[due]]
        for field in (self.grid.close, self.grid.adjusted_close, self.grid.volume):
            field[self._rows.name[gone], self._rows.position[gone]] = np.nan


@dataclass(frozen=True)
class _ActionBook:
    """Corporate actions as known at each target.

    Attributes
    ----------
    entries : ActionSet
        Every version that says something.
    since, until : ndarray of int64
        Positions between which a version is the one known: up to the next version of the same action.
    on_actions : ndarray of bool, shape (n_names, n_targets)
        Names any of whose actions is known.
    late : tuple of ndarray
        Names and target indices of what comes late.
    """

    entries: ActionSet
    since: Positions
    until: Positions
    on_actions: Flags
    targets: Positions
    late: tuple[NDArray[np.int64], Positions]

    @classmethod
    def of(
        cls,
        actions: pa.Table | None,
        sessions: Sessions,
        names: tuple[str, ...],
        known: _Knowledge,
        has_adjusted: Flags,
    ) -> _ActionBook:
        read = ActionRows.of(actions, sessions, names)
        nothing, n_targets = np.empty(0, dtype=np.int64), len(known.targets)
        if actions is None or not len(read.row):
            nobody = np.zeros((len(names), n_targets), dtype=bool)
            return cls(read.entries, nothing, nothing, nobody, known.targets, (nothing, nothing))
        instants, k = known.since(actions.take(read.row))
        until = _replaced(actions.take(read.row), instants, k, never=len(known.cutoffs))
        position = read.entries.position
        seen = (position > 0) & (position < len(sessions)) & (k < len(known.cutoffs))
        late = seen & (k > np.maximum(position, known.targets[0]))
        stands = read.says & ~actions["withdrawn"].to_numpy()[read.row]
        entries = read.entries.take(stands)
        tally = np.zeros((len(names), n_targets + 1), dtype=np.int64)
        np.add.at(tally, (entries.name, known.first_target(k[stands])), 1)
        np.add.at(tally, (entries.name, known.first_target(until[stands])), -1)
        on_actions = np.cumsum(tally[:, :-1], axis=1) > 0
        # a name without adjusted closes has the same path either way
        switched, before = np.nonzero(np.diff(on_actions, axis=1) & has_adjusted[:, None])
        return cls(
            entries=entries,
            since=k[stands],
            until=until[stands],
            on_actions=on_actions | ~has_adjusted[:, None],
            targets=known.targets,
            late=(
                np.r_[read.entries.name[late], switched],
                np.r_[known.first_target(k[late]), before + 1],
            ),
        )

    def at(self, target: int, members: NDArray[np.int64], start: int) -> tuple[ActionSet, Flags]:
        """Actions on a panel of ``members`` from session ``start``, and which of them go by their actions.

        An action is seen by decisions from its ex-date on, hence in the version known then or at the target.
        """
        seen_at = np.maximum(self.entries.position, self.targets[target])
        place = np.full(len(self.on_actions), -1, dtype=np.int64)
        place[members] = np.arange(len(members))
        mine = place[self.entries.name] if len(self.entries.name) else self.entries.name
        index = (mine >= 0) & (self.since <= seen_at) & (seen_at < self.until) & (self.entries.position > start)
        chosen = self.entries.take(index)
        entries = ActionSet(mine[index], chosen.position - start, chosen.shares, chosen.cash)
        return entries, self.on_actions[members, target]


def _replaced(actions: pa.Table, instants: Instants, k: Positions, never: int) -> Positions:
    """Position from which the next version of the same action is known."""
    keys = [actions[c].combine_chunks().dictionary_encode().indices.to_numpy() for c in ("instrument_id", "kind")]
    keys.append(actions["ex_date"].to_numpy())
    order = np.lexsort((instants, *keys))
    same = np.ones(max(len(order) - 1, 0), dtype=bool)
    for key in keys:
        same &= key[order][1:] == key[order][:-1]
    until = np.full(len(order), never, dtype=np.int64)
    until[order[:-1][same]] = k[order[1:][same]]
    return until


@dataclass
class _Roll:
    """Membership, brought forward by late changes to the past."""

    membership: Membership | None
    updates: dict[int, list[MembershipUpdate]]

    @classmethod
    def of(cls, instruments: pa.Table | None, sessions: Sessions, names: tuple[str, ...], known: _Knowledge) -> _Roll:
        if instruments is None:
            return cls(None, {})
        membership, by_position = membership_as_known(
            instruments, names, sessions, known.cutoffs, int(known.targets[0])
        )
        updates: dict[int, list[MembershipUpdate]] = {}
        for position in sorted(by_position):
            target = int(known.first_target(np.array([position]))[0])
            updates.setdefault(target, []).extend(by_position[position])
        return cls(membership, updates)

    def late_names(self) -> tuple[NDArray[np.int64], Positions]:
        pairs = [(update.name, target) for target, updates in self.updates.items() for update in updates]
        name, when = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        return name, when

    def apply(self, target: int) -> None:
        """Bring in the late changes known at this target, on copies: spans of the old arrays are in use."""
        due = [update for at in sorted(self.updates) if at <= target for update in self.updates.pop(at)]
        if self.membership is None or not due:
            return
        market, sector = self.membership.market.copy(), self.membership.sector.copy()
        for update in due:
            market[update.name], sector[update.name] = update.market, update.sector
        self.membership = replace(self.membership, market=market, sector=sector)
