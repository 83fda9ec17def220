"""Numeric models and the windows they are computed from."""

from prometheus.spaces.numeric.encode import SKIP_REASONS, WindowResult, encode_windows, iter_encoded
from prometheus.spaces.numeric.exposures import EXPOSURES
from prometheus.spaces.numeric.layout import ENTITY_TYPES, fingerprint_of, slot_table, slots
from prometheus.spaces.numeric.masking import volume_masked, volume_slots, without_volume
from prometheus.spaces.numeric.model import (
    MODELS,
    NUM_PORTFOLIO_CORE_V1,
    NUM_PROFILE_CORE_V1,
    NUM_REGIME_CORE_V1,
    NUM_SCENARIO_CORE_V1,
    NUM_STAB_CORE_V1,
    NumericModel,
    numeric_model,
)

__all__ = [
    "ENTITY_TYPES",
    "EXPOSURES",
    "MODELS",
    "NUM_PORTFOLIO_CORE_V1",
    "NUM_PROFILE_CORE_V1",
    "NUM_REGIME_CORE_V1",
    "NUM_SCENARIO_CORE_V1",
    "NUM_STAB_CORE_V1",
    "SKIP_REASONS",
    "NumericModel",
    "WindowResult",
    "encode_windows",
    "fingerprint_of",
    "iter_encoded",
    "numeric_model",
    "slot_table",
    "slots",
    "volume_masked",
    "volume_slots",
    "without_volume",
]
