"""Planted regimes: a semi-Markov path per region on the grid of weekdays, with contagious crises."""

from __future__ import annotations

import datetime as dt

import numpy as np
from numpy.typing import NDArray

from prometheus.clock import Sessions
from prometheus.errors import RequestError
from prometheus.market.synthetic.config import REGIMES, SyntheticConfig
from prometheus.market.synthetic.streams import stream

Codes = NDArray[np.int8]
Days = NDArray[np.datetime64]

_CRISIS = REGIMES.index("CRISIS")
_START = REGIMES.index("NEUTRAL")
_LEAST_CUT = 5
_LARGEST_LAG = 5


def weekdays(first: dt.date, last: dt.date) -> Days:
    """Mondays to Fridays from ``first`` to ``last``, both included: the grid on which regions share time."""
    days = np.arange(np.datetime64(first, "D"), np.datetime64(last, "D") + 1)
    return days[np.is_busday(days)]


def grid_positions(sessions: Sessions, grid: Days) -> NDArray[np.int64]:
    """Position of every session on the weekday grid, shape (sessions,).

    Raises
    ------
    RequestError
        When an exchange trades at the weekend: its sessions have no place on the grid.
    """
    at = np.searchsorted(grid, sessions.dates)
    if np.any(at >= len(grid)) or np.any(grid[np.minimum(at, len(grid) - 1)] != sessions.dates):
        raise RequestError(f"{sessions.calendar_id} has sessions at the weekend; the synthetic market has none there")
    return at


def regime_paths(config: SyntheticConfig, grid: Days) -> dict[str, Codes]:
    """Regime code of every region on every weekday.

    A spell of regime k lasts ``dwell_min`` plus a gamma excess; then the next label is drawn from its successors. The
    first market leads. When it enters a crisis, each other region does so too with probability ``contagion``, up to
    five days later, in the middle of whatever spell it is in.

    Returns
    -------
    dict of region to ndarray of int8, shape (weekdays,)
        Codes are positions in ``REGIMES``.
    """
    paths: dict[str, Codes] = {}
    struck: list[int] = []
    for position, market in enumerate(config.markets):
        shocks = [] if position == 0 else _caught(config, market.region, struck)
        paths[market.region] = _path(config, market.region, len(grid), shocks)
        if position == 0:
            crisis = paths[market.region] == _CRISIS
            struck = np.flatnonzero(crisis & ~np.r_[False, crisis[:-1]]).tolist()
    return paths


def _caught(config: SyntheticConfig, region: str, struck: list[int]) -> list[int]:
    draws = stream(config.seed, "contagion", region).random((len(struck), 2))
    return [
        start + int(lag * (_LARGEST_LAG + 1))
        for start, (coin, lag) in zip(struck, draws, strict=True)
        if coin < config.contagion
    ]


def _path(config: SyntheticConfig, region: str, length: int, shocks: list[int]) -> Codes:
    rng = stream(config.seed, "regimes", region)
    codes = np.empty(length, dtype=np.int8)
    pending = list(shocks)
    label, at = _START, 0
    while at < length:
        law = config.regimes[REGIMES[label]]
        excess = rng.gamma(2.0, max(law.dwell - law.dwell_min, 1e-9) / 2.0)
        successor = int(rng.choice(len(REGIMES), p=law.successors))
        end = at + law.dwell_min + round(excess)
        while pending and pending[0] < end:
            start = pending.pop(0)
            # A region already in its crisis stays in it; a spell just begun is not cut to a sliver.
            if label != _CRISIS and start - at >= _LEAST_CUT:
                end, successor = start, _CRISIS
                break
        codes[at:end] = label
        label, at = successor, end
    return codes
