"""Which slots a numeric model has: the blocks it is put together from, laid out one after the other."""

from __future__ import annotations

import hashlib
import json

from prometheus.errors import RequestError
from prometheus.spaces.numeric.exposures import ExposuresBlock
from prometheus.spaces.numeric.fundamentals import FundamentalsBlock
from prometheus.spaces.numeric.model import NumericModel
from prometheus.spaces.numeric.scales import ScalesBlock
from prometheus.spaces.numeric.slots import Slot, SlotBlock
from prometheus.spaces.numeric.stability import StabilityBlock
from prometheus.spaces.numeric.window import PlainBlock, WindowBlock
from prometheus.vectors import EMBEDDING_DIM

REVISION = 1
"""Bumped whenever a slot's formula, floor, centre or spread changes."""

BLOCKS: dict[str, SlotBlock] = {
    block.name: block
    for block in (WindowBlock(), ScalesBlock(), StabilityBlock(), FundamentalsBlock(), ExposuresBlock(), PlainBlock())
}


ENTITY_TYPES = ("INSTRUMENT", "ISSUER", "SECTOR", "MARKET", "SCENARIO", "PORTFOLIO")
"""Entity types a numeric window can be about."""


def slot_table(model: NumericModel) -> tuple[Slot, ...]:
    """Slots of a model in vector order, without the zeros that follow."""
    return tuple(slot for name in model.blocks for slot in BLOCKS[name].slots(model))


def slots(model: NumericModel, entity_type: str = "INSTRUMENT") -> list[str]:
    """Names of a model's slots in vector order.

    Every entity type has the same slots at the same places, so that a sector can be compared with its members; what an
    entity type cannot know is 0 there, with a ``known`` slot beside it that says so.

    Raises
    ------
    RequestError
        When the entity type has no numeric windows, or the slots exceed the width of an embedding.
    """
    if entity_type not in ENTITY_TYPES:
        raise RequestError(f"entity type {entity_type!r} has no windows here; use {', '.join(ENTITY_TYPES)}")
    names = [slot.name for slot in slot_table(model)]
    if len(names) > EMBEDDING_DIM:
        raise RequestError(
            f"{model.model_id} over {model.window} sessions has {len(names)} slots and an embedding {EMBEDDING_DIM}; "
            "choose a shorter window"
        )
    return names


def fingerprint_of(model: NumericModel) -> dict[str, object]:
    """Everything that decides the slots' values, for lineage; no data and no library is loaded."""
    table = [(slot.name, slot.center, slot.spread) for slot in slot_table(model)]
    return {
        "model_id": model.model_id,
        "revision": REVISION,
        "window": model.window,
        "blocks": list(model.blocks),
        "scale_windows": list(model.scale_windows),
        "min_coverage": model.min_coverage,
        "max_stale": model.max_stale,
        "slots": hashlib.blake2b(json.dumps(table).encode(), digest_size=8).hexdigest(),
    }
