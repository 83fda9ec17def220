"""Walk-forward folds against a plain loop over dates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus.evaluation import WalkForward


def sessions(n: int) -> np.ndarray:
    days = np.arange(np.datetime64("2020-01-01"), np.datetime64("2020-01-01") + 2 * n)
    return days[np.is_busday(days)][:n]


def reference(days: np.ndarray, calendar: np.ndarray, walk: WalkForward) -> list[tuple[list[int], list[int]]]:
    """The folds, session by session and row by row, from what the words say."""
    place = {d: i for i, d in enumerate(calendar.tolist())}
    at = [place[d] for d in days.tolist()]
    out = []
    start = min(at)
    while True:
        if start - min(at) < walk.min_train_days + max(walk.horizon, 1) + walk.embargo - 1:
            start += 1
            continue
        if start > max(at):
            return out
        test = [i for i, a in enumerate(at) if start <= a < start + walk.test_days]
        train = []
        for i, a in enumerate(at):
            realised = a + max(walk.horizon, 1)
            if realised + walk.embargo > start:
                continue
            newest = start - max(walk.horizon, 1) - walk.embargo
            if walk.train_days is not None and a <= newest - walk.train_days:
                continue
            train.append(i)
        if train and test:
            out.append((train, test))
        start += walk.test_days


@settings(max_examples=150)
@given(
    n=st.integers(2, 60),
    test=st.integers(1, 20),
    train=st.none() | st.integers(1, 30),
    least=st.integers(1, 20),
    horizon=st.integers(0, 12),
    embargo=st.integers(0, 8),
    seed=st.integers(0, 99),
)
def test_folds_are_those_of_the_plain_loop(
    n: int, test: int, train: int | None, least: int, horizon: int, embargo: int, seed: int
) -> None:
    calendar = sessions(n)
    days = np.random.default_rng(seed).choice(calendar, size=3 * n)
    walk = WalkForward(test, train, least, horizon, embargo)
    made = [(f.train.tolist(), f.test.tolist()) for f in walk.split(days, calendar)]
    assert made == reference(days, calendar, walk)


def test_no_label_of_training_reaches_into_the_test() -> None:
    days = np.repeat(sessions(400), 3)
    walk = WalkForward(test_days=21, min_train_days=100, horizon=21, embargo=5)
    folds = list(walk.split(days))
    calendar = sessions(400)
    seen = []
    for fold in folds:
        newest = np.searchsorted(calendar, days[fold.train].max())
        first = np.searchsorted(calendar, days[fold.test].min())
        assert newest + 21 + 5 == first
        seen.extend(fold.test.tolist())
    assert seen == sorted(set(seen))
    assert len(seen) == 3 * (400 - 100 - 26 + 1)


def test_wrong_requests() -> None:
    with pytest.raises(ValueError, match="at least one session"):
        WalkForward(test_days=0)
    with pytest.raises(ValueError, match="not negative"):
        WalkForward(test_days=1, horizon=-1)
    with pytest.raises(ValueError, match="no session of the calendar"):
        list(WalkForward(5).split(np.array(["2020-01-04"], dtype="datetime64[D]"), sessions(10)))
    assert list(WalkForward(5).split(np.array([], dtype="datetime64[D]"))) == []
