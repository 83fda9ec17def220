"""What scenarios would make of a book: profit and loss, value at risk, expected shortfall.

1. A path of the market reaches a name through its beta: the name's log return over the path is beta times the
   market's. A path of the name's own (a set whose base it is) reaches that name directly and no other.
2. Value at risk and expected shortfall are over draws from the past that are fair (method BOOTSTRAP), pooled over the
   sets of the longest horizon. Their log returns are centred, for a month's drift is not known to anybody, and scaled
   to today's volatility of the market: what a bad month looks like comes from the past, how wild months are from now.
   To every draw comes what the book does besides the market: normal, of the rest of its ex ante variance, as ``NODES``
   equally likely values.
3. Without any such set they are over every market path as it is, market's part alone, and the report says so.
4. The greatest loss is over every path of every set, as it is.

With n draws, the value at risk is the k-th greatest loss and the expected shortfall the mean of the k greatest,
k = max(floor(n/20), 1).

References
----------
J. Hull and A. White, "Incorporating volatility updating into the historical simulation method for value-at-risk",
Journal of Risk 1 (1998), equation 2. P. Artzner, F. Delbaen, J.-M. Eber and D. Heath, "Coherent measures of risk",
Mathematical Finance 9 (1999), definition 2.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from prometheus.engines.risk.base import Floats, exact_sum
from prometheus.market.volatility import SESSIONS_A_YEAR

FAIR = "BOOTSTRAP"
MARKET_BASE = "MARKET"
TAIL = 20
"""One in so many draws is in the tail: 95 %."""

_RAW_NODES = np.array([NormalDist().inv_cdf((i + 0.5) / 11) for i in range(11)])
NODES: Floats = _RAW_NODES / np.sqrt(np.mean(_RAW_NODES**2))
"""Equally likely values of mean 0 and variance 1: the middles of elevenths of a normal distribution, scaled."""

_CELLS = 2_000_000


@dataclass(frozen=True, eq=False)
class ScenarioSet:
    """One set of paths.

    Attributes
    ----------
    set_id, method : str
    as_of_date : datetime64[D]
    base_type, base_id : str
        MARKET or INSTRUMENT, and which.
    horizon : int
        Sessions of a path.
    scenario_ids : tuple of str
    log_return : ndarray of float64, shape (paths,)
        Of the base over the whole path.
    """

    set_id: str
    method: str
    as_of_date: np.datetime64
    base_type: str
    base_id: str
    horizon: int
    scenario_ids: tuple[str, ...]
    log_return: Floats


@dataclass(frozen=True, eq=False)
class TailRisk:
    """Losses of some decisions; each array of shape (decisions,), NaN (or -1) where there are no scenarios."""

    var: Floats
    es: Floats
    worst: Floats
    worst_set: NDArray[np.int64]
    worst_path: NDArray[np.int64]


class ScenarioLosses:
    """Losses of weights over the scenarios known at some decisions, all knowing the same sets.

    Parameters
    ----------
    sets : sequence of ScenarioSet
    names : sequence of str
        Of the columns of weights.
    beta : ndarray of float64, shape (decisions, names)
    market_volatility : ndarray of float64, shape (decisions,)
        Annualised; NaN where not known, which leaves the decision without losses.
    """

    def __init__(
        self, sets: Sequence[ScenarioSet], names: Sequence[str], beta: Floats, market_volatility: Floats
    ) -> None:
        self.sets = tuple(sets)
        self._beta, self._volatility = beta, market_volatility
        self._column = {name: i for i, name in enumerate(names)}
        of_market = [s for s in self.sets if s.base_type == MARKET_BASE]
        fair = [s for s in of_market if s.method == FAIR and _dispersion(s) > 0]
        self.fair = bool(fair)
        longest = max((s.horizon for s in fair or of_market), default=0)
        self.drawn = tuple(s for s in fair or of_market if s.horizon == longest)

    @property
    def num_draws(self) -> int:
        """Paths that value at risk and expected shortfall are over."""
        return sum(len(s.log_return) for s in self.drawn)

    def of(self, weights: Floats, rest: Floats) -> TailRisk:
        """Losses of weights.

        Parameters
        ----------
        weights : ndarray of float64, shape (decisions, names)
        rest : ndarray of float64, shape (decisions,)
            Annualised volatility of what the weights do besides the market.
        """
        t = len(weights)
        unknown = np.full(t, np.nan)
        nowhere = np.full(t, -1, dtype=np.int64)
        if not self.sets:
            return TailRisk(unknown, unknown, unknown, nowhere, nowhere)
        var, es = self._tail(weights, rest) if self.drawn else (unknown, unknown)
        worst, where, path = unknown.copy(), nowhere.copy(), nowhere.copy()
        for place, one in enumerate(self.sets):
            losses = self._losses(one, weights)
            greatest = np.argmax(losses, axis=1)
            loss = losses[np.arange(t), greatest]
            better = ~np.isnan(loss) & (np.isnan(worst) | (loss > worst))
            worst = np.where(better, loss, worst)
            where, path = np.where(better, place, where), np.where(better, greatest, path)
        return TailRisk(var, es, worst, where, path)

    def expected_shortfall(self, weights: Floats, rest: Floats) -> Floats:
        """Mean loss of the tail, shape (decisions,); arguments as of :meth:`of`."""
        return self._tail(weights, rest)[1] if self.drawn else np.full(len(weights), np.nan)

    def _tail(self, weights: Floats, rest: Floats) -> tuple[Floats, Floats]:
        losses = np.concatenate([self._draws(s, weights, rest) for s in self.drawn], axis=1)
        k = max(losses.shape[1] // TAIL, 1)
        # NaN sorts last: a decision without losses has them everywhere.
        greatest = -np.sort(-losses, axis=1)[:, :k]
        mean = exact_sum(np.nan_to_num(greatest)) / k
        return greatest[:, -1], np.where(np.isnan(greatest[:, -1]), np.nan, mean)

    def _draws(self, one: ScenarioSet, weights: Floats, rest: Floats) -> Floats:
        """Losses of one set's draws, shape (decisions, draws)."""
        if not self.fair:
            return self._losses(one, weights)
        root = np.sqrt(one.horizon / SESSIONS_A_YEAR)
        centred = replace(one, log_return=one.log_return - _mean(one))
        by_market = self._losses(centred, weights, self._volatility * root / _dispersion(one))
        every: Floats = by_market[:, :, None] + (rest * root)[:, None, None] * NODES
        return every.reshape(len(weights), -1)

    def _losses(self, one: ScenarioSet, weights: Floats, scale: Floats | None = None) -> Floats:
        """Losses by path, shape (decisions, paths); NaN where the betas are not known.

        ``scale`` multiplies the paths, by decision.
        """
        t, n = weights.shape
        scale = np.ones(t) if scale is None else scale
        paths = len(one.log_return)
        unknown = np.isnan(self._volatility)[:, None]
        if one.base_type != MARKET_BASE:
            own = weights[:, self._column[one.base_id]] if one.base_id in self._column else np.zeros(t)
            return np.where(unknown, np.nan, -own[:, None] * np.expm1(one.log_return)[None, :])
        losses = np.empty((t, paths))
        step = max(_CELLS // max(paths * n, 1), 1)
        for begin in range(0, t, step):
            part = slice(begin, begin + step)
            held = np.flatnonzero((weights[part] != 0).any(axis=0))
            moves = one.log_return[None, :, None] * scale[part, None, None] * self._beta[part][:, None, held]
            losses[part] = -exact_sum(np.expm1(np.nan_to_num(moves)) * weights[part][:, None, held])
        return np.where(unknown, np.nan, losses)


def _mean(one: ScenarioSet) -> float:
    return float(exact_sum(one.log_return)) / max(len(one.log_return), 1)


def _dispersion(one: ScenarioSet) -> float:
    """Standard deviation of the paths' log returns."""
    centred = one.log_return - _mean(one)
    return float(np.sqrt(exact_sum(centred * centred) / max(len(centred), 1)))
