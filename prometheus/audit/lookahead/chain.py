"""Which stages an audit runs, in which order and with which parameters: all of it from their declarations.

1. Stages are put in order: whatever makes a table comes before whatever reads it.
2. Selections are opened wide: every region and market asked for, every choice a selection declares.
3. Each stage is run with its parameters as configured. A setting that names the variant of an upstream table
   (``variant_of``) follows the variant the audit made that table under.
4. A stage with such a setting left empty (an optional input that is off) is run a second time with it on.
5. A run whose settings are not the defaults gets a variant named after what differs; ``v0`` stands for the defaults.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus.clock import CutoffRule
from prometheus.errors import RequestError
from prometheus.lake import CONTRACTS
from prometheus.runtime import Stage, StageParams, settings_of
from prometheus.runtime.params import canonical_json, fields_with_role

ParamsOf = Callable[[Stage[Any]], StageParams]
"""A stage to the parameters it is audited with, before selections are opened and variants named."""

Words = tuple[str, ...]

DEFAULT_VARIANT = "v0"


@dataclass(frozen=True)
class Step:
    """One run of one stage."""

    stage: Stage[Any]
    params: StageParams

    @property
    def name(self) -> str:
        """Stage and variant."""
        return f"{self.stage.name} [{self.params.variant}]"

    @property
    def inputs(self) -> frozenset[str]:
        """Tables read."""
        return frozenset(i.table for i in self.stage.inputs)

    def reads_output_of(self, other: Step) -> bool:
        """Whether a table this step reads is made by another one."""
        return not self.inputs.isdisjoint(other.stage.outputs)


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
        read = {i.table for s in stages if s.name in wanted for i in s.inputs}
        more = {s.name for s in stages if not read.isdisjoint(s.outputs)} | wanted
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
            read = {i.table for i in stage.inputs}
            # A stage that reads its own table (it carries a state) does not wait for itself.
            if not any(other is not stage and not read.isdisjoint(other.outputs) for other in waiting):
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
    """
    steps: list[Step] = []
    made: dict[str, Words] = {}
    for stage in in_order(stages):
        opened = _opened(dataclasses.replace(params_of(stage), cutoff=cutoff), regions, market_ids)
        if opened is None:
            continue
        plain, words = _named(stage, _following(opened, made), made)
        steps.append(Step(stage, plain))
        full, switched = _switched_on(stage, plain, made)
        if switched:
            steps.append(Step(stage, dataclasses.replace(full, variant=variant_of((*words, *switched)))))
        for table in stage.outputs:
            made.setdefault(table, words)
    return tuple(steps)


def variant_of(words: Words) -> str:
    """Return the name of a variant from what differs."""
    return "_".join(words) or DEFAULT_VARIANT


def _opened(params: StageParams, regions: Sequence[str], market_ids: Sequence[str]) -> StageParams | None:
    wide: dict[str, Any] = {}
    for field in fields_with_role(params, "selection"):
        value = getattr(params, field.name)
        if field.metadata.get("narrows") or not isinstance(value, tuple):
            continue
        if field.name == "region":
            if not regions:
                return None
            wide["region"] = tuple(regions)
        elif field.name == "market_id":
            wide["market_id"] = tuple(market_ids)
        elif field.metadata.get("choices"):
            wide[field.name] = tuple(field.metadata["choices"])
    return dataclasses.replace(params, **wide)


def _upstream_variants(params: StageParams) -> dict[str, str]:
    """Settings that name the variant of a table, and the table."""
    return {
        f.name: f.metadata["variant_of"] for f in fields_with_role(params, "setting") if f.metadata.get("variant_of")
    }


def _following(params: StageParams, made: Mapping[str, Words]) -> StageParams:
    names: dict[str, Any] = {
        name: variant_of(made[table])
        for name, table in _upstream_variants(params).items()
        if getattr(params, name) and table in made
    }
    return dataclasses.replace(params, **names)


def _switched_on(stage: Stage[Any], params: StageParams, made: Mapping[str, Words]) -> tuple[StageParams, Words]:
    read = {i.table for i in stage.inputs}
    names: dict[str, Any] = {
        name: variant_of(made[table])
        for name, table in _upstream_variants(params).items()
        if not getattr(params, name) and table in made and table in read
    }
    return dataclasses.replace(params, **names), tuple(names)


def _named(stage: Stage[Any], params: StageParams, made: Mapping[str, Words]) -> tuple[StageParams, Words]:
    """Name the variant after what is not as by default: upstream variants first, then the stage's own settings."""
    upstream = _upstream_variants(params)
    words = [w for name, table in upstream.items() if getattr(params, name) for w in made.get(table, ())]
    usual = settings_of(stage.params())
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
