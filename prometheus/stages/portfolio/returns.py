"""Covariances of the names a portfolio may hold, from their returns as known at each session."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from prometheus.clock import CutoffRule
from prometheus.engines.portfolio import factor_covariance
from prometheus.engines.portfolio.covariance import SESSIONS
from prometheus.market.baskets import MEMBER_LIMIT
from prometheus.market.returns import RETURN_HISTORY
from prometheus.market.rolling import from_fixed
from prometheus.runtime import StageReader
from prometheus.stages.numeric.windows import read_market

HISTORY = SESSIONS + RETURN_HISTORY
"""Sessions up to and including a day that its returns depend on."""

HISTORY_DAYS = 520
"""Calendar days that hold them, holidays included."""


class KnownCovariances:
    """Annualised covariances of a market's names on some sessions.

    Parameters
    ----------
    reader : StageReader
    market_id : str
    days : sequence of date
        Sessions of the market, ascending.
    names : sequence of str
        Ascending.
    sector : ndarray of int64, shape (n_days, n_names)
    cutoff : {'end_of_day', 'session_close', 'next_open'}
    infer_splits : bool
    """

    def __init__(
        self,
        reader: StageReader,
        market_id: str,
        days: Sequence[dt.date],
        names: Sequence[str],
        sector: NDArray[np.int64],
        cutoff: CutoffRule,
        *,
        infer_splits: bool,
    ) -> None:
        self._sector = sector
        self._returns = np.full((len(days), len(names), SESSIONS), np.nan)
        if not names:
            return
        market = read_market(reader, market_id, days, history=HISTORY, cutoff=cutoff, only=names)
        for known in market.panels(HISTORY, apart=True, infer_splits=infer_splits):
            panel = known.panel
            simple = np.where(panel.ret_ok, np.minimum(np.expm1(from_fixed(panel.ret)), MEMBER_LIMIT), np.nan)
            row = np.searchsorted(names, panel.names)
            for day, at in zip(np.searchsorted(market.targets, known.targets), known.positions.tolist(), strict=True):
                window = simple[:, max(at - SESSIONS + 1, 0) : at + 1]
                self._returns[day, row, SESSIONS - window.shape[1] :] = window

    def __call__(self, day: int, names: NDArray[np.int64]) -> NDArray[np.float64]:
        """Covariance of the names in some columns on a day, shape (k, k): its factors are made of them alone."""
        return factor_covariance(self._returns[day, names], self._sector[day, names])
