from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from prometheus.errors import RequestError
from prometheus.spaces.numeric import (
    ENTITY_TYPES,
    MODELS,
    NUM_PROFILE_CORE_V1,
    NUM_REGIME_CORE_V1,
    NUM_SCENARIO_CORE_V1,
    NUM_STAB_CORE_V1,
    NumericModel,
    numeric_model,
    slot_table,
    slots,
)
from prometheus.spaces.numeric.layout import BLOCKS, fingerprint_of
from prometheus.spaces.numeric.slots import SlotBlock


def test_slots_are_named_once_and_fit() -> None:
    names = slots(NUM_REGIME_CORE_V1)
    assert len(names) == len(set(names)) == 225
    assert all(slot.doc and slot.spread > 0 for slot in slot_table(NUM_REGIME_CORE_V1))


def test_the_window_is_time_major_path_volume_return() -> None:
    names = slots(NUM_REGIME_CORE_V1)
    assert names[:4] == ["window.path[-62]", "window.volume[-62]", "window.return[-62]", "window.path[-61]"]
    assert names[186:189] == ["window.path[0]", "window.volume[0]", "window.return[0]"]
    assert names[189] == "scales.return_5"


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda m: m.model_id)
def test_each_model_names_its_slots_once_and_they_fit(model: NumericModel) -> None:
    names = slots(model)
    assert len(names) == len(set(names)) <= 384
    assert all(slot.doc and slot.spread > 0 for slot in slot_table(model))
    assert {name.partition(".")[0] for name in names} == set(model.blocks)


def test_the_regime_models_slots_are_those_that_lakes_already_hold() -> None:
    assert fingerprint_of(NUM_REGIME_CORE_V1) == {
        "model_id": "num-regime-core-v1",
        "revision": 1,
        "window": 63,
        "blocks": ["window", "scales"],
        "scale_windows": [5, 10, 21, 42, 63],
        "min_coverage": 0.87,
        "max_stale": 5,
        "slots": "69e5b8e61accf24b",
    }


def test_a_scenario_is_slot_for_slot_a_state() -> None:
    assert slot_table(NUM_SCENARIO_CORE_V1) == slot_table(NUM_STAB_CORE_V1)
    names = slots(NUM_STAB_CORE_V1)
    assert names[:4] == [
        f"stability.{p}[{lag}]"
        for lag, p in ((-62, "volatility"), (-62, "drawdown"), (-62, "illiquidity"), (-61, "volatility"))
    ]
    assert names[186:190] == [
        *(f"stability.{p}[0]" for p in ("volatility", "drawdown", "illiquidity")),
        "scales.return_5",
    ]


def test_a_profile_is_scales_to_half_a_year_and_ranks_with_masks() -> None:
    names = slots(NUM_PROFILE_CORE_V1)
    assert NUM_PROFILE_CORE_V1.window == 126
    assert "scales.return_126" in names
    ranks = [name for name in names if name.startswith("fundamentals.")]
    assert ranks[1::2] == [f"{name}_known" for name in ranks[::2]]
    groups = ("leverage", "net_margin", "return_on_assets", "revenue_growth", "cash_yield", "payout", "log_assets")
    assert {f"fundamentals.{g}" for g in groups} < set(ranks)


def test_every_entity_type_has_the_same_places() -> None:
    assert len({tuple(slots(NUM_REGIME_CORE_V1, kind)) for kind in ENTITY_TYPES}) == 1
    with pytest.raises(RequestError, match="'PLANET' has no windows"):
        slots(NUM_REGIME_CORE_V1, "PLANET")


def test_a_window_too_long_for_an_embedding_is_refused() -> None:
    assert len(slots(NUM_REGIME_CORE_V1.with_window(116))) == 384
    with pytest.raises(RequestError, match="over 117 sessions has 387 slots and an embedding 384"):
        slots(NUM_REGIME_CORE_V1.with_window(117))
    with pytest.raises(RequestError, match="a window of 1 sessions says nothing"):
        NUM_REGIME_CORE_V1.with_window(1)


@pytest.mark.parametrize("model", [NUM_REGIME_CORE_V1, NUM_STAB_CORE_V1], ids=lambda m: m.model_id)
def test_a_window_that_reaches_back_further_than_stages_read_is_refused(model: NumericModel) -> None:
    assert model.with_window(model.longest).history == model.history
    words = f"{model.longest + 1} sessions reaches back further than stages read; {model.model_id} has 63 and takes"
    with pytest.raises(RequestError, match=words):
        model.with_window(model.longest + 1)


def test_models_are_looked_up_by_name() -> None:
    assert numeric_model("num-regime-core-v1") is NUM_REGIME_CORE_V1
    with pytest.raises(RequestError, match=f"no numeric model 'num-x'; there are {', '.join(sorted(MODELS))}"):
        numeric_model("num-x")


def test_the_fingerprint_follows_what_decides_values() -> None:
    other = [
        NUM_REGIME_CORE_V1.with_window(42),
        dataclasses.replace(NUM_REGIME_CORE_V1, min_coverage=0.5),
        dataclasses.replace(NUM_REGIME_CORE_V1, blocks=("scales",)),
        NumericModel("x", 63, ("window", "scales")),
    ]
    prints = [str(fingerprint_of(model)) for model in (NUM_REGIME_CORE_V1, *other)]
    assert len(set(prints)) == len(prints)
    assert fingerprint_of(NUM_REGIME_CORE_V1) == fingerprint_of(NUM_REGIME_CORE_V1.with_window(63))


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_blocks_keep_their_protocol(name: str) -> None:
    block = BLOCKS[name]
    assert isinstance(block, SlotBlock)
    assert block.name == name
    table = block.slots(NUM_REGIME_CORE_V1)
    assert np.unique([slot.name for slot in table]).size == len(table)
    assert all(slot.name.startswith(f"{name}.") for slot in table)


def test_history_covers_the_long_run_and_the_returns_in_it() -> None:
    assert NUM_REGIME_CORE_V1.history == 504 + 74


def test_the_plain_form_is_named_too() -> None:
    plain = dataclasses.replace(NUM_REGIME_CORE_V1, window=2, blocks=("plain",))
    assert slots(plain) == [f"plain.{f}[{lag}]" for lag in (-1, 0) for f in ("close", "volume", "return")]
