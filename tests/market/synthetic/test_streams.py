from __future__ import annotations

import numpy as np
import pytest

from prometheus.market.synthetic.streams import ar1, ease, stream, student


def test_a_stream_is_named_by_its_words() -> None:
    again = stream(3, "own", "ACME.US").random(5)
    assert np.array_equal(stream(3, "own", "ACME.US").random(5), again)
    for other in (stream(4, "own", "ACME.US"), stream(3, "own", "PEER.US"), stream(3, "ACME.US", "own")):
        assert not np.array_equal(other.random(5), again)


def test_student_draws_have_variance_one_and_fat_tails() -> None:
    draws = student(stream(1, "t"), 5.0, 400_000)
    assert draws.var() == pytest.approx(1.0, abs=0.03)
    assert (draws**4).mean() > 5.0


@pytest.mark.parametrize("phi", [0.0, 0.9, -0.3])
def test_ar1_keeps_variance_and_has_its_autocorrelation(phi: float) -> None:
    path = ar1(stream(2, "ar").standard_normal((50_000, 2)), phi)
    assert path.var() == pytest.approx(1.0, abs=0.06)
    assert np.corrcoef(path[1:, 0], path[:-1, 0])[0, 1] == pytest.approx(phi, abs=0.02)


def test_ar1_is_the_recursion() -> None:
    shocks = np.array([1.0, -2.0, 0.5])
    steps = np.array([0.7, 0.5, -0.2])
    second = 0.5 * 1.0 + np.sqrt(0.75) * -2.0
    third = -0.2 * second + np.sqrt(0.96) * 0.5
    assert np.allclose(ar1(shocks, steps), [1.0, second, third])


def test_ar1_columns_do_not_see_each_other() -> None:
    shocks = stream(2, "ar").standard_normal((300, 7))
    assert np.array_equal(ar1(shocks, 0.9)[:, 3], ar1(shocks[:, 3], 0.9))


def test_ease_approaches_its_target() -> None:
    assert np.allclose(ease(np.array([0.0, 1.0, 1.0]), 0.4), [0.0, 0.4, 0.64])
