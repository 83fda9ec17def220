"""The daily mean: exact, so that neither order nor blocks can move a bit of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from prometheus.spaces.joint import DailyMeans, DailySums

DAYS = np.array(["2024-01-02", "2024-01-03", "2024-01-05", "2024-01-08"], dtype="datetime64[D]")
GRAIN = 2.0**-36
WIDTH = 6


def vectors(n: int, seed: int, width: int = WIDTH) -> tuple[NDArray[np.datetime64], NDArray[np.float32]]:
    """Unit vectors with components over many orders of magnitude, and a day for each."""
    rng = np.random.default_rng(seed)
    block = rng.standard_normal((n, width)) * 10.0 ** rng.uniform(-6, 0, (n, width))
    block /= np.linalg.norm(block, axis=1, keepdims=True)
    return DAYS[rng.integers(0, len(DAYS), n)], block.astype(np.float32)


def means(days: NDArray[np.datetime64], block: NDArray[np.float32], cuts: list[int] | None = None) -> DailyMeans:
    sums = DailySums(DAYS, block.shape[1])
    for part in np.split(np.arange(len(days)), cuts or []):
        sums.add(days[part], block[part])
    return sums.means()


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 300), data=st.data())
def test_order_and_blocks_do_not_move_a_bit(seed: int, n: int, data: st.DataObject) -> None:
    days, block = vectors(n, seed)
    order = np.random.default_rng(data.draw(st.integers(0, 99))).permutation(n)
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=5)))
    one, other = means(days, block), means(days[order], block[order], cuts)
    assert one.vectors.tobytes() == other.vectors.tobytes()
    assert one.counts.tolist() == other.counts.tolist()
    assert one.days.tolist() == other.days.tolist()


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 300))
def test_it_is_the_exactly_summed_mean(seed: int, n: int) -> None:
    """``math.fsum`` adds without error; each component is rounded once to 2^-36 before."""
    days, block = vectors(n, seed)
    got = means(days, block)
    for i, day in enumerate(got.days):
        mine = block[days == day].astype(np.float64)
        assert got.counts[i] == len(mine)
        rounded = np.rint(mine / GRAIN) * GRAIN
        exact = [np.float32(math.fsum(rounded[:, j].tolist()) / len(mine)) for j in range(WIDTH)]
        assert got.vectors[i].tolist() == [float(x) for x in exact]
        plain = np.array([math.fsum(mine[:, j].tolist()) / len(mine) for j in range(WIDTH)])
        np.testing.assert_allclose(got.vectors[i], plain, atol=GRAIN / 2 + 2.0**-25, rtol=0)


def test_many_rows_of_one_day_across_inner_blocks() -> None:
    rng = np.random.default_rng(4)
    block = rng.standard_normal((5_000, 384)).astype(np.float32)
    block /= np.linalg.norm(block, axis=1, keepdims=True)
    days = np.repeat(DAYS[:2], 2_500)
    shuffled = rng.permutation(5_000)
    one, other = means(days, block), means(days[shuffled], block[shuffled], [1, 7, 4_097])
    assert one.vectors.tobytes() == other.vectors.tobytes()
    np.testing.assert_allclose(one.vectors[0], block[:2_500].mean(axis=0, dtype=np.float64), atol=1e-8)


def test_days_without_a_vector_are_absent_and_say_so() -> None:
    days, block = np.array(["2024-01-05"], dtype="datetime64[D]"), np.ones((1, WIDTH), np.float32)
    got = means(days, block)
    assert got.days.astype(str).tolist() == ["2024-01-05"]
    assert got.positions(DAYS).tolist() == [-1, -1, 0, -1]
    nothing = DailySums(DAYS, WIDTH).means()
    assert (len(nothing.days), nothing.positions(DAYS).tolist()) == (0, [-1] * 4)


@pytest.mark.parametrize("day", ["2024-01-01", "2024-01-04", "2024-01-09"], ids=["before", "between", "after"])
def test_a_day_that_was_not_announced_is_refused(day: str) -> None:
    sums = DailySums(DAYS, WIDTH)
    with pytest.raises(ValueError, match="not asked for"):
        sums.add(np.array([day], dtype="datetime64[D]"), np.ones((1, WIDTH), np.float32))
    with pytest.raises(ValueError, match="not asked for"):
        DailySums(DAYS[:0], WIDTH).add(DAYS[:1], np.ones((1, WIDTH), np.float32))


def test_sums_beyond_the_exact_range_are_refused() -> None:
    sums = DailySums(DAYS, WIDTH)
    sums.add(DAYS[:1], np.full((1, WIDTH), 3e4, np.float32))
    assert sums.means().vectors[0, 0] == np.float32(3e4)
    for _ in range(2):
        sums.add(DAYS[:1], np.full((1, WIDTH), 3e4, np.float32))
    with pytest.raises(ValueError, match="beyond the exact range"):
        sums.means()
