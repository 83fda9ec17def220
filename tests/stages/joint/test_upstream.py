"""What is built before a space: every surface its branches are read from, each once, and early enough."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from prometheus.cli.config import compose, node_of, params_for
from prometheus.errors import RequestError
from prometheus.spaces.joint import SPACES
from prometheus.stages import stage
from prometheus.stages.joint.params import JointParams
from prometheus.stages.joint.upstream import Request, Step, steps_to

REQUEST = Request(("US",), ("US_EQ",))


@pytest.fixture(scope="module")
def config() -> Any:
    return compose("backfill")


def steps(config: Any, space: str, *variants: str, **changed: Any) -> list[Step]:
    def resolve(name: str, given: Mapping[str, Any]) -> JointParams:
        params: Any = params_for(stage(f"joint_{name}").params, node_of(config, f"joint_{name}"), given)
        return (
            dataclasses.replace(params, **changed) if name == space and given.get("variant") == variants[-1] else params
        )

    return steps_to(SPACES[space], variants, REQUEST, resolve)


def said(found: list[Step]) -> list[tuple[str, str, str, int]]:
    return [(s.stage, s.given.get("model_id", ""), s.given.get("variant", ""), s.back) for s in found]


def test_a_context_needs_everything_and_the_past_of_what_is_last_known(config: Any) -> None:
    """A profile may be 95 days old, and its text 400 days before that."""
    assert said(steps(config, "assessment_context", "hashing")) == [
        ("numeric_embeddings", "num-profile-core-v1", "v0", 95),
        ("numeric_embeddings", "num-regime-core-v1", "v0", 95),
        ("profile_text_embeddings", "text-profile-v1", "hashing", 495),
        ("joint_profile_core", "", "hashing", 95),
        ("regime_prototypes", "num-regime-core-v1", "v0", 0),
        ("regimes", "num-regime-core-v1", "v0", 0),
        ("text_embeddings", "text-fin-general-v1", "hashing", 7),
        ("joint_regime_context", "", "hashing", 0),
        ("numeric_embeddings", "num-stab-core-v1", "v0", 0),
        ("joint_stab_fragility_states", "", "hashing", 0),
        ("joint_assessment_context", "", "hashing", 0),
    ]


def test_a_calibrated_variant_brings_its_statistics_before_itself(config: Any) -> None:
    found = said(steps(config, "regime_macro", "v0", "calibrated"))
    assert found == [
        ("regime_prototypes", "num-regime-core-v1", "v0", 0),
        ("regimes", "num-regime-core-v1", "v0", 0),
        ("macro_text_embeddings", "text-macro-v1", "v0", 45),
        ("joint_regime_macro", "", "v0", 0),
        ("branch_statistics_regime_macro", "", "v0", 0),
        ("joint_regime_macro", "", "calibrated", 0),
    ]
    assert found[-3:] == said(steps(config, "regime_macro", "calibrated", "v0"))[-1:] + found[-2:]
    of_states = [s for s, *_ in said(steps(config, "stab_fragility_scenarios", "calibrated"))]
    assert of_states.index("branch_statistics_stab_fragility_states") < of_states.index(
        "joint_stab_fragility_scenarios"
    )
    assert "branch_statistics_regime_context" in [s for s, *_ in said(steps(config, "episode", "calibrated"))]


def test_portfolios_are_judged_before_they_are_embedded(config: Any) -> None:
    assert said(steps(config, "portfolio_core", "v0")) == [
        ("risk", "", "v0", 0),
        ("portfolio_embeddings", "num-portfolio-core-v1", "v0", 0),
        ("joint_portfolio_core", "", "v0", 0),
    ]


def test_requests_reach_every_step(config: Any) -> None:
    for step in steps(config, "assessment_context", "v0"):
        taken = {f.name for f in dataclasses.fields(stage(step.stage).params)}
        assert set(step.given) <= taken, step.stage
        if "region" in taken and "market_id" not in taken:
            assert step.given["region"] == ("US",)
        elif "market_id" in taken:
            assert step.given["market_id"] == ("US_EQ",)


def test_an_optional_branch_that_is_off_brings_nothing(config: Any) -> None:
    assert [s for s, *_ in said(steps(config, "stab_fragility_states", "bare", profile_joint_model_id=""))] == [
        "numeric_embeddings",
        "joint_stab_fragility_states",
    ]


def test_a_proxy_is_passed_on(config: Any) -> None:
    (prototypes, regimes, *_) = steps(config, "regime_macro", "apple", proxy="AAPL.US")
    assert prototypes.given["instrument_id"] == regimes.given["instrument_id"] == "AAPL.US"


@pytest.mark.parametrize(
    ("space", "changed"),
    [
        ("regime_macro", {"country": "US"}),
        ("regime_macro", {"text_variant": "hashing"}),
        ("regime_macro", {"max_age": {"text": 10}}),
        ("assessment_context", {"text_window_days": 30}),
        ("assessment_context", {"text_half_life": 9.0}),
        ("assessment_context", {"stab_joint_model_id": ""}),
        ("stab_fragility_states", {"cutoff": "session_close"}),
    ],
)
def test_statistics_of_other_branches_scale_nothing(config: Any, space: str, changed: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as refusal:
        steps(config, space, "mine", calibrate="v0", **changed)
    assert "variant 'mine' cannot be calibrated by 'v0', whose branches are others" in str(refusal.value)
    assert next(iter(changed)) in str(refusal.value)
    steps(config, space, "mine", calibrate="v0", weights=dict.fromkeys(SPACES[space].weights, 2.0))
