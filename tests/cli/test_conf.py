"""The configuration files: each loads, composes, and says what the declarations say."""

from __future__ import annotations

import dataclasses
import itertools
import json
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from prometheus.cli.command import add_stage_flags
from prometheus.cli.config import NODES, compose, conf_dir, does_not_compose, markets_from, node_of, params_for
from prometheus.cli.demo import load_synthetic
from prometheus.cli.stage_command import stage_parser
from prometheus.clock import DEFAULT_MARKETS
from prometheus.errors import RequestError
from prometheus.market.ingest import load_map
from prometheus.spaces.joint import SPACES
from prometheus.stages import STAGES, all_stages, joint, stage

CONF = conf_dir()
FILES = sorted(p.relative_to(CONF).as_posix() for p in CONF.rglob("*.yaml"))
JOBS = sorted(p.stem for p in CONF.glob("*.yaml"))
NOT_COMPOSED = ("ingest", "retention", "synthetic")
GROUPS = sorted({str(Path(f).parent) for f in FILES} - {".", *NOT_COMPOSED})
RANGE = "range=[2025-01-02,2025-01-31]"


def options(group: str) -> list[str]:
    return [Path(f).stem for f in FILES if str(Path(f).parent) == group]


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_a_mapping(name: str) -> None:
    assert isinstance(yaml.safe_load((CONF / name).read_text(encoding="utf-8")), dict)


def test_there_is_a_file_for_every_job() -> None:
    jobs = {p.stem for p in (CONF.parent / "jobs").glob("*.py")} - {"__init__"}
    assert jobs == set(JOBS)


@pytest.mark.parametrize("job", JOBS)
def test_every_job_composes(job: str) -> None:
    config = compose(job)
    assert config.lake is None
    assert config.quiet is False


@pytest.fixture(scope="module")
def episodes_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    episode = {"episode_id": "E", "label": "e", "region": "US", "start_date": "2025-01-02", "end_date": "2025-01-31"}
    path = tmp_path_factory.mktemp("conf") / "episodes.json"
    path.write_text(json.dumps([episode]), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(("group", "option"), [(g, o) for g in GROUPS for o in options(g)])
def test_every_option_composes_and_makes_parameters(group: str, option: str, episodes_file: str) -> None:
    config = compose("backfill", [f"{group}={option}", RANGE])
    given = {"variant": "trial", "episodes_file": episodes_file}
    for declared in all_stages():
        node = node_of(config, declared.name)
        offered = next(
            (f.metadata.get("choices") for f in dataclasses.fields(declared.params) if f.name == "encoder"), None
        )
        if group == "encoder/numeric" and offered and option not in offered:
            with pytest.raises(RequestError, match=f"encoder must be one of .*; got '{option}'"):
                params_for(declared.params, node, given)
            continue
        params = params_for(declared.params, node, given)
        assert isinstance(params, declared.params)
        declared.surface(params)
        if declared.fingerprint:
            declared.fingerprint(params)


@pytest.mark.parametrize("name", STAGES)
def test_the_configuration_and_the_declaration_agree(name: str) -> None:
    """Python's defaults and Hydra's are the same settings, so v0 is the same variant through either door."""
    declared = stage(name)
    assert params_for(declared.params, node_of(compose("backfill"), name)) == declared.params()


def test_every_stage_has_its_nodes_and_every_key_of_a_node_is_somebodys() -> None:
    config = compose("backfill")
    assert set(NODES) == set(STAGES)
    known: dict[str, set[str]] = {}
    found: dict[str, set[str]] = {}
    for name, paths in NODES.items():
        for path in (p for p in paths if p != "space"):
            node: Any = config
            for part in path.split("."):
                node = node[part]
            keys = {"encoder", "encoder_settings"} if path == "encoder.numeric" else set(node)
            found.setdefault(path, set()).update(keys - {"variants"})
            known.setdefault(path, set()).update(f.name for f in dataclasses.fields(stage(name).params))
    for path, keys in found.items():
        assert keys <= known[path], path


@pytest.mark.parametrize("name", joint.stage_names())
def test_every_key_of_a_space_and_of_its_variants_is_a_parameter_of_its_stages(name: str) -> None:
    """Whatever space the job is about: the others are as their files have them."""
    config = compose("backfill", ["space.weights.text=0.3"])
    node = node_of(config, name)
    declared = {f.name for f in dataclasses.fields(stage(name).params)}
    assert node.pop("name") == joint.space_name_of(name)
    variants = node.pop("variants")
    assert set(node) <= declared
    for settings in variants.values():
        assert set(settings) <= declared
    assert (node["weights"].get("text") == 0.3) == (joint.space_name_of(name) == "regime_context")


@pytest.mark.parametrize("variant", ["v0", "calibrated", "hashing", "hashing_calibrated"])
def test_named_variants_put_their_settings_over_the_defaults(variant: str) -> None:
    node = node_of(compose("backfill"), "joint_regime_context")
    params = params_for(stage("joint_regime_context").params, node, {"variant": variant})
    changed = {
        f.name: getattr(params, f.name)
        for f in dataclasses.fields(params)
        if getattr(params, f.name) != getattr(stage("joint_regime_context").params(), f.name)
    }
    assert changed == {} if variant == "v0" else changed == {"variant": variant, **node["variants"][variant]}


def test_what_is_given_goes_before_the_variant_and_the_variant_before_the_node() -> None:
    declared = stage("joint_regime_context").params
    node = {"text_variant": "node", "language": "node", "variants": {"mine": {"text_variant": "variant"}}}
    params: Any = params_for(declared, node, {"variant": "mine", "language": "given", "proxy": None})
    assert (params.text_variant, params.language, params.proxy) == ("variant", "given", "MARKET")


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        ({"seed": "x"}, "seed must be int, got 'x'"),
        ({"seed": True}, "seed must be int, got True"),
        ({"infer_splits": "yes"}, "infer_splits must be bool, got 'yes'"),
        ({"encoder": "magic"}, "encoder must be one of blocks, pad_to_dim, seed, random_projection, pca; got 'magic'"),
        ({"cutoff": "noon"}, "cutoff must be one of end_of_day, session_close, next_open; got 'noon'"),
    ],
)
def test_values_that_do_not_fit_are_refused(node: Mapping[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError) as refusal:
        params_for(stage("regimes").params, node)
    assert str(refusal.value) == sentence


def test_the_calendar_file_says_what_the_code_says() -> None:
    assert markets_from(compose("backfill")) == DEFAULT_MARKETS
    assert markets_from(compose("ingest")) == DEFAULT_MARKETS


def test_space_files_say_what_the_spaces_say() -> None:
    assert set(options("space")) == set(SPACES)
    for name, space in SPACES.items():
        node = compose("backfill", [f"space={name}"]).space
        assert dict(node.weights) == space.weights
        assert dict(node.max_age) == space.max_age
        assert node.joint_model_id == space.model_id
        assert {"v0", "calibrated"} <= set(node.variants)


@pytest.mark.parametrize("name", SPACES)
def test_every_calibrated_variant_is_scaled_by_one_that_is_declared(name: str) -> None:
    node = yaml.safe_load((CONF / "space" / f"{name}.yaml").read_text(encoding="utf-8"))
    fitted = yaml.safe_load((CONF / "space" / f"{SPACES[name].scaled_by or name}.yaml").read_text(encoding="utf-8"))
    bases = {s["calibrate"] for s in node["variants"].values() if "calibrate" in s}
    assert bases <= set(fitted["variants"])


@pytest.mark.parametrize("name", options("ingest"))
def test_every_ingest_map_loads(name: str) -> None:
    loaded = load_map(CONF / "ingest" / f"{name}.yaml")
    assert loaded.name == name
    assert loaded.feeds


@pytest.mark.parametrize("name", options("synthetic"))
def test_every_synthetic_market_loads(name: str) -> None:
    market = load_synthetic(name)
    assert {m.region for m in market.markets} <= {"US", "EU", "ASIA"}
    assert market.seed


@pytest.mark.parametrize("name", STAGES)
def test_every_parameter_but_nested_ones_has_a_flag(name: str) -> None:
    declared = stage(name)
    parser = stage_parser("trial", [declared], "trial")
    flags = {action.dest: action for action in parser._actions}
    hints = typing.get_type_hints(declared.params)
    for field in dataclasses.fields(declared.params):
        nested = typing.get_origin(hints[field.name]) in (dict, Mapping)
        assert (field.name in flags) != nested, field.name
        if not nested:
            assert field.metadata["help"].split("%")[0] in (flags[field.name].help or "")
    add_stage_flags(parser, declared.params)  # a second stage with the same parameters adds none twice
    names = list(itertools.chain.from_iterable(a.option_strings for a in parser._actions))
    assert len(names) == len(set(names))


def test_only_what_hydra_raises_says_that_a_configuration_does_not_compose() -> None:
    """A ValueError of ours is a bug, and is never dressed up as a wrong request."""
    with pytest.raises(RequestError, match="names a file of conf/space"):
        compose("backfill", ["space=null"])
    with pytest.raises(ValueError, match="seven") as ours:
        int("seven")
    assert not does_not_compose(ours.value)
