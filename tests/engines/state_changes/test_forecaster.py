"""What forecasts of state changes say: regimes and soft-target classes."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.engines.regime import LABELS, RegimeStateChangeForecaster
from prometheus.engines.stability import CLASSES, StabilityStateChangeForecaster

QUIET = ["CARRY"] * 9 + ["CRISIS"] + ["CARRY"] * 10


def test_labels_run_from_the_calmest_to_the_worst() -> None:
    assert RegimeStateChangeForecaster().labels == ("CARRY", "NEUTRAL", "RISK_OFF", "CRISIS") == LABELS[::-1]
    assert StabilityStateChangeForecaster().labels == CLASSES


@pytest.mark.parametrize("model", ["markov", "direct"])
def test_staying_is_counted_so_that_a_change_tomorrow_is_not_certain(model: str) -> None:
    forecaster = RegimeStateChangeForecaster(model=model)
    found = forecaster.forecast(forecaster.codes(["NEUTRAL"] * 400), 1)
    # 399 pairs that stayed, each of four outcomes once more by smoothing.
    assert found.p_change_any[-1] == pytest.approx(3 / 403)
    assert found.p_change_any.max() == 0.75  # on the first session, when nothing is known
    assert found.num_transitions.tolist() == list(range(400))


def test_regime_quantities_by_hand() -> None:
    forecaster = RegimeStateChangeForecaster(smoothing=0.5)
    codes = forecaster.codes(QUIET)
    last = {name: getattr(forecaster.forecast(codes, 1), name)[-1] for name in QUANTITIES}
    # From CARRY: 8 + 9 stayed, one went to CRISIS; half a pair more for each of four.
    assert last["num_transitions"] == 19
    assert last["num_from_current"] == 18
    assert last["p_change_any"] == pytest.approx(2.5 / 20)
    assert last["p_worsen_any"] == last["p_change_any"]
    assert last["p_improve_any"] == 0.0
    assert last["p_to_crisis_or_risk_off"] == pytest.approx(2.0 / 20)
    assert last["p_to_carry"] == pytest.approx(17.5 / 20)
    assert last["risk_score"] == last["p_to_crisis_or_risk_off"]


QUANTITIES = (
    "num_transitions",
    "num_from_current",
    "p_change_any",
    "p_worsen_any",
    "p_improve_any",
    "p_to_crisis_or_risk_off",
    "p_to_carry",
    "risk_score",
)


def test_several_sessions_ahead_is_the_power_of_the_matrix_not_its_multiple() -> None:
    forecaster = RegimeStateChangeForecaster()
    codes = forecaster.codes(QUIET)
    matrix = forecaster.transition_matrices(codes, 1)[-1]
    for horizon in (2, 5, 21):
        found = forecaster.forecast(codes, horizon)
        np.testing.assert_allclose(found.probabilities[-1], np.linalg.matrix_power(matrix, horizon)[0], rtol=1e-12)


def test_probabilities_are_of_the_label_at_the_horizon_staying_included() -> None:
    forecaster = RegimeStateChangeForecaster(smoothing=1e-9)
    codes = forecaster.codes(["CRISIS", "CARRY"] * 20 + ["CRISIS"])
    two = forecaster.forecast(codes, 2)
    assert two.p_to_crisis_or_risk_off[-1] == pytest.approx(1.0)  # away tomorrow, and back
    assert two.p_change_any[-1] == pytest.approx(0.0, abs=1e-7)
    assert forecaster.forecast(codes, 1).p_change_any[-1] == pytest.approx(1.0)


def test_direct_counts_see_what_a_chain_forgets() -> None:
    """Seasons of weeks that are NEUTRAL for a day: after it the chain does not know which season it is in."""
    season = {label: ([label] * 4 + ["NEUTRAL"]) * 40 for label in ("CRISIS", "CARRY")}
    chain, direct = RegimeStateChangeForecaster(), RegimeStateChangeForecaster(model="direct")
    codes = chain.codes((season["CRISIS"] + season["CARRY"]) * 3)
    last_of_crisis = np.array([898])
    risks = {f.model: f.forecast(codes, 20, at=last_of_crisis).risk_score[0] for f in (chain, direct)}
    assert risks["markov"] == pytest.approx(0.5, abs=0.1)
    assert risks["direct"] > 0.85
    np.testing.assert_array_equal(chain.forecast(codes, 1).probabilities, direct.forecast(codes, 1).probabilities)


def test_stability_quantities_by_hand() -> None:
    forecaster = StabilityStateChangeForecaster(smoothing=1.0)
    names = [["STABLE", "FRAGILE"], ["STABLE", "TARGETABLE"], ["WATCH", "FRAGILE"], ["STABLE", "BREAKER"]]
    found = forecaster.forecast(forecaster.codes(np.array(names, dtype=object)), 1)
    assert found.session.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert found.entity.tolist() == [0, 1] * 4
    assert found.current_labels[-2:].tolist() == ["STABLE", "BREAKER"]
    # On the third session, from FRAGILE: of five outcomes one each, and one pair to TARGETABLE.
    at = 5
    assert found.num_transitions[at] == 4
    assert found.num_from_current[at] == 1
    np.testing.assert_allclose(found.probabilities[at], np.array([1, 1, 1, 2, 1]) / 6)
    assert found.p_worsen_any[at] == pytest.approx(3 / 6)
    assert found.p_improve_any[at] == pytest.approx(2 / 6)
    assert found.p_to_targetable_or_breaker[at] == found.risk_score[at] == pytest.approx(3 / 6)
    assert found.p_to_breaker[at] == pytest.approx(1 / 6)


def test_a_names_own_transitions_join_in_by_weight() -> None:
    rng = np.random.default_rng(8)
    calm, wild = np.zeros((300, 6)), rng.integers(0, 5, (300, 1))
    codes = np.hstack([calm, wild]).astype(np.int8)
    risks = {}
    for weight in (0.0, 50.0, 1e9):
        forecaster = StabilityStateChangeForecaster(entity_weight=weight)
        risks[weight] = forecaster.forecast(codes, 5, at=np.array([299])).risk_score
    assert risks[50.0][0] < risks[0.0][0] / 2  # a calm name is calmer than the pool, which the wild one is in
    np.testing.assert_allclose(risks[1e9], risks[0.0], rtol=1e-5)


def test_history_is_counted_but_not_forecast_from() -> None:
    forecaster = StabilityStateChangeForecaster(entity_weight=20.0)
    codes = np.random.default_rng(1).integers(-1, 5, (60, 3)).astype(np.int8)
    every, some = forecaster.forecast(codes, 3), forecaster.forecast(codes, 3, at=np.array([10, 40, 59]))
    mine = np.isin(every.session, [10, 40, 59])
    np.testing.assert_array_equal(some.session, every.session[mine])
    np.testing.assert_array_equal(some.probabilities, every.probabilities[mine])


def test_no_sessions_and_no_labels_make_no_rows() -> None:
    forecaster = RegimeStateChangeForecaster()
    assert len(forecaster.forecast(forecaster.codes([]), 1)) == 0
    nothing = forecaster.forecast(forecaster.codes([None, None]), 5)
    assert (len(nothing), nothing.probabilities.shape, nothing.p_change_any.shape) == (0, (0, 4), (0,))


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="no model 'semi'"):
        RegimeStateChangeForecaster(model="semi")
    with pytest.raises(ValueError, match="smoothing must be a positive number; got 0"):
        RegimeStateChangeForecaster(smoothing=0.0)
    with pytest.raises(ValueError, match="weight of the pool must be 0 or a positive number; got -1"):
        StabilityStateChangeForecaster(entity_weight=-1.0)
    with pytest.raises(ValueError, match="at least 1 session ahead; got 0"):
        RegimeStateChangeForecaster().forecast(np.zeros(3, dtype=np.int8), 0)
    with pytest.raises(ValueError, match="are -1 to 3"):
        RegimeStateChangeForecaster().forecast(np.array([0, 4]), 1)
