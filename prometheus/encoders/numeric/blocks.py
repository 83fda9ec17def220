"""The default encoder: weighted blocks side by side, zeros after them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from prometheus.encoders.numeric.base import Block, NumericEncoderDescriptor, write_scaled
from prometheus.errors import RequestError
from prometheus.vectors import EMBEDDING_DIM

Norm = Literal["calibrated", "unit", "none"]
NORMS = ("calibrated", "unit", "none")

WEIGHTS: Mapping[str, float] = {
    "window": 0.5,
    "scales": 0.866,
    "stability": 0.5,
    "fundamentals": 0.7,
    "exposures": 0.5,
}
"""Weight of each block by default, fixed so that daily equities have a typical norm near 1 in every model, larger in a
crisis. With slots of unit scale a block's norm is its weight; half of ``fundamentals`` are masks, which hardly vary, so
it weighs more."""


@dataclass(frozen=True)
class BlocksConfig:
    """Settings of the encoder.

    Attributes
    ----------
    weights : mapping of str to float
        Weight of each block; see :data:`WEIGHTS`.
    norm : {'calibrated', 'unit', 'none'}
        ``calibrated``: each block divided by the root of its number of slots and multiplied by its weight; typical norm
        near 1, larger in a crisis. ``unit``: the same, then each vector at norm 1. ``none``: slots as they are.
    clip : float
        Slots are limited to +-clip first.
    """

    weights: Mapping[str, float] = field(default_factory=lambda: dict(WEIGHTS))
    norm: Norm = "calibrated"
    clip: float = 5.0

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise RequestError(f"there is no norm {self.norm!r}; use {', '.join(NORMS)}")
        if not self.clip > 0:
            raise RequestError(f"slots cannot be clipped at {self.clip}; clip must be above 0")
        for block, weight in self.weights.items():
            if not weight >= 0:
                raise RequestError(f"the weight of block {block} is {weight}; weights are 0 or more")


class BlocksEncoder:
    """Blocks side by side in the model's order.

    Parameters
    ----------
    config : BlocksConfig, optional
    dimension : int
        Width of the vectors.
    """

    def __init__(self, config: BlocksConfig | None = None, dimension: int = EMBEDDING_DIM) -> None:
        self.config = config or BlocksConfig()
        self._dimension = dimension

    @property
    def descriptor(self) -> NumericEncoderDescriptor:
        """Name, width and fingerprint."""
        return NumericEncoderDescriptor(
            name="blocks",
            dimension=self._dimension,
            fingerprint={
                "encoder": "blocks",
                "revision": 1,
                "dimension": self._dimension,
                "weights": {name: float(self.config.weights[name]) for name in sorted(self.config.weights)},
                "norm": self.config.norm,
                "clip": float(self.config.clip),
            },
        )

    def inputs(self, model_blocks: tuple[str, ...]) -> tuple[str, ...]:
        """All of the model's blocks.

        Raises
        ------
        RequestError
            When one has no weight.
        """
        return weighted(self.config, model_blocks)

    def encode(self, blocks: Mapping[str, Block], out: NDArray[np.float32]) -> None:
        """See :class:`~prometheus.encoders.numeric.base.NumericEncoder`."""
        total = sum(block.shape[1] for block in blocks.values())
        if total > self._dimension:
            raise RequestError(
                f"the blocks {', '.join(blocks)} have {total} slots together and the embedding {self._dimension}; "
                "choose a shorter window or fewer blocks"
            )
        write_blocks(self.config, blocks, out)
        if self.config.norm == "unit":
            to_unit_norm(out)


def weighted(config: BlocksConfig, model_blocks: tuple[str, ...]) -> tuple[str, ...]:
    """All of a model's blocks.

    Raises
    ------
    RequestError
        When one has no weight.
    """
    for name in model_blocks:
        if name not in config.weights:
            raise RequestError(f"block {name} has no weight; set encoder.numeric.weights.{name}")
    return model_blocks


def write_blocks(config: BlocksConfig, blocks: Mapping[str, Block], out: NDArray[np.float32]) -> None:
    """Write blocks side by side, limited and weighted, and zeros after them."""
    at = 0
    for name, block in blocks.items():
        width = block.shape[1]
        scale = 1.0 if config.norm == "none" else config.weights[name] / np.sqrt(width)
        write_scaled(block, float(scale), config.clip, out[:, at : at + width])
        at += width
    out[:, at:] = 0.0


def to_unit_norm(vectors: NDArray[np.float32]) -> None:
    """Divide each row by its Euclidean norm, in place; rows of zeros stay."""
    norms = np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1, keepdims=True))
    np.divide(vectors, norms, out=vectors, where=norms > 0, casting="same_kind")
