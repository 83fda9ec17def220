"""Declarations of joint spaces: what follows from one, and that those there are make sense."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import prometheus
from prometheus.cli.config import conf_dir
from prometheus.spaces.joint import SPACES, Branch, JointSpace, LastKnown, SameDay, joint_spaces

ROOT = Path(prometheus.__file__).parent.parent
SEEDS = {
    "regime_context": ("REGIME_CONTEXT_V0", "joint-regime-core-v1"),
    "regime_macro": ("REGIME_MACRO_V0", "joint-regime-core-v1"),
    "profile_core": ("PROFILE_CORE_V0", "joint-profile-core-v1"),
    "stab_fragility_states": ("STAB_FRAGILITY_V0", "joint-stab-fragility-v1"),
    "stab_fragility_scenarios": ("STAB_FRAGILITY_V0", "joint-stab-fragility-v1"),
    "assessment_context": ("ASSESSMENT_CTX_V0", "joint-assessment-context-v1"),
    "episode": ("EPISODE_V0", "joint-episode-core-v1"),
    "portfolio_core": ("PORTFOLIO_CORE_V0", "joint-portfolio-core-v1"),
}
FOLDERS = {
    "regime_context": "regime_num-regime-core-v1__text-fin-general-v1",
    "profile_core": "profile_num-profile-core-v1__text-profile-v1__num-regime-core-v1",
    "stab_fragility_states": "stab_num-stab-core-v1__num-scenario-core-v1__joint-profile-core-v1",
}


def toy(**changed: object) -> JointSpace:
    branches = (
        Branch("one", "numeric", "num-a-v1", 0.5, group="num"),
        Branch("two", "numeric", "num-b-v1", 0.5, group="num", required=False),
        Branch("text", "macro", "text-a-v1", 2.0, join=LastKnown(30)),
    )
    given = {"name": "toy", "joint_type": "TOY_V0", "model_id": "joint-toy-v1", "folder": "toy", "entity": "issuer"}
    return JointSpace(**{**given, "summary": "toys", "branches": branches, **changed})  # type: ignore[arg-type]


def test_names_weights_and_ages_follow_from_the_declaration() -> None:
    space = toy()
    assert (space.stage, space.statistics) == ("joint_toy", "branch_statistics_toy")
    assert toy(scaled_by="other").statistics == "branch_statistics_other"
    assert space.weights == {"num": 0.5, "text": 2.0}
    assert space.max_age == {"text": 30}
    assert [b.max_age for b in space.branches] == [0, 0, 30]
    assert space.branch("two").model_parameter == "two_model_id"
    assert space.branch("two").variant_parameter == "two_variant"
    assert Branch("x", "news", "m", 1.0, model_param="text_id").model_parameter == "text_id"
    assert SameDay() == SameDay() != LastKnown(0)


def test_the_spaces_asked_for_exist_under_their_names() -> None:
    assert {name: (s.joint_type, s.model_id) for name, s in SPACES.items()}.items() >= SEEDS.items()
    assert {n: SPACES[n].folder for n in FOLDERS} == FOLDERS
    assert SPACES["stab_fragility_scenarios"].folder == SPACES["stab_fragility_states"].folder
    assert joint_spaces() == SPACES


def test_join_rules_and_requirements_are_those_of_the_methods() -> None:
    rules = {(s.name, b.name): (b.weight, b.required, b.max_age) for s in SPACES.values() for b in s.branches}
    assert (
        rules.items()
        >= {
            ("regime_macro", "regime"): (0.5, True, 0),
            ("regime_macro", "text"): (0.5, True, 45),
            ("profile_core", "profile"): (0.5, True, 0),
            ("profile_core", "behaviour"): (0.5, False, 0),
            ("profile_core", "text"): (0.5, True, 400),
            ("stab_fragility_states", "stab"): (1.0, True, 0),
            ("stab_fragility_states", "scenario"): (1.0, False, 0),
            ("stab_fragility_states", "profile"): (1.0, False, 95),
            ("stab_fragility_scenarios", "scenario"): (1.0, True, 0),
            ("episode", "regime"): (0.5, True, 0),
            ("episode", "text"): (0.5, True, 0),
            ("assessment_context", "profile"): (1.0, False, 95),
            ("assessment_context", "regime"): (1.0, False, 0),
            ("assessment_context", "stab"): (1.0, False, 0),
            ("assessment_context", "text"): (1.0, False, 0),
            ("portfolio_core", "numeric"): (1.0, True, 0),
        }.items()
    )


@pytest.mark.parametrize("name", SPACES)
def test_a_space_holds_together(name: str) -> None:
    space = SPACES[name]
    assert len({b.name for b in space.branches}) == len(space.branches)
    assert all(b.absent for b in space.branches if b.required), "a required branch says what is missing"
    assert {b.weight for b in space.branches if b.group} <= {0.5}
    fitted = SPACES[space.scaled_by or name]
    assert {b.scaled_as or b.name for b in space.branches} <= {b.name for b in fitted.branches}
    assert not fitted.scaled_by
    assert (ROOT / "prometheus" / "scripts" / f"{space.command}.py").is_file()


@pytest.mark.parametrize("name", SPACES)
def test_every_space_has_its_page_and_its_settings(name: str) -> None:
    space = SPACES[name]
    page = (ROOT / "docs" / "joint_spaces" / space.folder / "README.md").read_text(encoding="utf-8")
    assert page.startswith(f"# Joint space: {space.folder}\n")
    for word in (space.joint_type, space.model_id, space.command, f"conf/space/{name}.yaml", space.stage):
        assert f"`{word}`" in page or word in page, word
    for branch in space.branches:
        assert f"**{branch.name}**" in page
        assert not branch.max_age or f"{branch.max_age} " in page
    settings = yaml.safe_load((conf_dir() / "space" / f"{name}.yaml").read_text(encoding="utf-8"))
    for variant in settings["variants"]:
        assert f"`{variant}`" in page, variant


def test_two_spaces_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import prometheus.spaces.joint as joint

    source = "from prometheus.spaces.joint.regime_macro import REGIME_MACRO\nimport dataclasses\n"
    (tmp_path / "twin_of_macro.py").write_text(f"{source}TWIN = dataclasses.replace(REGIME_MACRO, folder='x')\n")
    monkeypatch.setattr(joint, "__path__", [*joint.__path__, str(tmp_path)])
    with pytest.raises(ValueError, match="two joint spaces are called 'regime_macro'"):
        joint_spaces()
    monkeypatch.delitem(__import__("sys").modules, "prometheus.spaces.joint.twin_of_macro")
    monkeypatch.delattr(joint, "twin_of_macro")
