"""Products of rows and a matrix are whole-number sums: no order of adding can change them."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.encoders.numeric.exact import MATRIX_BITS, ExactMap


@pytest.mark.parametrize("bound", [1.0, 5.0, 98.0])
def test_a_product_is_the_sum_of_whole_numbers(bound: float) -> None:
    rng = np.random.default_rng(3)
    matrix = np.linalg.qr(rng.standard_normal((384, 64)))[0]
    rows = rng.standard_normal((40, 384))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True) * bound).astype(np.float32)
    bits = 53 - 1 - MATRIX_BITS - int(np.ceil(np.log2(bound)))
    whole = np.rint(rows.astype(float) * 2.0**bits).astype(np.int64) @ np.rint(matrix * 2.0**MATRIX_BITS).astype(
        np.int64
    )
    assert np.abs(whole).max() < 2**53
    assert np.array_equal(ExactMap(matrix, bound)(rows) * 2.0 ** (bits + MATRIX_BITS), whole.astype(float))
    np.testing.assert_allclose(ExactMap(matrix, bound)(rows), rows @ matrix, atol=2e-6 * bound)
    assert ExactMap(matrix, bound).outputs == 64
