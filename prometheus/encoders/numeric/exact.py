"""Linear maps of rows whose result does not depend on which rows share the batch.

A matrix product in floating point is summed in an order that the library chooses by the shape of the whole batch. Here
both factors are rounded to fixed point first; their products and sums are then whole numbers below 2^53, which float64
adds exactly in any order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MATRIX_BITS = 25
"""Fractional bits of a map's entries."""

_EXACT_BITS = 53


class ExactMap:
    """Rows times a matrix, exactly.

    With rows of norm at most ``bound`` and columns of norm at most 1, every partial sum is at most ``bound`` by
    Cauchy-Schwarz; the rows' fractional bits are what that leaves of 53.

    Parameters
    ----------
    matrix : ndarray of float64, shape (inputs, outputs)
        Columns of norm at most 1 (a hair more after rounding).
    bound : float
        Largest norm of a row.
    """

    def __init__(self, matrix: NDArray[np.float64], bound: float) -> None:
        self._row_bits = _EXACT_BITS - 1 - MATRIX_BITS - max(int(np.ceil(np.log2(bound))), 0)
        self._matrix = np.rint(matrix * 2.0**MATRIX_BITS)

    @property
    def outputs(self) -> int:
        """Width of the result."""
        return int(self._matrix.shape[1])

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Map rows of shape (m, inputs) to (m, outputs)."""
        fixed = np.rint(rows.astype(np.float64) * 2.0**self._row_bits)
        product: NDArray[np.float64] = (fixed @ self._matrix) * 2.0 ** -(self._row_bits + MATRIX_BITS)
        return product
