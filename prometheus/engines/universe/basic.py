"""The universe by filters, a weighted score and caps.

1. Hard filters, in this order; the first that fails is the one named: at least ``min_history`` sessions with a price
   among the trailing 252; a median of at least ``min_adv`` traded a session; a last close of at least ``min_price``;
   membership (an equity); not BREAKER; not TARGETABLE with a soft-target score above ``max_fragility``; where
   ``profile_max_age`` is set, a profile of the company at most so many calendar days old.
2. Over the session's candidates (those that passed): z of assessment score, of minus the soft-target score, of log
   money traded and of lambda-hat, each within +-3; an unknown value counts as the mean. base = sum of weight times z.
3. Risk of a change of state lowers it: f = (1 - a_stab stab_risk)(1 - a_reg regime_risk), an unknown risk counts as 0.
   score = base f where base >= 0, base (2 - f) where it is negative: times f alone, a bad name would look the better
   the riskier it is. Either way the score falls as risk rises, and both forms meet at 0.
4. By score, names ascending where equal: the first ``max(1, floor(max_sector_share * min(max_names, candidates)))`` of
   a sector are kept (names without a sector are not capped), of these the first ``max_names``; the first
   ``core_names`` of them are CORE, the others SATELLITE.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.engines.stability import CLASSES
from prometheus.engines.universe.base import (
    CORE,
    EXCLUDED,
    EXCLUSIONS,
    NONE,
    SATELLITE,
    SECTOR_CAP,
    SIZE_CAP,
    TIERS,
    Codes,
    Component,
    Flags,
    Floats,
    Listed,
    Selection,
)
from prometheus.errors import RequestError

Z_LIMIT = 3.0
"""Where a standardised value ends: one broken number must not decide a score."""

_SAME = 1e-12
"""Spread, against the largest value, below which values count as equal: what rounding leaves."""

COMPONENTS = ("assessment", "stability", "liquidity", "lambda")


@dataclass(frozen=True)
class BasicUniverseModel:
    """Filters, score and caps as the module says; the defaults are those of ``conf/universe/core.yaml``.

    Attributes
    ----------
    min_history : int
        Sessions with a price among the trailing 252.
    min_adv : float
        Median money traded a session, in the currency of the prices.
    min_price : float
    max_fragility : float
        Soft-target score above which a TARGETABLE name is too fragile.
    profile_max_age : int
        Calendar days; 0 switches the filter off.
    assessment_weight, stability_weight, liquidity_weight, lambda_score_weight : float
    a_stab, a_reg : float
        Share of the score that a certain change of state would take; 0..1.
    max_names, core_names : int
    max_sector_share : float
        Of the names taken; in (0, 1].
    """

    min_history: int = 126
    min_adv: float = 1_000_000.0
    min_price: float = 1.0
    max_fragility: float = 70.0
    profile_max_age: int = 0
    assessment_weight: float = 1.0
    stability_weight: float = 0.25
    liquidity_weight: float = 0.25
    lambda_score_weight: float = 0.0
    a_stab: float = 0.5
    a_reg: float = 0.25
    max_names: int = 100
    core_names: int = 30
    max_sector_share: float = 0.35

    def __post_init__(self) -> None:
        for name in ("a_stab", "a_reg"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise RequestError(f"{name} must lie between 0 and 1; got {getattr(self, name)}")
        if not 0.0 < self.max_sector_share <= 1.0:
            raise RequestError(f"max_sector_share must be above 0 and at most 1; got {self.max_sector_share}")
        if self.max_names < 1 or not 0 <= self.core_names <= self.max_names:
            raise RequestError(
                f"max_names must be at least 1 and core_names between 0 and it; got {self.max_names}, {self.core_names}"
            )
        weights = [getattr(self, f"{name}_weight") for name in ("assessment", "stability", "liquidity", "lambda_score")]
        if not np.isfinite([*weights, self.min_adv, self.min_price, self.max_fragility]).all():
            raise RequestError(f"weights and thresholds of a universe must be numbers; got {self}")

    def select(self, listed: Listed) -> Selection:
        """Judge names; see the module."""
        failed = self.filters(listed)
        passed = failed == NONE
        days = int(listed.day[-1]) + 1 if len(listed) else 0
        candidates = np.bincount(listed.day[passed], minlength=days)[listed.day]
        with np.errstate(divide="ignore", invalid="ignore"):
            values = (listed.assessment, -listed.soft_score, np.log(listed.adv), listed.lambda_score)
        components = {
            name: standardised(value, listed.day, passed, days) for name, value in zip(COMPONENTS, values, strict=True)
        }
        weights = (self.assessment_weight, self.stability_weight, self.liquidity_weight, self.lambda_score_weight)
        base = np.where(passed, 0.0, np.nan)
        for weight, component in zip(weights, components.values(), strict=True):
            base = base + weight * component.z
        factor = (1.0 - self.a_stab * _known(listed.stab_risk)) * (1.0 - self.a_reg * _known(listed.regime_risk))
        score = np.where(base >= 0, base * factor, base * (2.0 - factor))
        best = np.minimum(self.max_names, candidates)
        # Of a whole share of a whole number the rounding must not cost a name: 0.35 times 20 is 7.
        limit = np.maximum(np.floor(self.max_sector_share * best + 1e-9).astype(np.int64), 1)
        rank, tier, capped = self._capped(listed, passed, score, limit)
        return Selection(
            tier=tier,
            excluded_by=np.where(passed, capped, failed),
            rank=rank,
            score=score,
            base=base,
            risk_factor=np.where(passed, factor, np.nan),
            components=components,
            candidates=candidates,
            sector_limit=limit,
        )

    def filters(self, listed: Listed) -> Codes:
        """First hard filter each row fails, as its place in ``EXCLUSIONS``; ``NONE`` where it passes them all."""
        with np.errstate(invalid="ignore"):
            fails = (
                listed.history < self.min_history,
                ~(listed.adv >= self.min_adv),
                ~(listed.price >= self.min_price),
                ~listed.member,
                listed.soft_class == CLASSES.index("BREAKER"),
                (listed.soft_class == CLASSES.index("TARGETABLE")) & (listed.soft_score > self.max_fragility),
                ~(listed.profile_age <= self.profile_max_age) & (self.profile_max_age > 0),
            )
        first = np.full(len(listed), NONE, dtype=np.int64)
        for code in reversed(range(len(fails))):
            first[fails[code]] = code
        return first

    def _capped(self, listed: Listed, passed: Flags, score: Floats, limit: Codes) -> tuple[Codes, Codes, Codes]:
        """Rank, tier and cap of every row."""
        n = len(listed)
        rank, capped = np.zeros(n, dtype=np.int64), np.full(n, NONE, dtype=np.int64)
        tier = np.full(n, TIERS.index(EXCLUDED), dtype=np.int64)
        row = np.flatnonzero(passed)
        # Rows are by session and name, and the sort is stable: equal scores stay in the order of names.
        row = row[np.lexsort((-score[row], listed.day[row]))]
        rank[row] = 1 + place_within(listed.day[row])
        sector = listed.sector[row]
        grouped = np.lexsort((sector, listed.day[row]))
        cluster = listed.day[row] * (int(sector.max(initial=0)) + 2) + sector + 1
        in_sector = np.empty(len(row), dtype=np.int64)
        in_sector[grouped] = place_within(cluster[grouped])
        full = (in_sector >= limit[row]) & (sector != NONE)
        capped[row[full]] = EXCLUSIONS.index(SECTOR_CAP)
        kept = row[~full]
        place = place_within(listed.day[kept])
        capped[kept[place >= self.max_names]] = EXCLUSIONS.index(SIZE_CAP)
        tier[kept[place < self.max_names]] = TIERS.index(SATELLITE)
        tier[kept[place < self.core_names]] = TIERS.index(CORE)
        return rank, tier, capped


def standardised(values: Floats, day: Codes, passed: Flags, days: int) -> Component:
    """Standardise the candidates' known values session by session.

    Sums run over a session's rows in their order, so a session's values do not depend on the others in the batch.
    """
    known = passed & np.isfinite(values)
    count = np.bincount(day[known], minlength=days)
    mean = np.bincount(day[known], weights=values[known], minlength=days) / np.maximum(count, 1)
    gap = np.where(known, values, 0.0) - mean[day]
    std = np.sqrt(np.bincount(day[known], weights=gap[known] ** 2, minlength=days) / np.maximum(count, 1))
    largest = np.zeros(days)
    np.maximum.at(largest, day[known], np.abs(values[known]))
    std[std <= _SAME * largest] = 0.0
    spread = std[day]
    z = np.divide(gap, spread, out=np.zeros_like(gap), where=known & (spread > 0))
    nothing = ~passed | (count[day] == 0)
    return Component(
        mean=np.where(nothing, np.nan, mean[day]),
        std=np.where(nothing, np.nan, spread),
        z=np.where(passed, np.clip(z, -Z_LIMIT, Z_LIMIT), np.nan),
    )


def place_within(group: NDArray[np.int64]) -> Codes:
    """Place of each row within its run of equal values, from 0."""
    n = len(group)
    start = np.zeros(n, dtype=np.int64)
    begins = np.flatnonzero(np.diff(group)) + 1
    start[begins] = begins
    return np.arange(n) - np.maximum.accumulate(start)


def _known(risk: Floats) -> Floats:
    return np.where(np.isnan(risk), 0.0, risk)
