"""Scores, and what they stand for: places, returns, labels, confidences; momentum; who stands in."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.engines.assessment import (
    LABELS,
    AssessmentHead,
    BasicAssessmentModel,
    ContextAssessmentModel,
    NamesOfDays,
    assessments_of,
    momentum,
    momentum_sessions,
    normal_scores,
)
from tests.engines.stability.test_scores import series_of

RNG = np.random.default_rng(5)


def one_day(values: list[float]) -> np.ndarray:
    return normal_scores(np.zeros(len(values), dtype=np.int64), np.array(values))


def names_of(n: int, days: int = 1, known: np.ndarray | None = None) -> NamesOfDays:
    has = np.ones(n * days, dtype=bool) if known is None else known
    return NamesOfDays(
        day=np.repeat(np.arange(days), n),
        momentum=RNG.standard_normal(n * days),
        soft_target=RNG.uniform(0, 100, n * days),
        volatility=RNG.uniform(0.01, 0.03, n * days),
        known=has,
        vectors=RNG.standard_normal((int(has.sum()), 384)).astype(np.float32),
    )


def test_a_score_is_the_normal_quantile_of_the_place() -> None:
    # Phi^-1 of .1, .3, .5, .7, .9
    assert one_day([3.0, -1.0, 0.0, 9.0, 1.0]) == pytest.approx(
        [0.524401, -1.281552, -0.524401, 1.281552, 0.0], abs=1e-6
    )
    assert one_day([3.0, -1.0, 0.0, 9e9, 1.0]) == pytest.approx(one_day([3.0, -1.0, 0.0, 9.0, 1.0]), abs=0)
    assert one_day([7.0]).tolist() == [0.0]
    assert one_day([1.0, 2.0, 2.0, 3.0])[1:3].tolist() == [0.0, 0.0]
    assert one_day([]).tolist() == []
    drawn = one_day(RNG.standard_normal(101).tolist())
    assert np.sort(drawn).tolist() == (-np.sort(drawn)[::-1]).tolist()
    assert drawn.std() == pytest.approx(1.0, abs=0.02)


def test_days_are_scored_by_themselves_in_whatever_order() -> None:
    day, value = np.repeat([0, 1, 2], [4, 1, 7]), RNG.standard_normal(12)
    alone = np.concatenate([one_day(value[day == d].tolist()) for d in range(3)])
    order = RNG.permutation(12)
    assert normal_scores(day, value).tolist() == alone.tolist()
    assert normal_scores(day[order], value[order]).tolist() == alone[order].tolist()


def test_the_expected_return_is_ic_times_volatility_times_score() -> None:
    day, volatility = np.zeros(9, dtype=np.int64), np.linspace(0.01, 0.05, 9)
    found = assessments_of(day, RNG.standard_normal(9), volatility, 21, 0.03, by_context=True)
    assert found.volatility == pytest.approx(volatility * 21**0.5)
    assert found.expected_return == pytest.approx(0.03 * volatility * 21**0.5 * found.score)
    assert found.num_names.tolist() == [9] * 9
    assert found.ic.tolist() == [0.03] * 9


def test_the_confidence_is_how_often_the_return_lies_on_the_scores_side() -> None:
    ic, n = 0.4, 400_000
    z = np.sort(RNG.standard_normal(n))
    comes = ic * z + np.sqrt(1 - ic * ic) * RNG.standard_normal(n)
    found = assessments_of(np.zeros(n, dtype=np.int64), z, np.ones(n), 5, ic, by_context=True)
    right = np.sign(comes) == np.sign(z)
    for some in np.array_split(np.arange(n), 8):
        assert found.confidence[some].mean() == pytest.approx(right[some].mean(), abs=0.01)
    nothing = assessments_of(np.zeros(3, dtype=np.int64), z[:3], np.ones(3), 5, 0.0, by_context=True)
    assert nothing.confidence.tolist() == [0.5] * 3
    assert nothing.expected_return.tolist() == [0.0] * 3


@pytest.mark.parametrize(
    ("n", "counts"), [(1, [0, 0, 1, 0, 0]), (2, [0, 1, 0, 1, 0]), (5, [1, 1, 1, 1, 1]), (10, [1, 2, 4, 2, 1]),
                      (1000, [100, 200, 400, 200, 100])]
)  # fmt: skip
def test_labels_are_shares_of_the_places(n: int, counts: list[int]) -> None:
    value = RNG.standard_normal(n)
    found = assessments_of(np.zeros(n, dtype=np.int64), value, np.ones(n), 5, 0.1, by_context=False)
    assert np.bincount(found.label, minlength=5).tolist() == counts
    assert (np.diff(found.label[np.argsort(value)]) >= 0).all()
    assert LABELS[found.label[np.argmax(value)]] != LABELS[0] or n == 1


def test_momentum_leaves_the_last_session_out() -> None:
    returns = 0.01 * RNG.standard_normal((3, 120))
    known = np.ones(returns.shape, dtype=bool)
    known[2, 60:100] = False
    series, at = series_of(returns, known), np.array([0, 5, 80, 119])
    found = momentum(series, at, 21)
    assert found[0, 2] == pytest.approx(returns[0, 59:80].sum(), abs=1e-12)
    assert found[1, 3] == pytest.approx(returns[1, 98:119].sum(), abs=1e-12)
    assert np.isnan(found[:, :2]).all(), "too few returns"
    assert np.isnan(found[2]).tolist() == [True, True, True, False]
    assert [momentum_sessions(h) for h in (5, 21, 63)] == [21, 21, 63]


def test_basic_is_momentum_less_half_of_fragility() -> None:
    names = names_of(40, days=2)
    names.soft_target[3] = np.nan
    found = BasicAssessmentModel(0.05).assess(names, 21)
    told = np.isfinite(names.soft_target)
    soft = np.zeros(80)
    soft[told] = normal_scores(names.day[told], names.soft_target[told])
    wanted = normal_scores(names.day, normal_scores(names.day, names.momentum) - 0.5 * soft)
    assert found.score.tolist() == wanted.tolist()
    assert found.ic.tolist() == [0.05] * 80
    assert np.flatnonzero(found.reason == "no_soft_target").tolist() == [3]
    assert not found.by_context.any()


def test_the_context_model_orders_names_by_its_head() -> None:
    names = names_of(12, days=3)
    slopes = RNG.standard_normal(384).astype(np.float32)
    found = ContextAssessmentModel(AssessmentHead(slopes, 0.04)).assess(names, 63)
    wanted = normal_scores(names.day, names.vectors.astype(np.float64) @ slopes.astype(np.float64))
    assert found.score.tolist() == wanted.tolist()
    assert found.by_context.all()
    assert set(found.reason.tolist()) == {""}
    assert found.expected_return == pytest.approx(0.04 * names.volatility * 63**0.5 * wanted)
    # What all names of a day share has no say, and a longer vector is no better one.
    moved = names.vectors + np.repeat(RNG.standard_normal((3, 384)), 12, axis=0).astype(np.float32)
    again = NamesOfDays(names.day, names.momentum, names.soft_target, names.volatility, names.known, moved)
    assert ContextAssessmentModel(AssessmentHead(slopes, 0.04)).assess(again, 63).score.tolist() == wanted.tolist()


def test_basic_stands_in_by_name_and_says_why() -> None:
    known = np.ones(20, dtype=bool)
    known[[2, 7]] = False
    names = names_of(20, known=known)
    names.soft_target[7] = np.nan
    basic = BasicAssessmentModel(0.01)
    alone, none = basic.assess(names, 5), ContextAssessmentModel(None, basic).assess(names, 5)
    assert none.score.tolist() == alone.score.tolist()
    assert none.reason[[0, 2, 7]].tolist() == ["no_fit", "no_embedding", "no_embedding, no_soft_target"]
    head = AssessmentHead(RNG.standard_normal(384).astype(np.float32), 0.0, "held_back_ic_not_positive")
    mixed = ContextAssessmentModel(head, basic).assess(names, 5)
    assert mixed.by_context.tolist() == known.tolist()
    assert mixed.score[~known].tolist() == alone.score[~known].tolist()
    assert (mixed.num_names[known][0], mixed.num_names[~known][0]) == (18, 20)
    assert set(mixed.ic.tolist()) == {0.0}, "more expected of a name because less is known of it"
    sure = ContextAssessmentModel(AssessmentHead(head.coefficients, 0.05), basic).assess(names, 5)
    assert (sure.ic[known][0], sure.ic[~known][0]) == (0.05, 0.01)
    assert mixed.reason[known][0] == "held_back_ic_not_positive"
    assert mixed.expected_return[known].tolist() == [0.0] * 18
