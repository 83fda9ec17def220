"""Factors between what a file says and what is held: told from corrections, from rounding, and from nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from prometheus.market.ingest.bases import MEASURED, TOLD, compared, measure

RNG = np.random.default_rng(3)
CLOSE = 20.0 + RNG.random(10) * 5
VOLUME = np.round(1e5 + RNG.random(10) * 1e5)


def factors(
    n: int = 10,
    *,
    dividend: float = 1.0,
    split: float = 1.0,
    decimals: int = 6,
    odd: dict[int, float] | None = None,
    volume: bool = True,
    close: bool = True,
    volume_moves: bool = True,
) -> dict[str, Any]:
    """What is measured when a file divides closes by ``split``, and adjusted closes by ``dividend`` as well."""
    wrong = np.ones(10)
    for at, by in (odd or {}).items():
        wrong[at] = by
    held = {"close": CLOSE, "adjusted_close": CLOSE * 0.9, "volume": VOLUME}
    told = {
        "close": CLOSE / split * wrong,
        "adjusted_close": CLOSE * 0.9 / split / dividend * wrong,
        "volume": VOLUME * (split if volume_moves else 1.0),
    }
    columns = {f: np.round(held[f], decimals if f != "volume" else 0)[:n] for f in MEASURED}
    columns |= {TOLD + f: np.round(told[f], decimals if f != "volume" else 0)[:n] for f in MEASURED}
    frame = pl.DataFrame({"name": ["A"] * n, **columns})
    for f, there in (("volume", volume), ("close", close)):
        if not there:
            frame = frame.with_columns(pl.lit(None, pl.Float64).alias(c) for c in (f, TOLD + f))
    return measure(frame, ["name"]).row(0, named=True)


def measured(**options: Any) -> tuple[float, float, float, bool]:
    row = factors(**options)
    return row["r_adjusted_close"], row["r_close"], row["r_volume"], row["doubt"]


@pytest.mark.parametrize("decimals", [2, 3, 4, 6])
@pytest.mark.parametrize("n", [2, 3, 10])
def test_a_dividend_is_measured(decimals: int, n: int) -> None:
    adjusted, close, volume, doubt = measured(n=n, decimals=decimals, dividend=1.004)
    assert adjusted == pytest.approx(1.004, rel=10.0**-decimals / 15)
    assert (close, volume, doubt) == (1.0, 1.0, False)


@pytest.mark.parametrize(("price", "dividend"), [(1.38, 1.01), (2.0, 1.004)])
def test_several_sessions_show_what_one_could_not(price: float, dividend: float) -> None:
    """At a price of 2 the cents of two files are 1 %; but one price printed twice is the same, so ten that differ tell."""
    true = price + np.arange(10) * 0.007
    held, told = np.round(true * dividend, 2), np.round(true, 2)
    columns = {"close": told, "adjusted_close": held, "volume": VOLUME}
    columns |= {TOLD + "close": told, TOLD + "adjusted_close": told, TOLD + "volume": VOLUME}
    row = measure(pl.DataFrame({"name": ["A"] * 10, **columns}), ["name"]).row(0, named=True)
    assert (row["r_adjusted_close"], row["doubt"]) == (pytest.approx(dividend, rel=4e-3), False)
    assert row["r_adjusted_close"] > 1


@pytest.mark.parametrize("split", [4.0, 1.5, 0.1])
def test_a_split_is_measured_and_volume_moves_the_other_way(split: float) -> None:
    adjusted, close, volume, doubt = measured(split=split, decimals=2)
    assert (close, adjusted) == (pytest.approx(split, rel=1e-4), pytest.approx(split, rel=1e-4))
    assert volume == pytest.approx(1 / split, rel=1e-4)
    assert not doubt


def test_volume_that_did_not_move_is_left_alone() -> None:
    """Some vendors adjust every price for dividends, and volume for splits alone."""
    _, close, volume, _ = measured(split=1.01, volume_moves=False)
    assert (close, volume) == (pytest.approx(1.01, rel=1e-6), 1.0)


@pytest.mark.parametrize("decimals", [2, 3, 4, 5, 6])
def test_rounding_alone_is_no_new_base(decimals: int) -> None:
    """Held with two decimals and told with more, and the other way round, as often as chance may have it."""
    rng = np.random.default_rng(decimals)
    start, moves = np.exp(rng.normal(2.5, 1.2, (60, 1))), np.cumsum(rng.normal(0, 0.01, (60, 10)), axis=1)
    coarse, fine = (np.round(start * np.exp(moves), d).reshape(-1) for d in (2, decimals))
    for held, told in ((coarse, fine), (fine, coarse)):
        columns = {"close": held, "adjusted_close": held, "volume": np.tile(VOLUME, 60)}
        columns |= {TOLD + "close": told, TOLD + "adjusted_close": told, TOLD + "volume": np.tile(VOLUME, 60)}
        rows = measure(pl.DataFrame({"name": np.repeat(np.arange(60), 10), **columns}), ["name"])
        assert rows.height == 60
        assert set(rows.select("r_adjusted_close", "r_close", "r_volume", "doubt").rows()) == {(1.0, 1.0, 1.0, False)}


def test_what_was_brought_to_a_base_is_measured_as_finely_as_its_file_is_printed() -> None:
    held, told = CLOSE * 1.00371234567, np.round(CLOSE / 1.0002, 6)
    columns = {"close": held, "adjusted_close": held, "volume": VOLUME}
    columns |= {TOLD + "close": told, TOLD + "adjusted_close": told, TOLD + "volume": VOLUME}
    row = measure(pl.DataFrame({"name": ["A"] * 10, **columns}), ["name"]).row(0, named=True)
    assert row["r_adjusted_close"] == pytest.approx(1.00371234567 * 1.0002, rel=1e-7)
    held = CLOSE * 1.0002
    columns |= {"close": held, "adjusted_close": held, TOLD + "close": np.round(CLOSE, 6)}
    columns |= {TOLD + "adjusted_close": np.round(CLOSE, 6)}
    row = measure(pl.DataFrame({"name": ["A"] * 10, **columns}), ["name"]).row(0, named=True)
    assert row["r_adjusted_close"] == pytest.approx(1.0002, rel=1e-7)


def test_a_factor_recomputed_in_single_precision_is_no_new_base() -> None:
    columns = {"close": CLOSE, "adjusted_close": CLOSE, "volume": VOLUME}
    columns |= {TOLD + c: np.round(v * (1 + 3e-6), 6) for c, v in columns.items()}
    row = measure(pl.DataFrame({"name": ["A"] * 10, **columns}), ["name"]).row(0, named=True)
    assert (row["r_adjusted_close"], row["r_close"]) == (1.0, 1.0)


def test_one_corrected_session_among_others_moves_nothing() -> None:
    assert measured(odd={9: 1.03}) == (1.0, 1.0, 1.0, False)
    adjusted, _, _, doubt = measured(dividend=1.01, odd={9: 1.03})
    assert (adjusted, doubt) == (pytest.approx(1.01, rel=1e-5), False)


def test_a_few_round_prices_do_not_make_a_file_coarse() -> None:
    """Two closes at 11 and 12 are not printed in whole dollars; five of them may be."""
    for n, factor, doubt in ((2, 1.02, False), (5, 1.0, False)):
        told = 11.0 + np.arange(n)
        columns = {"close": told * 1.02, "adjusted_close": told * 1.02, "volume": VOLUME[:n]}
        columns |= {TOLD + "close": told, TOLD + "adjusted_close": told, TOLD + "volume": VOLUME[:n]}
        row = measure(pl.DataFrame({"name": ["A"] * n, **columns}), ["name"]).row(0, named=True)
        assert (row["r_close"], row["doubt"]) == (pytest.approx(factor), doubt)


def test_sessions_that_agree_on_nothing_are_doubted() -> None:
    scattered = {i: 1 + 0.01 * (i + 1) for i in range(10)}
    assert measured(odd=scattered) == (1.0, 1.0, 1.0, True)
    assert measured(n=2, odd={1: 1.02}) == (1.0, 1.0, 1.0, True)


def test_one_session_alone_proves_a_dividend_by_its_close_and_a_split_by_its_volume() -> None:
    assert measured(n=1, dividend=1.01) == (pytest.approx(1.01, rel=1e-6), 1.0, 1.0, False)
    assert measured(n=1, split=2.0)[1:] == (pytest.approx(2.0, rel=1e-6), pytest.approx(0.5, rel=1e-5), False)
    assert measured(n=1, odd={0: 1.02}) == (1.0, 1.0, 1.0, True)
    assert measured(n=1, dividend=1.01, close=False) == (1.0, 1.0, 1.0, True)
    assert measured(n=1, split=2.0, volume=False) == (1.0, 1.0, 1.0, True)


def test_missing_and_impossible_prices_measure_nothing() -> None:
    frame = pl.DataFrame({"name": ["A"], **{f: [0.0] for f in MEASURED}, **{TOLD + f: [5.0] for f in MEASURED}})
    row = measure(frame, ["name"]).row(0, named=True)
    assert (row["r_adjusted_close"], row["r_close"], row["r_volume"], row["doubt"]) == (1.0, 1.0, 1.0, False)


def test_groups_do_not_touch_each_other() -> None:
    both = pl.concat(
        [
            pl.DataFrame(
                {"name": [name] * 10, **dict.fromkeys(MEASURED, CLOSE), **{TOLD + f: CLOSE / by for f in MEASURED}}
            )
            for name, by in (("A", 1.0), ("B", 1.02))
        ]
    )
    rows = {r["name"]: r["r_adjusted_close"] for r in measure(both, ["name"]).to_dicts()}
    assert rows == {"A": 1.0, "B": pytest.approx(1.02)}


def test_numbers_as_files_print_them() -> None:
    """A file of six decimals never said a third, nor what a factor made of a price; it may have said less."""
    held = [12.0, 12.34, 0.123456, 123456.789, 1 / 3, 12.34 * 1.00371234567, 1e9, None]
    told = [1.123456, 2.2, 3.3, 4.4, 5.5, 6.6, 7.7, 8.8]
    rows = pl.DataFrame({"name": ["A"] * 8, "close": held, TOLD + "close": told})
    finer = compared(rows, ["close"], ["name"])["finer_close"].to_list()
    assert finer == [False, False, False, False, True, True, False, None]
