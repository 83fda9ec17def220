"""Water-filling against filling drop by drop."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from prometheus.engines.portfolio import NO_SECTOR, capacity, water_fill
from tests.portfolio_problems import sector_sums


def slowly(shares: NDArray[np.float64], sector: NDArray[np.int64], cap: float, share: float) -> NDArray[np.float64]:
    """Raise the level until all is spent, a name or a sector stopping when it is full: bisection, name by name."""

    def at(level: float) -> NDArray[np.float64]:
        weights = np.minimum(level * shares, cap)
        for code in np.unique(sector[sector != NO_SECTOR]):
            mine = sector == code
            low, high = 0.0, level
            if weights[mine].sum() > share:
                for _ in range(60):
                    middle = 0.5 * (low + high)
                    low, high = (
                        (middle, high) if np.minimum(middle * shares[mine], cap).sum() < share else (low, middle)
                    )
                weights[mine] = np.minimum(high * shares[mine], cap)
        return weights

    low, high = 0.0, 1e6
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if at(middle).sum() < 1.0 else (low, middle)
    return at(high)


def test_it_is_what_raising_the_level_by_hand_gives() -> None:
    rng = np.random.default_rng(5)
    for _ in range(25):
        n = int(rng.integers(1, 25))
        shares = np.where(rng.random(n) < 0.2, 0.0, rng.gamma(1.0, 1.0, n))
        sector = rng.integers(NO_SECTOR, 4, n)
        cap, share = float(rng.choice([0.02, 0.1, 0.4, 1.0])), float(rng.choice([0.1, 0.35, 1.0]))
        found = water_fill(shares[None], sector[None], cap, share)[0]
        np.testing.assert_allclose(found, slowly(shares, sector, cap, share), atol=1e-9)


def test_what_is_below_its_caps_stays_in_proportion() -> None:
    shares = np.array([[8.0, 4.0, 2.0, 1.0, 1.0]])
    found = water_fill(shares, np.full((1, 5), NO_SECTOR), 0.4, 1.0)[0]
    np.testing.assert_allclose(found, [0.4, 0.3, 0.15, 0.075, 0.075])


@pytest.mark.parametrize(
    ("sector", "wanted"),
    [([NO_SECTOR] * 6, 0.3), ([0] * 6, 0.12), ([0, 0, 0, 1, 1, NO_SECTOR], 0.12 + 0.1 + 0.05)],
)
def test_where_the_caps_allow_no_more_the_rest_is_cash(sector: list[int], wanted: float) -> None:
    codes = np.array(sector)
    found = water_fill(np.arange(1.0, 7.0)[None], codes[None], 0.05, 0.12)[0]
    assert found.sum() == pytest.approx(wanted)
    assert capacity(codes, np.full(6, 0.05), 0.12) == pytest.approx(wanted)
    assert sector_sums(found, codes).max(initial=0) <= 0.12 + 1e-12


def test_a_day_is_the_same_bit_for_bit_among_other_days_and_names() -> None:
    rng = np.random.default_rng(2)
    shares = np.where(rng.random((6, 30)) < 0.3, 0.0, rng.gamma(1.0, 1.0, (6, 30)))
    sector = rng.integers(NO_SECTOR, 3, (6, 30))
    together = water_fill(shares, sector, 0.08, 0.3)
    for t in range(6):
        there = shares[t] > 0
        alone = water_fill(shares[t : t + 1, there], sector[t : t + 1, there], 0.08, 0.3)[0]
        np.testing.assert_array_equal(alone, together[t, there])


def test_nobody() -> None:
    assert water_fill(np.zeros((2, 3)), np.zeros((2, 3), dtype=np.int64), 0.1, 0.3).tolist() == [[0.0] * 3] * 2
    assert water_fill(np.zeros((2, 0)), np.zeros((2, 0), dtype=np.int64), 0.1, 0.3).shape == (2, 0)
