"""Every figure of a book, from its names' loadings and the scenarios known at each decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from prometheus.engines.risk.base import Floats, Holdings, cash_of, sum_of_weights
from prometheus.engines.risk.factor_model import FactorModel
from prometheus.engines.risk.scenario_losses import ScenarioLosses, TailRisk
from prometheus.engines.risk.standing import standing_of


@dataclass(frozen=True, eq=False)
class KnownRisk:
    """What is known of some decisions' names; the figures rules ask for.

    Attributes
    ----------
    model : FactorModel
    losses : sequence of (ndarray of int64, ScenarioLosses)
        Decisions, and the scenarios they know; every decision at most once.
    standings : dict of str to ndarray of float64, shape (decisions, names)
    """

    model: FactorModel
    losses: Sequence[tuple[NDArray[np.int64], ScenarioLosses]]
    standings: dict[str, Floats]

    def beta(self, weights: Floats) -> Floats:
        """See :class:`~prometheus.engines.risk.base.RiskFigures`."""
        return self.model.market_beta(weights)

    def volatility(self, weights: Floats) -> Floats:
        """See :class:`~prometheus.engines.risk.base.RiskFigures`."""
        factors, residual = self.model.variances(weights)
        return np.sqrt(factors + residual)

    def expected_shortfall(self, weights: Floats) -> Floats:
        """See :class:`~prometheus.engines.risk.base.RiskFigures`."""
        found, rest = np.full(len(weights), np.nan), self.model.rest_volatility(weights)
        for rows, losses in self.losses:
            found[rows] = losses.expected_shortfall(weights[rows], rest[rows])
        return found

    def tail(self, weights: Floats) -> TailRisk:
        """Value at risk, expected shortfall and greatest loss of every decision."""
        n = len(weights)
        out = TailRisk(*(np.full(n, np.nan) for _ in range(3)), *(np.full(n, -1, dtype=np.int64) for _ in range(2)))
        rest = self.model.rest_volatility(weights)
        for rows, losses in self.losses:
            found = losses.of(weights[rows], rest[rows])
            for name in ("var", "es", "worst", "worst_set", "worst_path"):
                getattr(out, name)[rows] = getattr(found, name)
        return out


@dataclass(frozen=True, eq=False)
class BookRisk:
    """Figures of some books; arrays of shape (decisions,), NaN where not known.

    Attributes
    ----------
    gross, net, cash, effective_names : ndarray of float64
    num_names : ndarray of int64
    largest : ndarray of int64
        Column of the greatest absolute weight; -1 for a book of cash.
    largest_weight : ndarray of float64
    largest_sector : ndarray of int64
        Index of the sector; -1 without any.
    sector_weights : ndarray of float64, shape (decisions, sectors)
    beta, volatility, volatility_factors, volatility_residual : ndarray of float64
    tail : TailRisk
    factor_betas : ndarray of float64, shape (decisions, factors)
        To the market, and to what each sector does beyond its own beta to the market.
    standing : dict of str to ndarray of float64
    proxied : ndarray of float64
        Gross weight of names without loadings of their own.
    """

    gross: Floats
    net: Floats
    cash: Floats
    effective_names: Floats
    num_names: NDArray[np.int64]
    largest: NDArray[np.int64]
    largest_weight: Floats
    largest_sector: NDArray[np.int64]
    sector_weights: Floats
    beta: Floats
    volatility: Floats
    volatility_factors: Floats
    volatility_residual: Floats
    tail: TailRisk
    factor_betas: Floats
    standing: dict[str, Floats]
    proxied: Floats

    def take(self, rows: NDArray[np.int64]) -> BookRisk:
        """Pick decisions."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("tail", "standing")}
        return BookRisk(
            **{name: values[rows] for name, values in plain.items()},
            tail=TailRisk(**{f.name: getattr(self.tail, f.name)[rows] for f in fields(TailRisk)}),
            standing={name: values[rows] for name, values in self.standing.items()},
        )


def book_risk(weights: Floats, holdings: Holdings, known: KnownRisk) -> BookRisk:
    """Work out the figures of some books.

    Parameters
    ----------
    weights : ndarray of float64, shape (decisions, names)
    holdings : Holdings
    known : KnownRisk
        Of the same names.
    """
    absolute = np.abs(weights)
    gross, squares = sum_of_weights(absolute), sum_of_weights(weights * weights)
    by_sector = holdings.sector_weights(weights)
    factors, residual = known.model.variances(weights)
    held = gross > 0
    in_sector = by_sector.max(axis=1, initial=0.0) > 0
    nobody = np.full(len(weights), -1, dtype=np.int64)
    return BookRisk(
        gross=gross,
        net=sum_of_weights(weights),
        cash=cash_of(weights),
        effective_names=np.divide(gross * gross, squares, out=np.full(len(weights), np.nan), where=squares > 0),
        num_names=(weights != 0).sum(axis=1).astype(np.int64),
        largest=np.where(held, np.argmax(absolute, axis=1), nobody) if absolute.shape[1] else nobody,
        largest_weight=np.where(held, absolute.max(axis=1, initial=0.0), np.nan),
        largest_sector=np.where(in_sector, np.argmax(by_sector, axis=1), nobody) if by_sector.shape[1] else nobody,
        sector_weights=by_sector,
        beta=known.beta(weights),
        volatility=np.sqrt(factors + residual),
        volatility_factors=np.sqrt(factors),
        volatility_residual=np.sqrt(residual),
        tail=known.tail(weights),
        factor_betas=known.model.betas(weights),
        standing={name: standing_of(weights, scores) for name, scores in known.standings.items()},
        proxied=sum_of_weights(np.where(known.model.fitted, 0.0, absolute)),
    )
