"""A portfolio's path against adding up by hand: which book counts when, how a path begins, and what is not known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from prometheus.market.panel import EntitySeries
from prometheus.market.rolling import from_fixed, to_fixed
from prometheus.market.value_paths import CARRY, BookPaths

N, T = 3, 120
SIMPLE = 0.02 * np.random.default_rng(5).standard_normal((N, T))


def panel(unknown: list[tuple[int, int]] = []) -> EntitySeries:  # noqa: B006 - never changed
    ok = np.ones((N, T), dtype=bool)
    for cell in unknown:
        ok[cell] = False
    return EntitySeries(
        entity_type="INSTRUMENT",
        names=("A", "B", "C"),
        sessions=np.arange(np.datetime64("2020-01-01"), np.datetime64("2020-01-01") + T),
        ret=to_fixed(np.where(ok, np.log1p(SIMPLE), 0.0)),
        ret_ok=ok,
        observed=ok,
        log_dollar_volume=np.full((N, T), np.nan),
    )


def paths(positions: list[int], weights: list[list[float]], **about: list[tuple[int, int]]) -> BookPaths:
    return BookPaths(panel(**about), np.arange(N), np.array(positions), np.array(weights))


def simple(ret: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.expm1(from_fixed(ret))


def test_yesterdays_weights_have_todays_returns() -> None:
    books = paths([-1, 40, 41], [[0.5, 0.3, 0.0], [0.0, 0.0, 0.9], [0.2, 0.2, 0.2]])
    path = books.path(-1)
    found = simple(path.ret)
    np.testing.assert_allclose(found[0], 0.5 * SIMPLE[0, 0] + 0.3 * SIMPLE[1, 0], atol=1e-12)
    np.testing.assert_allclose(found[41], 0.9 * SIMPLE[2, 41], atol=1e-12)
    np.testing.assert_allclose(found[42], 0.2 * SIMPLE[:, 42].sum(), atol=1e-12)
    # In force for so long and no longer: what is held after that nobody has said.
    assert path.known[: CARRY - 1 + 1].all()
    assert not path.known[CARRY:41].any()
    assert path.known[41 : 41 + CARRY + 1].all()
    assert not path.known[42 + CARRY :].any()
    assert (path.own == path.known).all()


def test_a_young_portfolio_begins_with_what_its_first_book_would_have_done() -> None:
    books = paths([100, 101], [[0.6, 0.2, 0.0], [0.0, 0.0, 0.5]])
    targets = np.array([100, 101])
    np.testing.assert_array_equal(books.begins(targets, 63), [0, 0])
    path = books.path(0)
    assert path.known[:102].all()
    assert not path.own[:101].any()
    assert path.own[101]
    found = simple(path.ret)
    np.testing.assert_allclose(found[50], 0.6 * SIMPLE[0, 50] + 0.2 * SIMPLE[1, 50], atol=1e-12)
    np.testing.assert_allclose(found[100], 0.6 * SIMPLE[0, 100] + 0.2 * SIMPLE[1, 100], atol=1e-12)
    np.testing.assert_allclose(found[102], 0.5 * SIMPLE[2, 102], atol=1e-12)


def test_a_path_begins_where_its_own_reach_does_whatever_lies_before() -> None:
    positions = list(range(120))
    books = paths(positions, [[0.3, 0.3, 0.3]] * 120)
    np.testing.assert_array_equal(books.begins(np.array([62, 63, 64, 119]), 63), [0, -1, -1, -1])
    # A portfolio that paused for longer than a book is carried begins anew.
    again = paths([0, 1, 2, 70, 71], [[0.1, 0.1, 0.1]] * 5)
    np.testing.assert_array_equal(again.begins(np.array([71]), 20), [3])
    np.testing.assert_array_equal(again.begins(np.array([71]), 71), [-1])


def test_a_name_without_a_return_stands_still_but_not_for_half_the_book() -> None:
    books = paths([-1], [[0.6, 0.3, 0.0]], unknown=[(1, 3), (0, 4), (2, 5)])
    path = books.path(-1)
    np.testing.assert_allclose(simple(path.ret)[3], 0.6 * SIMPLE[0, 3], atol=1e-12)
    assert path.known[3]
    assert not path.known[4]
    assert path.ret[4] == 0
    assert path.known[5], "a name that is not held is not missed"
    # Before the first book the rest is scaled up: it would have been held of what there was.
    young = paths([10], [[0.6, 0.3, 0.0]], unknown=[(1, 3)]).path(0)
    np.testing.assert_allclose(simple(young.ret)[3], 0.9 * SIMPLE[0, 3], atol=1e-12)


def test_cash_alone_stands_still_and_shorts_gain_when_names_fall() -> None:
    books = paths([-1, 1], [[0.0, 0.0, 0.0], [-0.5, 0.0, 0.0]])
    path = books.path(-1)
    assert path.known[:3].all()
    assert (path.ret[:2] == 0).all()
    np.testing.assert_allclose(simple(path.ret)[2], -0.5 * SIMPLE[0, 2], atol=1e-12)
