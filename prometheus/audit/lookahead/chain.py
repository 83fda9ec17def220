"""Which stages an audit runs, in which order and with which parameters: all of it from their declarations.

1. Stages are put in order: whatever makes rows comes before whatever reads them.
2. A stage that makes several surfaces is run for each.
3. Selections are opened wide: every region and market asked for, every choice a selection declares. A file that a
   stage reads besides tables is an example, written for the audit.
4. Each stage is run with its parameters as configured. A setting that names the variant of an upstream surface
   (``variant_of``) follows the variant the audit made that surface under.
5. A stage with such a setting left empty (an optional input that is off) is run a second time with it on.
6. A run whose settings are not the defaults gets a variant named after what differs; ``v0`` stands for the defaults.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus.audit.lookahead.verdict import step_name
from prometheus.clock import CutoffRule
from prometheus.errors import RequestError
from prometheus.lake import CONTRACTS
from prometheus.runtime import Stage, StageParams, settings_of
from prometheus.runtime.params import canonical_json, fields_with_role

ParamsOf = Callable[[Stage[Any]], StageParams]
"""A stage to the parameters it is audited with, before selections are opened and variants named."""

Examples = Callable[[str], str]
"""Name of a parameter that is a file to the path of an example of one."""

Words = tuple[str, ...]


def no_examples(name: str) -> str:
    """Leave a file out: the stage refuses, and the audit says so."""
    return ""


DEFAULT_VARIANT = "v0"


@dataclass(frozen=True)
class Step:
    """One run of one stage."""

    stage: Stage[Any]
    params: StageParams

    @property
    def name(self) -> str:
        """Stage, surface where it makes several, and variant."""
        return step_name(self.stage.name, self.surface, self.params.variant)

    @property
    def surface(self) -> str:
        """Which of its stage's surfaces it makes; empty where there is one, or their variants tell."""
        told = len(self.stage.surfaces) == 1 or any("variant" in surface for surface in self.stage.surfaces)
        return "" if told else self.stage.surface(self.params)

    @property
    def inputs(self) -> frozenset[str]:
        """Tables read."""
        return frozenset(i.table for i in self.stage.inputs)

    def reads_output_of(self, other: Step) -> bool:
        """Whether this step reads rows that another one makes."""
        return _reads(self.stage, self.params, other.stage.carried(other.params))


def _reads(stage: Stage[Any], params: StageParams, carried: Mapping[str, Mapping[str, Any]]) -> bool:
    return any(i.table in carried and i.admits(params, carried[i.table]) for i in stage.inputs)


def _may_read(stage: Stage[Any], other: Stage[Any]) -> bool:
    """Whether a stage reads rows of another one, each with its default settings on any of its surfaces."""
    made = [other.carried(other.params(**surface)) for surface in other.surfaces]
    return any(_reads(stage, stage.params(**surface), carried) for surface in stage.surfaces for carried in made)


def hashed_texts(stage: Stage[Any]) -> StageParams:
    """Return a stage's default parameters, with texts hashed where it has a choice of text encoder.

    Hashing needs no model files, and whether a text is known does not depend on how it is encoded.
    """
    params: StageParams = stage.params()
    for field in fields_with_role(params, "setting"):
        if field.name == "backend" and "hashing" in (field.metadata.get("choices") or ()):
            params = dataclasses.replace(params, backend="hashing")  # type: ignore[call-arg]
    return params


def with_upstream(names: Sequence[str], stages: Sequence[Stage[Any]]) -> list[Stage[Any]]:
    """Return the named stages and everything upstream of them, in the order given.

    Raises
    ------
    RequestError
        When a name is none of a stage.
    """
    by_name = {s.name: s for s in stages}
    unknown = sorted(set(names) - by_name.keys())
    if unknown:
        raise RequestError(f"there is no stage {', '.join(unknown)}; there are {', '.join(by_name)}")
    wanted = set(names)
    while True:
        more = {s.name for s in stages if any(_may_read(by_name[name], s) for name in wanted)} | wanted
        if more == wanted:
            return [s for s in stages if s.name in wanted]
        wanted = more


def in_order(stages: Sequence[Stage[Any]]) -> list[Stage[Any]]:
    """Makers before readers; stages that do not depend on each other stay in the order given.

    Raises
    ------
    RequestError
        When stages read each other in a circle.
    """
    ordered: list[Stage[Any]] = []
    waiting = list(stages)
    while waiting:
        for stage in waiting:
            # A stage that reads its own rows (it carries a state) does not wait for itself.
            if not any(other is not stage and _may_read(stage, other) for other in waiting):
                break
        else:
            raise RequestError(f"the stages {', '.join(s.name for s in waiting)} read each other in a circle")
        waiting.remove(stage)
        ordered.append(stage)
    return ordered


def steps_of(
    stages: Sequence[Stage[Any]],
    params_of: ParamsOf,
    *,
    regions: Sequence[str],
    market_ids: Sequence[str],
    cutoff: CutoffRule,
    examples: Examples = no_examples,
) -> tuple[Step, ...]:
    """Return every run of an audit, in order.

    Parameters
    ----------
    stages : sequence of Stage
    params_of : callable
    regions, market_ids : sequence of str
        What selections named ``region`` and ``market_id`` are opened to; a stage that works by region is left out
        when there is none.
    cutoff : {'end_of_day', 'session_close', 'next_open'}
    examples : callable
        Gives the path of a file for a parameter of a stage that names one and has none.
    """
    steps: list[Step] = []
    made: list[_Made] = []
    for stage in in_order(stages):
        for surface in stage.surfaces:
            opened = _opened(_on_surface(stage, params_of(stage), surface, cutoff), regions, market_ids, examples)
            if opened is None:
                continue
            usual = settings_of(stage.params(**surface))
            own = (str(surface["variant"]),) if "variant" in surface else ()
            plain, words = _named(stage, _following(stage, opened, made), made, usual, own)
            steps.append(Step(stage, plain))
            full, switched = _switched_on(stage, plain, made)
            if switched:
                steps.append(Step(stage, dataclasses.replace(full, variant=variant_of((*words, *switched)))))
            made.append(_Made(stage.carried(plain), words))
    return tuple(steps)


@dataclass(frozen=True)
class _Made:
    """What a step writes, and the words its variant is named by."""

    carried: Mapping[str, Mapping[str, Any]]
    words: Words


def variant_of(words: Words) -> str:
    """Return the name of a variant from what differs."""
    return "_".join(words) or DEFAULT_VARIANT


def _on_surface(stage: Stage[Any], params: StageParams, surface: Mapping[str, Any], cutoff: CutoffRule) -> StageParams:
    """Parameters as configured, for one of the stage's surfaces: what was left as by default may differ there."""
    usual = stage.params()
    values = {f.name: getattr(params, f.name) for f in dataclasses.fields(params)}
    given = {name: value for name, value in values.items() if value != getattr(usual, name)}
    found: StageParams = stage.params(**{**given, **surface, "cutoff": cutoff})
    return found


def _opened(
    params: StageParams, regions: Sequence[str], market_ids: Sequence[str], examples: Examples
) -> StageParams | None:
    wide: dict[str, Any] = {}
    selections = fields_with_role(params, "selection")
    by_market = any(f.name == "market_id" for f in selections)
    for field in selections:
        value = getattr(params, field.name)
        if field.metadata.get("narrows") or not isinstance(value, tuple):
            continue
        if field.name == "region" and by_market:
            continue  # a second way to name markets, of which not all have a region
        if field.name == "region":
            if not regions:
                return None
            wide["region"] = tuple(regions)
        elif field.name == "market_id":
            wide["market_id"] = tuple(market_ids)
        elif field.metadata.get("choices"):
            wide[field.name] = tuple(field.metadata["choices"])
    for field in fields_with_role(params, "file"):
        if not getattr(params, field.name):
            wide[field.name] = examples(field.name)
    return dataclasses.replace(params, **wide)


_PROBE = "\0"


def _upstream_words(stage: Stage[Any], params: StageParams, name: str, made: Sequence[_Made]) -> Words | None:
    """Words of the variant of the surface that a setting names the variant of; None when no step makes it."""
    table = next(f for f in fields_with_role(params, "setting") if f.name == name).metadata["variant_of"]
    probe: Any = {name: _PROBE}
    probed = dataclasses.replace(params, **probe)
    read = [i for i in stage.inputs if i.table == table]
    governed = [i for i in read if i.where is not None and i.where(probed).get("variant") == _PROBE]
    for other in made:
        if any(table in other.carried and i.admits(params, other.carried[table]) for i in governed or read):
            return other.words
    return None


def _upstream_settings(params: StageParams) -> list[str]:
    """Settings that name the variant of an upstream surface."""
    return [f.name for f in fields_with_role(params, "setting") if f.metadata.get("variant_of")]


def _following(stage: Stage[Any], params: StageParams, made: Sequence[_Made]) -> StageParams:
    names: dict[str, Any] = {}
    for name in _upstream_settings(params):
        words = _upstream_words(stage, params, name, made) if getattr(params, name) else None
        if words is not None:
            names[name] = variant_of(words)
    return dataclasses.replace(params, **names)


def _switched_on(stage: Stage[Any], params: StageParams, made: Sequence[_Made]) -> tuple[StageParams, Words]:
    names: dict[str, Any] = {}
    for name in _upstream_settings(params):
        words = _upstream_words(stage, params, name, made) if not getattr(params, name) else None
        if words is not None:
            names[name] = variant_of(words)
    return dataclasses.replace(params, **names), tuple(names)


def _named(
    stage: Stage[Any], params: StageParams, made: Sequence[_Made], usual: Mapping[str, Any], own: Words
) -> tuple[StageParams, Words]:
    """Name the variant after what is not as by default: its surface's own name and upstream variants, then settings."""
    upstream = _upstream_settings(params)
    words = list(own)
    words += [w for name in upstream if getattr(params, name) for w in _upstream_words(stage, params, name, made) or ()]
    for name, value in settings_of(params).items():
        # Model ids say which surface it is; each surface has a v0 of its own.
        if name in upstream or name.endswith("model_id") or canonical_json(value) == canonical_json(usual[name]):
            continue
        words.append(value if isinstance(value, str) and value.isidentifier() else name)
    unique = tuple(dict.fromkeys(words))
    return dataclasses.replace(params, variant=variant_of(unique)), unique


def raw_tables(steps: Sequence[Step]) -> list[str]:
    """Raw tables the steps read, in the order of the contracts."""
    read = {table for step in steps for table in step.inputs}
    return [name for name, declared in CONTRACTS.items() if name in read and declared.layer == "raw"]
