"""The block of scales: the same few facts over several horizons, and the absolute level of volatility."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.market.baskets import average_correlation
from prometheus.market.rolling import (
    MOMENT_BITS,
    Floats,
    RollingSums,
    columns,
    from_fixed,
    rolling_drawdown,
    rolling_max,
)
from prometheus.spaces.numeric.model import NumericModel
from prometheus.spaces.numeric.slots import Cells, RowSource, Slot
from prometheus.spaces.numeric.state import VOLUME_BITS

RATIO_FLOOR = 0.05
"""Least ratio of a short-run to the long-run volatility: a price that stood still for a week is not infinitely calm."""

DOWNSIDE_FLOOR = 0.2
"""The same for downside volatility: a week without a fall is common and no more than calm."""

LEVEL_FLOOR = 0.005
"""Least annualised volatility whose logarithm is taken."""

LEVEL_UNIT = 0.25
"""Annualised volatility at which the level slots are 0."""

SESSIONS_A_YEAR = 252

MOVE_FLOOR = 0.05
"""Least largest move, in long-run daily volatilities, whose logarithm is taken."""

DISPERSION_UNIT = 0.02
"""Cross-sectional dispersion at which its slots are 0."""

DISPERSION_FLOOR = 0.001
"""Least dispersion whose logarithm is taken."""

LEVEL_WINDOWS = (5, 21, 63, 252)
VOLUME_WINDOWS = (5, 21)
VOLUME_SPREAD_WINDOW = 21
CROSS_WINDOWS = (21, 63)


@dataclass(frozen=True)
class ScalesBlock:
    """Returns, volatility, falls, shape, volume and cross-section over several horizons.

    With sigma the long-run daily volatility known at t, and every mean over the known sessions of the window w:

    - ``return_w``: sum of log returns / (sigma sqrt(w)),
    - ``volatility_ratio_w``: log(root mean square of returns / sigma),
    - ``downside_ratio_w``: log(sqrt(2) root mean square of negative returns / sigma), level with the former when gains
      and losses are alike,
    - ``max_drawdown``, ``current_drawdown``: log falls over W / (sigma sqrt(W)),
    - ``skewness``, ``autocorrelation``, ``absolute_autocorrelation`` (lag 1) of returns over W,
    - ``largest_move``: log(largest absolute return over W / sigma),
    - ``volume_ratio_w``: (mean log dollar volume - trailing median) / robust scale,
    - ``volume_dispersion``: log(standard deviation of log dollar volume over 21 sessions / robust scale),
    - ``volatility_level_w``: log(annualised root mean square of returns / 25 %), not relative to anything,
    - for baskets ``dispersion_w``, ``correlation_w``, ``breadth_w``.

    Floors stand at the top of the module. What is unknown is 0.
    """

    name: str = "scales"

    def slots(self, model: NumericModel) -> tuple[Slot, ...]:
        """In vector order."""
        over = model.scale_windows
        entries = (
            *((f"return_{w}", f"log return over {w} sessions, long-run volatilities", 0.0, 1.0) for w in over),
            *((f"volatility_ratio_{w}", f"log volatility over {w} against the long run", -0.2, 0.4) for w in over),
            *((f"downside_ratio_{w}", f"log downside volatility over {w}, the same", -0.3, 0.5) for w in over),
            ("max_drawdown", "largest log fall in the window, long-run window volatilities", 1.1, 0.6),
            ("current_drawdown", "log fall from the window's peak, the same", 0.6, 0.6),
            ("skewness", "of daily returns over the window", 0.0, 1.0),
            ("autocorrelation", "of daily returns at lag 1 over the window", 0.0, 0.15),
            ("absolute_autocorrelation", "of absolute daily returns at lag 1 over the window", 0.05, 0.15),
            ("largest_move", "log largest absolute return, long-run daily volatilities", 1.0, 0.4),
            *((f"volume_ratio_{w}", f"mean log dollar volume over {w}, in scales", 0.0, 1.0) for w in VOLUME_WINDOWS),
            ("volume_dispersion", "log spread of log dollar volume over 21 sessions, robust scales", -0.2, 0.35),
            ("volume_known", "1 where usual volume is known, else the volume slots are 0", 0.0, 1.0),
            *((f"volatility_level_{w}", f"log annual volatility over {w}, to 25 %", 0.0, 0.5) for w in LEVEL_WINDOWS),
            *((f"dispersion_{w}", f"log dispersion of members over {w}, to 2 %", 0.0, 0.35) for w in CROSS_WINDOWS),
            *((f"correlation_{w}", f"average correlation of members over {w}", 0.2, 0.15) for w in CROSS_WINDOWS),
            *((f"breadth_{w}", f"mean share of members that rise, over {w}", 0.5, 0.04) for w in CROSS_WINDOWS),
            ("cross_section_known", "1 for baskets, else the cross-section slots are 0", 0.0, 1.0),
        )
        return tuple(Slot(f"scales.{name}", doc, center, spread) for name, doc, center, spread in entries)

    def rows(self, model: NumericModel, cells: Cells) -> RowSource:
        """See :class:`~prometheus.spaces.numeric.slots.SlotBlock`."""
        values = {
            **_return_values(model, cells),
            **_shape_values(model, cells),
            **_volume_values(cells),
            **_cross_section_values(cells),
        }
        table = self.slots(model)
        by_slot = np.zeros((len(table), len(cells.name)))
        for column, slot in enumerate(table):
            raw = values[slot.name.removeprefix("scales.")]
            if raw is not None:
                cells.pick(raw, out=by_slot[column])
                by_slot[column] -= slot.center
                by_slot[column] /= slot.spread
        np.copyto(by_slot, 0.0, where=np.isnan(by_slot))
        block = np.ascontiguousarray(by_slot.T, dtype=np.float32)

        def rows(a: int, b: int) -> NDArray[np.float32]:
            return block[a:b]

        return rows


Values = dict[str, Floats | None]
"""Raw slot values of shape (n_names, t), NaN where unknown; None where no entity of this type has one."""


def _return_values(model: NumericModel, cells: Cells) -> Values:
    state, positions = cells.state, cells.positions
    sigma = _positive(state.sigma(positions))
    values: Values = {}
    for w in sorted({*model.scale_windows, *LEVEL_WINDOWS}):
        # no return in the window makes 0 / NaN, hence unknown, in all of them
        n = _positive(state.known.ending(positions, w))
        volatility = np.sqrt(from_fixed(state.squares.ending(positions, w), MOMENT_BITS) / n)
        if w in LEVEL_WINDOWS:
            annual = volatility * np.sqrt(SESSIONS_A_YEAR)
            values[f"volatility_level_{w}"] = _log_above(annual, LEVEL_FLOOR) - np.log(LEVEL_UNIT)
        if w in model.scale_windows:
            downside = np.sqrt(2.0 * from_fixed(state.downside.ending(positions, w), MOMENT_BITS) / n)
            total = from_fixed(state.returns.ending(positions, w))
            values[f"return_{w}"] = total / (sigma * np.sqrt(w))
            values[f"volatility_ratio_{w}"] = _log_above(volatility / sigma, RATIO_FLOOR)
            values[f"downside_ratio_{w}"] = _log_above(downside / sigma, DOWNSIDE_FLOOR)
    return values


def _shape_values(model: NumericModel, cells: Cells) -> Values:
    state, positions, w = cells.state, cells.positions, model.window
    sigma = _positive(state.sigma(positions))
    scale = sigma * np.sqrt(w)
    peak = rolling_max(state.path, positions, w)
    n = _positive(state.known.ending(positions, w))
    pairs = _positive(state.pairs.ending(positions, w))
    mean = from_fixed(state.returns.ending(positions, w)) / n
    square = from_fixed(state.squares.ending(positions, w), MOMENT_BITS) / n
    cube = from_fixed(state.cubes.ending(positions, w), MOMENT_BITS) / n
    variance = _positive(square - mean * mean)
    absolute_mean = from_fixed(state.absolutes.ending(positions, w)) / n
    absolute_variance = _positive(square - absolute_mean * absolute_mean)
    lagged = from_fixed(state.lag_products.ending(positions, w), MOMENT_BITS) / pairs
    absolute_lagged = from_fixed(state.absolute_lag_products.ending(positions, w), MOMENT_BITS) / pairs
    return {
        "max_drawdown": from_fixed(rolling_drawdown(state.path, positions, w)) / scale,
        "current_drawdown": from_fixed(peak - columns(state.path, positions)) / scale,
        "skewness": (cube - 3.0 * mean * square + 2.0 * mean * mean * mean) / (variance * np.sqrt(variance)),
        "autocorrelation": np.clip((lagged - mean * mean) / variance, -1.0, 1.0),
        "absolute_autocorrelation": np.clip(
            (absolute_lagged - absolute_mean * absolute_mean) / absolute_variance, -1.0, 1.0
        ),
        "largest_move": _log_above(from_fixed(rolling_max(state.absolute, positions, w)) / sigma, MOVE_FLOOR),
    }


def _volume_values(cells: Cells) -> Values:
    state, positions = cells.state, cells.positions
    usual, scale = state.usual_volume(cells.index)
    sums, squares, counts = state.volumes
    values: Values = {"volume_known": np.where(np.isnan(usual), 0.0, 1.0)}
    for w in VOLUME_WINDOWS:
        count = counts.ending(positions, w)
        mean = from_fixed(sums.ending(positions, w), VOLUME_BITS) / np.maximum(count, 1)
        values[f"volume_ratio_{w}"] = np.where(count > 0, (mean - usual) / scale, np.nan)
    count = counts.ending(positions, VOLUME_SPREAD_WINDOW)
    n = np.maximum(count, 1)
    mean = from_fixed(sums.ending(positions, VOLUME_SPREAD_WINDOW), VOLUME_BITS) / n
    square = from_fixed(squares.ending(positions, VOLUME_SPREAD_WINDOW), VOLUME_BITS) / n
    spread = np.sqrt(np.maximum(square - mean * mean, 0.0)) / scale
    values["volume_dispersion"] = np.where(count > 1, _log_above(spread, RATIO_FLOOR), np.nan)
    return values


def _cross_section_values(cells: Cells) -> Values:
    cross = cells.state.series.cross_section
    if cross is None:
        unknown: Values = {"cross_section_known": None}
        for name in ("dispersion", "correlation", "breadth"):
            unknown |= {f"{name}_{w}": None for w in CROSS_WINDOWS}
        return unknown
    observed, positions = cells.state.series.observed, cells.positions
    values: Values = {"cross_section_known": np.ones((len(observed), len(positions)))}
    for w in CROSS_WINDOWS:
        count = cells.state.observed.ending(positions, w)
        n = np.maximum(count, 1)
        dispersion = from_fixed(RollingSums(cross.dispersion).ending(positions, w)) / n
        breadth = from_fixed(RollingSums(cross.breadth).ending(positions, w)) / n
        level = _log_above(dispersion, DISPERSION_FLOOR) - np.log(DISPERSION_UNIT)
        values[f"dispersion_{w}"] = np.where(count > 0, level, np.nan)
        values[f"correlation_{w}"] = average_correlation(cross, observed, positions, w)
        values[f"breadth_{w}"] = np.where(count > 0, breadth, np.nan)
    return values


def _positive(values: NDArray[np.number]) -> Floats:
    """Values, NaN where they are not above 0: what is divided by them is then unknown."""
    return np.where(values > 0, values, np.nan)


def _log_above(values: Floats, floor: float) -> Floats:
    logs: Floats = np.log(np.maximum(values, floor))
    return logs
