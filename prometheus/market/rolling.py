"""Rolling statistics that do not depend on where the series was cut.

A value stamped t must be the same bit for bit whether it is computed alone or inside twenty years. Rolling sums in
floating point are not: a running sum carries the rounding of everything before it. So returns are rounded once to
64-bit fixed point and summed as integers. Integer sums are exact, hence the difference of two running sums is exactly
the sum over the window. The running sum itself may overflow over a long history without harm: int64 arithmetic is
exact modulo 2^64 and the true sum over any window lies inside +-2^63, so the wrapped difference is that sum.
Medians, quantiles, maxima and drawdowns select values and therefore have no rounding to begin with.

All arrays are laid out (names, sessions), so that a window is contiguous in memory. Positions are session positions,
ascending; a window of w sessions ending at position t covers t-w+1 .. t, cut off at the start of the series.
"""

from __future__ import annotations

from typing import TypeAlias, TypeVar

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Fixed: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Positions: TypeAlias = NDArray[np.int64]
T = TypeVar("T", bound=np.generic)

RETURN_BITS = 46
"""Log returns are held in units of 2^-46 = 1.4e-14; the range is +-131,072, so no path can leave it."""

MOMENT_BITS = 49
"""Products of returns are held in units of 2^-49 = 1.8e-15."""

MOMENT_LIMIT = 4.0
"""In products a log return is taken as at most 4 (a factor of 55 in one session). Squares are then at most 16 and
cubes 64, so that up to 1,023 squares or 255 cubes sum to less than 2^63 units."""

_NAME_BLOCK = 8

_DIRECT_SHARE = 8
"""Sorting each window beats the rolling form when fewer than one position in this many is asked for."""


def to_fixed(values: Floats, bits: int = RETURN_BITS) -> Fixed:
    """Round to fixed point with ``bits`` fractional bits (half to even)."""
    scaled: Floats = values * np.float64(2.0**bits)
    return np.rint(scaled, out=scaled).astype(np.int64)


def from_fixed(values: Fixed, bits: int = RETURN_BITS) -> Floats:
    """Fixed point back to float64."""
    unscaled: Floats = values * np.float64(2.0**-bits)
    return unscaled


def moment(*factors: Fixed) -> Fixed:
    """Elementwise product of log returns, for rolling sums of squares, cubes and lagged products.

    Parameters
    ----------
    *factors : ndarray of int64
        Two or three log returns in fixed point (``RETURN_BITS``), of one shape.

    Returns
    -------
    ndarray of int64
        The product in fixed point (``MOMENT_BITS``), each factor limited to +-``MOMENT_LIMIT``.
    """
    out = np.empty(factors[0].shape, dtype=np.int64)
    # a few names at a time: large temporaries cost more in fresh memory than in arithmetic
    for first in range(0, len(out), _NAME_BLOCK):
        part = slice(first, first + _NAME_BLOCK)
        product = np.clip(from_fixed(factors[0][part]), -MOMENT_LIMIT, MOMENT_LIMIT)
        for factor in factors[1:]:
            product *= np.clip(from_fixed(factor[part]), -MOMENT_LIMIT, MOMENT_LIMIT)
        out[part] = to_fixed(product, MOMENT_BITS)
    return out


def lagged(values: Fixed) -> Fixed:
    """Shift by one session along the last axis; the first becomes 0."""
    out = np.zeros_like(values)
    out[..., 1:] = values[..., :-1]
    return out


def columns(values: NDArray[T], positions: Positions) -> NDArray[T]:
    """Pick ``positions`` on the last axis; a view when they are consecutive."""
    if len(positions) and positions[-1] - positions[0] + 1 == len(positions):
        return values[..., positions[0] : positions[-1] + 1]
    return np.take(values, positions, axis=-1)


class RollingSums:
    """Exact sums over any window of one series, from one running sum.

    Parameters
    ----------
    values : ndarray of int64 or bool, shape (names, sessions)
        Fixed-point values, or flags to count.
    """

    def __init__(self, values: Fixed | Flags) -> None:
        running = np.empty((*values.shape[:-1], values.shape[-1] + 1), dtype=np.int64)
        running[..., 0] = 0
        with np.errstate(over="ignore"):
            np.cumsum(values, axis=-1, dtype=np.int64, out=running[..., 1:])
        self._running = running

    def ending(self, positions: Positions, window: int) -> Fixed:
        """Sum over the ``window`` sessions that end at each position.

        Returns
        -------
        ndarray of int64, shape (names, len(positions))
        """
        after = columns(self._running, positions + 1)
        sums: Fixed = after - columns(self._running, np.maximum(positions + 1 - window, 0))
        return sums


def rolling_max(values: Fixed, positions: Positions, window: int) -> Fixed:
    """Largest value of the ``window`` sessions that end at each position.

    Windows of 1, 2, 4, ... sessions are built by doubling; two overlapping ones then make any length.

    Returns
    -------
    ndarray of int64, shape (names, len(positions))
    """
    piece, start = _cut(values, positions, window)
    length = 1
    while 2 * length <= window:
        piece = _max_with_earlier(piece, length)
        length *= 2
    if length < window:
        piece = _max_with_earlier(piece, window - length)
    return columns(piece, positions - start)


def rolling_drawdown(path: Fixed, positions: Positions, window: int) -> Fixed:
    """Largest fall from a peak to a later value within the ``window`` sessions that end at each position.

    A window is composed of neighbouring pieces of 1, 2, 4, ... sessions. Of two neighbours the fall is the larger of
    their own falls and (highest of the earlier - lowest of the later); the pieces must not overlap, or a peak could be
    set against a value before it.

    Parameters
    ----------
    path : ndarray of int64, shape (names, sessions)
        Log price path in fixed point.

    Returns
    -------
    ndarray of int64, shape (names, len(positions))
        At least 0, in the path's units.
    """
    piece, start = _cut(path, positions, window)
    high, low, fall = piece, piece, np.zeros_like(piece)
    done: tuple[Fixed, Fixed, Fixed] | None = None
    length, covered = 1, 0
    while length <= window:
        if window & length:
            # `done` covers the last `covered` sessions; the piece of `length` sessions lies right before them
            done = (high, low, fall) if done is None else _join(_delay((high, low, fall), covered), done)
            covered += length
        if 2 * length <= window:
            high, low, fall = _join(_delay((high, low, fall), length), (high, low, fall))
        length *= 2
    if done is None:
        raise ValueError("a window holds at least one session")
    return columns(done[2], positions - start)


def rolling_quantiles(
    values: Floats, positions: Positions, window: int, quantiles: tuple[float, ...], min_count: int
) -> Floats:
    """Quantiles of the known values in the ``window`` sessions that end at each position.

    The lower order statistic is taken, never a mean of two, so that every result is one of the values.

    Parameters
    ----------
    values : ndarray of float64, shape (names, sessions)
        NaN where unknown.
    quantiles : tuple of float
        Each in 0..1.
    min_count : int
        Known values a window needs; with fewer the result is NaN.

    Returns
    -------
    ndarray of float64, shape (len(quantiles), names, len(positions))
    """
    if len(positions) * _DIRECT_SHARE < values.shape[1]:
        return _quantiles_by_sorting(values, positions, window, quantiles, min_count)
    piece, start = _cut(values, positions, window)
    picked = np.empty((len(quantiles), len(piece), len(positions)))
    for row, series in enumerate(piece):
        picked[:, row] = _rolling_order_statistics(series, window, quantiles, min_count)[:, positions - start]
    return picked


def _cut(values: NDArray[T], positions: Positions, window: int) -> tuple[NDArray[T], int]:
    start = max(int(positions[0]) - window + 1, 0) if len(positions) else 0
    stop = int(positions[-1]) + 1 if len(positions) else 0
    return values[:, start:stop], start


def _max_with_earlier(piece: Fixed, by: int) -> Fixed:
    out = piece.copy()
    np.maximum(piece[:, by:], piece[:, :-by], out=out[:, by:])
    return out


def _delay(part: tuple[Fixed, Fixed, Fixed], by: int) -> tuple[Fixed, Fixed, Fixed]:
    high, low, fall = part
    neutral_high = np.full_like(high, np.iinfo(np.int64).min // 4)
    neutral_low = np.full_like(low, np.iinfo(np.int64).max // 4)
    neutral_fall = np.zeros_like(fall)
    for shifted, source in ((neutral_high, high), (neutral_low, low), (neutral_fall, fall)):
        if by < source.shape[1]:
            shifted[:, by:] = source[:, : source.shape[1] - by]
    return neutral_high, neutral_low, neutral_fall


def _join(earlier: tuple[Fixed, Fixed, Fixed], later: tuple[Fixed, Fixed, Fixed]) -> tuple[Fixed, Fixed, Fixed]:
    fall = np.subtract(earlier[0], later[1])
    np.maximum(fall, earlier[2], out=fall)
    np.maximum(fall, later[2], out=fall)
    return np.maximum(earlier[0], later[0]), np.minimum(earlier[1], later[1]), fall


def _rolling_order_statistics(series: Floats, window: int, quantiles: tuple[float, ...], min_count: int) -> Floats:
    import polars as pl

    # a series that may hold nulls takes polars four times as long, so nulls are declared only where there are some
    column = pl.Series(series, nan_to_null=bool(np.isnan(series).any()))
    out = np.empty((len(quantiles), len(series)))
    for row, q in enumerate(quantiles):
        rolled = column.rolling_quantile(q, interpolation="lower", window_size=window, min_samples=min_count)
        out[row] = rolled.to_numpy()
    return out


def _quantiles_by_sorting(
    values: Floats, positions: Positions, window: int, quantiles: tuple[float, ...], min_count: int
) -> Floats:
    out = np.full((len(quantiles), len(values), len(positions)), np.nan)
    for column, t in enumerate(positions):
        ordered = np.sort(values[:, max(int(t) - window + 1, 0) : int(t) + 1], axis=1)
        count = ordered.shape[1] - np.isnan(ordered).sum(axis=1)
        for row, q in enumerate(quantiles):
            at = np.floor(q * np.maximum(count - 1, 0)).astype(np.int64)
            picked = ordered[np.arange(len(ordered)), at]
            out[row, :, column] = np.where(count >= min_count, picked, np.nan)
    return out


def sliding(values: NDArray[T], window: int) -> NDArray[T]:
    """Every window of a contiguous (names, sessions) array as rows of one view, for gathering by row number.

    Row ``name * sessions + t - window + 1`` is the window of that name that ends at t. Rows that run across the end of
    one name into the next exist and are never asked for.

    Returns
    -------
    ndarray of shape (names * sessions - window + 1, window)
        A read-only view.
    """
    flat = np.ascontiguousarray(values).reshape(-1)
    step = flat.strides[0]
    rows = max(flat.size - window + 1, 0)
    return as_strided(flat, (rows, window), (step, step), writeable=False)
