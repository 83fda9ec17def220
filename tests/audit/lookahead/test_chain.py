"""What an audit runs follows from the declarations."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from prometheus.audit.lookahead.chain import Step, hashed_texts, in_order, raw_tables, steps_of, with_upstream
from prometheus.errors import RequestError
from prometheus.runtime import Input, Stage, StageParams, settings_of
from prometheus.stages import STAGES, all_stages, stage
from tests.leaky_stages import HONEST, following


def steps(*stages: Stage[Any], regions: tuple[str, ...] = ("US", "EU"), **given: Any) -> dict[str, Step]:
    found = steps_of(
        stages or all_stages(),
        given.pop("params_of", hashed_texts),
        regions=regions,
        market_ids=("US_EQ", "EU_EQ"),
        cutoff=given.pop("cutoff", "end_of_day"),
    )
    return {s.name: s for s in found}


def test_every_declared_stage_is_run_makers_before_readers() -> None:
    found = list(steps(*reversed(all_stages())).values())
    assert {s.stage.name for s in found} == set(STAGES)
    for i, step in enumerate(found):
        # The stages' own tables apart: two write numeric windows, none of them reads them.
        assert not any(step.reads_output_of(later) for later in found[i + 1 :]), step.name


def test_texts_are_hashed_and_what_reads_them_follows() -> None:
    found = steps()
    assert list(found) == [
        "returns [v0]",
        "factors [v0]",
        "scenarios [v0]",
        "encoder_fits [v0]",
        "numeric_embeddings num-regime-core-v1 [v0]",
        "numeric_embeddings num-stab-core-v1 [v0]",
        "numeric_embeddings num-profile-core-v1 [v0]",
        "scenario_embeddings [v0]",
        "regime_prototypes [v0]",
        "regime_prototypes [jump]",
        "regime_prototypes [hmm]",
        "regime_prototypes [nowcast]",
        "regime_prototypes [volatility]",
        "regimes [v0]",
        "regimes [jump]",
        "regimes [hmm]",
        "regimes [nowcast]",
        "regimes [volatility]",
        "text_embeddings [hashing]",
        "profile_text_embeddings [hashing]",
        "document_text_embeddings [hashing]",
        "macro_text_embeddings [hashing]",
        "branch_statistics_profile_core [hashing]",
        "joint_profile_core [hashing]",
        "joint_profile_core [hashing_calibrate]",
        "branch_statistics_regime_context [hashing]",
        "joint_episode [hashing]",
        "joint_episode [hashing_calibrate]",
        "joint_regime_context [hashing]",
        "joint_regime_context [hashing_calibrate]",
        "branch_statistics_regime_macro [hashing]",
        "joint_regime_macro [hashing]",
        "joint_regime_macro [hashing_calibrate]",
        "branch_statistics_stab_fragility_states [hashing]",
        "joint_stab_fragility_states [hashing]",
        "joint_stab_fragility_states [hashing_calibrate]",
        "joint_stab_fragility_scenarios [v0]",
        "joint_stab_fragility_scenarios [calibrate]",
        "branch_statistics_assessment_context [hashing]",
        "joint_assessment_context [hashing]",
        "joint_assessment_context [hashing_calibrate]",
        "context_regime_fits [hashing]",
        "context_regimes [hashing]",
        "regime_transitions num-regime-core-v1 [v0]",
        "regime_transitions joint-regime-core-v1 [hashing]",
        "stability_fits [v0]",
        "stability stability-embedding-v1 [v0]",
        "stability stability-basic-v1 [v0]",
        "assessment_fits [hashing]",
        "assessment assessment-context-v1 [hashing]",
        "assessment assessment-basic-v1 [v0]",
        "regime_change_risk [v0]",
        "stability_change_risk [v0]",
        "universes [hashing]",
        "portfolios portfolio-score-proportional-v1 [hashing]",
        "portfolios portfolio-inverse-volatility-v1 [hashing]",
        "portfolios portfolio-mean-variance-v1 [hashing]",
        "risk [hashing]",
        "portfolio_embeddings [hashing]",
        "branch_statistics_portfolio_core [hashing]",
        "joint_portfolio_core [hashing]",
        "joint_portfolio_core [hashing_calibrate]",
    ]
    joint, calibrated = (found[f"joint_regime_context [{v}]"] for v in ("hashing", "hashing_calibrate"))
    assert (joint.params.text_variant, joint.params.regime_variant, joint.params.calibrate) == ("hashing", "v0", "")
    assert settings_of(calibrated.params) == settings_of(joint.params) | {"calibrate": "hashing"}
    context = found["joint_assessment_context [hashing]"].params
    assert {getattr(context, f"{b}_variant") for b in ("profile", "regime", "stab", "text")} == {"hashing"}
    states = found["joint_stab_fragility_states [hashing]"].params
    assert (states.stab_variant, states.profile_variant) == ("v0", "hashing")


def test_with_a_model_of_its_own_everything_is_v0() -> None:
    assert {s.params.variant for s in steps(params_of=lambda s: s.params()).values()} == {
        "v0",
        "calibrate",
        "jump",
        "hmm",
        "nowcast",
        "volatility",
    }


def test_a_cutoff_rule_is_another_variant_of_everything() -> None:
    found = steps(cutoff="next_open")
    assert "regimes [next_open]" in found
    assert "regimes [jump_next_open]" in found
    joint = found["joint_regime_context [next_open_hashing_calibrate]"].params
    assert (joint.regime_variant, joint.text_variant) == ("next_open", "next_open_hashing")
    assert joint.calibrate == "next_open_hashing"
    assert {s.params.cutoff for s in found.values()} == {"next_open"}


def test_selections_are_wide_open() -> None:
    found = steps()
    numeric, regimes = found["numeric_embeddings num-regime-core-v1 [v0]"].params, found["regimes [v0]"].params
    assert numeric.entity_type == ("INSTRUMENT", "SECTOR", "MARKET", "ISSUER")
    assert numeric.market_id == ("US_EQ", "EU_EQ")
    assert regimes.region == ("US", "EU")
    assert (numeric.instrument_id, numeric.limit, regimes.instrument_id) == ((), None, "")


def test_markets_say_where_a_stage_that_takes_regions_too_is_run() -> None:
    """An index market has no region, and a request that names both must not contradict itself."""
    states = steps()["joint_stab_fragility_states [hashing]"].params
    assert (states.market_id, states.region) == (("US_EQ", "EU_EQ"), ())


def test_without_a_region_what_works_by_region_is_left_out() -> None:
    by_region = {"regime_prototypes", "regimes", "joint_regime_context", "joint_regime_macro", "joint_episode"}
    by_region |= {"branch_statistics_regime_context", "branch_statistics_regime_macro"}
    by_region |= {"context_regime_fits", "context_regimes", "regime_transitions", "regime_change_risk"}
    assert {s.stage.name for s in steps(regions=()).values()} == set(STAGES) - by_region


def test_other_settings_get_a_name_that_is_not_v0() -> None:
    def twice_as_long(stage: Stage[Any]) -> StageParams:
        params = hashed_texts(stage)
        return dataclasses.replace(params, window_days=126) if hasattr(params, "window_days") else params

    names = list(steps(params_of=twice_as_long))
    for name in ("numeric_embeddings num-regime-core-v1", "regime_prototypes", "regimes", "scenario_embeddings"):
        assert f"{name} [window_days]" in names
    # 126 sessions are what that model has anyway.
    assert "numeric_embeddings num-profile-core-v1 [v0]" in names
    assert "joint_regime_context [window_days_hashing]" in names


def test_a_new_stage_joins_by_being_declared() -> None:
    joins = following(HONEST)
    found = list(steps(joins, HONEST).values())
    assert [s.name for s in found] == ["honest [v0]", "following [v0]"]
    assert raw_tables(found) == ["prices_daily"]


def test_what_is_upstream_of_a_name_comes_with_it() -> None:
    names = {s.name for s in with_upstream(["regimes"], all_stages())}
    assert names == {"regimes", "regime_prototypes"}
    assert {s.name for s in with_upstream(["joint_regime_context"], all_stages())} == names | {
        "text_embeddings",
        "branch_statistics_regime_context",
        "joint_regime_context",
    }
    of_contexts = {s.name for s in with_upstream(["joint_assessment_context"], all_stages())}
    assert of_contexts >= {"joint_profile_core", "joint_stab_fragility_states", "profile_text_embeddings", "regimes"}
    assert not of_contexts & {
        "joint_regime_macro",
        "branch_statistics_regime_macro",
        "macro_text_embeddings",
        "returns",
    }
    with pytest.raises(RequestError, match=r"there is no stage nothing; there are returns,"):
        with_upstream(["regimes", "nothing"], all_stages())


def test_a_stage_may_read_its_own_table_but_a_circle_is_refused() -> None:
    own = dataclasses.replace(HONEST, inputs=(Input("numeric_window_embeddings"),))
    assert in_order([own]) == [own]
    one = dataclasses.replace(stage("regimes"), inputs=(Input("joint_embeddings"),))
    two = dataclasses.replace(stage("joint_regime_context"), inputs=(Input("regimes"),))
    with pytest.raises(RequestError, match="regimes, joint_regime_context read each other in a circle"):
        in_order([one, two])
