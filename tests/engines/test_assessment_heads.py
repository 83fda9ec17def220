"""Heads that grow by years: what they find, what is held back, and the returns they are fitted on."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.engines.assessment import AssessmentHeads, next_returns
from prometheus.engines.assessment.fitting import MIN_DAYS, NOT_HELD_BACK, NOT_POSITIVE
from prometheus.evaluation.ranks import daily_rank_ic
from tests.engines.stability.test_scores import series_of

NAMES, DAYS, SLOTS = 30, 40, 8
SLOPES = np.array([1.0, -1.0, 0.5, 0, 0, 0, 0, 0])
Day = tuple[np.ndarray, np.ndarray]


def year(seed: int, strength: float = 0.5, days: int = DAYS) -> list[Day]:
    """Days of names whose returns go with the vectors, and with a market that moves both."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(days):
        x = rng.standard_normal((NAMES, SLOTS))
        y = 0.01 * (strength * x @ SLOPES + rng.standard_normal(NAMES))
        found.append(((x + rng.standard_normal(SLOTS)).astype(np.float32), y + 0.05 * rng.standard_normal()))
    return found


def add(heads: AssessmentHeads, days: list[Day], *, newer: bool = True) -> None:
    for vectors, returns in days:
        assert heads.add_day(vectors, returns, newer=newer)


def test_what_orders_names_is_found_whatever_the_market_does() -> None:
    heads = AssessmentHeads(SLOTS)
    add(heads, year(1))
    first = heads.close_year()
    add(heads, year(2))
    second = heads.close_year()
    assert first is not None
    assert second is not None
    assert (first.num_days, first.num_rows) == (DAYS, DAYS * NAMES)
    found = second.head.coefficients
    assert np.corrcoef(found, SLOPES)[0, 1] > 0.97
    assert (first.head.ic, first.head.reason, first.held_back_ic) == (0.0, NOT_HELD_BACK, None)
    assert second.head.ic == second.held_back_ic
    assert second.head.ic > 0.4
    assert second.held_back_days == DAYS


def test_the_information_coefficient_is_that_of_heads_that_had_not_seen_the_days() -> None:
    heads = AssessmentHeads(SLOTS)
    add(heads, year(1, 0.1))
    first = heads.close_year()
    assert first is not None
    late, new = year(2, 0.1, days=5), year(3, 0.1)
    add(heads, late, newer=False)
    add(heads, new)
    second = heads.close_year()
    assert second is not None
    daily = [
        daily_rank_ic(np.zeros(NAMES, dtype="datetime64[D]"), first.head(vectors), returns).ic[0]
        for vectors, returns in new
    ]
    assert second.held_back_ic == pytest.approx(np.mean(daily), abs=1e-12)
    assert second.held_back_days == DAYS, "days that overlap what was fitted on count for nothing"
    assert second.num_days == 2 * DAYS + 5


def test_a_head_that_was_wrong_has_no_information() -> None:
    heads = AssessmentHeads(SLOTS)
    add(heads, year(1))
    heads.close_year()
    add(heads, year(2, strength=-0.5))
    second = heads.close_year()
    assert second is not None
    assert second.held_back_ic is not None
    assert second.held_back_ic < -0.4
    assert (second.head.ic, second.head.reason) == (0.0, NOT_POSITIVE)


def test_a_wild_return_is_no_more_than_the_best() -> None:
    plain, wild = AssessmentHeads(SLOTS), AssessmentHeads(SLOTS)
    days = year(4)
    add(plain, days)
    for vectors, returns in days:
        changed = returns.copy()
        changed[np.argmax(returns)] = 50.0
        wild.add_day(vectors, changed, newer=True)
    one, other = plain.close_year(), wild.close_year()
    assert one is not None
    assert other is not None
    assert one.head.coefficients.tolist() == other.head.coefficients.tolist()


def test_what_all_names_of_a_day_share_has_no_say() -> None:
    plain, moved = AssessmentHeads(SLOTS), AssessmentHeads(SLOTS)
    rng = np.random.default_rng(8)
    for vectors, returns in year(9):
        plain.add_day(vectors, returns, newer=True)
        moved.add_day(vectors + (5.0 * rng.standard_normal(SLOTS)).astype(np.float32), returns - 0.3, newer=True)
    one, other = plain.close_year(), moved.close_year()
    assert one is not None
    assert other is not None
    assert other.head.coefficients == pytest.approx(one.head.coefficients, abs=1e-5)


def test_few_names_or_few_days_make_no_head() -> None:
    heads = AssessmentHeads(SLOTS)
    vectors, returns = year(5, days=1)[0]
    assert not heads.add_day(vectors[:4], returns[:4], newer=True)
    add(heads, year(6, days=MIN_DAYS - 1))
    assert heads.close_year() is None
    add(heads, year(7, days=1))
    found = heads.close_year()
    assert found is not None
    assert found.num_days == MIN_DAYS
    assert found.held_back_ic is None, "no head had served before"


def test_a_name_that_leaves_keeps_its_return_to_its_last_price() -> None:
    rng = np.random.default_rng(3)
    returns = 0.02 * rng.standard_normal((4, 60))
    known = np.ones(returns.shape, dtype=bool)
    known[1, 25:] = False  # leaves after session 24
    known[2, 22:38] = False  # suspended, and back
    known[3, 15:] = False  # gone before
    series, at = series_of(returns, known), np.array([10, 20, 24, 39])
    found, counts = next_returns(series, at, 20)
    assert counts.tolist() == [
        [True] * 4,
        [True, True, True, False],
        [False, False, False, True],
        [True, False, False, False],
    ]
    assert found[0] == pytest.approx([np.expm1(returns[0, a + 1 : a + 21].sum()) for a in at], abs=1e-9)
    assert found[1, :3] == pytest.approx([np.expm1(returns[1, a + 1 : 25].sum()) for a in at[:3]], abs=1e-9)
    assert found[1, 2] == 0.0
    assert found[3, 0] == pytest.approx(np.expm1(returns[3, 11:15].sum()), abs=1e-9)
