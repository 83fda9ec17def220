"""How fragile instruments, companies, sectors and markets are, and the soft-target class that comes of it."""

from prometheus.engines.ridge import FittedHead, LinearHead, RidgeSums, YearlyHeads
from prometheus.engines.stability.base import (
    CLASS_BOUNDS,
    CLASSES,
    PastWindows,
    Scores,
    StabilityBackend,
    States,
    classify,
    scores_of,
)
from prometheus.engines.stability.basic import BasicStability, past_windows
from prometheus.engines.stability.embedding import HORIZON, EmbeddingStability, next_outcomes
from prometheus.engines.stability.state_changes import StabilityChanges, StabilityStateChangeForecaster

__all__ = [
    "CLASSES",
    "CLASS_BOUNDS",
    "HORIZON",
    "BasicStability",
    "EmbeddingStability",
    "FittedHead",
    "LinearHead",
    "PastWindows",
    "RidgeSums",
    "Scores",
    "StabilityBackend",
    "StabilityChanges",
    "StabilityStateChangeForecaster",
    "States",
    "YearlyHeads",
    "classify",
    "next_outcomes",
    "past_windows",
    "scores_of",
]
