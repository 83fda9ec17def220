"""Configuration: where the YAML files lie, and how their nodes become a stage's parameters."""

from __future__ import annotations

import dataclasses
import traceback
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import prometheus
from prometheus.clock import Markets
from prometheus.errors import RequestError
from prometheus.runtime.params import StageParams
from prometheus.stages import joint

NODES: dict[str, tuple[str, ...]] = {
    "returns": (),
    "factors": (),
    "scenarios": (),
    "encoder_fits": ("encoder.fit",),
    "numeric_embeddings": ("encoder.numeric",),
    "scenario_embeddings": ("encoder.numeric",),
    "regime_prototypes": ("encoder.numeric", "engine.regime"),
    "regimes": ("encoder.numeric", "engine.regime"),
    "text_embeddings": ("encoder.text",),
    "profile_text_embeddings": ("encoder.text",),
    "document_text_embeddings": ("encoder.text",),
    "macro_text_embeddings": ("encoder.text",),
    **dict.fromkeys(joint.stage_names(), ("space",)),
    "context_regime_fits": ("encoder.numeric", "engine.regime"),
    "context_regimes": ("encoder.numeric", "engine.regime"),
    "regime_transitions": (),
    "stability_fits": ("engine.stability",),
    "stability": ("engine.stability",),
    "assessment_fits": ("engine.assessment",),
    "assessment": ("engine.assessment",),
    "regime_change_risk": ("engine.state_changes",),
    "stability_change_risk": ("engine.state_changes",),
    "universes": ("universe",),
    "portfolios": ("portfolio",),
    "risk": ("engine.risk",),
    "portfolio_embeddings": ("encoder.numeric", "engine.risk"),
}
"""Which configuration nodes hold a stage's parameters; keys there are the parameters' own names."""


def conf_dir() -> Path:
    """Folder of the configuration files: beside the package in a checkout, inside it when installed."""
    package = Path(prometheus.__file__).parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def compose(job: str, overrides: Sequence[str] = ()) -> Any:
    """Compose a job's configuration from its groups and ``key=value`` overrides, as its Hydra command would.

    Raises
    ------
    RequestError
        When an override does not parse or names nothing.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    unheard = [o for o in overrides if o.startswith(("+", "~"))]
    if unheard:
        raise RequestError(f"{' '.join(unheard)}: no key can be added or taken out; it would not be heard")
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
            return hydra_compose(config_name=job, overrides=list(overrides))
    except Exception as error:
        if not does_not_compose(error):
            raise
        sentence = composition_sentence(error)
        raise RequestError(f"the configuration overrides {list(overrides)} do not fit: {sentence}") from None


def does_not_compose(error: BaseException) -> bool:
    """Whether an error says that a configuration does not compose.

    A group that is given no name (``space=null``) Hydra refuses with a ``ValueError`` of its own.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, HydraException | OmegaConfBaseException):
        return True
    raised_in = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)][-1:]
    return isinstance(error, ValueError) and any(name.startswith("hydra.") for name in raised_in)


def composition_sentence(error: BaseException) -> str:
    """Say in one line why a configuration does not compose, without the search path and the library's own hints."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    end = next((i for i, line in enumerate(lines) if line.startswith(_LIBRARY_HINTS)), len(lines))
    said = " ".join(lines[:end] or [type(error).__name__])
    return f"{said}; space=regime_context, say, names a file of conf/space" if type(error) is ValueError else said


_LIBRARY_HINTS = ("To append to your config", "Config search path", "full_key:", "object_type", "See https:", "Key '")


def required(config: Any, key: str, example: str) -> Any:
    """Return what a job cannot do without.

    Raises
    ------
    RequestError
        When it was not given.
    """
    from omegaconf import OmegaConf

    if OmegaConf.is_missing(config, key):
        raise RequestError(f"{key} is missing; give it, for example {key}={example}")
    return config[key]


def flag_of(config: Any, key: str) -> bool:
    """Return a switch of a job.

    Raises
    ------
    RequestError
        When it is neither true nor false.
    """
    value = config[key]
    if not isinstance(value, bool):
        raise RequestError(f"{key} must be true or false, got {value!r}")
    return value


def markets_from(config: Any) -> Markets:
    """Markets as the calendar group declares them."""
    from omegaconf import OmegaConf

    return Markets.from_mapping(typing.cast(Any, OmegaConf.to_container(config.calendar.markets, resolve=True)))


def node_of(config: Any, stage: str) -> dict[str, Any]:
    """Return a stage's configuration nodes as one plain dict; empty when it has none."""
    from omegaconf import OmegaConf

    merged: dict[str, Any] = {}
    for path in NODES.get(stage, ()):
        found = OmegaConf.select(config, path) if path != "space" else _space_node(config, stage)
        node: Any = OmegaConf.to_container(found, resolve=True) if found is not None else {}
        if path == "encoder.numeric":
            # What an encoder takes depends on which one it is, so its settings travel as one parameter.
            node = {"encoder": node.pop("name"), "encoder_settings": node} if node else {}
        merged.update(node)
    return merged


def _space_node(config: Any, stage: str) -> Any:
    """Settings of the space a stage belongs to: as composed for the configured one, else as its file has them."""
    from omegaconf import OmegaConf

    name = joint.space_name_of(stage)
    if OmegaConf.select(config, "space.name") == name:
        return config.space
    return OmegaConf.load(conf_dir() / "space" / f"{name}.yaml")


def params_for(
    params: type[StageParams], node: Mapping[str, Any], given: Mapping[str, Any] | None = None
) -> StageParams:
    """Build a stage's parameters: declared defaults, then the node, then its variant's settings, then what was given.

    Raises
    ------
    RequestError
        When a value has the wrong type or is not among the choices.
    """
    given = {k: v for k, v in (given or {}).items() if v is not None}
    declared = {f.name: f for f in dataclasses.fields(params)}
    values = {k: v for k, v in node.items() if k in declared}
    variant = given.get("variant", values.get("variant", "v0"))
    settings = (node.get("variants") or {}).get(variant) or {}
    values.update({k: v for k, v in settings.items() if k in declared})
    values.update({k: v for k, v in given.items() if k in declared})
    values["variant"] = variant
    hints = typing.get_type_hints(params)
    return params(**{k: _fit(k, v, hints[k], declared[k].metadata.get("choices")) for k, v in values.items()})


def _fit(name: str, value: Any, hint: Any, choices: Sequence[str] | None) -> Any:
    origin = typing.get_origin(hint)
    several = tuple([value] if isinstance(value, str) else value) if origin is tuple else (value,)
    unknown = [v for v in several if choices and v is not None and v not in choices]
    if unknown:
        raise RequestError(f"{name} must be one of {', '.join(choices or ())}; got {unknown[0]!r}")
    if origin is tuple:
        return several
    if origin in (types.UnionType, typing.Union):
        return value
    plain = {int: int, float: float, str: str, bool: bool}.get(hint)
    if plain is None or isinstance(value, bool) is not (plain is bool):
        if plain is bool or (plain is not None and isinstance(value, bool)):
            raise RequestError(f"{name} must be {hint.__name__}, got {value!r}")
        return value
    try:
        return plain(value)
    except (TypeError, ValueError):
        raise RequestError(f"{name} must be {hint.__name__}, got {value!r}") from None
