"""Books, what is known about the names they hold, and the limits they have to keep.

Arrays are laid out (decisions, names): a decision is one portfolio on one session. Cash is no name: it is what the
weights leave of 1. Sums over names are sums of fixed-point integers, so they depend neither on the order of the names
nor on who else is in the array with a weight of 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from prometheus.market.rolling import RETURN_BITS, from_fixed, to_fixed

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]

TOLERANCE = 1e-9
"""Relative excess over a limit that counts as keeping it: what rounding can make of a weight cut to the limit."""

CASH_GRAIN = 1e-12
"""Cash smaller than this is 0: what rounding leaves of weights that sum to 1."""

NO_SECTOR = -1


WEIGHT_BITS = 52
"""Weights are summed in units of 2^-52; sums stay below 2,048."""


def exact_sum(values: Floats, axis: int = -1, bits: int = RETURN_BITS) -> Floats:
    """Sum in multiples of 2^-bits, whatever the order; by default sums may reach 131,072."""
    total: Floats = from_fixed(np.asarray(to_fixed(values, bits).sum(axis=axis)), bits)
    return total


def sum_of_weights(weights: Floats) -> Floats:
    """Sum over names of weights, or of products of them; shape (decisions,)."""
    return exact_sum(weights, bits=WEIGHT_BITS)


def cash_of(weights: Floats) -> Floats:
    """What weights leave of 1; shape (decisions,)."""
    left = 1.0 - sum_of_weights(weights)
    return np.where(np.abs(left) < CASH_GRAIN, 0.0, left)


@dataclass(frozen=True)
class Limits:
    """Limits of a book; None switches a rule off.

    Attributes
    ----------
    breaker_weight : float or None
        Greatest absolute weight of a name of class BREAKER.
    max_name, max_sector : float or None
        Greatest absolute weight of a name, and sum of those of a sector.
    max_gross, max_net : float or None
        Greatest sum of absolute weights, and absolute sum of weights.
    max_beta : float or None
        Greatest absolute beta to the market.
    max_volatility : float or None
        Greatest ex ante volatility, annualised.
    max_es : float or None
        Greatest expected shortfall over the scenarios' horizon, as a fraction of the capital.
    """

    breaker_weight: float | None = 0.0
    max_name: float | None = 0.10
    max_sector: float | None = 0.35
    max_gross: float | None = 1.0
    max_net: float | None = 1.0
    max_beta: float | None = 1.5
    max_volatility: float | None = 0.30
    max_es: float | None = 0.20


class RiskFigures(Protocol):
    """What can be said of weights; NaN where it is not known. Half the weights have half of each figure."""

    def beta(self, weights: Floats) -> Floats:
        """Beta to the market, shape (decisions,)."""
        ...

    def volatility(self, weights: Floats) -> Floats:
        """Ex ante annualised volatility, shape (decisions,)."""
        ...

    def expected_shortfall(self, weights: Floats) -> Floats:
        """Mean loss of the worst scenarios, shape (decisions,); positive when capital is lost."""
        ...


@dataclass(frozen=True, eq=False)
class Holdings:
    """What rules know of the names.

    Attributes
    ----------
    sector : ndarray of int64, shape (decisions, names)
        Index into ``sectors``, or ``NO_SECTOR``.
    sectors : tuple of str
    breaker : ndarray of bool, shape (decisions, names)
        The name's soft-target class is BREAKER.
    figures : RiskFigures
    """

    sector: Codes
    sectors: tuple[str, ...]
    breaker: Flags
    figures: RiskFigures

    def sector_weights(self, weights: Floats) -> Floats:
        """Sum of absolute weights by sector, shape (decisions, sectors)."""
        absolute = np.abs(weights)
        sums = [sum_of_weights(np.where(self.sector == code, absolute, 0.0)) for code in range(len(self.sectors))]
        return np.stack(sums, axis=1) if sums else np.zeros((len(weights), 0))


@dataclass(frozen=True, eq=False)
class Change:
    """What a rule makes of weights.

    Attributes
    ----------
    weights : ndarray of float64, shape (decisions, names)
    value : ndarray of float64, shape (decisions, names)
        What was held against the limit, for each name.
    """

    weights: Floats
    value: Floats


class RiskRule(Protocol):
    """One limit. A rule moves weights towards 0 only, so that no later rule can break an earlier limit."""

    @property
    def name(self) -> str:
        """As rows say it."""
        ...

    @property
    def limit(self) -> float:
        """The limit."""
        ...

    def apply(self, weights: Floats, holdings: Holdings) -> Change:
        """Cut what exceeds the limit; a decision whose figure is not known is left as it is."""
        ...

    def why(self, value: float, before: float, after: float, sector: str) -> str:
        """One change of one name as a sentence."""
        ...


@dataclass(frozen=True, eq=False)
class Step:
    """One rule's changes over some decisions, cash in the last column.

    Attributes
    ----------
    rule : RiskRule
    number : ndarray of int64, shape (decisions,)
        Which of the decision's changes it is, from 1; 0 where it changed nothing.
    before, after : ndarray of float64, shape (decisions, names + 1)
    value : ndarray of float64, shape (decisions, names)
    """

    rule: RiskRule
    number: Codes
    before: Floats
    after: Floats
    value: Floats


def apply_rules(
    weights: Floats, cash: Floats, holdings: Holdings, rules: Sequence[RiskRule]
) -> tuple[Floats, Floats, list[Step]]:
    """Apply rules one after another.

    Parameters
    ----------
    weights : ndarray of float64, shape (decisions, names)
        As the portfolios ask for.
    cash : ndarray of float64, shape (decisions,)
    holdings : Holdings
    rules : sequence of RiskRule

    Returns
    -------
    weights : ndarray of float64, shape (decisions, names)
    cash : ndarray of float64, shape (decisions,)
        As given where no rule changed anything.
    steps : list of Step
        One a rule, in order.
    """
    done = np.zeros(len(weights), dtype=np.int64)
    steps = []
    for rule in rules:
        change = rule.apply(weights, holdings)
        touched = (change.weights != weights).any(axis=1)
        done = done + touched
        left = np.where(touched, cash_of(change.weights), cash)
        steps.append(
            Step(
                rule,
                np.where(touched, done, 0),
                np.column_stack([weights, cash]),
                np.column_stack([change.weights, left]),
                change.value,
            )
        )
        weights, cash = change.weights, left
    return weights, cash, steps
