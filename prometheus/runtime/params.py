"""Parameters of a stage: one declaration from which settings, flags and configuration nodes are made.

Every parameter has a role:

- *setting*: changes values, so it is part of what a variant means;
- *selection*: which keys are asked for;
- *execution*: how the work is done; never changes values;
- *file*: a path whose content is an input.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any, Literal

from prometheus.clock import CutoffRule

Role = Literal["setting", "selection", "execution", "file", "variant"]


def _param(role: Role, default: Any, help: str, **extra: Any) -> Any:
    metadata = {"role": role, "help": help, **extra}
    if isinstance(default, dict | list):
        return dataclasses.field(default_factory=lambda: default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def setting(
    default: Any,
    help: str,
    *,
    flag: str | None = None,
    choices: Sequence[str] | None = None,
    variant_of: str | None = None,
) -> Any:
    """Declare a parameter that changes values.

    ``variant_of`` marks one that names the variant under which an input table is read; left empty, the stage does
    without that input.
    """
    return _param("setting", default, help, flag=flag, choices=choices, variant_of=variant_of)


def selection(
    default: Any,
    help: str,
    *,
    flag: str | None = None,
    narrows: bool = False,
    choices: Sequence[str] | None = None,
    least: int = 1,
) -> Any:
    """Declare a parameter that says which keys are asked for.

    ``narrows`` marks one that, when given, asks for only some keys of a scope: the rows are written but the day is
    left incomplete; ``least`` is the smallest whole number that can be given.
    """
    return _param("selection", default, help, flag=flag, narrows=narrows, choices=choices, least=least)


def execution(default: Any, help: str, *, flag: str | None = None, choices: Sequence[str] | None = None) -> Any:
    """Declare a parameter that says how, and never changes values."""
    return _param("execution", default, help, flag=flag, choices=choices)


def file(default: str, help: str, *, flag: str | None = None) -> Any:
    """Declare the path of a file whose content is an input; the stage's fingerprint must answer for it."""
    return _param("file", default, help, flag=flag)


@dataclasses.dataclass(frozen=True)
class StageParams:
    """What every stage understands."""

    variant: str = _param("variant", "v0", "name of the settings read and written")
    cutoff: CutoffRule = setting(
        "end_of_day",
        "instant up to which a day's decision may know things",
        choices=("end_of_day", "session_close", "next_open"),
    )


def fields_with_role(params: Any, *roles: Role) -> list[dataclasses.Field[Any]]:
    """Declared fields of the given roles, in order."""
    return [f for f in dataclasses.fields(params) if f.metadata.get("role") in roles]


def settings_of(params: StageParams) -> dict[str, Any]:
    """Every setting and its value: what a variant stands for."""
    return {f.name: getattr(params, f.name) for f in fields_with_role(params, "setting")}


def request_of(params: StageParams) -> dict[str, Any]:
    """Every parameter and its value, for the ledger."""
    return {f.name: getattr(params, f.name) for f in dataclasses.fields(params)}


def narrows(params: StageParams) -> bool:
    """Whether the request asks for only some keys of its scopes."""
    return any(
        f.metadata.get("narrows") and getattr(params, f.name) not in (None, (), [], "")
        for f in fields_with_role(params, "selection")
    )


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def digest_of(*parts: Any) -> str:
    """BLAKE2b-128 over the canonical JSON of the parts."""
    h = hashlib.blake2b(digest_size=16)
    for part in parts:
        h.update(canonical_json(part).encode())
        h.update(b"\x00")
    return h.hexdigest()


P_NARROWED = "only some keys asked for"
"""Why a day is made although lineage may call it done: the request names some of its keys."""
