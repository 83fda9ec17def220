"""Generators of scenario paths: the past of one base entity in, paths of daily log returns out.

A generator sees the base's history up to the session a set is made on and nothing else. What it draws depends on the
seed, the method, the base and the date alone; of two sets that differ in their number of paths, the smaller one is
the beginning of the larger (but for historical windows, which are chosen, not drawn).

References
----------
D. N. Politis and J. P. Romano, "The stationary bootstrap", Journal of the American Statistical Association 89 (1994).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.errors import RequestError

HISTORICAL, BOOTSTRAP, STRESSED, PARAMETRIC = "HISTORICAL", "BOOTSTRAP", "STRESSED", "PARAMETRIC"
METHODS = (HISTORICAL, BOOTSTRAP, STRESSED, PARAMETRIC)

NAMED_WINDOW, WORST_WINDOW, LAST_WINDOW, SAMPLE_WINDOW = (
    "HISTORICAL_NAMED",
    "HISTORICAL_WORST",
    "HISTORICAL_LAST",
    "HISTORICAL_SAMPLE",
)
LEVEL, VOLATILITY, SLOW_BLEED, CRASH_REBOUND = "LEVEL", "VOLATILITY", "SLOW_BLEED", "CRASH_REBOUND"
SHOCKS = (LEVEL, VOLATILITY, SLOW_BLEED, CRASH_REBOUND)
"""Named shocks, in the order paths cycle through them."""

LONG_RUN_SESSIONS = 504
"""Trailing sessions of the long-run volatility shocks are measured in, as that of numeric windows."""

WORST_TENTH = 0.1
"""Share of the past's windows, by total return, that can be called its worst."""

GOLDEN = (5.0**0.5 - 1.0) / 2.0
"""Fractional parts of its multiples fill an interval evenly, however many of them are taken."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Positions = NDArray[np.int64]


@dataclass(frozen=True)
class BaseHistory:
    """The past of one entity up to and including the session a set is made on.

    Attributes
    ----------
    sessions : ndarray of datetime64[D], shape (n,)
        Consecutive sessions, ascending.
    log_return : ndarray of float64, shape (n,)
        Total log return of each session, 0 where unknown.
    known : ndarray of bool, shape (n,)
    """

    sessions: NDArray[np.datetime64]
    log_return: Floats
    known: Flags

    @property
    def returns(self) -> Floats:
        """Known returns, oldest first; gaps are closed."""
        return self.log_return[self.known]

    @property
    def long_run_volatility(self) -> float:
        """Daily root mean square of the known log returns of the last 504 sessions; 0 without any."""
        last = self.log_return[-LONG_RUN_SESSIONS:][self.known[-LONG_RUN_SESSIONS:]]
        return float(np.sqrt(np.mean(np.square(last)))) if len(last) else 0.0

    def window_ends(self, horizon: int) -> Positions:
        """Last positions of the windows of ``horizon`` sessions that are known throughout, ascending."""
        if len(self.known) < horizon:
            return np.empty(0, dtype=np.int64)
        running = np.concatenate([[0], np.cumsum(self.known)])
        whole: Positions = np.flatnonzero(running[horizon:] - running[:-horizon] == horizon) + horizon - 1
        return whole

    def windows(self, ends: Positions, horizon: int) -> Floats:
        """Returns of the windows that end at some positions, shape (len(ends), horizon)."""
        found: Floats = self.log_return[ends[:, None] + np.arange(1 - horizon, 1)]
        return found

    def digest(self) -> str:
        """BLAKE2b-128 of sessions, returns and what is known of them."""
        h = hashlib.blake2b(digest_size=16)
        for part in (self.sessions.astype("datetime64[D]").astype(np.int64), self.log_return, self.known):
            h.update(np.ascontiguousarray(part).tobytes())
        return h.hexdigest()


@dataclass(frozen=True)
class ScenarioPaths:
    """Paths of one set.

    Attributes
    ----------
    scenario_ids : tuple of str
        Unique in the set.
    log_return : ndarray of float64, shape (paths, horizon)
    shock_types : tuple of str
    starts : ndarray of int64, shape (paths,)
        Position in the history of the session before each path's first: where a window really began, else the last.
    """

    scenario_ids: tuple[str, ...]
    log_return: Floats
    shock_types: tuple[str, ...]
    starts: Positions


def random_streams(seed: int, *what: str, streams: int = 2) -> list[np.random.Generator]:
    """Independent generators of one set.

    Parameters
    ----------
    seed : int
    *what : str
        Method, base and date: sets that differ in any of them share no draws, whatever the seed.
    streams : int
        One for each kind of draw, so that more paths leave the first ones as they are.
    """
    words = np.frombuffer(hashlib.blake2b("\x00".join(what).encode(), digest_size=16).digest(), dtype="<u4")
    root = np.random.SeedSequence([seed, *words.tolist()])
    return [np.random.default_rng(child) for child in root.spawn(streams)]


def historical_paths(
    history: BaseHistory,
    horizon: int,
    num_paths: int,
    *,
    named: Sequence[np.datetime64] = (),
    worst_share: float = 0.5,
) -> ScenarioPaths:
    """Windows of the base's own past, chosen by a rule.

    1. Windows that end on the sessions named.
    2. Of the others wanted at most ``worst_share`` (rounded up): windows among the worst tenth by total return, the
       lowest first, none overlapping another.
    3. The window that ends last.
    4. The rest evenly over time.

    Parameters
    ----------
    history : BaseHistory
    horizon : int
        Sessions of a window.
    num_paths : int
        Windows wanted; there are no more than the past has.
    named : sequence of datetime64[D]
    worst_share : float
        In 0..1.

    Returns
    -------
    ScenarioPaths
        In order of time; ``starts`` is the session before each window.

    Raises
    ------
    RequestError
        When no window of known returns ends on a session named.
    """
    # The session before a window is where its path begins, so it must be there.
    ends = history.window_ends(horizon)
    ends = ends[ends >= horizon]
    chosen: dict[int, str] = {}
    for day in named:
        at = np.flatnonzero(history.sessions[ends] == day)
        if not len(at):
            raise RequestError(
                f"no window of {horizon} sessions with a known return on each ends on {day}; name a session of the "
                "base's past"
            )
        chosen[int(ends[at[0]])] = NAMED_WINDOW
    wanted = max(num_paths - len(chosen), 0)
    worst = int(np.ceil(wanted * worst_share - 1e-9))
    for end in _worst_apart(history, ends, horizon, worst, taken=list(chosen)):
        chosen[end] = WORST_WINDOW
    if len(ends) and len(chosen) < num_paths:
        chosen.setdefault(int(ends[-1]), LAST_WINDOW)
    rest = np.array([e for e in ends.tolist() if e not in chosen], dtype=np.int64)
    missing = min(num_paths - len(chosen), len(rest))
    if missing > 0:
        evenly = np.floor((np.arange(missing) + 0.5) * len(rest) / missing).astype(np.int64)
        chosen.update((int(end), SAMPLE_WINDOW) for end in rest[evenly])
    picked = np.array(sorted(chosen), dtype=np.int64)
    first, last = history.sessions[picked - horizon + 1], history.sessions[picked]
    return ScenarioPaths(
        scenario_ids=tuple(f"{a}_{b}" for a, b in zip(first, last, strict=True)),
        log_return=history.windows(picked, horizon),
        shock_types=tuple(chosen[int(end)] for end in picked),
        starts=picked - horizon,
    )


def _worst_apart(history: BaseHistory, ends: Positions, horizon: int, count: int, taken: Sequence[int]) -> list[int]:
    """Ends of the windows with the lowest total return that overlap neither each other nor those taken."""
    totals = history.windows(ends, horizon).sum(axis=1)
    order = np.argsort(totals, kind="stable")[: int(np.ceil(WORST_TENTH * len(ends)))]
    found: list[int] = []
    for end in ends[order].tolist():
        if len(found) == count:
            break
        if all(abs(end - other) >= horizon for other in (*taken, *found)):
            found.append(end)
    return found


def bootstrap_paths(
    history: BaseHistory, horizon: int, num_paths: int, streams: Sequence[np.random.Generator], *, block_length: float
) -> ScenarioPaths:
    """Stationary bootstrap of the known returns: blocks of geometric length that wrap around the end of the past.

    Parameters
    ----------
    history : BaseHistory
    horizon, num_paths : int
    streams : sequence of two Generators
        Where blocks begin, and when.
    block_length : float
        Mean sessions of a block, at least 1: short ones forget volatility clusters, long ones repeat the past.
    """
    index = _stationary_index(len(history.returns), horizon, num_paths, streams, block_length)
    return _drawn(history, history.returns[index], [BOOTSTRAP] * num_paths)


def _stationary_index(
    n: int, horizon: int, num_paths: int, streams: Sequence[np.random.Generator], block_length: float
) -> Positions:
    starts = streams[0].integers(0, n, size=(num_paths, horizon))
    begins = streams[1].random((num_paths, horizon)) < 1.0 / block_length
    begins[:, 0] = True
    step = np.arange(horizon)
    begun = np.maximum.accumulate(np.where(begins, step, 0), axis=1)
    index: Positions = (np.take_along_axis(starts, begun, axis=1) + step - begun) % n
    return index


@dataclass(frozen=True)
class StressRule:
    """How STRESSED paths are drawn.

    Attributes
    ----------
    quantile : float
        Share of the past's sessions, the worst ones, that are drawn from.
    factor : float
        What their returns are multiplied by.
    share : float
        Probability that a session of a path is one of those; the others are drawn from the whole past, as they were.
    """

    quantile: float = 0.1
    factor: float = 1.5
    share: float = 1.0


def stressed_paths(
    history: BaseHistory, horizon: int, num_paths: int, streams: Sequence[np.random.Generator], rule: StressRule
) -> ScenarioPaths:
    """Sessions of the past's worst decile, drawn one by one and made worse.

    With the default share of 1 every session of a path is a bad one: nothing like it has happened over weeks, and it
    is meant as a bound. A lower share gives bad weeks inside ordinary markets.

    Parameters
    ----------
    streams : sequence of three Generators
        Which bad session, which ordinary one, and which of the two.
    """
    pool = history.returns
    ordered = np.sort(pool)
    bad = ordered[: max(int(np.floor(rule.quantile * len(pool))), 1)]
    shape = num_paths, horizon
    hit = streams[2].random(shape) < rule.share
    drawn = np.where(
        hit,
        rule.factor * bad[streams[0].integers(0, len(bad), size=shape)],
        pool[streams[1].integers(0, len(pool), size=shape)],
    )
    return _drawn(history, drawn, [STRESSED] * num_paths)


@dataclass(frozen=True)
class ParametricShocks:
    """How deep PARAMETRIC shocks go.

    Attributes
    ----------
    low, high : float
        Range of the depth k, in long-run volatilities of the horizon (sigma sqrt(H)).
    """

    low: float = 1.0
    high: float = 5.0


def parametric_paths(
    history: BaseHistory, horizon: int, num_paths: int, streams: Sequence[np.random.Generator], shocks: ParametricShocks
) -> ScenarioPaths:
    """Named shocks scaled to the base's long-run volatility sigma, with depth d = k sigma sqrt(H).

    With e the ordinary noise of a path, Gaussian of standard deviation sigma, its mean over the path taken out,

    - ``LEVEL``: -d/2 on the first session, then e: a gap that stays. The path's total is -d/2.
    - ``VOLATILITY``: (1 + k/2) sigma z with z standard normal: no trend, wild days.
    - ``SLOW_BLEED``: -d/H a session, and e. The total is -d.
    - ``CRASH_REBOUND``: -d over the first quarter of the sessions (rounded up), half of it back over the rest, and e.
      The total is -d/2; with a horizon of one session there is no rebound.

    Paths cycle through the four; k runs evenly over its range by the golden ratio. Volatility is constant within a
    path: for clusters of it draw from the past instead.

    Parameters
    ----------
    streams : sequence of one Generator
        The noise.
    """
    sigma = history.long_run_volatility
    z = streams[0].standard_normal((num_paths, horizon))
    noise = sigma * (z - z.mean(axis=1, keepdims=True))
    path = np.arange(num_paths)
    kind, turn = path % len(SHOCKS), path // len(SHOCKS) + 1
    k = shocks.low + (shocks.high - shocks.low) * ((turn * GOLDEN) % 1.0)
    depth = k * sigma * np.sqrt(horizon)
    crash = -(-horizon // 4)
    shapes = np.zeros((len(SHOCKS), horizon))
    shapes[SHOCKS.index(LEVEL), 0] = -0.5
    shapes[SHOCKS.index(SLOW_BLEED)] = -1.0 / horizon
    shapes[SHOCKS.index(CRASH_REBOUND), :crash] = -1.0 / crash
    if horizon > crash:
        shapes[SHOCKS.index(CRASH_REBOUND), crash:] = 0.5 / (horizon - crash)
    drawn = depth[:, None] * shapes[kind] + noise
    wild = kind == SHOCKS.index(VOLATILITY)
    drawn[wild] = (1.0 + 0.5 * k[wild, None]) * sigma * z[wild]
    return _drawn(history, drawn, [SHOCKS[i] for i in kind])


def _drawn(history: BaseHistory, log_return: Floats, shock_types: Sequence[str]) -> ScenarioPaths:
    n = len(log_return)
    return ScenarioPaths(
        scenario_ids=tuple(f"{i:05d}" for i in range(1, n + 1)),
        log_return=log_return,
        shock_types=tuple(shock_types),
        starts=np.full(n, len(history.sessions) - 1, dtype=np.int64),
    )
