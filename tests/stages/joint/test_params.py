"""Parameters that follow from a space's declaration, and those that are refused."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest

from prometheus.errors import RequestError
from prometheus.runtime.params import fields_with_role, narrows, settings_of
from prometheus.spaces.joint import SPACES
from prometheus.stages import STAGES, stage
from prometheus.stages.joint import space_name_of, stage_names
from prometheus.stages.joint.params import JointParams, active, check_settings, class_name, params_of


def given(space: str, **values: Any) -> JointParams:
    return params_of(space)(**values)


@pytest.mark.parametrize("name", SPACES)
def test_every_branch_brings_its_model_and_its_variant(name: str) -> None:
    space, params = SPACES[name], given(name)
    settings = settings_of(params)
    for branch in space.branches:
        assert settings[branch.variant_parameter] == "v0"
        assert branch.model_parameter in settings
        assert params.age(branch) == branch.max_age
        assert params.variant_of(branch) == "v0"
    assert (params.joint_model_id, params.weights, params.max_age) == (space.model_id, space.weights, space.max_age)
    assert active(space, params) == tuple(b for b in space.branches if b.source != "named_scenario")
    check_settings(space, params)


@pytest.mark.parametrize("name", SPACES)
def test_parameters_travel_to_other_processes(name: str) -> None:
    params = given(name, variant="other")
    assert pickle.loads(pickle.dumps(params)) == params
    assert type(params).__name__ == class_name(SPACES[name])


def test_names_of_stages_lead_back_to_their_space() -> None:
    assert set(stage_names()) <= set(STAGES)
    for name in stage_names():
        space = SPACES[space_name_of(name)]
        assert name in (space.stage, space.statistics)
        assert stage(name).name == name
        assert stage(name).params is params_of(space.name)
    fitted = {s.statistics for s in SPACES.values()}
    assert {n for n in stage_names() if n.startswith("branch_statistics_")} == fitted
    from prometheus.stages import joint

    with pytest.raises(AttributeError, match="joint_nothing"):
        _ = joint.joint_nothing


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("profile_core", {"issuer_id": ("ISS_A",)}),
        ("stab_fragility_states", {"instrument_id": ("A.US",)}),
        ("assessment_context", {"instrument_id": ("A.US",)}),
        ("stab_fragility_scenarios", {"scenario_set_id": ("SET",)}),
        ("portfolio_core", {"portfolio_id": ("US_EQ_CORE",)}),
    ],
)
def test_some_names_are_not_the_whole_day(name: str, asked: dict[str, tuple[str, ...]]) -> None:
    assert narrows(given(name, **asked))
    assert not narrows(given(name))
    assert {f.name for f in fields_with_role(given(name), "selection")} >= set(asked)


def test_regions_and_markets_are_whole_scopes() -> None:
    assert not narrows(given("regime_macro", region=("US", "EU")))
    assert not narrows(given("assessment_context", market_id=("US_EQ",), region=("US",)))
    assert not narrows(given("episode", region=("US",)))


def test_a_scenario_counts_once_it_is_named() -> None:
    space = SPACES["stab_fragility_states"]
    assert [b.name for b in active(space, given(space.name))] == ["stab", "profile"]
    assert [b.name for b in active(space, given(space.name, scenario_id="SET/0"))] == ["stab", "scenario", "profile"]
    assert [b.name for b in active(space, given(space.name, profile_joint_model_id=""))] == ["stab"]


@pytest.mark.parametrize(
    ("name", "values", "sentence"),
    [
        ("regime_macro", {"weights": {"regime": 1.0}}, "weights must name exactly regime, text; got regime"),
        ("profile_core", {"weights": {"num": -1.0, "text": 1.0}}, "must be finite and not negative"),
        ("profile_core", {"weights": {"num": 0.0, "text": 0.0}}, "branch weights are all zero"),
        ("episode", {"weights": {"regime": "much", "text": 1.0}}, "cannot be averaged with: could not convert"),
        ("stab_fragility_states", {"max_age": {"stab": 3}}, "max_age names stab; stab_fragility_states has ages for profile"),
        ("episode", {"max_age": {"text": 3}}, "max_age names text; episode has ages for none of its branches"),
        ("regime_macro", {"max_age": {"text": 4.5}}, "max_age of text must be a whole number of days, 0 or more; got 4.5"),
        ("regime_macro", {"max_age": {"text": True}}, "0 or more; got True"),
        ("regime_macro", {"numeric_model_id": ""}, "branch regime of REGIME_MACRO_V0 cannot be switched off; it is required"),
        ("stab_fragility_states", {"stab_model_id": ""}, "branch stab of STAB_FRAGILITY_V0 cannot be switched off"),
        ("assessment_context", {"text_window_days": -7}, "text_window_days must be at least 1"),
        ("assessment_context", {"text_half_life": float("nan")}, "text_half_life must be a positive number of days"),
    ],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(name: str, values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError) as refusal:
        check_settings(SPACES[name], given(name, **values))
    assert sentence in str(refusal.value)


def test_help_stands_beside_every_parameter() -> None:
    for name in SPACES:
        assert all(f.metadata.get("help") for f in dataclasses.fields(params_of(name)))
