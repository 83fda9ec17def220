"""Parameters of a joint space's stages, made from its declaration.

Every branch brings the model and the variant it is read under; every kind of source brings the settings it takes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from prometheus.encoders.models_joint_simple import SimpleAverageJointModel
from prometheus.errors import RequestError
from prometheus.runtime import StageParams, selection, setting
from prometheus.runtime.params import file
from prometheus.spaces.joint import SPACES, Branch, JointSpace

MARKET_PROXY = "MARKET"
FUSIONS = ("average", "concat_projection")

_VARIANT_TABLE = {
    "regimes": "regimes",
    "regimes_over_episode": "regimes",
    "news": "text_embeddings",
    "news_over_episode": "text_embeddings",
    "own_news": "text_embeddings",
    "macro": "text_embeddings",
    "profile_text": "text_embeddings",
    "numeric": "numeric_window_embeddings",
    "named_scenario": "numeric_window_embeddings",
    "joint": "joint_embeddings",
}

_LANGUAGE = ("language", str, "", "average only articles of this language (any case); all when empty")
_PROXY = ("proxy", str, MARKET_PROXY, "whose regime stands for the region: MARKET or an instrument")
_SOURCE_SETTINGS: dict[str, tuple[tuple[str, type, Any, str], ...]] = {
    "regimes": (_PROXY,),
    "regimes_over_episode": (_PROXY,),
    "news": (_LANGUAGE,),
    "news_over_episode": (_LANGUAGE,),
    "own_news": (
        _LANGUAGE,
        ("text_window_days", int, 7, "calendar days of news that count, the day itself included"),
        ("text_half_life", float, 3.0, "calendar days after which an article counts half"),
    ),
    "macro": (
        ("country", str, "", "only macro texts of this country; all when empty"),
        ("event_type", str, "", "only macro texts of this kind; all when empty"),
    ),
    "named_scenario": (("scenario_id", str, "", "scenario (set/id) whose vector joins every state; none when empty"),),
}


def source_settings(branch: Branch) -> tuple[str, ...]:
    """Names of the settings that a branch's kind of source takes."""
    return tuple(name for name, *_ in _SOURCE_SETTINGS.get(branch.source, ()))


_SELECTIONS: dict[str, tuple[tuple[str, tuple[str, ...], str, bool], ...]] = {
    "region": (("region", ("US",), "region; repeat for several", False),),
    "issuer": (
        ("market_id", (), "market; repeat for several; all in the lake when none", False),
        ("issuer_id", (), "only these issuers; repeat for several", True),
    ),
    "instrument": (
        ("market_id", (), "market; repeat for several; all in the lake when none", False),
        ("region", (), "regions whose markets are meant, where no market is named; repeat for several", False),
        ("instrument_id", (), "only these instruments; repeat for several", True),
    ),
    "scenario": (("scenario_set_id", (), "only these scenario sets; repeat for several", True),),
    "episode": (("region", (), "only episodes of these regions; repeat for several", False),),
    "portfolio": (
        ("market_id", (), "market; repeat for several; all in the lake when none", False),
        ("portfolio_id", (), "only these portfolios; repeat for several", True),
    ),
}


@dataclass(frozen=True)
class JointParams(StageParams):
    """What the stages of every joint space understand; :func:`params_of` adds what one space has."""

    joint_model_id: str = setting("", "model id the rows are stored under")
    weights: Mapping[str, float] = setting({}, "weight of each branch")
    max_age: Mapping[str, int] = setting({}, "calendar days a branch's last known value may be old")
    fusion: str = setting("average", "how branches become one vector", choices=FUSIONS)
    calibrate: str = setting(
        "",
        "variant of branch_statistics to centre and scale branches by; off when empty",
        variant_of="branch_statistics",
    )

    def model(self, branch: Branch) -> str:
        """Model a branch is read under; empty when it is off."""
        value: str = getattr(self, branch.model_parameter)
        return "" if branch.source == "named_scenario" and not self.source("scenario_id") else value

    def source(self, name: str) -> Any:
        """Setting that a kind of source takes; None where the space has no such source."""
        return getattr(self, name, None)

    def variant_of(self, branch: Branch) -> str:
        """Variant a branch is read under."""
        value: str = getattr(self, branch.variant_parameter)
        return value

    def age(self, branch: Branch) -> int:
        """Calendar days a branch's value may be old."""
        return int(self.max_age.get(branch.name, branch.max_age))


def active(space: JointSpace, params: JointParams) -> tuple[Branch, ...]:
    """Branches that are switched on."""
    return tuple(b for b in space.branches if params.model(b))


def check_settings(space: JointSpace, params: JointParams) -> None:
    """Refuse weights that do not name exactly the branches, ages and windows that are none, a required branch off.

    Raises
    ------
    RequestError
        Naming the branches there are.
    """
    names = list(space.weights)
    if set(params.weights) != set(names):
        raise RequestError(f"weights must name exactly {', '.join(names)}; got {', '.join(sorted(params.weights))}")
    try:
        SimpleAverageJointModel(weights=list(params.weights.values()))
    except (TypeError, ValueError) as error:
        raise RequestError(f"weights {dict(params.weights)} cannot be averaged with: {error}") from None
    unknown = sorted(set(params.max_age) - set(space.max_age))
    if unknown:
        known = ", ".join(space.max_age) or "none of its branches"
        raise RequestError(f"max_age names {', '.join(unknown)}; {space.name} has ages for {known}")
    for name, age in params.max_age.items():
        if isinstance(age, bool) or not isinstance(age, int) or age < 0:
            raise RequestError(f"max_age of {name} must be a whole number of days, 0 or more; got {age!r}")
    days, half_life = params.source("text_window_days"), params.source("text_half_life")
    if days is not None and days < 1:
        raise RequestError(f"text_window_days must be at least 1, the day itself; got {days}")
    if half_life is not None and not 0 < half_life < math.inf:
        raise RequestError(f"text_half_life must be a positive number of days; got {half_life}")
    for branch in space.branches:
        if branch.required and not params.model(branch):
            raise RequestError(f"branch {branch.name} of {space.joint_type} cannot be switched off; it is required")


@cache
def params_of(space_name: str) -> type[JointParams]:
    """Return the parameter class of a space."""
    space = SPACES[space_name]
    fields: dict[str, tuple[type, Any]] = {}
    for name, default, text, narrowing in _SELECTIONS[space.entity]:
        fields[name] = (tuple[str, ...], selection(default, text, narrows=narrowing))
    for branch in space.branches:
        said = f"model id of the branch {branch.name}" + ("" if branch.required else "; off when empty")
        fields[branch.model_parameter] = (str, setting(branch.model_id or _default_model(branch), said))
        fields[branch.variant_parameter] = (
            str,
            setting("v0", f"variant of the branch {branch.name}", variant_of=_VARIANT_TABLE[branch.source]),
        )
        for name, kind, default, text in _SOURCE_SETTINGS.get(branch.source, ()):
            fields[name] = (kind, setting(space.settings.get(name, default), text))
    if space.entity == "episode":
        said = "JSON list of episode_id, label, region, start_date, end_date"
        fields["episodes_file"] = (str, file("", said))
    if space.entity == "scenario":
        fields["set_variant"] = (str, setting("v0", "variant of the scenario sets", variant_of="scenario_paths"))
    fields["joint_model_id"] = (str, setting(space.model_id, "model id the rows are stored under"))
    fields["weights"] = (Mapping[str, float], setting(space.weights, "weight of each branch"))
    fields["max_age"] = (Mapping[str, int], setting(space.max_age, "calendar days a branch's value may be old"))
    made: type[JointParams] = dataclasses.make_dataclass(
        class_name(space),
        [(name, kind, spec) for name, (kind, spec) in fields.items()],
        bases=(JointParams,),
        frozen=True,
        namespace={"__doc__": f"Parameters of {space.joint_type} ({space.name})."},
    )
    # Where pickle finds it again, in another process.
    made.__module__ = __name__
    return made


def _default_model(branch: Branch) -> str:
    return "num-scenario-core-v1" if branch.source == "named_scenario" else branch.model_id


def class_name(space: JointSpace) -> str:
    """Name of a space's parameter class."""
    return f"Joint{''.join(w.title() for w in space.name.split('_'))}Params"


def __getattr__(name: str) -> Any:
    for space in SPACES.values():
        if class_name(space) == name:
            return params_of(space.name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
