"""State changes: where a labelled entity will be some sessions from now, from how it moved between labels before.

What is the same for every engine lies here: counting, smoothing, the models. Which labels there are and which
quantities are asked of them is said by ``RegimeStateChangeForecaster`` (:mod:`prometheus.engines.regime`) and
``StabilityStateChangeForecaster`` (:mod:`prometheus.engines.stability`).
"""

from prometheus.engines.state_changes.counting import UNKNOWN, codes_of, transition_counts
from prometheus.engines.state_changes.forecaster import StateChangeForecaster, StateChanges
from prometheus.engines.state_changes.models import (
    MODELS,
    DirectCounts,
    MarkovChain,
    TransitionModel,
    matrix_powers,
    smoothed,
    transition_model,
)

__all__ = [
    "MODELS",
    "UNKNOWN",
    "DirectCounts",
    "MarkovChain",
    "StateChangeForecaster",
    "StateChanges",
    "TransitionModel",
    "codes_of",
    "matrix_powers",
    "smoothed",
    "transition_counts",
    "transition_model",
]
