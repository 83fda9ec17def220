"""A seeded orthogonal map of the weighted blocks into the embedding, whatever their number of slots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prometheus.encoders.numeric.base import Block, NumericEncoderDescriptor
from prometheus.encoders.numeric.blocks import BlocksConfig, to_unit_norm, weighted, write_blocks
from prometheus.encoders.numeric.exact import ExactMap
from prometheus.errors import RequestError
from prometheus.vectors import EMBEDDING_DIM


@dataclass(frozen=True)
class RandomProjectionConfig(BlocksConfig):
    """Settings of the encoder: those of the blocks it projects, and the seed of the projection."""

    seed: int = 7

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.seed >= 0:
            raise RequestError(f"the seed of a projection is a whole number of at least 0, got {self.seed}")


class RandomProjectionEncoder:
    """Weighted blocks times a random orthogonal matrix.

    Up to ``dimension`` slots the map is an isometry: norms and distances stay (to 1e-6). More slots are projected onto
    a random subspace and multiplied by sqrt(slots / dimension), so that squared norms stay on average; one distance is
    then off by a few percent.

    Parameters
    ----------
    config : RandomProjectionConfig, optional
    dimension : int
        Width of the vectors.

    References
    ----------
    W. B. Johnson and J. Lindenstrauss, "Extensions of Lipschitz mappings into a Hilbert space", Contemporary
    Mathematics 26 (1984). F. Mezzadri, "How to generate random matrices from the classical compact groups", Notices of
    the AMS 54 (2007), section 5, for the signs.
    """

    def __init__(self, config: RandomProjectionConfig | None = None, dimension: int = EMBEDDING_DIM) -> None:
        self.config = config or RandomProjectionConfig()
        self._dimension = dimension

    @property
    def descriptor(self) -> NumericEncoderDescriptor:
        """Name, width and fingerprint."""
        settings: dict[str, Any] = asdict(self.config)
        settings["weights"] = {name: float(settings["weights"][name]) for name in sorted(settings["weights"])}
        fingerprint = {"encoder": "random_projection", "revision": 1, "dimension": self._dimension, **settings}
        return NumericEncoderDescriptor("random_projection", self._dimension, fingerprint)

    def inputs(self, model_blocks: tuple[str, ...]) -> tuple[str, ...]:
        """All of the model's blocks."""
        return weighted(self.config, model_blocks)

    def encode(self, blocks: Mapping[str, Block], out: NDArray[np.float32]) -> None:
        """See :class:`~prometheus.encoders.numeric.base.NumericEncoder`."""
        width = sum(block.shape[1] for block in blocks.values())
        rows = np.empty((len(out), width), dtype=np.float32)
        write_blocks(self.config, blocks, rows)
        bound = largest_norm(self.config, width, tuple(blocks))
        mapped = _projection(self.config.seed, width, self._dimension, bound)(rows)
        out[:] = mapped * np.sqrt(max(width / self._dimension, 1.0))
        if self.config.norm == "unit":
            to_unit_norm(out)


def largest_norm(config: BlocksConfig, width: int, blocks: tuple[str, ...]) -> float:
    """Largest norm that weighted and limited blocks can have."""
    if config.norm == "none":
        return config.clip * float(np.sqrt(width))
    return config.clip * float(np.sqrt(sum(config.weights[name] ** 2 for name in blocks))) * 1.001


@lru_cache(maxsize=8)
def _projection(seed: int, inputs: int, outputs: int, bound: float) -> ExactMap:
    long, short = max(inputs, outputs), min(inputs, outputs)
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((long, short)))
    q = q * np.sign(np.diag(r))
    # a slot's column has norm 1 when the embedding is wider; onto a subspace the columns of q do
    return ExactMap(q.T if inputs <= outputs else q, bound)
