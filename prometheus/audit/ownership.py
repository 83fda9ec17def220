"""Whose rows are whose: from lineage and the stages' declarations, the rows each scope answers for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from prometheus.clock import Markets
from prometheus.errors import PrometheusError
from prometheus.lake import Lake
from prometheus.runtime import Holding, Stage, StageParams

OWNER = ("stage", "variant", "settings_digest", "scope")
"""Columns of lineage that name an owner."""


@dataclass(frozen=True)
class Owner:
    """One scope of one stage and settings, and the rows of one table that its lineage counts."""

    stage: str
    variant: str
    settings_digest: str
    scope: str
    table: str
    holding: Holding

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Values of :data:`OWNER`."""
        return self.stage, self.variant, self.settings_digest, self.scope

    @property
    def name(self) -> str:
        """The owner in words."""
        return f"{self.stage} [{self.variant}] {self.scope}"

    def may_hold(self, partition: Mapping[str, Any]) -> bool:
        """Whether rows of a partition can be its own, by the partition's values alone."""
        return all(self.holding.where.get(column, value) == value for column, value in partition.items())


def owners_of(
    lake: Lake, lineage: pl.DataFrame, stages: Sequence[Stage[Any]], markets: Markets
) -> tuple[list[Owner], dict[str, tuple[str, ...]]]:
    """Every scope lineage knows, with the rows it answers for.

    Returns
    -------
    owners : list of Owner
    unknown : dict of str to tuple of str
        Those whose rows cannot be told (no declaration, settings nobody registered, a market not configured), and
        the tables they may lie in; none named when that cannot be told either.
    """
    declared = {s.name: s for s in stages}
    settings = {
        (r["stage"], r["variant"], r["settings_digest"]): json.loads(r["settings"])
        for r in lake.read("variants").to_pylist()
    }
    owners: list[Owner] = []
    unknown: dict[str, tuple[str, ...]] = {}
    for name, variant, digest, scope in lineage.select(OWNER).unique().sort(OWNER).rows():
        stage, made_with = declared.get(name), settings.get((name, variant, digest))
        if stage is None or stage.holds is None or made_with is None:
            unknown[f"{name} [{variant}]"] = stage.outputs if stage is not None else ()
            continue
        try:
            held = stage.holds(params_of(stage, variant, made_with), scope, markets)
        except PrometheusError as refusal:
            unknown[f"{name} [{variant}] {scope} ({refusal})"] = stage.outputs
            continue
        owners += [Owner(name, variant, digest, scope, table, holding) for table, holding in held.items()]
    return owners, unknown


def params_of(stage: Stage[Any], variant: str, settings: Mapping[str, Any]) -> StageParams:
    """Rebuild a stage's parameters from the settings its variant was registered with."""
    fields = {f.name: f for f in dataclasses.fields(stage.params)}
    given = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in settings.items()
        if name in fields and fields[name].metadata.get("role") == "setting"
    }
    params: StageParams = stage.params(variant=variant, **given)
    return params
