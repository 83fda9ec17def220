"""Rolling statistics of entity series at decision dates, shared by the blocks that make up a numeric model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from prometheus.market.baskets import VOLUME_MIN_KNOWN, VOLUME_SESSIONS
from prometheus.market.panel import EntitySeries
from prometheus.market.rolling import (
    MOMENT_BITS,
    Fixed,
    Floats,
    Positions,
    RollingSums,
    columns,
    from_fixed,
    lagged,
    moment,
    rolling_quantiles,
    to_fixed,
)

if TYPE_CHECKING:
    from prometheus.market.fundamentals import FundamentalRanks

SIGMA_SESSIONS = 504
"""Trailing sessions of the long-run volatility."""

SIGMA_MIN_RETURNS = 126
"""Known returns in them without which there is no long-run volatility."""

SIGMA_FLOOR = 1e-5
"""Daily long-run volatility below which a price counts as standing still (0.016 % a year)."""

VOLUME_SCALE_FLOOR = 0.1
"""Least robust scale of log dollar volume, in log units."""

IQR_OF_NORMAL = 1.349
"""Interquartile range of a standard normal."""

VOLUME_BITS = 40
"""Fixed point of log dollar volume; 252 squares of up to 1,024 sum to less than 2^63 units."""

ILLIQUIDITY_SESSIONS = 21
"""Sessions that one point of the illiquidity path is a mean over."""

ILLIQUIDITY_MIN_KNOWN = 10
"""Sessions among them with a return and a volume without which the point is unknown."""

ILLIQUIDITY_MOVE_FLOOR = 1e-5
"""Least absolute return of a session in it: a price that does not move on volume is not infinitely liquid."""

ILLIQUIDITY_SCALE_FLOOR = 0.1
"""Least robust scale of log illiquidity, in log units."""


class SeriesState:
    """Rolling sums over a series, made when first asked for.

    Parameters
    ----------
    series : EntitySeries
    positions : ndarray of int64
        Every session position that will be asked about, ascending.
    fundamentals : FundamentalRanks, optional
        Of the series' names at those positions.
    exposures : mapping of str to ndarray of float64, shape (n_names, n_positions), optional
        Of portfolios, by the name of their slot; NaN where unknown.
    """

    def __init__(
        self,
        series: EntitySeries,
        positions: Positions,
        fundamentals: FundamentalRanks | None = None,
        exposures: Mapping[str, Floats] | None = None,
    ) -> None:
        self.series = series
        self.positions = positions
        self.fundamentals = fundamentals
        self.exposures = exposures

    @cached_property
    def path(self) -> Fixed:
        """Log price path from the first session, in return units; only differences mean anything."""
        return np.cumsum(self.series.ret, axis=1, dtype=np.int64)

    @cached_property
    def absolute(self) -> Fixed:
        """Absolute returns."""
        return np.abs(self.series.ret)

    @cached_property
    def returns(self) -> RollingSums:
        """Sums of returns."""
        return RollingSums(self.series.ret)

    @cached_property
    def known(self) -> RollingSums:
        """Counts of known returns."""
        return RollingSums(self.series.ret_ok)

    @cached_property
    def observed(self) -> RollingSums:
        """Counts of observed sessions."""
        return RollingSums(self.series.observed)

    @cached_property
    def pairs(self) -> RollingSums:
        """Counts of known returns that follow a known return."""
        pairs = self.series.ret_ok.copy()
        pairs[:, 1:] &= self.series.ret_ok[:, :-1]
        pairs[:, :1] = False
        return RollingSums(pairs)

    @cached_property
    def squares(self) -> RollingSums:
        """Sums of squared returns."""
        return RollingSums(moment(self.series.ret, self.series.ret))

    @cached_property
    def cubes(self) -> RollingSums:
        """Sums of cubed returns."""
        return RollingSums(moment(self.series.ret, self.series.ret, self.series.ret))

    @cached_property
    def downside(self) -> RollingSums:
        """Sums of squared negative returns."""
        falls = np.minimum(self.series.ret, 0)
        return RollingSums(moment(falls, falls))

    @cached_property
    def lag_products(self) -> RollingSums:
        """Sums of returns times the session before."""
        return RollingSums(moment(self.series.ret, lagged(self.series.ret)))

    @cached_property
    def absolutes(self) -> RollingSums:
        """Sums of absolute returns."""
        return RollingSums(self.absolute)

    @cached_property
    def absolute_lag_products(self) -> RollingSums:
        """Sums of absolute returns times the session before."""
        return RollingSums(moment(self.absolute, lagged(self.absolute)))

    @cached_property
    def volumes(self) -> tuple[RollingSums, RollingSums, RollingSums]:
        """Sums of log dollar volume and of its squares (both in ``VOLUME_BITS``), and counts of known ones."""
        volume = self.series.log_dollar_volume
        known = ~np.isnan(volume)
        limited = np.clip(np.where(known, volume, 0.0), -32.0, 32.0)
        return (
            RollingSums(to_fixed(limited, VOLUME_BITS)),
            RollingSums(to_fixed(limited * limited, VOLUME_BITS)),
            RollingSums(known),
        )

    @cached_property
    def volume_or_zero(self) -> Floats:
        """Log dollar volume, 0 where unknown."""
        return np.where(np.isnan(self.series.log_dollar_volume), 0.0, self.series.log_dollar_volume)

    @cached_property
    def traded(self) -> Floats:
        """1 where dollar volume is known, else 0."""
        return np.where(np.isnan(self.series.log_dollar_volume), 0.0, 1.0)

    @cached_property
    def _usual(self) -> tuple[Floats, Floats]:
        low, middle, high = rolling_quantiles(
            self.series.log_dollar_volume, self.positions, VOLUME_SESSIONS, (0.25, 0.5, 0.75), VOLUME_MIN_KNOWN
        )
        scale = np.maximum((high - low) / IQR_OF_NORMAL, VOLUME_SCALE_FLOOR)
        return middle, scale

    def usual_volume(self, index: Positions) -> tuple[Floats, Floats]:
        """Trailing median of log dollar volume and its robust scale (interquartile range / 1.349).

        Parameters
        ----------
        index : ndarray of int64
            Places in ``positions``.

        Returns
        -------
        tuple of ndarray of float64, shape (n_names, len(index))
            NaN where fewer than ``VOLUME_MIN_KNOWN`` of the last ``VOLUME_SESSIONS`` are known.
        """
        middle, scale = self._usual
        return columns(middle, index), columns(scale, index)

    @cached_property
    def illiquidity(self) -> Floats:
        """Log of the mean of absolute return over dollar volume, of the sessions up to each; NaN where unknown.

        The mean is over the last ``ILLIQUIDITY_SESSIONS`` that have both. Terms are added in the order of their age, so
        that a session has the same bits wherever the series begins.
        """
        volume = self.series.log_dollar_volume
        known = self.series.ret_ok & ~np.isnan(volume)
        moves = np.maximum(np.abs(from_fixed(self.series.ret)), ILLIQUIDITY_MOVE_FLOOR)
        terms = np.where(known, moves * np.exp(-np.where(known, volume, 0.0)), 0.0)
        total, count = terms.copy(), known.astype(np.int64)
        for age in range(1, ILLIQUIDITY_SESSIONS):
            total[:, age:] += terms[:, :-age]
            count[:, age:] += known[:, :-age]
        enough = (count >= ILLIQUIDITY_MIN_KNOWN) & (total > 0)
        return np.where(enough, np.log(np.where(enough, total, 1.0) / np.maximum(count, 1)), np.nan)

    @cached_property
    def _usual_illiquidity(self) -> tuple[Floats, Floats]:
        low, middle, high = rolling_quantiles(
            self.illiquidity, self.positions, VOLUME_SESSIONS, (0.25, 0.5, 0.75), VOLUME_MIN_KNOWN
        )
        return middle, np.maximum((high - low) / IQR_OF_NORMAL, ILLIQUIDITY_SCALE_FLOOR)

    def usual_illiquidity(self, index: Positions) -> tuple[Floats, Floats]:
        """Trailing median of log illiquidity and its robust scale, as :meth:`usual_volume` has them of volume."""
        middle, scale = self._usual_illiquidity
        return columns(middle, index), columns(scale, index)

    def sigma(self, positions: Positions) -> Floats:
        """Long-run daily volatility: root mean square of known returns over ``SIGMA_SESSIONS``; 0 without any."""
        known = np.maximum(self.known.ending(positions, SIGMA_SESSIONS), 1)
        sigma: Floats = np.sqrt(from_fixed(self.squares.ending(positions, SIGMA_SESSIONS), MOMENT_BITS) / known)
        return sigma
