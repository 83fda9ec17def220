"""The embedding backend: what a linear head on stability embeddings forecasts for the next 21 sessions.

Two heads forecast the logarithms of the mean squared daily log return and of the largest fall. Volatility is scored as
it is; the fall of 21 sessions is brought to the 63 of the score by the square root of time, so that classes mean the
same whatever the backend. The trend is that of the past window: nothing here claims to know where prices go.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.engines.ridge import LinearHead
from prometheus.engines.stability.base import PastWindows, States, scores_of
from prometheus.engines.stability.basic import WINDOW
from prometheus.market.panel import EntitySeries
from prometheus.market.rolling import (
    MOMENT_BITS,
    Flags,
    Floats,
    Positions,
    RollingSums,
    from_fixed,
    moment,
    rolling_drawdown,
)

HORIZON = 21
"""Sessions ahead."""

MIN_KNOWN = 14
"""Known returns among them without which there is no outcome."""

TARGETS = ("log_variance", "log_drawdown")

ANCHOR_SLOTS = ("scales.volatility_level_5", "scales.volatility_level_21")
"""Slots of a numeric model that HAR would be made of; see :meth:`RidgeSums.solve`. Half the weight on their own
regression costs a little in quiet years and saves much when a storm breaks out of a calm, as in February 2020."""

VARIANCE_FLOOR = 1e-10
"""Least mean squared daily return whose logarithm is taken."""

DRAWDOWN_FLOOR = 1e-3
"""Least fall, a fraction, whose logarithm is taken."""


@dataclass(frozen=True)
class EmbeddingStability:
    """Scores of forecasts.

    Attributes
    ----------
    variance, drawdown : LinearHead
        Of :data:`TARGETS`, in this order.
    """

    variance: LinearHead
    drawdown: LinearHead
    name: str = "embedding"

    def states(self, past: PastWindows, vectors: NDArray[np.float32]) -> States:
        """See :class:`~prometheus.engines.stability.base.StabilityBackend`."""
        volatility = np.sqrt(self.variance.level(vectors))
        drawdown = np.minimum(self.drawdown.level(vectors), 1.0)
        of_window = np.minimum(drawdown * np.sqrt(WINDOW / HORIZON), 1.0)
        return States(scores_of(volatility, of_window, past.trend), volatility, drawdown)


def next_outcomes(series: EntitySeries, positions: Positions) -> tuple[Floats, Flags]:
    """What the ``HORIZON`` sessions after some sessions did, as the heads are fitted on it.

    Parameters
    ----------
    series : EntitySeries
        Must hold ``HORIZON`` sessions after each position.
    positions : ndarray of int64, shape (t,)
        Ascending.

    Returns
    -------
    ndarray of float64, shape (n_names, t, 2)
        :data:`TARGETS`: log mean squared log return, and log of the largest fall from a peak (the close of the position
        included) as a fraction.
    ndarray of bool, shape (n_names, t)
        Where at least ``MIN_KNOWN`` returns are known.
    """
    ends = positions + HORIZON
    known = RollingSums(series.ret_ok).ending(ends, HORIZON)
    squares = from_fixed(RollingSums(moment(series.ret, series.ret)).ending(ends, HORIZON), MOMENT_BITS)
    path = np.cumsum(series.ret, axis=1, dtype=np.int64)
    fall = -np.expm1(-from_fixed(rolling_drawdown(path, ends, HORIZON + 1)))
    outcomes = np.stack(
        [
            np.log(np.maximum(squares / np.maximum(known, 1), VARIANCE_FLOOR)),
            np.log(np.maximum(fall, DRAWDOWN_FLOOR)),
        ],
        axis=-1,
    )
    return outcomes, known >= MIN_KNOWN
