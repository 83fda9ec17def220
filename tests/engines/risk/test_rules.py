"""Limits: whatever a book asks for, what comes out keeps every limit, and the steps lead from one to the other."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from prometheus.engines.risk import RULES, TOLERANCE, Holdings, Limits, apply_rules, cash_of, rules_of
from prometheus.engines.risk.base import NO_SECTOR

Floats = NDArray[np.float64]
KEPT = {
    "max_name": 0.08,
    "max_sector": 0.2,
    "max_gross": 1.0,
    "max_net": 0.5,
    "max_beta": 0.45,
    "max_volatility": 0.1,
    "max_es": 0.085,
}
LIMITS = Limits(breaker_weight=0.0, **KEPT)
OFF = Limits(**dict.fromkeys(f.name for f in dataclasses.fields(Limits)))


class Figures:
    """Homogeneous figures made by hand: beta of names, volatility from one factor, shortfall a multiple of it."""

    def __init__(self, beta: Floats, own: Floats, known: NDArray[np.bool_] | None = None) -> None:
        self._beta, self._own = beta, own
        self._known = np.ones(len(beta), dtype=bool) if known is None else known

    def beta(self, weights: Floats) -> Floats:
        return np.where(self._known, (weights * self._beta).sum(axis=1), np.nan)

    def volatility(self, weights: Floats) -> Floats:
        factor = 0.2 * (weights * self._beta).sum(axis=1)
        residual = ((weights * self._own) ** 2).sum(axis=1)
        return np.where(self._known, np.sqrt(factor**2 + residual), np.nan)

    def expected_shortfall(self, weights: Floats) -> Floats:
        return 0.9 * self.volatility(weights)


def books(n: int, seed: int) -> tuple[Floats, Holdings]:
    """Books of every sort: concentrated, levered, with shorts, of few names and of many, some of cash alone."""
    rng = np.random.default_rng(seed)
    names = 30
    raw = rng.exponential(1.0, (n, names)) ** rng.integers(1, 4, (n, 1))
    raw *= rng.random((n, names)) < rng.uniform(0.0, 1.0, (n, 1))
    raw *= np.where(rng.random((n, names)) < rng.choice([0.0, 0.0, 0.4], (n, 1)), -1.0, 1.0)
    gross = np.abs(raw).sum(axis=1, keepdims=True)
    weights = raw / np.where(gross > 0, gross, 1.0) * rng.uniform(0.2, 3.0, (n, 1))
    figures = Figures(rng.normal(1.0, 0.5, (n, names)), rng.uniform(0.1, 0.8, (n, names)))
    sector = np.broadcast_to(np.arange(names) % 6 - 1, (n, names)).astype(np.int64)
    return weights, Holdings(sector, ("A", "B", "C", "D", "E"), rng.random((n, names)) < 0.1, figures)


def test_a_thousand_random_books_keep_every_limit() -> None:
    asked, holdings = books(1_000, 3)
    weights, cash, steps = apply_rules(asked, cash_of(asked), holdings, rules_of(LIMITS))
    more = 1.0 + TOLERANCE
    assert (np.abs(weights)[holdings.breaker] == 0.0).all()
    assert (np.abs(weights) <= KEPT["max_name"] * more).all()
    assert (holdings.sector_weights(weights) <= KEPT["max_sector"] * more).all()
    assert (np.abs(weights).sum(axis=1) <= KEPT["max_gross"] * more).all()
    assert (np.abs(weights.sum(axis=1)) <= KEPT["max_net"] * more).all()
    assert (np.abs(holdings.figures.beta(weights)) <= KEPT["max_beta"] * more).all()
    assert (holdings.figures.volatility(weights) <= KEPT["max_volatility"] * more).all()
    assert (holdings.figures.expected_shortfall(weights) <= KEPT["max_es"] * more).all()
    assert (cash >= 0.0).all()
    np.testing.assert_allclose(weights.sum(axis=1) + cash, 1.0, atol=1e-12)
    assert (np.abs(weights) <= np.abs(asked)).all()
    assert (weights * asked >= 0.0).all(), "nothing changes side"
    fired = {s.rule.name for s in steps if (s.number > 0).any()}
    assert fired == set(RULES), "each rule had something to do"


def test_steps_lead_from_what_was_asked_to_what_is_held() -> None:
    asked, holdings = books(1_000, 4)
    weights, cash, steps = apply_rules(asked, cash_of(asked), holdings, rules_of(LIMITS))
    held = np.column_stack([asked, cash_of(asked)])
    seen = np.zeros(len(asked), dtype=np.int64)
    for step in steps:
        acts = step.number > 0
        np.testing.assert_array_equal(step.before, held)
        np.testing.assert_array_equal(step.number[acts], seen[acts] + 1)
        assert ((step.after != step.before).any(axis=1) == acts).all()
        held = np.where(step.after != step.before, step.after, held)
        seen += acts
    np.testing.assert_array_equal(held, np.column_stack([weights, cash]))


def test_a_book_that_keeps_its_limits_is_left_alone() -> None:
    asked, holdings = books(1_000, 5)
    kept, cash, _ = apply_rules(asked, cash_of(asked), holdings, rules_of(LIMITS))
    again, left, steps = apply_rules(kept, cash, holdings, rules_of(LIMITS))
    assert not any((s.number > 0).any() for s in steps)
    np.testing.assert_array_equal(again, kept)
    np.testing.assert_array_equal(left, cash)


def test_without_limits_nothing_changes_and_what_is_not_known_is_not_tried() -> None:
    asked, _ = books(50, 6)
    assert rules_of(OFF) == ()
    unknown = Holdings(
        np.full(asked.shape, NO_SECTOR, dtype=np.int64),
        (),
        np.zeros(asked.shape, dtype=bool),
        Figures(np.ones(asked.shape), np.ones(asked.shape), np.zeros(len(asked), dtype=bool)),
    )
    figures_only = dataclasses.replace(OFF, max_sector=0.01, max_beta=0.01, max_volatility=0.01, max_es=0.01)
    weights, _, steps = apply_rules(asked, cash_of(asked), unknown, rules_of(figures_only))
    np.testing.assert_array_equal(weights, asked)
    assert len(steps) == 4


def test_each_rule_cuts_what_it_says() -> None:
    """Three names: 50 % of a BREAKER, 30 % and 15 % of one sector."""
    asked = np.array([[0.5, 0.3, 0.15]])
    holdings = Holdings(
        np.array([[0, 1, 1]]), ("X", "Y"), np.array([[True, False, False]]), Figures(np.ones((1, 3)), np.zeros((1, 3)))
    )
    limits = dataclasses.replace(OFF, breaker_weight=0.1, max_name=0.2, max_sector=0.28, max_volatility=0.019)
    _, cash, steps = apply_rules(asked, cash_of(asked), holdings, rules_of(limits))
    after = {s.rule.name: s.after[0] for s in steps}
    np.testing.assert_allclose(after["BREAKER"], [0.1, 0.3, 0.15, 0.45])
    np.testing.assert_allclose(after["NAME_CAP"], [0.1, 0.2, 0.15, 0.55])
    np.testing.assert_allclose(after["SECTOR_CAP"], [0.1, 0.16, 0.12, 0.62])
    # One factor of 20 %: volatility 0.2 * 0.38 is four times the limit.
    np.testing.assert_allclose(after["VOLATILITY"], [0.025, 0.04, 0.03, 0.905])
    assert cash[0] == steps[-1].after[0, -1]
    sector = steps[2]
    assert sector.value[0, 1] == pytest.approx(0.35)
    said = sector.rule.why(0.35, 0.2, 0.16, "Y")
    assert said == "Y is 0.3500 of the capital, more than 0.28 in one sector; its weights times 0.8000"
