"""Concatenation and projection: inner products add up, nothing depends on the company."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.encoders.models_joint_concat import ConcatProjectionJointModel, projection

RNG = np.random.default_rng(0)
D = 384


def draw(n: int) -> np.ndarray:
    return RNG.standard_normal((n, D)).astype(np.float32) / np.sqrt(D)


def test_the_projection_is_orthogonal_and_the_seeds() -> None:
    matrix = projection(3 * D, D, 7)
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(D), atol=1e-12)
    assert np.array_equal(matrix, projection.__wrapped__(3 * D, D, 7))
    assert not np.allclose(matrix, projection(3 * D, D, 8))


def test_inner_products_are_weighted_sums_of_those_of_the_branches() -> None:
    a, b = draw(600), draw(600)
    got = ConcatProjectionJointModel([3.0, 1.0]).encode([a, b]).astype(np.float64)
    wanted = 0.75 * (a.astype(float) @ a.T) + 0.25 * (b.astype(float) @ b.T)
    off = ~np.eye(len(a), dtype=bool)
    assert np.trace(got @ got.T) == pytest.approx(np.trace(wanted), rel=0.02)
    assert np.corrcoef((got @ got.T)[off], wanted[off])[0, 1] > 0.5
    np.testing.assert_allclose(np.diag(got @ got.T), np.diag(wanted), rtol=0.25)


def test_equal_and_opposite_branches_do_not_cancel() -> None:
    a = draw(10)
    fused = ConcatProjectionJointModel([0.5, 0.5]).encode([a, -a])
    assert np.linalg.norm(fused, axis=1).min() > 0.8 * np.linalg.norm(a, axis=1).min()


def test_a_missing_branch_leaves_its_weight_to_the_others() -> None:
    a, b = draw(4), draw(4)
    present = np.array([[True, True], [True, False], [False, True], [True, True]])
    model = ConcatProjectionJointModel([0.5, 0.5])
    got = model.encode([a, b], present)
    matrix = projection(2 * D, D, 384) * np.sqrt(2)
    np.testing.assert_allclose(got[1], a[1].astype(float) @ matrix[:D], atol=1e-6)
    np.testing.assert_allclose(got[2], b[2].astype(float) @ matrix[D:], atol=1e-6)
    assert np.array_equal(got[0], model.encode([a[:1], b[:1]])[0])


@pytest.mark.parametrize("rows", [[0], [3, 299], [299, 0, 128]])
def test_a_row_is_the_same_in_any_company(rows: list[int]) -> None:
    a, b = draw(300), draw(300)
    model = ConcatProjectionJointModel([0.2, 0.8])
    assert np.array_equal(model.encode([a, b])[rows], model.encode([a[rows], b[rows]]))


def test_refusals() -> None:
    with pytest.raises(ValueError, match="has 2 branch weights but got 1"):
        ConcatProjectionJointModel([1, 1]).encode([draw(2)])
    with pytest.raises(ValueError, match="one common shape"):
        ConcatProjectionJointModel([1, 1]).encode([draw(2), draw(3)])
    with pytest.raises(ValueError, match="no branch of positive weight"):
        ConcatProjectionJointModel([1, 0]).encode([draw(1), draw(1)], np.array([[False, True]]))
