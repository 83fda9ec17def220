"""What the risk stage reads: portfolios as stored, classes, scenarios known by then, and the names' loadings."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from prometheus.engines.risk import Holdings, KnownRisk, ScenarioLosses, ScenarioSet, factor_model, standings
from prometheus.engines.risk.base import NO_SECTOR
from prometheus.errors import BadDataError
from prometheus.market.as_known import panels_as_known
from prometheus.market.factors import SESSIONS
from prometheus.market.returns import RETURN_HISTORY
from prometheus.runtime import StageReader
from prometheus.stages.numeric.windows import INSTRUMENT, MarketPrices

CASH = "CASH"
BREAKER_CLASS = "BREAKER"

DEFAULT_PORTFOLIOS = "portfolio-score-proportional-v1"
"""Model whose portfolios lend their books their own ids."""

HISTORY = SESSIONS + RETURN_HISTORY
"""Sessions up to and including a day that its figures depend on."""

HISTORY_DAYS = 540
"""Calendar days that hold them and the session before."""

SESSION_BEFORE_DAYS = 14
"""Calendar days that hold the session before any."""

_WHOLE = 1e-9
"""Most by which the weights of a portfolio may miss 1."""


def book_suffix(portfolio_model_id: str) -> str:
    """What follows a portfolio's id in its book's: nothing by default, else what decided (``:MEAN_VARIANCE``)."""
    if portfolio_model_id == DEFAULT_PORTFOLIOS:
        return ""
    return ":" + portfolio_model_id.removeprefix("portfolio-").removesuffix("-v1").replace("-", "_").upper()


def books_pattern(market_id: str, portfolio_model_id: str) -> str:
    """Regular expression of the ids of a market's books of one model."""
    return f"{re.escape(market_id)}_[^:]*{re.escape(book_suffix(portfolio_model_id))}"


@dataclass(frozen=True, eq=False)
class Portfolios:
    """Stored portfolios of a market, as arrays.

    Attributes
    ----------
    ids : ndarray of str, shape (decisions,)
        Portfolio of each decision.
    days : ndarray of datetime64[D], shape (decisions,)
        By day, then portfolio.
    names : tuple of str
        Every name any of them holds, ascending; cash apart.
    weights : ndarray of float64, shape (decisions, names)
    listed : ndarray of bool, shape (decisions, names)
        The portfolio has a row of the name.
    cash : ndarray of float64, shape (decisions,)
    sector : ndarray of int64, shape (decisions, names)
        Index into ``sectors``, or ``NO_SECTOR``.
    sectors : tuple of str
    """

    ids: NDArray[np.str_]
    days: NDArray[np.datetime64]
    names: tuple[str, ...]
    weights: NDArray[np.float64]
    listed: NDArray[np.bool_]
    cash: NDArray[np.float64]
    sector: NDArray[np.int64]
    sectors: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[np.int64]) -> Portfolios:
        """Pick decisions."""
        return Portfolios(
            self.ids[rows],
            self.days[rows],
            self.names,
            self.weights[rows],
            self.listed[rows],
            self.cash[rows],
            self.sector[rows],
            self.sectors,
        )


def portfolio_rows(reader: StageReader, where: dict[str, Any], first: dt.date, last: dt.date) -> pl.DataFrame:
    """Holdings of stored portfolios over some days."""
    columns = ["portfolio_id", "instrument_id", "as_of_date", "sector", "weight"]
    rows = reader.read("target_portfolios", columns=columns, dates=(first, last), where=where)
    return pl.DataFrame(pl.from_arrow(rows))


def portfolios_of(rows: pl.DataFrame) -> Portfolios:
    """Lay holdings out by decision and name.

    Raises
    ------
    BadDataError
        When the weights of a portfolio do not sum to 1, cash included.
    """
    decisions = rows.select("as_of_date", "portfolio_id").unique().sort("as_of_date", "portfolio_id")
    decisions = decisions.with_row_index("decision")
    held = rows.join(decisions, on=["as_of_date", "portfolio_id"])
    of_names = held.filter(pl.col("instrument_id") != CASH)
    names = tuple(of_names["instrument_id"].unique().sort().to_list())
    sectors = tuple(of_names["sector"].drop_nulls().unique().sort().to_list())
    shape = (len(decisions), len(names))
    weights, cash = np.zeros(shape), np.zeros(len(decisions))
    listed, sector = np.zeros(shape, dtype=bool), np.full(shape, NO_SECTOR, dtype=np.int64)
    cell = of_names["decision"].to_numpy(), np.searchsorted(names, of_names["instrument_id"].to_list())
    weights[cell], listed[cell] = of_names["weight"].to_numpy(), True
    place = {name: i for i, name in enumerate(sectors)}
    sector[cell] = [place.get(name, NO_SECTOR) for name in of_names["sector"].to_list()]
    in_cash = held.filter(pl.col("instrument_id") == CASH)
    cash[in_cash["decision"].to_numpy()] = in_cash["weight"].to_numpy()
    total = weights.sum(axis=1) + cash
    wrong = np.flatnonzero(~(np.abs(total - 1.0) <= _WHOLE))
    if len(wrong):
        day, portfolio_id = decisions.row(int(wrong[0]))[1:]
        raise BadDataError(
            f"target_portfolios: the weights of {portfolio_id} on {day} sum to {total[wrong[0]]:.6f} with {CASH}, not "
            "to 1; make them again with `python -m prometheus.scripts.backfill_portfolios --force`"
        )
    days = decisions["as_of_date"].to_numpy().astype("datetime64[D]")
    ids = np.array(decisions["portfolio_id"].to_list(), dtype=np.str_)
    return Portfolios(ids, days, names, weights, listed, cash, sector, sectors)


@dataclass(frozen=True, eq=False)
class Classes:
    """Soft-target classes of the names of some portfolios: known at all, and BREAKER; shape (decisions, names)."""

    known: NDArray[np.bool_]
    breaker: NDArray[np.bool_]


def classes_of(reader: StageReader, where: dict[str, Any], market_id: str, portfolios: Portfolios) -> Classes:
    """Read the class of each name on each decision's day."""
    known = np.zeros(portfolios.weights.shape, dtype=bool)
    breaker = known.copy()
    if len(portfolios) and portfolios.names:
        rows = reader.read(
            "soft_target_classes",
            columns=["entity_id", "as_of_date", "soft_target_class"],
            dates=(portfolios.days[0].item(), portfolios.days[-1].item()),
            where={**where, "entity_type": INSTRUMENT, "market_id": market_id},
        )
        rows = rows.filter(pc.is_in(rows["entity_id"], value_set=pa.array(portfolios.names)))
        days, of_day = np.unique(portfolios.days, return_inverse=True)
        by_day = np.full((len(days), len(portfolios.names)), -1, dtype=np.int64)
        dates = rows["as_of_date"].to_numpy().astype("datetime64[D]")
        at = np.minimum(np.searchsorted(days, dates), len(days) - 1)
        fits = days[at] == dates
        column = np.searchsorted(portfolios.names, rows["entity_id"].to_pylist())
        is_breaker = pc.equal(rows["soft_target_class"], BREAKER_CLASS).to_numpy(zero_copy_only=False)
        by_day[at[fits], column[fits]] = is_breaker[fits]
        known, breaker = by_day[of_day] >= 0, by_day[of_day] == 1
    return Classes(known, breaker)


class KnownSets:
    """Scenario sets of a market and of its instruments; of each series the latest by a day counts.

    Parameters
    ----------
    reader : StageReader
    market_id, variant : str
    last : date
        Sets up to this day matter.
    max_age : int
        Calendar days a set may be old.
    """

    def __init__(self, reader: StageReader, market_id: str, variant: str, last: dt.date, max_age: int) -> None:
        until = (dt.date(1900, 1, 1), last)
        columns = ["scenario_set_id", "as_of_date", "series_id", "method", "base_entity_type", "base_entity_id"]
        where = {"variant": variant, "market_id": market_id}
        sets = reader.read("scenario_sets", columns=[*columns, "horizon_days"], dates=until, where=where)
        self._sets = sets.sort_by([("series_id", "ascending"), ("as_of_date", "ascending")]).to_pylist()
        self._dates = np.array([s["as_of_date"] for s in self._sets], dtype="datetime64[D]")
        paths = reader.read(
            "scenario_paths",
            columns=["scenario_set_id", "scenario_id", "total_return"],
            dates=until,
            where={"variant": variant, "step": 1},
        )
        held = pa.array([s["scenario_set_id"] for s in self._sets], pa.string())
        paths = paths.filter(pc.is_in(paths["scenario_set_id"], value_set=held))
        self._paths = {
            str(name): rows.sort("scenario_id")
            for (name,), rows in pl.DataFrame(pl.from_arrow(paths)).group_by("scenario_set_id")
        }
        self._max_age = np.timedelta64(max_age, "D")
        self._made: dict[int, ScenarioSet] = {}

    def known_at(self, day: np.datetime64) -> tuple[int, ...]:
        """Places of the sets that count on a day."""
        latest: dict[str, int] = {}
        for place in np.flatnonzero((self._dates <= day) & (self._dates >= day - self._max_age)).tolist():
            latest[self._sets[place]["series_id"]] = place
        return tuple(p for p in latest.values() if self._sets[p]["scenario_set_id"] in self._paths)

    def of(self, place: int) -> ScenarioSet:
        """Paths of one set."""
        if place not in self._made:
            said = self._sets[place]
            rows = self._paths[said["scenario_set_id"]]
            self._made[place] = ScenarioSet(
                said["scenario_set_id"],
                said["method"],
                self._dates[place],
                said["base_entity_type"],
                said["base_entity_id"],
                said["horizon_days"],
                tuple(rows["scenario_id"].to_list()),
                np.log1p(rows["total_return"].to_numpy()),
            )
        return self._made[place]


@dataclass(frozen=True, eq=False)
class Judged:
    """Decisions that one panel serves.

    Attributes
    ----------
    rows : ndarray of int64
        Their places among the portfolios.
    holdings : Holdings
    known : KnownRisk
    """

    rows: NDArray[np.int64]
    holdings: Holdings
    known: KnownRisk


def judged(
    market: MarketPrices,
    portfolios: Portfolios,
    classes: Classes,
    sets: KnownSets | None,
    *,
    half_life: float,
    infer_splits: bool,
) -> list[Judged]:
    """What is known of each decision's names at its cut-off, panel by panel.

    Parameters
    ----------
    market : MarketPrices
        Its targets hold every decision's day.
    portfolios : Portfolios
    classes : Classes
    sets : KnownSets or None
    half_life : float
    infer_splits : bool
    """
    found = []
    target_days = market.sessions.dates[market.targets]
    of_target = np.searchsorted(target_days, portfolios.days)
    every = tuple(sorted({*market.names, *portfolios.names}))
    columns = np.searchsorted(every, list(portfolios.names))
    for known in panels_as_known(
        market.prices,
        market.actions,
        market.sessions,
        market.session_cutoffs,
        market.targets,
        history=HISTORY,
        names=every,
        instruments=market.instruments,
        infer_splits=infer_splits,
    ):
        assert known.membership is not None
        first = int(np.searchsorted(market.targets, known.targets[0]))
        rows = np.flatnonzero((of_target >= first) & (of_target < first + len(known.targets)))
        positions = known.positions[of_target[rows] - first]
        unique, back = np.unique(positions, return_inverse=True)
        if not len(rows):
            continue
        membership = known.membership.of_market(market.market_id)
        model = factor_model(known.panel, membership, market.market_id, unique, columns, half_life).take(back)
        scores = standings(known.panel, membership, market.market_id, unique, columns)
        losses = _losses(sets, portfolios.days[rows], portfolios.names, model.beta, model.market_volatility)
        risk = KnownRisk(model, losses, {name: values[back] for name, values in scores.items()})
        holdings = Holdings(portfolios.sector[rows], portfolios.sectors, classes.breaker[rows], risk)
        found.append(Judged(rows, holdings, risk))
    return found


def _losses(
    sets: KnownSets | None,
    days: NDArray[np.datetime64],
    names: Sequence[str],
    beta: NDArray[np.float64],
    volatility: NDArray[np.float64],
) -> list[tuple[NDArray[np.int64], ScenarioLosses]]:
    if sets is None:
        return []
    groups: dict[tuple[int, ...], list[int]] = {}
    for row, day in enumerate(days):
        groups.setdefault(sets.known_at(day), []).append(row)
    found = []
    for places, mine in groups.items():
        at = np.array(mine, dtype=np.int64)
        if places:
            found.append((at, ScenarioLosses([sets.of(p) for p in places], names, beta[at], volatility[at])))
    return found
