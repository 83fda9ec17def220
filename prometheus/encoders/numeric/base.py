"""What a numeric encoder is: named blocks of slots in, vectors out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Block = NDArray[np.float32]
"""Slot values of several windows, shape (m, slots)."""


@dataclass(frozen=True)
class NumericEncoderDescriptor:
    """What can be said of an encoder before it has loaded or computed anything.

    Attributes
    ----------
    name : str
        Its name in the configuration.
    dimension : int
        Width of its vectors.
    fingerprint : dict
        Everything that decides its values, as JSON types.
    """

    name: str
    dimension: int
    fingerprint: dict[str, Any] = field(default_factory=dict)


@runtime_checkable
class NumericEncoder(Protocol):
    """Turns the blocks of a numeric model into vectors, each row by itself."""

    @property
    def descriptor(self) -> NumericEncoderDescriptor:
        """Name, width and fingerprint."""
        ...

    def inputs(self, model_blocks: tuple[str, ...]) -> tuple[str, ...]:
        """Names of the blocks it wants, given those its model declares."""
        ...

    def encode(self, blocks: Mapping[str, Block], out: NDArray[np.float32]) -> None:
        """Write one vector per row.

        Parameters
        ----------
        blocks : mapping of str to ndarray of float32, shape (m, slots)
            The blocks named by :meth:`inputs`, in that order; left as they are.
        out : ndarray of float32, shape (m, dimension)

        Raises
        ------
        RequestError
            When the blocks do not fit.
        """
        ...


def write_scaled(block: Block, scale: float, clip: float, out: NDArray[np.float32]) -> None:
    """Write ``scale * clip(block)``."""
    limit = np.float32(scale * clip)
    np.multiply(block, np.float32(scale), out=out)
    np.clip(out, -limit, limit, out=out)
