"""How an entity's soft-target class may change: :class:`StabilityStateChangeForecaster`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from prometheus.engines.stability.base import CLASSES
from prometheus.engines.state_changes.forecaster import StateChangeForecaster, StateChanges


@dataclass(frozen=True, eq=False)
class StabilityChanges(StateChanges):
    """Which class entities will be in; see :class:`~prometheus.engines.state_changes.StateChanges`."""

    labels: ClassVar[tuple[str, ...]] = CLASSES

    @property
    def p_to_targetable_or_breaker(self) -> NDArray[np.float64]:
        """Probability of TARGETABLE or BREAKER at the horizon, shape (n,); an entity that is there now may stay."""
        return self.p_to("TARGETABLE", "BREAKER")

    @property
    def p_to_breaker(self) -> NDArray[np.float64]:
        """Probability of BREAKER at the horizon, shape (n,)."""
        return self.p_to("BREAKER")

    @property
    def risk_score(self) -> NDArray[np.float64]:
        """``stability_risk_score``: ``p_to_targetable_or_breaker``."""
        return self.p_to_targetable_or_breaker


@dataclass(frozen=True)
class StabilityStateChangeForecaster(StateChangeForecaster[StabilityChanges]):
    """Forecasts class changes of the entities of one market and type, pooled; see the base class for parameters.

    Transitions of all entities given, up to a session, are one sample: classes of single names move too seldom to be
    counted one by one. With ``entity_weight`` a name's own transitions join in. An entity that leaves (a delisting)
    makes no transition: leaving is none of the classes, and a name that fails from BREAKER is not seen to get worse.
    """

    @property
    def made(self) -> type[StabilityChanges]:
        """See the base class."""
        return StabilityChanges
