"""Blocks that hold the window itself, session by session."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.market.rolling import RETURN_BITS, Floats, columns, from_fixed
from prometheus.spaces.numeric.model import NumericModel
from prometheus.spaces.numeric.slots import Cells, RowSource, Slot

FEATURES = 3
"""Numbers per session."""


@dataclass(frozen=True)
class WindowBlock:
    """Close path, dollar volume and return of each session, scaled by the name's own long run.

    With C the total-return price, v the log dollar volume, W the window, sigma the long-run daily volatility, m and q
    the trailing median and robust scale of v, all as known at t, session s of the window ending at t has

    - ``path``: log(C_s / C_t) / (sigma sqrt(W)),
    - ``volume``: (v_s - m) / q, 0 where unknown,
    - ``return``: r_s / sigma.

    Dividing by the window's own volatility instead would erase its level, which is most of what a regime is. A session
    without a price carries the price forward: the path stands still and the return is 0.
    """

    name: str = "window"

    def slots(self, model: NumericModel) -> tuple[Slot, ...]:
        """Three per session, oldest session first."""
        return tuple(
            Slot(f"window.{feature}[{lag}]", f"{doc}, {-lag} sessions before the last")
            for lag in range(1 - model.window, 1)
            for feature, doc in (
                ("path", "log price against the last, in long-run window volatilities"),
                ("volume", "log dollar volume against its trailing median, in robust scales"),
                ("return", "log return in long-run daily volatilities"),
            )
        )

    def rows(self, model: NumericModel, cells: Cells) -> RowSource:
        """See :class:`~prometheus.spaces.numeric.slots.SlotBlock`."""
        state, w = cells.state, model.window
        start = cells.window_rows(w)
        per_sigma = (2.0**-RETURN_BITS / cells.pick(state.sigma(cells.positions)))[:, None]
        per_path = per_sigma / np.sqrt(w)
        usual, scale = state.usual_volume(cells.index)
        middle = cells.pick(usual)[:, None]
        unknown = np.isnan(middle)
        per_scale = np.where(unknown, 0.0, 1.0 / cells.pick(scale)[:, None])
        middle = np.where(unknown, 0.0, middle)
        last = cells.pick(columns(state.path, cells.positions))[:, None]
        paths, returns = cells.windows(state.path, w), cells.windows(state.series.ret, w)
        volumes, traded = cells.windows(state.volume_or_zero, w), cells.windows(state.traded, w)
        always_traded = bool(traded.all())
        held = np.empty((0, w, FEATURES), dtype=np.float32)

        def rows(a: int, b: int) -> NDArray[np.float32]:
            nonlocal held
            if len(held) < b - a:
                held = np.empty((b - a, w, FEATURES), dtype=np.float32)
            out, at = held[: b - a], start[a:b]
            path = paths[at]
            path -= last[a:b]
            out[:, :, 0] = path * per_path[a:b]
            volume = volumes[at]
            volume -= middle[a:b]
            volume *= per_scale[a:b]
            if not always_traded:
                volume *= traded[at]
            out[:, :, 1] = volume
            out[:, :, 2] = returns[at] * per_sigma[a:b]
            return out.reshape(b - a, w * FEATURES)

        return rows


@dataclass(frozen=True)
class PlainBlock:
    """The ancestor's plain window: unscaled close, volume and log return of each session.

    Kept as the baseline that every evaluation includes. A missing close is carried forward (backward before the first),
    a missing volume or return is 0. A basket has no price of its own: its close is 100 at the window's first session,
    its volume how many times the usual its members trade.
    """

    name: str = "plain"

    def slots(self, model: NumericModel) -> tuple[Slot, ...]:
        """Three per session, oldest session first."""
        return tuple(
            Slot(f"plain.{feature}[{lag}]", f"{doc}, {-lag} sessions before the last")
            for lag in range(1 - model.window, 1)
            for feature, doc in (
                ("close", "close as the source has it"),
                ("volume", "shares traded"),
                ("return", "log return"),
            )
        )

    def rows(self, model: NumericModel, cells: Cells) -> RowSource:
        """See :class:`~prometheus.spaces.numeric.slots.SlotBlock`."""
        series, w = cells.state.series, model.window
        start = cells.window_rows(w)
        returns = cells.windows(series.ret, w)
        if series.close is not None and series.volume is not None:
            closes, volumes = cells.windows(series.close, w), cells.windows(series.volume, w)
        else:
            closes, volumes = None, cells.windows(np.exp(series.log_dollar_volume), w)
        paths = cells.windows(cells.state.path, w)

        def rows(a: int, b: int) -> NDArray[np.float32]:
            at = start[a:b]
            out = np.empty((b - a, w, FEATURES), dtype=np.float32)
            if closes is not None:
                out[:, :, 0] = carried(closes[at])
            else:
                path = paths[at]
                out[:, :, 0] = 100.0 * np.exp(from_fixed(path - path[:, :1]))
            out[:, :, 1] = np.nan_to_num(volumes[at], nan=0.0)
            out[:, :, 2] = from_fixed(returns[at])
            return out.reshape(b - a, w * FEATURES)

        return rows


def carried(windows: Floats) -> Floats:
    """Carry values forward over NaN along each row, and the first known one back to the row's start.

    Rows without any value become 0.
    """
    known = ~np.isnan(windows)
    if known.all():
        return windows
    at = np.where(known, np.arange(windows.shape[1]), -1)
    np.maximum.accumulate(at, axis=1, out=at)
    first: NDArray[np.int64] = np.argmax(known, axis=1)
    filled = np.take_along_axis(windows, np.where(at < 0, first[:, None], at), axis=1)
    return np.nan_to_num(filled, nan=0.0)
