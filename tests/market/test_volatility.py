"""Trailing volatility against the textbook, and the same wherever the series is cut."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.market.rolling import from_fixed, to_fixed
from prometheus.market.volatility import trailing_volatility


def series(n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    ok = rng.random((3, n)) < np.array([[1.0], [0.9], [0.6]])
    return np.where(ok, to_fixed(0.02 * rng.standard_normal((3, n)) + 0.003), 0), ok


def test_it_is_the_sample_standard_deviation_of_known_returns_annualised() -> None:
    ret, ok = series()
    at = np.arange(200)
    (short, long), (n_short, n_long) = trailing_volatility(ret, ok, at, (21, 63))
    for window, found, counts, least in ((21, short, n_short, 14), (63, long, n_long, 42)):
        for name in range(3):
            for t in at:
                span = slice(max(t - window + 1, 0), t + 1)
                known = from_fixed(ret[name, span])[ok[name, span]]
                assert counts[name, t] == len(known)
                if len(known) < least:
                    assert np.isnan(found[name, t])
                else:
                    assert found[name, t] == pytest.approx(np.std(known, ddof=1) * np.sqrt(252), rel=1e-9)
    assert np.isnan(short[2]).any()
    assert (~np.isnan(short[2])).any()


def test_equal_bits_from_a_longer_series() -> None:
    ret, ok = series()
    (whole,), _ = trailing_volatility(ret, ok, np.arange(150, 200), (63,))
    (part,), _ = trailing_volatility(ret[:, 80:], ok[:, 80:], np.arange(70, 120), (63,))
    np.testing.assert_array_equal(whole, part)
