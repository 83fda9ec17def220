"""The block of fundamentals: where a company's figures stand among those of its market."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.market.fundamentals import CHARACTERISTICS
from prometheus.market.rolling import columns
from prometheus.spaces.numeric.model import NumericModel
from prometheus.spaces.numeric.slots import Cells, RowSource, Slot

RANK_SPREAD = 0.577
"""Standard deviation of ranks that are uniform in -1..1."""


@dataclass(frozen=True)
class FundamentalsBlock:
    """Ranks of a company's characteristics among all dated members of its market, each with a mask beside it.

    See :class:`~prometheus.market.fundamentals.FundamentalRanks`: ranks lie in -1..1 (the least and the greatest of
    many), whoever is asked for; what is unknown is 0 with ``known`` 0. A sector has the mean rank of its members and
    ``known`` is the share of them that are; a market's mean rank is 0 by construction and only the share speaks.
    """

    name: str = "fundamentals"

    def slots(self, model: NumericModel) -> tuple[Slot, ...]:
        """Rank and mask of each characteristic in turn."""
        return tuple(
            slot
            for one in CHARACTERISTICS
            for slot in (
                Slot(f"fundamentals.{one.name}", f"rank in the market: {one.doc}", 0.0, RANK_SPREAD),
                Slot(f"fundamentals.{one.name}_known", "1 where the rank is known (a basket's share), else 0"),
            )
        )

    def rows(self, model: NumericModel, cells: Cells) -> RowSource:
        """See :class:`~prometheus.spaces.numeric.slots.SlotBlock`."""
        block = np.zeros((len(cells.name), 2 * len(CHARACTERISTICS)), dtype=np.float32)
        ranks = cells.state.fundamentals
        if ranks is not None:
            for place in range(len(CHARACTERISTICS)):
                block[:, 2 * place] = cells.pick(columns(ranks.rank[place], cells.index)) / RANK_SPREAD
                block[:, 2 * place + 1] = cells.pick(columns(ranks.known[place], cells.index))

        def rows(a: int, b: int) -> NDArray[np.float32]:
            return block[a:b]

        return rows
