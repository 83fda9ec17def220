"""The basic universe: filters in order, a score that falls with risk, caps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prometheus.engines.stability import CLASSES
from prometheus.engines.universe import (
    COMPONENTS,
    EXCLUSIONS,
    NONE,
    TIERS,
    Z_LIMIT,
    BasicUniverseModel,
    Listed,
    Selection,
)
from prometheus.errors import RequestError

OPEN = BasicUniverseModel(min_history=0, min_adv=0.0, min_price=0.0, max_sector_share=1.0)


def listed(n: int = 12, days: int = 3, seed: int = 0, **given: Any) -> Listed:
    """Names without a fault, unless said otherwise for all rows."""
    rng = np.random.default_rng(seed)
    rows = n * days
    values: dict[str, Any] = {
        "day": np.repeat(np.arange(days), n),
        "name": np.tile([f"N{i:03d}" for i in range(n)], days),
        "sector": rng.integers(0, 3, rows),
        "member": np.ones(rows, dtype=bool),
        "history": np.full(rows, 252),
        "adv": np.exp(rng.normal(17, 1, rows)),
        "price": np.full(rows, 50.0),
        "soft_class": np.zeros(rows, dtype=np.int64),
        "soft_score": rng.uniform(0, 30, rows),
        "profile_age": np.full(rows, np.nan),
        "assessment": rng.normal(size=rows),
        "lambda_score": rng.uniform(0.01, 0.05, rows),
        "stab_risk": rng.uniform(0, 0.3, rows),
        "regime_risk": np.repeat(rng.uniform(0, 0.5, days), n),
    }
    for name, value in given.items():
        values[name] = np.broadcast_to(np.asarray(value), rows).astype(np.asarray(values[name]).dtype)
    return Listed(**values)


def excluded(found: Selection) -> list[str]:
    return ["" if code == NONE else EXCLUSIONS[code] for code in found.excluded_by]


def test_the_first_filter_that_fails_is_named() -> None:
    """Row k fails filter k and every one after it."""
    everything = {
        "history": (10, 252),
        "adv": (10.0, 1e7),
        "price": (0.5, 50.0),
        "member": (False, True),
        "soft_class": (CLASSES.index("BREAKER"), CLASSES.index("STABLE")),
        "soft_score": (90.0, 10.0),
        "profile_age": (np.nan, 3.0),
    }
    order = list(everything)
    rows: dict[str, list[Any]] = {name: [] for name in order}
    for k in range(len(order) + 1):
        for i, name in enumerate(order):
            bad, good = everything[name]
            rows[name].append(bad if i >= k else good)
    rows["soft_class"][5] = CLASSES.index("TARGETABLE")
    found = BasicUniverseModel(profile_max_age=30).select(listed(len(order) + 1, 1, **rows))
    assert excluded(found) == ["HISTORY", "ADV", "PRICE", "MEMBERSHIP", "BREAKER", "TOO_FRAGILE", "WEAK_PROFILE", ""]
    assert [TIERS[t] for t in found.tier] == ["EXCLUDED"] * 7 + ["CORE"]
    assert np.isnan(found.score[:7]).all()
    assert found.candidates.tolist() == [1] * 8


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"adv": np.nan}, "ADV"),
        ({"price": np.nan}, "PRICE"),
        ({"soft_class": NONE, "soft_score": np.nan}, ""),
        ({"soft_class": CLASSES.index("TARGETABLE"), "soft_score": 69.9}, ""),
        ({"soft_class": CLASSES.index("TARGETABLE"), "soft_score": 70.1}, "TOO_FRAGILE"),
        ({"soft_class": CLASSES.index("FRAGILE"), "soft_score": 99.0}, ""),
        ({"profile_age": np.nan}, ""),
    ],
)
def test_what_is_not_known_fails_filters_on_prices_alone(given: dict[str, float], wanted: str) -> None:
    assert set(excluded(BasicUniverseModel().select(listed(4, 1, sector=NONE, **given)))) == {wanted}


def test_the_score_is_weighted_z_scores_lowered_by_risk() -> None:
    rows = listed(40, 1, seed=3)
    model = BasicUniverseModel(
        assessment_weight=0.7,
        stability_weight=0.2,
        liquidity_weight=0.1,
        lambda_score_weight=0.4,
        a_stab=0.6,
        a_reg=0.3,
    )
    found = model.select(rows)

    def z(values: np.ndarray) -> np.ndarray:
        return np.clip((values - values.mean()) / values.std(), -Z_LIMIT, Z_LIMIT)

    base = 0.7 * z(rows.assessment) + 0.2 * z(-rows.soft_score) + 0.1 * z(np.log(rows.adv)) + 0.4 * z(rows.lambda_score)
    factor = (1 - 0.6 * rows.stab_risk) * (1 - 0.3 * rows.regime_risk)
    np.testing.assert_allclose(found.score, np.where(base >= 0, base * factor, base * (2 - factor)), rtol=1e-10)
    assert found.rank[np.argmax(found.score)] == 1
    assert sorted(found.rank.tolist()) == list(range(1, 41))


@pytest.mark.parametrize("risk", ["stab_risk", "regime_risk"])
def test_more_risk_never_makes_a_score_better(risk: str) -> None:
    """Times (1 - risk) alone a negative score would rise."""
    scores = [OPEN.select(listed(30, 1, **{risk: r})).score for r in (0.0, 0.3, 0.7, 1.0)]
    assert (np.diff(scores, axis=0) < 0).all()
    assert (np.array(scores[0]) < 0).any()


def test_missing_inputs_count_as_the_mean_and_missing_risk_as_none() -> None:
    rows = listed(10, 1)
    rows.assessment[4] = rows.lambda_score[4] = rows.stab_risk[4] = np.nan
    found = OPEN.select(rows)
    assert found.components["assessment"].z[4] == 0.0
    others = np.delete(rows.assessment, 4)
    assert found.components["assessment"].mean[4] == pytest.approx(others.mean())
    assert found.risk_factor[4] == pytest.approx(1 - OPEN.a_reg * rows.regime_risk[4])


def test_values_that_are_all_equal_say_nothing() -> None:
    """0.1 has no exact form: its mean is another number, and their difference must not be blown up."""
    found = OPEN.select(listed(7, 2, assessment=0.1))
    assert (found.components["assessment"].z == 0).all()
    assert (found.components["assessment"].std == 0).all()


def test_sectors_and_size_are_capped_and_ties_go_by_name() -> None:
    sector = [0, 0, 0, 0, 0, 1, 1, NONE, NONE, NONE]
    rows = listed(10, 1, sector=sector, assessment=1.0, soft_score=5.0, adv=1e7, stab_risk=0.1)
    found = BasicUniverseModel(max_names=6, core_names=2, max_sector_share=0.34).select(rows)
    assert found.rank.tolist() == list(range(1, 11))
    assert found.sector_limit[0] == 2  # 0.34 of six
    assert excluded(found) == ["", "", "SECTOR_CAP", "SECTOR_CAP", "SECTOR_CAP", "", "", "", "", "SIZE_CAP"]
    assert [TIERS[t] for t in found.tier[[0, 1, 5, 8]]] == ["CORE", "CORE", "SATELLITE", "SATELLITE"]


def test_a_whole_share_costs_no_name_to_rounding() -> None:
    """0.29 times 100 is 28.999999999999996."""
    found = BasicUniverseModel(max_sector_share=0.29).select(listed(100, 1, sector=0))
    assert (found.excluded_by == NONE).sum() == 29


def test_a_day_does_not_depend_on_the_days_and_names_around_it() -> None:
    rows = listed(25, 4, seed=8)
    rows.history[::7] = 0
    together = BasicUniverseModel(max_names=9, core_names=3).select(rows)
    for day in range(4):
        mine = rows.day == day
        part = rows.take(mine)
        alone = BasicUniverseModel(max_names=9, core_names=3).select(Listed(**{**vars(part), "day": part.day * 0}))
        for field in ("tier", "excluded_by", "rank", "score", "base", "risk_factor"):
            np.testing.assert_array_equal(getattr(alone, field), getattr(together, field)[mine])
        for name in COMPONENTS:
            np.testing.assert_array_equal(alone.components[name].z, together.components[name].z[mine])


def test_nobody_and_one_name() -> None:
    assert len(BasicUniverseModel().select(listed(0, 0)).score) == 0
    alone = BasicUniverseModel().select(listed(1, 1))
    assert alone.score.tolist() == [0.0]
    assert alone.rank.tolist() == [1]


@pytest.mark.parametrize(
    "wrong",
    [{"a_stab": 1.5}, {"a_reg": -0.1}, {"max_sector_share": 0.0}, {"max_names": 0}, {"core_names": 200},
     {"assessment_weight": float("nan")}],
)  # fmt: skip
def test_settings_that_make_no_universe_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(RequestError, match=next(iter(wrong)).split("_w")[0]):
        BasicUniverseModel(**wrong)  # type: ignore[arg-type]
