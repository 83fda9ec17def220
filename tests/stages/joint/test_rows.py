"""Looking values up for the rows of a joint space."""

from __future__ import annotations

import datetime as dt

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from prometheus.stages.joint.rows import last_known

DAY = dt.date(2024, 1, 1)
PAIRS = st.tuples(st.integers(0, 40), st.sampled_from(["A", "B", "C", "Ä"]))


def dates(numbers: list[int]) -> np.ndarray:
    return np.datetime64(DAY) + np.array(numbers, dtype="timedelta64[D]")


@given(asked=st.lists(PAIRS, max_size=12), held=st.lists(PAIRS, max_size=12, unique=True), age=st.integers(0, 30))
def test_the_latest_value_of_the_key_within_the_age(
    asked: list[tuple[int, str]], held: list[tuple[int, str]], age: int
) -> None:
    found = last_known(
        dates([d for d, _ in asked]),
        np.array([k for _, k in asked], dtype=np.str_),
        dates([d for d, _ in held]),
        np.array([k for _, k in held], dtype=np.str_),
        age,
    )
    for (day, key), at in zip(asked, found.tolist(), strict=True):
        fitting = [(d, i) for i, (d, k) in enumerate(held) if k == key and day - age <= d <= day]
        assert at == (max(fitting)[1] if fitting else -1)


def test_days_of_any_century_do_not_meet() -> None:
    days = np.array(["1900-01-01", "2262-01-01"], dtype="datetime64[D]")
    found = last_known(days, np.array(["A", "A"]), days[:1], np.array(["A"]), 400)
    assert found.tolist() == [0, -1]
