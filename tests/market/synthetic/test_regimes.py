from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np
import pytest

from prometheus.clock import Sessions, exchange_sessions
from prometheus.errors import RequestError
from prometheus.market.synthetic import DEFAULT_REGIMES, REGIMES, SyntheticConfig
from prometheus.market.synthetic.regimes import grid_positions, regime_paths, weekdays

CONFIG = SyntheticConfig(seed=3, first=dt.date(1950, 1, 2), last=dt.date(2024, 12, 31))
CRISIS = REGIMES.index("CRISIS")


def spells(codes: np.ndarray) -> list[tuple[int, int, int]]:
    starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    return list(zip(codes[starts].tolist(), starts.tolist(), np.r_[starts[1:], len(codes)].tolist(), strict=True))


def test_the_grid_is_weekdays() -> None:
    grid = weekdays(dt.date(2024, 1, 1), dt.date(2024, 1, 14))
    assert len(grid) == 10
    assert grid[0] == np.datetime64("2024-01-01")


def test_spells_keep_their_least_and_mean_length() -> None:
    path = regime_paths(CONFIG, weekdays(CONFIG.first, CONFIG.last))["US"]
    complete = spells(path)[:-1]
    for code, label in enumerate(REGIMES):
        lengths = np.array([b - a for c, a, b in complete if c == code])
        law = DEFAULT_REGIMES[label]
        assert lengths.min() >= law.dwell_min
        assert lengths.mean() == pytest.approx(law.dwell, rel=0.25)


def test_successors_follow_their_law() -> None:
    path = regime_paths(CONFIG, weekdays(CONFIG.first, CONFIG.last))["US"]
    order = [c for c, _, _ in spells(path)]
    counts = np.zeros((4, 4))
    np.add.at(counts, (order[:-1], order[1:]), 1)
    law = np.array([DEFAULT_REGIMES[label].successors for label in REGIMES])
    assert np.all(np.diag(counts) == 0)
    assert np.abs(counts / counts.sum(axis=1, keepdims=True) - law).max() < 0.2


def test_a_sure_contagion_strikes_within_a_week() -> None:
    config = dataclasses.replace(CONFIG, contagion=1.0)
    paths = regime_paths(config, weekdays(config.first, config.last))
    begun = [start for code, start, _ in spells(paths["US"]) if code == CRISIS]
    struck = [np.any(paths["EU"][start : start + 6] == CRISIS) for start in begun]
    # A spell of the other region that had only just begun may shield it.
    assert len(begun) > 15
    assert np.mean(struck) > 0.9


def test_without_contagion_regions_are_strangers() -> None:
    config = dataclasses.replace(CONFIG, contagion=0.0)
    paths = regime_paths(config, weekdays(config.first, config.last))
    us, eu = paths["US"] == CRISIS, paths["EU"] == CRISIS
    assert np.mean(us & eu) == pytest.approx(us.mean() * eu.mean(), abs=0.01)
    assert np.mean(us & eu) < 0.5 * np.mean(
        np.logical_and(*[p == CRISIS for p in regime_paths(CONFIG, weekdays(CONFIG.first, CONFIG.last)).values()])
    )


def test_a_longer_history_begins_with_the_shorter() -> None:
    short = dataclasses.replace(CONFIG, last=dt.date(1990, 6, 29))
    grid = weekdays(short.first, short.last)
    whole = regime_paths(CONFIG, weekdays(CONFIG.first, CONFIG.last))
    for region, path in regime_paths(short, grid).items():
        assert np.array_equal(path, whole[region][: len(grid)])


def test_sessions_find_their_place() -> None:
    sessions = exchange_sessions("XNYS", dt.date(2024, 1, 1), dt.date(2024, 1, 31))
    grid = weekdays(dt.date(2024, 1, 1), dt.date(2024, 1, 31))
    assert np.array_equal(grid[grid_positions(sessions, grid)], sessions.dates)


def test_weekend_sessions_are_refused() -> None:
    sunday = np.array(["2024-01-07"], dtype="datetime64[D]")
    instants = sunday.astype("datetime64[us]")
    with pytest.raises(RequestError, match="weekend"):
        grid_positions(
            Sessions("XTAE", sunday, instants, instants), weekdays(dt.date(2024, 1, 1), dt.date(2024, 1, 31))
        )
