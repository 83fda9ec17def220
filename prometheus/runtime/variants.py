"""Variants: a name stands for the settings it was first made with, and reads nothing that is known later than it.

The book of variants has a row a stage, surface and name. It is asked before a run and once more in the commit that
writes the name down, so that of two runs that begin a name side by side with other settings one is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from prometheus.errors import VariantConflictError
from prometheus.lake import Lake, contract
from prometheus.runtime.params import StageParams, canonical_json, digest_of, settings_of
from prometheus.runtime.stage import Input, Stage

DEFAULT_VARIANT = "v0"
_BOOK = "variants"
_LATER = ("session_close", "end_of_day", "next_open")
"""Cut-off rules by the instant they mean, earliest first."""


def check_variant(lake: Lake, stage: Stage[Any], params: StageParams) -> None:
    """Refuse settings under a variant that stands for others: v0 for the defaults, any other for what it began with.

    Raises
    ------
    VariantConflictError
        Naming the settings that differ.
    """
    if params.variant == DEFAULT_VARIANT:
        whose = f"variant {params.variant!r} stands for the default settings of {stage.name}"
        _refuse_other(_default(stage, params), _plain(settings_of(params)), whose, "is")
    _check_held(lake.read(_BOOK, where={"variant": params.variant}), stage, params)


def register_variant(lake: Lake, stage: Stage[Any], params: StageParams) -> None:
    """Write down what a variant stands for.

    Raises
    ------
    VariantConflictError
        When another run wrote other settings under the name meanwhile.
    """
    settings = settings_of(params)
    row = {
        "stage": stage.name,
        "surface": stage.surface(params),
        "variant": params.variant,
        "settings": canonical_json(settings),
        "settings_digest": digest_of(settings),
        "writes": canonical_json(stage.carried(params)),
        "cutoff": params.cutoff if stage.market is not None else None,
    }
    rows = pa.Table.from_pylist([row], schema=contract(_BOOK).schema)
    lake.upsert(_BOOK, rows, check=lambda held: _check_held(held, stage, params))


def check_cutoffs(lake: Lake, stage: Stage[Any], params: StageParams) -> None:
    """Refuse inputs whose rows of a day know what is known only after the day's own cut-off.

    Raises
    ------
    VariantConflictError
        Naming the input, its stage, and both cut-offs.
    """
    if stage.market is None:
        return
    read = [i for i in stage.inputs if i.where is not None and i.is_read(params) and "variant" in i.where(params)]
    later = _LATER[_LATER.index(params.cutoff) + 1 :]
    for row in lake.read(_BOOK, where={"cutoff": later}).to_pylist() if read else ():
        for declared in read:
            if _feeds(row, declared, params):
                raise VariantConflictError(
                    f"{stage.name} [{params.variant}] decides at {params.cutoff} and would read {declared.table} of "
                    f"{row['surface']}, variant {row['variant']!r}, which {row['stage']} made with what is known by "
                    f"{row['cutoff']}, later that day. Make that variant under another name at {params.cutoff}, and "
                    "name it here"
                )


def _feeds(row: Mapping[str, Any], declared: Input, params: StageParams) -> bool:
    """Whether rows of a variant are among those an input reads."""
    carried = json.loads(row["writes"]).get(declared.table)
    return carried is not None and declared.admits(params, {**carried, "variant": row["variant"]})


def _check_held(held: pa.Table, stage: Stage[Any], params: StageParams) -> None:
    """Compare settings with those the book holds of the variant."""
    default, now, surface = _default(stage, params), _plain(settings_of(params)), stage.surface(params)
    for row in held.to_pylist():
        if row["variant"] != params.variant:
            continue
        # A setting that came later stood for its default before.
        before = default | json.loads(row["settings"])
        if row["stage"] == stage.name and row["surface"] == surface:
            whose = f"variant {params.variant!r} of {surface} ({stage.name}) already stands for other settings"
            _refuse_other(before, now, whose, "was")
        elif row["stage"] in stage.shares and json.loads(row["settings"]).get("model_id") == now.get("model_id"):
            whose = f"variant {params.variant!r} of {surface}, shared with {row['stage']}, stands for other settings"
            common = stage.shares[row["stage"]]
            _refuse_other({k: before[k] for k in common}, {k: now[k] for k in common}, whose, "was")


def _default(stage: Stage[Any], params: StageParams) -> dict[str, Any]:
    # Model ids say which surface it is; each surface has a v0 of its own, and defaults that follow from its model.
    models = {k: v for k, v in settings_of(params).items() if k.endswith("model_id")}
    return _plain(settings_of(stage.params(**models)))


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(canonical_json(settings))
    return plain


def _refuse_other(wanted: Mapping[str, Any], now: Mapping[str, Any], whose: str, verb: str) -> None:
    different = sorted(k for k in wanted.keys() | now.keys() if wanted.get(k) != now.get(k))
    if different:
        said = "; ".join(f"{k} {verb} {wanted.get(k)!r}, now {now.get(k)!r}" for k in different)
        raise VariantConflictError(f"{whose}: {said}. Name these settings with another --variant")
