from __future__ import annotations

import numpy as np
import pytest

from prometheus.market.rolling import (
    MOMENT_BITS,
    RETURN_BITS,
    RollingSums,
    columns,
    from_fixed,
    lagged,
    moment,
    rolling_drawdown,
    rolling_max,
    rolling_quantiles,
    sliding,
    to_fixed,
)

RNG = np.random.default_rng(3)
EVERYWHERE = np.arange(300)


def series(names: int = 4, sessions: int = 300) -> np.ndarray:
    return to_fixed(RNG.standard_normal((names, sessions)) * 0.02)


def test_fixed_point_keeps_a_return_to_its_last_unit() -> None:
    values = np.array([0.0, 1e-9, -0.5, 11.0, -131_000.0])
    assert np.abs(from_fixed(to_fixed(values)) - values).max() <= 2.0 ** -(RETURN_BITS + 1)


def test_sums_are_exact_even_where_the_running_sum_wraps() -> None:
    values = np.full((1, 300), 2**62 // 10, dtype=np.int64)
    assert 300 * (2**62 // 10) > 2**63
    assert (RollingSums(values).ending(EVERYWHERE[20:], 10) == 10 * (2**62 // 10)).all()


@pytest.mark.parametrize("window", [1, 5, 63, 299])
def test_sums_equal_the_loop(window: int) -> None:
    values = series()
    got = RollingSums(values).ending(EVERYWHERE, window)
    want = np.stack([values[:, max(t - window + 1, 0) : t + 1].sum(axis=1) for t in EVERYWHERE], axis=1)
    assert np.array_equal(got, want)


def test_flags_are_counted() -> None:
    flags = RNG.random((3, 300)) < 0.5
    assert np.array_equal(RollingSums(flags).ending(np.array([299]), 300)[:, 0], flags.sum(axis=1))


def test_moments_saturate_instead_of_overflowing() -> None:
    wild = to_fixed(np.array([[0.01, 50.0, -50.0]]))
    assert from_fixed(moment(wild, wild), MOMENT_BITS)[0] == pytest.approx([1e-4, 16.0, 16.0])
    assert from_fixed(moment(wild, wild, wild), MOMENT_BITS)[0] == pytest.approx([1e-6, 64.0, -64.0])
    assert moment(wild, lagged(wild))[0, 0] == 0
    full = np.full((1, 504), to_fixed(np.array([4.0]))[0])
    assert from_fixed(RollingSums(moment(full, full)).ending(np.array([503]), 504), MOMENT_BITS)[0, 0] == 504 * 16


@pytest.mark.parametrize("window", [1, 2, 7, 63, 64, 126])
def test_maximum_and_drawdown_equal_the_loop(window: int) -> None:
    path = np.cumsum(series(), axis=1)
    for positions in (EVERYWHERE, np.array([0, 3, 200, 299]), np.array([130])):
        peaks, falls = rolling_max(path, positions, window), rolling_drawdown(path, positions, window)
        for i, t in enumerate(positions):
            part = path[:, max(t - window + 1, 0) : t + 1]
            assert np.array_equal(peaks[:, i], part.max(axis=1))
            assert np.array_equal(falls[:, i], (np.maximum.accumulate(part, axis=1) - part).max(axis=1))


def test_quantiles_are_order_statistics_in_both_forms() -> None:
    values = RNG.standard_normal((3, 300))
    values[RNG.random(values.shape) < 0.2] = np.nan
    quantiles = (0.25, 0.5, 0.75)
    rolled = rolling_quantiles(values, EVERYWHERE, 50, quantiles, 20)
    few = np.array([10, 60, 299])
    assert np.array_equal(rolling_quantiles(values, few, 50, quantiles, 20), rolled[:, :, few], equal_nan=True)
    for t in (18, 19, 25, 26, 299):
        for name in range(3):
            part = np.sort(values[name, max(t - 49, 0) : t + 1])
            part = part[~np.isnan(part)]
            for q, got in zip(quantiles, rolled[:, name, t], strict=True):
                if len(part) < 20:
                    assert np.isnan(got)
                else:
                    assert got == part[int(np.floor(q * (len(part) - 1)))]


def test_a_value_does_not_depend_on_where_the_series_was_cut() -> None:
    path, cut = np.cumsum(series(), axis=1), 150
    values = from_fixed(path)
    late = EVERYWHERE[cut + 100 :]
    for whole, part in (
        (RollingSums(path).ending(late, 63), RollingSums(path[:, cut:]).ending(late - cut, 63)),
        (rolling_max(path, late, 63), rolling_max(path[:, cut:], late - cut, 63)),
        (rolling_drawdown(path, late, 63), rolling_drawdown(path[:, cut:], late - cut, 63)),
        (rolling_quantiles(values, late, 63, (0.5,), 1), rolling_quantiles(values[:, cut:], late - cut, 63, (0.5,), 1)),
    ):
        assert np.array_equal(whole, part)


def test_windows_are_rows_of_a_view() -> None:
    values = series()
    view = sliding(values, 7)
    assert np.array_equal(view[2 * 300 + 40 - 6], values[2, 34:41])
    assert view.base is not None
    assert not view.flags.writeable


def test_consecutive_columns_are_not_copied() -> None:
    values = series()
    assert np.shares_memory(columns(values, np.arange(5, 9)), values)
    assert np.array_equal(columns(values, np.array([5, 8])), values[:, [5, 8]])
    assert columns(values, np.array([], dtype=np.int64)).shape == (4, 0)
