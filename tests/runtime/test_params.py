"""Parameters by role, and the text and digests made of them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from dataclasses import dataclass

import pytest

from prometheus.runtime.params import (
    StageParams,
    canonical_json,
    digest_of,
    execution,
    fields_with_role,
    narrows,
    request_of,
    selection,
    setting,
    settings_of,
)


@dataclass(frozen=True)
class Params(StageParams):
    weight: float = setting(0.5, "weight", flag="--weight")
    parts: dict[str, float] = setting({"a": 1.0}, "parts")
    region: tuple[str, ...] = selection((), "region", choices=("US", "EU"))
    only: tuple[str, ...] = selection((), "names", narrows=True)
    limit: int | None = selection(None, "how many", narrows=True)
    threads: int = execution(1, "threads")


def test_settings_are_what_changes_values_and_nothing_else() -> None:
    params = Params(only=("A",), threads=9, variant="x")
    assert settings_of(params) == {"cutoff": "end_of_day", "weight": 0.5, "parts": {"a": 1.0}}
    assert request_of(params) == {
        **settings_of(params),
        "variant": "x",
        "region": (),
        "only": ("A",),
        "limit": None,
        "threads": 9,
    }
    assert [f.name for f in fields_with_role(params, "selection", "execution")] == [
        "region",
        "only",
        "limit",
        "threads",
    ]
    assert StageParams().variant == "v0"


def test_what_a_parameter_says_of_itself() -> None:
    weight, region = (next(f for f in dataclasses.fields(Params) if f.name == name) for name in ("weight", "region"))
    assert weight.metadata["flag"] == "--weight"
    assert weight.metadata["help"] == "weight"
    assert region.metadata["choices"] == ("US", "EU")
    assert region.metadata["narrows"] is False
    assert region.metadata["flag"] is None


@pytest.mark.parametrize(
    ("given", "narrow"),
    [({}, False), ({"region": ("US",)}, False), ({"only": ("A",)}, True), ({"limit": 3}, True), ({"limit": 0}, True)],
)
def test_a_request_for_some_keys_is_narrow(given: dict[str, object], narrow: bool) -> None:
    assert narrows(Params(**given)) is narrow  # type: ignore[arg-type]


def test_equal_values_give_equal_text() -> None:
    assert canonical_json({"b": (1, 2), "a": None}) == '{"a":null,"b":[1,2]}'
    assert canonical_json({"day": dt.date(2024, 1, 2)}) == '{"day":"2024-01-02"}'
    assert canonical_json({"names": {"b", "a"}, "kept": frozenset("ba")}) == '{"kept":["a","b"],"names":["a","b"]}'
    assert '"weight":0.5' in canonical_json(Params())
    with pytest.raises(TypeError, match="object has no JSON form"):
        canonical_json(object())
    with pytest.raises(TypeError, match="type has no JSON form"):
        canonical_json(Params)


def test_a_digest_is_over_the_parts_one_by_one() -> None:
    assert digest_of("a", 1) == hashlib.blake2b(b'"a"\x001\x00', digest_size=16).hexdigest()
    assert digest_of("ab") != digest_of("a", "b")
    assert len(digest_of()) == 32
