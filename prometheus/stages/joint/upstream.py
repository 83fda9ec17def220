"""What must be built before a joint space can be, from its branches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from prometheus.errors import RequestError
from prometheus.runtime.params import canonical_json
from prometheus.spaces.joint import SPACES, Branch, JointSpace
from prometheus.stages.joint.params import JointParams, active, source_settings

Resolve = Callable[[str, Mapping[str, Any]], JointParams]
"""``resolve(space_name, given)``: parameters of a space as configured, with some values given."""


@dataclass(frozen=True)
class Step:
    """One run of one stage.

    Attributes
    ----------
    stage : str
    given : mapping
        Parameter values that go before the configuration's.
    back : int
        Calendar days before the request's first that are needed too.
    """

    stage: str
    given: Mapping[str, Any]
    back: int = 0


@dataclass(frozen=True)
class Request:
    """Which entities a backfill is about."""

    regions: tuple[str, ...]
    market_ids: tuple[str, ...]


def steps_to(space: JointSpace, variants: Sequence[str], request: Request, resolve: Resolve) -> list[Step]:
    """List every run that makes some variants of a space from raw tables, in order, each once.

    Parameters
    ----------
    space : JointSpace
    variants : sequence of str
    request : Request
    resolve : callable

    Raises
    ------
    RequestError
        When a variant is calibrated by statistics of other branches than its own.
    """
    found: dict[str, Step] = {}
    for variant in variants:
        for step in _steps(space, {"variant": variant}, request, resolve):
            key = f"{step.stage} {canonical_json(step.given)}"
            if key not in found or found[key].back < step.back:
                found[key] = step
    return list(found.values())


def _steps(space: JointSpace, given: Mapping[str, Any], request: Request, resolve: Resolve) -> list[Step]:
    params = resolve(space.name, given)
    steps = [step for branch in active(space, params) for step in _branch(branch, params, request, resolve)]
    if params.calibrate:
        fitted = SPACES[space.scaled_by or space.name]
        base = resolve(fitted.name, {"variant": params.calibrate})
        if fitted is space:
            _check_calibration(space, params, base)
        steps += [s for b in active(fitted, base) for s in _branch(b, base, request, resolve)]
        steps.append(Step(fitted.statistics, {**_about(fitted, request), "variant": params.calibrate}))
    return [*steps, Step(space.stage, {**_about(space, request), **given})]


def _about(space: JointSpace, request: Request) -> dict[str, Any]:
    if space.entity in ("region", "episode"):
        return {"region": request.regions}
    return {"market_id": request.market_ids} if space.entity in ("issuer", "instrument", "portfolio") else {}


def _branch(branch: Branch, params: JointParams, request: Request, resolve: Resolve) -> list[Step]:
    model = {"model_id": params.model(branch), "variant": params.variant_of(branch)}
    region = {"region": request.regions}
    if branch.source in ("regimes", "regimes_over_episode"):
        proxy = params.source("proxy")
        named = {} if proxy == "MARKET" else {"instrument_id": proxy}
        return [Step(stage, {**region, **model, **named}) for stage in ("regime_prototypes", "regimes")]
    if branch.source in ("news", "news_over_episode"):
        return [Step("text_embeddings", model)]
    if branch.source == "own_news":
        return [Step("text_embeddings", model, back=params.source("text_window_days"))]
    if branch.source == "macro":
        return [Step("macro_text_embeddings", model, back=params.age(branch))]
    if branch.source == "profile_text":
        return [Step("profile_text_embeddings", model, back=params.age(branch))]
    if branch.source == "joint":
        of_type = (s for s in SPACES.values() if s.joint_type == branch.surface and s.entity != "scenario")
        given = {"joint_model_id": model["model_id"], "variant": model["variant"]}
        earlier = params.age(branch)
        return [replace(s, back=s.back + earlier) for s in _steps(next(of_type), given, request, resolve)]
    if branch.source == "numeric" and branch.surface == "INSTRUMENT":
        return [
            Step("numeric_embeddings", {**model, "entity_type": (branch.surface,), "market_id": request.market_ids})
        ]
    if branch.source == "numeric" and branch.surface == "PORTFOLIO":
        about: dict[str, Any] = {"variant": model["variant"], "market_id": request.market_ids}
        return [Step("risk", about), Step("portfolio_embeddings", {**model, **about})]
    return [Step("scenario_embeddings", model)]


def _check_calibration(space: JointSpace, params: JointParams, base: JointParams) -> None:
    """Refuse to centre and scale branches by the statistics of other branches."""
    same = [p for b in space.branches for p in (b.model_parameter, b.variant_parameter)]
    same += [n for b in space.branches for n in source_settings(b)]
    different = [n for n in (*dict.fromkeys(same), "max_age", "cutoff") if getattr(params, n) != getattr(base, n)]
    if different:
        said = "; ".join(f"{n} is {getattr(params, n)!r} here and {getattr(base, n)!r} there" for n in different)
        raise RequestError(
            f"variant {params.variant!r} cannot be calibrated by {base.variant!r}, whose branches are others: {said}"
        )
