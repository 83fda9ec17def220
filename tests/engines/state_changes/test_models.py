"""From counts to probabilities some sessions ahead."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.engines.state_changes import (
    MODELS,
    TransitionModel,
    matrix_powers,
    smoothed,
    transition_model,
)
from prometheus.engines.state_changes.models import shrunk

COUNTS = np.array([[90, 10, 0], [5, 4, 1], [0, 0, 0]])


def test_smoothing_is_laplaces() -> None:
    found = smoothed(COUNTS, 1.0)
    np.testing.assert_allclose(found[0], [91 / 103, 11 / 103, 1 / 103])
    np.testing.assert_allclose(found[1], [6 / 13, 5 / 13, 2 / 13])
    np.testing.assert_allclose(found[2], [1 / 3] * 3)
    np.testing.assert_allclose(smoothed(COUNTS[:2], 1e-12)[0], [0.9, 0.1, 0.0], atol=1e-11)


def test_an_entitys_own_transitions_are_weighed_against_the_pool() -> None:
    pooled = smoothed(COUNTS, 1.0)[None]
    own = np.array([[0, 30, 0], [0, 0, 0], [0, 0, 0]])[None, None]
    found = shrunk(own, pooled, 10.0)[0, 0]
    np.testing.assert_allclose(found[0], (np.array([0, 30, 0]) + 10 * pooled[0, 0]) / 40)
    np.testing.assert_allclose(found[1:], pooled[0, 1:])


@pytest.mark.parametrize("exponent", [1, 2, 3, 5, 21, 64, 252])
def test_powers_are_those_of_the_library(exponent: int) -> None:
    matrices = smoothed(np.random.default_rng(3).integers(0, 50, (7, 2, 5, 5)), 1.0)
    np.testing.assert_allclose(
        matrix_powers(matrices, exponent), np.linalg.matrix_power(matrices, exponent), rtol=1e-11, atol=1e-13
    )


def test_a_power_is_the_same_whichever_others_it_is_computed_with() -> None:
    matrices = smoothed(np.random.default_rng(4).integers(0, 50, (1000, 4, 4)), 1.0)
    together = matrix_powers(matrices, 21)
    for some in (slice(0, 1), slice(17, 18), slice(3, 999, 7)):
        np.testing.assert_array_equal(matrix_powers(matrices[some], 21), together[some])


def test_the_models() -> None:
    assert [m.name for m in MODELS] == ["markov", "direct"]
    assert all(isinstance(m, TransitionModel) for m in MODELS)
    matrix = smoothed(COUNTS, 1.0)
    markov, direct = (transition_model(name) for name in ("markov", "direct"))
    assert (markov.lag(21), direct.lag(21)) == (1, 21)
    np.testing.assert_allclose(markov.ahead(matrix, 2), matrix @ matrix)
    assert direct.ahead(matrix, 21) is matrix
    with pytest.raises(ValueError, match="no model 'hmm' of state changes; there are markov, direct"):
        transition_model("hmm")
