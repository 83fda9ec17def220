"""Counting transitions: which pairs there are, and when each is known."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.engines.state_changes import codes_of, transition_counts
from prometheus.engines.state_changes.counting import entity_transition_counts

LABELS = ("A", "B", "C")


def brute_force(codes: np.ndarray, lag: int) -> np.ndarray:
    t, e = codes.shape
    out = np.zeros((t, e, 3, 3), dtype=np.int64)
    for now in range(t):
        for end in range(lag, now + 1):
            for entity in range(e):
                before, after = codes[end - lag, entity], codes[end, entity]
                if before >= 0 and after >= 0:
                    out[now, entity, before, after] += 1
    return out


def test_names_become_codes_and_none_stays_unknown() -> None:
    assert codes_of(["B", None, "A"], LABELS).tolist() == [1, -1, 0]
    assert codes_of(np.array([["C", None], ["A", "B"]], dtype=object), LABELS).tolist() == [[2, -1], [0, 1]]
    with pytest.raises(ValueError, match="'X' is none of the labels A, B, C"):
        codes_of(["A", "X", None], LABELS)


def test_pairs_that_stayed_count_and_each_from_the_session_it_ends_on() -> None:
    counts = transition_counts(codes_of(["A", "A", "B", "A"], LABELS)[:, None], 3)
    assert counts[0].sum() == 0
    assert counts[1].tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert counts[3].tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 0]]


def test_a_session_without_a_label_breaks_both_of_its_pairs() -> None:
    codes = codes_of(["A", None, "A", "B"], LABELS)[:, None]
    assert transition_counts(codes, 3)[-1].tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    # Two sessions apart only the ends matter.
    assert transition_counts(codes, 3, lag=2)[-1].tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("lag", [1, 2, 5, 40])
def test_counts_equal_a_loop_over_everything(lag: int) -> None:
    codes = np.random.default_rng(lag).integers(-1, 3, (30, 4)).astype(np.int8)
    expected = brute_force(codes, lag)
    np.testing.assert_array_equal(transition_counts(codes, 3, lag), expected.sum(axis=1))
    at = np.array([0, 3, 4, 17, 29])
    np.testing.assert_array_equal(entity_transition_counts(codes, 3, lag, at), expected[at])
    np.testing.assert_array_equal(entity_transition_counts(codes, 3, lag, at[2:]), expected[at[2:]])


def test_nothing_to_count() -> None:
    assert transition_counts(np.zeros((0, 0), dtype=np.int8), 3).shape == (0, 3, 3)
    assert transition_counts(np.zeros((2, 0), dtype=np.int8), 3).sum() == 0
