"""The block of stability: how volatility, the fall from the peak and illiquidity moved through the window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.market.rolling import MOMENT_BITS, RETURN_BITS, Fixed, Floats, columns, from_fixed, rolling_max, sliding
from prometheus.spaces.numeric.model import NumericModel
from prometheus.spaces.numeric.slots import Cells, RowSource, Slot

PATHS = 3
"""Numbers per session."""

VOLATILITY_SESSIONS = 21
"""Trailing sessions of one point of the volatility path."""

VOLATILITY_FLOOR = 0.05
"""Least ratio of the volatility path to the long run whose logarithm is taken."""

VOLATILITY_CENTER, VOLATILITY_SPREAD = -0.2, 0.4
FALL_CENTER, FALL_SPREAD = 0.6, 0.6
ILLIQUIDITY_CENTER, ILLIQUIDITY_SPREAD = 0.0, 1.0


@dataclass(frozen=True)
class StabilityBlock:
    """Paths over the window of volatility, of the fall from the running peak, and of illiquidity.

    With sigma the long-run daily volatility known at t and W the window, session s of the window ending at t has

    - ``volatility``: log(root mean square of the known returns of the 21 sessions up to s / sigma),
    - ``drawdown``: (highest log price of the W sessions up to s - log price of s) / (sigma sqrt(W)); the peak runs
      along, so that every place of the path means the same and its first one is not always 0,
    - ``illiquidity``: a_s = log mean(|r| / dollar volume) over the 21 sessions up to s, less its trailing median and
      in its robust scale over 252 sessions, both as known at t.

    Slots are time-major, as those of the ``window`` block. All are free of the price's scale: dollar volume is the same
    on every split base. A basket's dollar volume is how unusual trading is, so its illiquidity is about moves per
    unusual trading.

    What is unknown is 0. A series without volume has 0 in every illiquidity slot; whether volume was known is said by
    ``scales.volume_known``, beside which every volume slot is 0 too. A path that might come has no volume; to compare
    it with a state, the state's is masked (:mod:`prometheus.spaces.numeric.masking`).

    References
    ----------
    Y. Amihud, "Illiquidity and stock returns: cross-section and time-series effects", Journal of Financial Markets 5
    (2002), equation 1, over 21 sessions.
    """

    name: str = "stability"

    def slots(self, model: NumericModel) -> tuple[Slot, ...]:
        """Three per session, oldest session first."""
        return tuple(
            Slot(f"stability.{path}[{lag}]", f"{doc}, {-lag} sessions before the last", center, spread)
            for lag in range(1 - model.window, 1)
            for path, doc, center, spread in (
                ("volatility", "log volatility over 21 to the long run", VOLATILITY_CENTER, VOLATILITY_SPREAD),
                ("drawdown", "log fall from the running peak, long-run window volatilities", FALL_CENTER, FALL_SPREAD),
                (
                    "illiquidity",
                    "log return per money traded over 21 against its trailing median, robust scales",
                    ILLIQUIDITY_CENTER,
                    ILLIQUIDITY_SPREAD,
                ),
            )
        )

    def rows(self, model: NumericModel, cells: Cells) -> RowSource:
        """See :class:`~prometheus.spaces.numeric.slots.SlotBlock`."""
        state, w = cells.state, model.window
        reach = np.arange(max(int(cells.positions[0]) - w + 1, 0), int(cells.positions[-1]) + 1)
        start = cells.window_rows(w)
        sigma = cells.pick(state.sigma(cells.positions))[:, None]
        volatility = sliding(_log_volatility(cells, reach), w)
        falls = sliding(_falls(cells, reach, w), w)
        illiquidity = cells.windows(state.illiquidity, w)
        least, log_sigma = np.log(VOLATILITY_FLOOR), np.log(sigma)
        per_fall = 2.0**-RETURN_BITS / (sigma * np.sqrt(w))
        usual, scale = (cells.pick(values)[:, None] for values in state.usual_illiquidity(cells.index))
        held = np.empty((0, w, PATHS), dtype=np.float32)

        def rows(a: int, b: int) -> NDArray[np.float32]:
            nonlocal held
            if len(held) < b - a:
                held = np.empty((b - a, w, PATHS), dtype=np.float32)
            out, at = held[: b - a], start[a:b]
            level = np.maximum(volatility[at] - log_sigma[a:b], least)
            out[:, :, 0] = _known((level - VOLATILITY_CENTER) / VOLATILITY_SPREAD)
            fall = falls[at] * per_fall[a:b]
            out[:, :, 1] = (fall - FALL_CENTER) / FALL_SPREAD
            dry = (illiquidity[at] - usual[a:b]) / scale[a:b]
            out[:, :, 2] = _known((dry - ILLIQUIDITY_CENTER) / ILLIQUIDITY_SPREAD)
            return out.reshape(b - a, w * PATHS)

        return rows


def _log_volatility(cells: Cells, reach: NDArray[np.int64]) -> Floats:
    """Log root mean square of known returns up to each session; NaN without a return, low where nothing moved."""
    state = cells.state
    count = state.known.ending(reach, VOLATILITY_SESSIONS)
    square = from_fixed(state.squares.ending(reach, VOLATILITY_SESSIONS), MOMENT_BITS) / np.maximum(count, 1)
    tiny = np.finfo(np.float64).tiny
    return np.where(count > 0, 0.5 * np.log(np.maximum(square, tiny)), np.nan)


def _falls(cells: Cells, reach: NDArray[np.int64], window: int) -> Fixed:
    return rolling_max(cells.state.path, reach, window) - columns(cells.state.path, reach)


def _known(values: Floats) -> Floats:
    return np.where(np.isnan(values), 0.0, values)
