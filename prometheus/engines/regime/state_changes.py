"""How a region's regime may change: :class:`RegimeStateChangeForecaster`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from prometheus.engines.regime.prototypes import LABELS
from prometheus.engines.state_changes.forecaster import StateChangeForecaster, StateChanges


@dataclass(frozen=True, eq=False)
class RegimeChanges(StateChanges):
    """Where a region's regime will be; see :class:`~prometheus.engines.state_changes.StateChanges`."""

    labels: ClassVar[tuple[str, ...]] = tuple(reversed(LABELS))

    @property
    def p_to_crisis_or_risk_off(self) -> NDArray[np.float64]:
        """Probability of CRISIS or RISK_OFF at the horizon, shape (n,); a region that is there now may stay."""
        return self.p_to("CRISIS", "RISK_OFF")

    @property
    def p_to_carry(self) -> NDArray[np.float64]:
        """Probability of CARRY at the horizon, shape (n,)."""
        return self.p_to("CARRY")

    @property
    def risk_score(self) -> NDArray[np.float64]:
        """``regime_risk_score``: ``p_to_crisis_or_risk_off``."""
        return self.p_to_crisis_or_risk_off


@dataclass(frozen=True)
class RegimeStateChangeForecaster(StateChangeForecaster[RegimeChanges]):
    """Forecasts regime changes of one region from its own past; see the base class for parameters.

    Examples
    --------
    >>> forecaster = RegimeStateChangeForecaster()
    >>> codes = forecaster.codes(["NEUTRAL", "NEUTRAL", "CRISIS", "CRISIS", None, "NEUTRAL"])
    >>> forecaster.forecast(codes, horizon_steps=1).p_change_any.round(3).tolist()
    [0.75, 0.6, 0.75, 0.6, 0.667]
    """

    @property
    def made(self) -> type[RegimeChanges]:
        """See the base class."""
        return RegimeChanges
