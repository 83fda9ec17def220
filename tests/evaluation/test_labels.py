"""Labels against the truth, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.evaluation import balanced_accuracy, detection_delays, mean_dwell, recall_of_each


def test_by_hand() -> None:
    truth = np.array(list("aaaabbbbcc"))
    told = np.array(list("aaabaabbbb"))
    assert recall_of_each(told, truth) == {"a": 0.75, "b": 0.5, "c": 0.0}
    assert balanced_accuracy(told, truth) == pytest.approx(1.25 / 3)
    delays, found = detection_delays(told, truth)
    assert delays.tolist() == [2, 2]  # b after two sessions; c never, so its whole spell
    assert found.tolist() == [True, False]
    assert mean_dwell(told) == 10 / 4


def test_a_right_label_at_once_is_no_delay_and_no_change_has_none() -> None:
    truth = np.array(list("aabb"))
    assert detection_delays(truth, truth)[0].tolist() == [0]
    assert detection_delays(truth[:2], truth[:2])[0].tolist() == []


def test_refusals() -> None:
    with pytest.raises(ValueError, match="got 1 and 2"):
        balanced_accuracy(np.array(["a"]), np.array(["a", "b"]))
    with pytest.raises(ValueError, match="no labels"):
        mean_dwell(np.array([], dtype=np.str_))
