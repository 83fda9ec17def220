"""The limits, in the order they are applied.

1. BREAKER: names of that class are sold.
2. NAME_CAP: a name's weight is cut to the cap.
3. SECTOR_CAP: a sector's names are scaled to its cap, together.
4. GROSS, 5. NET, 6. BETA, 7. VOLATILITY, 8. EXPECTED_SHORTFALL: the whole book is scaled.

The first three change what the book is, the others how much of it is held. All move weights towards 0; what is freed
becomes cash. Scaling a whole book by less than 1 lowers every figure, so all limits hold after one pass; the other
order would scale a book for names it then sells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from prometheus.engines.risk.base import TOLERANCE, Change, Flags, Floats, Holdings, Limits, RiskRule, sum_of_weights

BREAKER, NAME_CAP, SECTOR_CAP = "BREAKER", "NAME_CAP", "SECTOR_CAP"
GROSS, NET, BETA, VOLATILITY, EXPECTED_SHORTFALL = "GROSS", "NET", "BETA", "VOLATILITY", "EXPECTED_SHORTFALL"
RULES = (BREAKER, NAME_CAP, SECTOR_CAP, GROSS, NET, BETA, VOLATILITY, EXPECTED_SHORTFALL)


def _exceeds(value: Floats, limit: float) -> Flags:
    """Whether a figure is over its limit by more than rounding; what is not known is not."""
    over: Flags = np.nan_to_num(value, nan=-np.inf) > limit * (1.0 + TOLERANCE) + TOLERANCE * (limit == 0.0)
    return over


@dataclass(frozen=True)
class BreakerRule:
    """Names of class BREAKER keep at most ``limit``."""

    limit: float
    name: str = BREAKER

    def apply(self, weights: Floats, holdings: Holdings) -> Change:
        """See :class:`~prometheus.engines.risk.base.RiskRule`."""
        value = np.abs(weights)
        over = holdings.breaker & (value > self.limit)
        return Change(np.where(over, np.sign(weights) * self.limit, weights), value)

    def why(self, value: float, before: float, after: float, sector: str) -> str:
        """One change as a sentence."""
        return f"class BREAKER: {before:.4f} of the capital is cut to {after:.4f}"


@dataclass(frozen=True)
class NameCapRule:
    """No name weighs more than ``limit``."""

    limit: float
    name: str = NAME_CAP

    def apply(self, weights: Floats, holdings: Holdings) -> Change:
        """See :class:`~prometheus.engines.risk.base.RiskRule`."""
        value = np.abs(weights)
        over = _exceeds(value, self.limit)
        return Change(np.where(over, np.sign(weights) * self.limit, weights), value)

    def why(self, value: float, before: float, after: float, sector: str) -> str:
        """One change as a sentence."""
        return f"{value:.4f} of the capital is more than {self.limit:g} in one name; cut to {after:.4f}"


@dataclass(frozen=True)
class SectorCapRule:
    """No sector's absolute weights sum to more than ``limit``; names without a sector are not capped together."""

    limit: float
    name: str = SECTOR_CAP

    def apply(self, weights: Floats, holdings: Holdings) -> Change:
        """See :class:`~prometheus.engines.risk.base.RiskRule`."""
        value, factor = np.full(weights.shape, np.nan), np.ones(weights.shape)
        by_sector = holdings.sector_weights(weights)
        for code in range(len(holdings.sectors)):
            mine, total = holdings.sector == code, by_sector[:, code : code + 1]
            value = np.where(mine, total, value)
            factor = np.where(mine & _exceeds(total, self.limit), self.limit / np.where(total > 0, total, 1.0), factor)
        return Change(weights * factor, value)

    def why(self, value: float, before: float, after: float, sector: str) -> str:
        """One change as a sentence."""
        return (
            f"{sector} is {value:.4f} of the capital, more than {self.limit:g} in one sector; "
            f"its weights times {after / before:.4f}"
        )


Figure = Callable[[Floats, Holdings], Floats]


@dataclass(frozen=True)
class ScaleRule:
    """A figure of the whole book is at most ``limit``, or every weight is scaled until it is.

    Attributes
    ----------
    name : str
    limit : float
    what : str
        The figure in words.
    figure : callable
        Weights and holdings to the figure, shape (decisions,); homogeneous of degree 1 under scaling.
    """

    name: str
    limit: float
    what: str
    figure: Figure

    def apply(self, weights: Floats, holdings: Holdings) -> Change:
        """See :class:`~prometheus.engines.risk.base.RiskRule`."""
        value = self.figure(weights, holdings)[:, None]
        factor = np.where(_exceeds(value, self.limit), self.limit / np.where(value > 0, value, 1.0), 1.0)
        return Change(weights * factor, np.broadcast_to(value, weights.shape))

    def why(self, value: float, before: float, after: float, sector: str) -> str:
        """One change as a sentence."""
        scaled = f"every weight times {self.limit / value:.4f}" if value > 0 else "scaled"
        return f"{self.what} {value:.4f} is more than {self.limit:g}; {scaled}"


def gross_of(weights: Floats, holdings: Holdings) -> Floats:
    """Sum of absolute weights."""
    return sum_of_weights(np.abs(weights))


def _net(weights: Floats, holdings: Holdings) -> Floats:
    return np.abs(sum_of_weights(weights))


def _beta(weights: Floats, holdings: Holdings) -> Floats:
    return np.abs(holdings.figures.beta(weights))


def _volatility(weights: Floats, holdings: Holdings) -> Floats:
    return holdings.figures.volatility(weights)


def _shortfall(weights: Floats, holdings: Holdings) -> Floats:
    return holdings.figures.expected_shortfall(weights)


def rules_of(limits: Limits) -> tuple[RiskRule, ...]:
    """Rules that are on, in the order they are applied."""
    found: list[RiskRule] = []
    if limits.breaker_weight is not None:
        found.append(BreakerRule(limits.breaker_weight))
    if limits.max_name is not None:
        found.append(NameCapRule(limits.max_name))
    if limits.max_sector is not None:
        found.append(SectorCapRule(limits.max_sector))
    figures: tuple[tuple[str, float | None, str, Figure], ...] = (
        (GROSS, limits.max_gross, "the sum of absolute weights", gross_of),
        (NET, limits.max_net, "the net weight", _net),
        (BETA, limits.max_beta, "the beta", _beta),
        (VOLATILITY, limits.max_volatility, "the ex ante volatility", _volatility),
        (EXPECTED_SHORTFALL, limits.max_es, "the expected shortfall", _shortfall),
    )
    found += [ScaleRule(name, limit, what, figure) for name, limit, what, figure in figures if limit is not None]
    return tuple(found)
