"""Total log returns from closes, adjusted closes and corporate actions.

The path of a name is its close with corporate actions when any are known for it, else its adjusted close, else its
close. One return never mixes two of them: when the preferred base is missing at either end, the one present at both
ends is used, else the return is unknown.

With splits and cash, the return from p to s is ``log((C_s n + cash) / C_p)``, where one share held at the close of p
has become n shares (each split multiplies by 1/factor) and has been paid ``cash``; on one day a split comes before a
dividend. See Center for Research in Security Prices, *Data Definitions*, "Holding period total return".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.market.rolling import Fixed, Flags, Floats, Positions, to_fixed

MAX_GAP = 10
"""A return needs an earlier observation at most this many sessions before; over a longer gap it is unknown."""

SPLIT_LOOKBACK = 63
"""Sessions before a jump that say what is usual, in dollar volume and in daily moves."""

SPLIT_RECENT = 10
"""Sessions before a jump that say whether the name is in turmoil already."""

SPLIT_MIN_KNOWN = 10
"""Known volumes, and known returns, the lookback needs before a jump can be suspected to be a split."""

SPLIT_CALM_MULTIPLE = 16.0
"""A suspected split is at least this many times the usual daily move, recent and over the lookback. On 22 years of two
vendors' prices the unrecorded splits stand at 26 and more, crash days that happen to fall near 2/3 at 21 and less, most
of them under 10."""

SPLIT_RATIOS = np.array([1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0])
SPLIT_MIN_JUMP = float(np.log(1.4))
SPLIT_PRICE_TOLERANCE = float(np.log(1.04))
SPLIT_VOLUME_TOLERANCE = float(np.log(2.0))

RETURN_HISTORY = SPLIT_LOOKBACK + MAX_GAP + 1
"""Sessions up to and including s that decide the return at s."""

_NAME_BLOCK = 64


@dataclass(frozen=True)
class PriceGrid:
    """Prices of names on sessions.

    Attributes
    ----------
    close, adjusted_close, volume : ndarray of float64, shape (names, sessions)
        NaN where unknown; prices positive, volume at least 0 in shares on the same split base as close.
    """

    close: Floats
    adjusted_close: Floats
    volume: Floats

    def rows(self, names: NDArray[np.int64] | slice) -> PriceGrid:
        """Restrict to some names."""
        return PriceGrid(self.close[names], self.adjusted_close[names], self.volume[names])

    def span(self, start: int, stop: int) -> PriceGrid:
        """Restrict to sessions ``start`` to ``stop - 1``."""
        s = slice(start, stop)
        return PriceGrid(self.close[:, s], self.adjusted_close[:, s], self.volume[:, s])


@dataclass(frozen=True)
class ActionSet:
    """Corporate actions on sessions, one entry each.

    Attributes
    ----------
    name : ndarray of int64, shape (n,)
        Row of the grid.
    position : ndarray of int64, shape (n,)
        First session on or after the ex-date; the number of sessions when it lies beyond them.
    shares : ndarray of float64, shape (n,)
        What one share becomes: 1 / factor for SPLIT and ADJUSTMENT, 1 for cash.
    cash : ndarray of float64, shape (n,)
        Paid per share, after the day's split.
    """

    name: NDArray[np.int64]
    position: Positions
    shares: Floats
    cash: Floats

    @classmethod
    def none(cls) -> ActionSet:
        """No actions at all."""
        empty = np.empty(0, dtype=np.int64)
        return cls(empty, empty, np.empty(0), np.empty(0))

    def take(self, index: NDArray[np.int64] | Flags) -> ActionSet:
        """Pick entries."""
        return ActionSet(self.name[index], self.position[index], self.shares[index], self.cash[index])


@dataclass(frozen=True)
class SuspectedSplit:
    """A jump that looks like a split nobody recorded.

    Attributes
    ----------
    name : str
    session : datetime64[D]
    ratio : float
        Price of the session over the price before.
    factor : float
        The split factor it looks like (1/2 for two new shares per old one, 10 for a one-for-ten reverse split).
    """

    name: str
    session: np.datetime64
    ratio: float
    factor: float


@dataclass(frozen=True)
class ReturnGrid:
    """Total log returns, before names and dates are attached.

    Attributes
    ----------
    ret : ndarray of int64, shape (names, sessions)
        Fixed point (``RETURN_BITS``); 0 where unknown.
    ret_ok : ndarray of bool
    observed : ndarray of bool
        A price of either kind is there.
    log_dollar_volume : ndarray of float64
        log(close * volume); NaN where either is unknown or volume is 0.
    suspects : tuple of (int, int, float, float)
        Name, position, price ratio and split factor of suspected splits.
    """

    ret: Fixed
    ret_ok: Flags
    observed: Flags
    log_dollar_volume: Floats
    suspects: tuple[tuple[int, int, float, float], ...]


def total_returns(grid: PriceGrid, actions: ActionSet, on_actions: Flags, *, infer_splits: bool = False) -> ReturnGrid:
    """Compute returns of every name; each value is a function of the last ``RETURN_HISTORY`` sessions alone.

    Parameters
    ----------
    grid : PriceGrid
    actions : ActionSet
    on_actions : ndarray of bool, shape (names,)
        Names whose path is close with corporate actions.
    infer_splits : bool
        Correct suspected splits instead of masking them.
    """
    shape = grid.close.shape
    ret, ret_ok = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool)
    observed, volume = np.zeros(shape, dtype=bool), np.full(shape, np.nan)
    suspects: list[tuple[int, int, float, float]] = []
    order = np.lexsort((actions.position, actions.name))
    actions = actions.take(order)
    for first in range(0, shape[0], _NAME_BLOCK):
        rows = slice(first, min(first + _NAME_BLOCK, shape[0]))
        lo, hi = np.searchsorted(actions.name, [rows.start, rows.stop])
        mine = actions.take(np.arange(lo, hi))
        part = _block_returns(grid.rows(rows), mine, first, on_actions[rows], infer_splits)
        ret[rows], ret_ok[rows], observed[rows], volume[rows] = (
            part.ret, part.ret_ok, part.observed, part.log_dollar_volume,
        )  # fmt: skip
        suspects += [(first + name, position, ratio, factor) for name, position, ratio, factor in part.suspects]
    return ReturnGrid(ret, ret_ok, observed, volume, tuple(suspects))


def _block_returns(
    grid: PriceGrid, actions: ActionSet, first: int, on_actions: Flags, infer_splits: bool
) -> ReturnGrid:
    has_close, has_adjusted = ~np.isnan(grid.close), ~np.isnan(grid.adjusted_close)
    observed = has_close | has_adjusted
    before = _previous(observed)
    usable = observed & (before >= 0) & (np.arange(observed.shape[1]) - before <= MAX_GAP)
    at = np.maximum(before, 0)
    close_before = np.take_along_axis(grid.close, at, axis=1)
    adjusted_before = np.take_along_axis(grid.adjusted_close, at, axis=1)
    by_close = usable & has_close & ~np.isnan(close_before)
    by_adjusted = usable & has_adjusted & ~np.isnan(adjusted_before)
    prefers_close = on_actions[:, None]
    use_close = by_close & (prefers_close | ~by_adjusted)
    ok = by_close | by_adjusted
    now = np.where(use_close, grid.close, grid.adjusted_close)
    then = np.where(use_close, close_before, adjusted_before)
    gross = np.divide(now, then, out=np.ones_like(now), where=ok)
    _apply_actions(gross, use_close & prefers_close, observed, grid.close, close_before, actions, first)
    log_return = np.log(gross)
    volume = _log_dollar_volume(grid)
    suspects = _suspect_splits(log_return, ok, volume)
    for name, position, _, factor in suspects:
        if infer_splits:
            log_return[name, position] -= np.log(factor)
        else:
            ok[name, position], log_return[name, position] = False, 0.0
    return ReturnGrid(to_fixed(log_return), ok, observed, volume, tuple(suspects))


def _previous(observed: Flags) -> Positions:
    """Position of the last observation before each session; -1 where there is none."""
    last = np.where(observed, np.arange(observed.shape[1]), -1)
    np.maximum.accumulate(last, axis=1, out=last)
    before = np.full(observed.shape, -1, dtype=np.int64)
    before[:, 1:] = last[:, :-1]
    return before


def _apply_actions(
    gross: Floats,
    applies: Flags,
    observed: Flags,
    close: Floats,
    close_before: Floats,
    actions: ActionSet,
    first: int,
) -> None:
    sessions = observed.shape[1]
    inside = actions.position < sessions
    actions = actions.take(inside)
    name = actions.name - first
    following = _next_observed(observed)[name, actions.position]
    # an action on a session without a price works on the return of the next session that has one
    reached = following < sessions
    reached[reached] = applies[name[reached], following[reached]]
    name, following, actions = name[reached], following[reached], actions.take(reached)
    if not len(name):
        return
    cell = name * sessions + following
    differs = cell[1:] != cell[:-1]
    alone = np.r_[True, differs] & np.r_[differs, True]
    at = name[alone], following[alone]
    gross[at] = (close[at] + actions.cash[alone]) * actions.shares[alone] / close_before[at]
    for together in np.unique(cell[~alone]):
        mine = np.flatnonzero(cell == together)
        row, column = int(name[mine[0]]), int(following[mine[0]])
        shares, cash = 1.0, 0.0
        for day in np.unique(actions.position[mine]):
            of_day = mine[actions.position[mine] == day]
            shares *= float(np.prod(np.sort(actions.shares[of_day])))
            cash += shares * float(np.sum(np.sort(actions.cash[of_day])))
        gross[row, column] = (close[row, column] * shares + cash) / close_before[row, column]


def _next_observed(observed: Flags) -> Positions:
    sessions = observed.shape[1]
    at = np.where(observed, np.arange(sessions), sessions)
    return np.minimum.accumulate(at[:, ::-1], axis=1)[:, ::-1]


def _log_dollar_volume(grid: PriceGrid) -> Floats:
    traded = grid.close * grid.volume
    known = traded > 0
    return np.where(known, np.log(np.where(known, traded, 1.0)), np.nan)


def _suspect_splits(log_return: Floats, ok: Flags, volume: Floats) -> list[tuple[int, int, float, float]]:
    """Jumps near a small integer ratio, out of a calm, on which no more money changed hands than usual.

    A real move of 40 % in a day comes with a surge of trading, or in the middle of a crash. Under a split that is
    missing from the prices the number of shares moves against the price and the dollar volume stays where it was;
    dollar volume is also the same on every split base, so an earlier split inside the lookback does not disturb the
    comparison.
    """
    name, position = np.nonzero(ok & (np.abs(log_return) > SPLIT_MIN_JUMP) & ~np.isnan(volume))
    jump = log_return[name, position]
    distance = np.abs(np.abs(jump)[:, None] - np.log(SPLIT_RATIOS))
    nearest = np.argmin(distance, axis=1)
    near = np.flatnonzero(distance[np.arange(len(jump)), nearest] <= SPLIT_PRICE_TOLERANCE)
    found = []
    for i in near:
        row, at = int(name[i]), int(position[i])
        before = slice(max(at - SPLIT_LOOKBACK, 0), at)
        if _usual_money(volume[row, before], float(volume[row, at])) and _out_of_calm(
            np.abs(log_return[row, before]), ok[row, before], abs(float(jump[i]))
        ):
            factor = float(SPLIT_RATIOS[nearest[i]]) ** float(np.sign(jump[i]))
            found.append((row, at, float(np.exp(jump[i])), factor))
    return found


def _usual_money(earlier: Floats, now: float) -> bool:
    known = earlier[~np.isnan(earlier)]
    return len(known) >= SPLIT_MIN_KNOWN and abs(now - float(np.median(known))) <= SPLIT_VOLUME_TOLERANCE


def _out_of_calm(moves: Floats, ok: Flags, jump: float) -> bool:
    """Whether a jump dwarfs the usual move; a price that mostly stands still has no usual move to compare with."""
    if ok.sum() < SPLIT_MIN_KNOWN or not ok[-SPLIT_RECENT:].any():
        return False
    usual = float(np.median(moves[ok]))
    recent = float(np.median(moves[-SPLIT_RECENT:][ok[-SPLIT_RECENT:]]))
    return usual > 0 and jump >= SPLIT_CALM_MULTIPLE * max(usual, recent)
