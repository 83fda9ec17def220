"""The block of exposures: what a portfolio is exposed to, how concentrated it is, and its risk figures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.market.rolling import columns
from prometheus.spaces.numeric.model import NumericModel
from prometheus.spaces.numeric.slots import Cells, RowSource, Slot

LOSS_FLOOR = 0.001
"""Least value at risk, or expected shortfall, whose logarithm is taken."""

VOLATILITY_FLOOR = 0.005
"""Least annualised volatility whose logarithm is taken."""

_SLOTS: tuple[tuple[str, str, float, float], ...] = (
    ("market_beta", "beta to the equal-weighted market", 0.9, 0.35),
    ("beta_known", "1 where the beta is known, else it is 0", 0.0, 1.0),
    ("momentum", "mean standing of the holdings in momentum, z-scores of the market", 0.0, 0.5),
    ("volatility", "the same in trailing volatility", 0.0, 0.5),
    ("liquidity", "the same in dollar volume: how large and liquid the holdings are", 0.3, 0.6),
    ("standing_known", "share of these three that are known; the others are 0", 0.0, 1.0),
    ("effective_names", "log of gross weight squared over the sum of squared weights", 3.0, 0.8),
    ("largest_weight", "greatest absolute weight", 0.08, 0.06),
    ("largest_sector", "greatest sum of absolute weights of a sector", 0.25, 0.12),
    ("invested", "1 where any name is held, else the three before are 0", 0.0, 1.0),
    ("gross", "sum of absolute weights", 0.9, 0.2),
    ("cash", "share of the capital that is not invested", 0.1, 0.2),
    ("ex_ante_volatility", "log annual volatility from factors and residuals, to 15 %", 0.0, 0.5),
    ("factor_share", "share of that variance from market and sectors", 0.85, 0.12),
    ("volatility_known", "1 where these two are known, else they are 0", 0.0, 1.0),
    ("var_95", "log of the value at risk over the scenarios' horizon, to 6 %", 0.0, 0.5),
    ("es_95", "log of the expected shortfall over it, to 8 %", 0.0, 0.5),
    ("worst_loss", "greatest loss of any scenario", 0.25, 0.12),
    ("scenarios_known", "1 where these three are known, else they are 0", 0.0, 1.0),
    ("own_books", "share of the window on which a stored book was in force", 0.0, 1.0),
)

EXPOSURES = tuple(name for name, *_ in _SLOTS)
"""Names of the values a stage hands over, without the block's prefix."""


@dataclass(frozen=True)
class ExposuresBlock:
    """Named figures of a portfolio on the day; every one stands at the same place for every portfolio.

    Values come from outside (``SeriesState.exposures``), by name, raw; what is unknown is 0 after scaling, and the mask
    beside it says so. Sectors have no slots of their own: markets do not share them, so the greatest stands for all.
    """

    name: str = "exposures"

    def slots(self, model: NumericModel) -> tuple[Slot, ...]:
        """In vector order."""
        return tuple(Slot(f"exposures.{name}", doc, center, spread) for name, doc, center, spread in _SLOTS)

    def rows(self, model: NumericModel, cells: Cells) -> RowSource:
        """See :class:`~prometheus.spaces.numeric.slots.SlotBlock`."""
        block = np.zeros((len(cells.name), len(_SLOTS)), dtype=np.float32)
        held = cells.state.exposures
        if held is not None:
            for place, (name, _, center, spread) in enumerate(_SLOTS):
                scaled = (cells.pick(columns(held[name], cells.index)) - center) / spread
                block[:, place] = np.where(np.isnan(scaled), 0.0, scaled)

        def rows(a: int, b: int) -> NDArray[np.float32]:
            return block[a:b]

        return rows
