"""SimpleAverageJointModel: the formula, absent branches, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from prometheus.encoders import SimpleAverageJointModel

finite = st.floats(-1e6, 1e6, width=32)


def blocks(k: int, n: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, 384)).astype(np.float32) for _ in range(k)]


def test_default_is_the_plain_mean_of_two_branches() -> None:
    z_num, z_text = blocks(2, 50)
    z = SimpleAverageJointModel().encode([z_num, z_text])
    assert z.shape == (50, 384)
    assert z.dtype == np.float32
    exact = (0.5 * z_num.astype(np.float64) + 0.5 * z_text.astype(np.float64)) / (0.5 + 0.5)
    np.testing.assert_array_equal(z, exact.astype(np.float32))


def test_numeric_and_text_weights_are_the_two_weights() -> None:
    z_num, z_text = blocks(2, 9)
    named = SimpleAverageJointModel(numeric_weight=0.7, text_weight=0.3)
    assert named.weights == (0.7, 0.3)
    exact = (0.7 * z_num.astype(np.float64) + 0.3 * z_text.astype(np.float64)) / (0.7 + 0.3)
    np.testing.assert_array_equal(named.encode([z_num, z_text]), exact.astype(np.float32))
    assert SimpleAverageJointModel(text_weight=0.1).weights == (0.5, 0.1)


def test_absent_branches_leave_sum_and_denominator() -> None:
    parts = blocks(3, 4)
    parts[1][2] = np.nan  # absent, so not looked at
    present = np.array([[1, 1, 1], [1, 0, 1], [0, 0, 1], [1, 1, 0]], dtype=bool)
    z = SimpleAverageJointModel((0.5, 2.0, 1.0)).encode(parts, present)
    wide = [p.astype(np.float64) for p in parts]
    np.testing.assert_array_equal(z[1], ((0.5 * wide[0][1] + 1.0 * wide[2][1]) / 1.5).astype(np.float32))
    np.testing.assert_array_equal(z[2], parts[2][2])
    np.testing.assert_array_equal(z[3], ((0.5 * wide[0][3] + 2.0 * wide[1][3]) / 2.5).astype(np.float32))
    np.testing.assert_array_equal(z[0], SimpleAverageJointModel((0.5, 2.0, 1.0)).encode([p[0] for p in parts]))


@given(
    hnp.arrays(np.float32, (3, 7, 384), elements=finite),
    hnp.arrays(np.float64, 3, elements=st.floats(0.015625, 100.0)),
)
def test_rows_are_independent_and_within_the_hull(parts: np.ndarray, weights: np.ndarray) -> None:
    model = SimpleAverageJointModel(tuple(weights))
    z = model.encode(list(parts))
    np.testing.assert_array_equal(z[2:5], model.encode([p[2:5] for p in parts]))
    slack = 1e-5 * (1.0 + np.abs(parts).max())
    assert (z <= parts.max(axis=0) + slack).all()
    assert (z >= parts.min(axis=0) - slack).all()
    np.testing.assert_allclose(model.encode([parts[0]] * 3), parts[0], rtol=2e-7, atol=1e-30)


def test_many_rows_are_the_formula_to_the_bit() -> None:
    parts = blocks(3, 1000)
    present = np.random.default_rng(1).random((1000, 3)) < 0.7
    present[:, 2] |= ~present.any(axis=1)
    for k, part in enumerate(parts):
        part[~present[:, k]] = np.nan
    weights = (0.7, 0.1, 2.0)
    z = SimpleAverageJointModel(weights).encode(parts, present)
    summed = np.zeros((1000, 384))
    for k, weight in enumerate(weights):
        summed += weight * np.where(present[:, k, None], parts[k].astype(np.float64), 0.0)
    np.testing.assert_array_equal(z, (summed / (present @ np.array(weights))[:, None]).astype(np.float32))


def test_a_branch_alone_is_itself_but_for_the_sign_of_zeros() -> None:
    part = blocks(1, 300)[0]
    part[::7] = -0.0
    z = SimpleAverageJointModel((0.3,)).encode([part])
    np.testing.assert_array_equal(z, part)
    assert not np.signbit(z[::7]).any()


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_value_that_is_not_finite_is_found_among_many(value: float) -> None:
    a, b = blocks(2, 700)
    b[611, 3] = value
    with pytest.raises(ValueError, match="branch 1 holds a value that is not finite in row 611 of 700"):
        SimpleAverageJointModel((1.0, 0.0)).encode([a, b])
    present = np.ones((700, 2), dtype=bool)
    present[611, 1] = False
    assert np.isfinite(SimpleAverageJointModel().encode([a, b], present)).all()


def test_scaling_all_weights_changes_nothing() -> None:
    parts = blocks(2, 20)
    np.testing.assert_array_equal(
        SimpleAverageJointModel((0.25, 0.5)).encode(parts), SimpleAverageJointModel((1.0, 2.0)).encode(parts)
    )


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ((0.5, -0.1), "not negative"),
        ((0.5, float("nan")), "finite"),
        ((0.0, 0.0), "all zero"),
        ((), "at least one"),
    ],
)
def test_weights_that_are_refused(weights: tuple[float, ...], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SimpleAverageJointModel(weights)


def test_inputs_that_are_refused() -> None:
    model = SimpleAverageJointModel()
    a, b = blocks(2, 5)
    with pytest.raises(ValueError, match="one common shape"):
        model.encode([a, b[:4]])
    with pytest.raises(ValueError, match="one common shape"):
        model.encode([a, b[:, :10]])
    with pytest.raises(ValueError, match="2 branch weights but got 3"):
        model.encode([a, b, a])
    with pytest.raises(ValueError, match="row 3 of 5 has no branch"):
        model.encode([a, b], np.array([[True, True]] * 3 + [[False, False]] + [[True, True]]))
    with pytest.raises(ValueError, match="row 0 of 5 has no branch"):
        SimpleAverageJointModel((1.0, 0.0)).encode([a, b], np.tile([False, True], (5, 1)))
    with pytest.raises(ValueError, match=r"shape \(5, 2\)"):
        model.encode([a, b], np.ones((4, 2), dtype=bool))
    with pytest.raises(ValueError, match="boolean"):
        model.encode([a, b], np.ones((5, 2)))
    b[1, 7] = np.inf
    with pytest.raises(ValueError, match=r"branch 1 .* row 1 of 5"):
        model.encode([a, b])
    with pytest.raises(ValueError, match="not both"):
        SimpleAverageJointModel((0.5, 0.5), numeric_weight=0.5)


def test_no_rows_give_no_rows() -> None:
    empty = np.empty((0, 384), dtype=np.float32)
    assert SimpleAverageJointModel().encode([empty, empty]).shape == (0, 384)
