"""The regime engine."""

from prometheus.engines.regime.base import LABELS, MIN_WINDOWS, RegimeHead, States, Windows
from prometheus.engines.regime.hmm import HmmHead, fit_hmm
from prometheus.engines.regime.jump import JumpHead, fit_jump
from prometheus.engines.regime.nowcast import NowcastHead, fit_nowcast
from prometheus.engines.regime.prototypes import PrototypeHead, fit_prototypes
from prometheus.engines.regime.state_changes import RegimeChanges, RegimeStateChangeForecaster
from prometheus.engines.regime.stored import StoredState, head_of, states_of
from prometheus.engines.regime.volatility import VolatilityHead, fit_volatility

BACKENDS = ("prototypes", "jump", "hmm", "nowcast", "volatility")
"""Heads there are; ``volatility`` is the baseline the others have to beat."""

__all__ = [
    "BACKENDS",
    "LABELS",
    "MIN_WINDOWS",
    "HmmHead",
    "JumpHead",
    "NowcastHead",
    "PrototypeHead",
    "RegimeChanges",
    "RegimeHead",
    "RegimeStateChangeForecaster",
    "States",
    "StoredState",
    "VolatilityHead",
    "Windows",
    "fit_hmm",
    "fit_jump",
    "fit_nowcast",
    "fit_prototypes",
    "fit_volatility",
    "head_of",
    "states_of",
]
