"""Prices of many names on the sessions of one calendar, as total returns: what windows and baskets are built from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from prometheus.errors import BadDataError
from prometheus.market.returns import (
    ActionSet,
    PriceGrid,
    ReturnGrid,
    SuspectedSplit,
    total_returns,
)
from prometheus.market.rolling import Fixed, Flags, Floats

if TYPE_CHECKING:
    import pyarrow as pa

    from prometheus.clock.sessions import Sessions

Days = NDArray[np.datetime64]


@dataclass(frozen=True)
class CrossSection:
    """What the members of each basket did on each session, all in fixed point (``RETURN_BITS``), 0 where unknown.

    Attributes
    ----------
    members : ndarray of int64, shape (baskets, sessions)
        Members with a return, a plain count.
    dispersion : ndarray of int64
        Standard deviation of member simple returns (ddof 1).
    mean_square : ndarray of int64
        Mean of squared member simple returns, in ``MOMENT_BITS``.
    basket_square : ndarray of int64
        Squared simple return of the basket, in ``MOMENT_BITS``.
    breadth : ndarray of int64
        Share of members with a positive return.
    """

    members: Fixed
    dispersion: Fixed
    mean_square: Fixed
    basket_square: Fixed
    breadth: Fixed


@dataclass(frozen=True)
class EntitySeries:
    """Daily series of several entities of one type on consecutive sessions of one calendar.

    Values at a session depend on rows dated at or before it, and on a bounded number of sessions, so that the same
    session has the same values in every panel that reaches far enough back.

    Attributes
    ----------
    entity_type : str
        INSTRUMENT, MARKET or SECTOR.
    names : tuple of str
        Entity ids, ascending.
    sessions : ndarray of datetime64[D], shape (n_sessions,)
    ret : ndarray of int64, shape (n_names, n_sessions)
        Total log return since the last observed session, fixed point (``rolling.RETURN_BITS``); 0 where unknown.
    ret_ok : ndarray of bool
        The return is known.
    observed : ndarray of bool
        There is a price.
    log_dollar_volume : ndarray of float64
        Log of money traded; NaN where unknown or zero. For baskets the mean abnormal log volume of the members.
    close, volume : ndarray of float64 or None
        As the source has them, NaN where missing; None for baskets.
    cross_section : CrossSection or None
        For baskets.
    """

    entity_type: str
    names: tuple[str, ...]
    sessions: Days
    ret: Fixed
    ret_ok: Flags
    observed: Flags
    log_dollar_volume: Floats
    close: Floats | None = None
    volume: Floats | None = None
    cross_section: CrossSection | None = None

    @property
    def n_sessions(self) -> int:
        """Number of sessions."""
        return len(self.sessions)


@dataclass(frozen=True)
class PricePanel(EntitySeries):
    """Instruments. See :class:`EntitySeries`.

    Attributes
    ----------
    suspected_splits : tuple of SuspectedSplit
        Jumps that look like unrecorded splits, in (name, session) order. Their returns are masked, or corrected when
        the panel was built with ``infer_splits``.
    """

    suspected_splits: tuple[SuspectedSplit, ...] = ()


def build_panel(
    prices: pa.Table,
    actions: pa.Table | None,
    sessions: Sessions,
    names: Iterable[str] | None = None,
    *,
    infer_splits: bool = False,
) -> PricePanel:
    """Build a panel from rows that are known, at most one version of each.

    Parameters
    ----------
    prices : pyarrow.Table
        Rows of ``prices_daily``. Rows dated on no session are ignored; prices that are not positive count as missing.
    actions : pyarrow.Table or None
        Rows of ``corporate_actions`` of *all* dates, known so far: whether a name has any decides which prices are
        its path, also where the action itself lies outside the sessions.
    sessions : Sessions
    names : iterable of str, optional
        Instruments to hold, with or without prices; default those in ``prices``.
    infer_splits : bool
        Correct suspected splits instead of masking them.

    Raises
    ------
    BadDataError
        When two rows share instrument and session.
    """
    rows = PriceRows.of(prices, sessions, names)
    kept = rows.take((rows.name >= 0) & (rows.position >= 0))
    cell = kept.name * len(sessions) + kept.position
    order = np.argsort(cell, kind="stable")
    twice = np.flatnonzero(np.diff(cell[order]) == 0)
    if len(twice):
        row = order[twice[0]]
        raise BadDataError(
            f"prices_daily has two rows of {rows.names[kept.name[row]]} on {sessions.dates[kept.position[row]]}; "
            "hand over the latest version of each"
        )
    grid = empty_grid(len(rows.names), len(sessions))
    put_prices(grid, kept)
    read = ActionRows.of(actions, sessions, rows.names)
    entries = read.entries.take(read.says)
    on_actions = np.zeros(len(rows.names), dtype=bool)
    on_actions[entries.name] = True
    returns = total_returns(grid, entries, on_actions, infer_splits=infer_splits)
    return assemble(rows.names, sessions.dates, grid, returns)


def assemble(names: tuple[str, ...], dates: Days, grid: PriceGrid, returns: ReturnGrid) -> PricePanel:
    """Attach names and dates to computed returns."""
    return PricePanel(
        entity_type="INSTRUMENT",
        names=names,
        sessions=dates,
        ret=returns.ret,
        ret_ok=returns.ret_ok,
        observed=returns.observed,
        log_dollar_volume=returns.log_dollar_volume,
        close=grid.close,
        volume=grid.volume,
        suspected_splits=tuple(
            SuspectedSplit(names[name], dates[position], ratio, factor)
            for name, position, ratio, factor in sorted(returns.suspects)
        ),
    )


@dataclass(frozen=True)
class PriceRows:
    """Price rows as arrays.

    Attributes
    ----------
    names : tuple of str
        Instruments, ascending.
    name, position : ndarray of int64, shape (n,)
        Row and column in a grid; -1 where the row's instrument or date is not in it.
    close, adjusted_close, volume : ndarray of float64, shape (n,)
        NaN where missing or impossible.
    """

    names: tuple[str, ...]
    name: NDArray[np.int64]
    position: NDArray[np.int64]
    close: Floats
    adjusted_close: Floats
    volume: Floats

    @classmethod
    def of(cls, prices: pa.Table, sessions: Sessions, names: Iterable[str] | None = None) -> PriceRows:
        """Read the columns of ``prices_daily`` that matter here."""
        held = tuple(sorted(set(names))) if names is not None else None
        name, found = _codes(prices["instrument_id"], held)
        return cls(
            names=found,
            name=name,
            position=sessions.positions(prices["as_of_date"].to_numpy()),
            close=_positive(prices["close"]),
            adjusted_close=_positive(prices["adjusted_close"]),
            volume=_positive(prices["volume"], or_zero=True),
        )

    def take(self, index: NDArray[np.int64] | Flags) -> PriceRows:
        """Pick rows."""
        return PriceRows(
            self.names,
            self.name[index],
            self.position[index],
            self.close[index],
            self.adjusted_close[index],
            self.volume[index],
        )


@dataclass(frozen=True)
class ActionRows:
    """Corporate actions as arrays.

    Attributes
    ----------
    row : ndarray of int64, shape (n,)
        Row of each entry in the table; rows of other names are left out.
    entries : ActionSet
    says : ndarray of bool, shape (n,)
        The row carries a factor or an amount.
    """

    row: NDArray[np.int64]
    entries: ActionSet
    says: Flags

    @classmethod
    def of(cls, actions: pa.Table | None, sessions: Sessions, names: tuple[str, ...]) -> ActionRows:
        """Read rows of ``corporate_actions``. A dividend given as a factor and not as an amount is that factor."""
        if actions is None or actions.num_rows == 0:
            return cls(np.empty(0, dtype=np.int64), ActionSet.none(), np.empty(0, dtype=bool))
        import pyarrow.compute as pc

        name, _ = _codes(actions["instrument_id"], names)
        row = np.flatnonzero(name >= 0)
        ex_date = actions["ex_date"].to_numpy().astype("datetime64[D]")[row]
        factor, amount = _positive(actions["factor"])[row], _positive(actions["amount"])[row]
        pays = pc.equal(actions["kind"], "DIVIDEND").to_numpy()[row] & ~np.isnan(amount)
        scales = ~pays & ~np.isnan(factor)
        entries = ActionSet(
            name=name[row],
            position=np.searchsorted(sessions.dates, ex_date).astype(np.int64),
            shares=np.where(scales, 1.0 / factor, 1.0),
            cash=np.where(pays, amount, 0.0),
        )
        return cls(row, entries, pays | scales)


def empty_grid(n_names: int, n_sessions: int) -> PriceGrid:
    """Return a grid that knows nothing."""
    return PriceGrid(*(np.full((n_names, n_sessions), np.nan) for _ in range(3)))


def put_prices(grid: PriceGrid, rows: PriceRows) -> None:
    """Write rows into a grid; each must lie in it and no two on one cell."""
    cell = rows.name, rows.position
    grid.close[cell], grid.adjusted_close[cell], grid.volume[cell] = (
        rows.close,
        rows.adjusted_close,
        rows.volume,
    )


def _codes(column: pa.ChunkedArray, names: tuple[str, ...] | None) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Index of each value in ``names`` (default: its own values, ascending); -1 where it is not one of them."""
    import pyarrow as pa

    whole = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    encoded = whole.dictionary_encode()
    values = encoded.dictionary.to_pylist()
    if names is None:
        names = tuple(sorted(values))
    place = {name: i for i, name in enumerate(names)}
    table = np.array([place.get(value, -1) for value in values] or [-1], dtype=np.int64)
    return table[encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)], names


def _positive(column: pa.ChunkedArray, *, or_zero: bool = False) -> Floats:
    import pyarrow as pa

    values = column.cast(pa.float64()).to_numpy().astype(np.float64)
    bad = ~np.isfinite(values) | ((values < 0) if or_zero else (values <= 0))
    return np.where(bad, np.nan, values)
