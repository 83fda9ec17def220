"""Principal components of the weighted blocks, fitted on a dated cut."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from prometheus.encoders.numeric.base import Block, NumericEncoderDescriptor
from prometheus.encoders.numeric.blocks import BlocksConfig, weighted, write_blocks
from prometheus.encoders.numeric.exact import ExactMap
from prometheus.encoders.numeric.random_projection import largest_norm
from prometheus.errors import RequestError
from prometheus.vectors import EMBEDDING_DIM

_SUM_BITS = 17
"""Fractional bits of rows in sums of products: 65,536 rows of entries up to 1 then add exactly in float64."""


@dataclass(frozen=True)
class PcaFit:
    """Principal components of some vectors.

    Attributes
    ----------
    mean : ndarray of float32, shape (384,)
    components : ndarray of float32, shape (k, 384)
        Orthonormal, by falling variance; the largest entry of each is positive.
    variances : ndarray of float64, shape (k,)
    total_variance : float
        Of all 384.
    num_rows : int
        Vectors fitted on.
    """

    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    variances: NDArray[np.float64]
    total_variance: float
    num_rows: int

    @property
    def version(self) -> str:
        """Digest of what decides a vector."""
        h = hashlib.blake2b(digest_size=16)
        for part in (self.mean, self.components):
            h.update(np.ascontiguousarray(part, dtype="<f4").tobytes())
        return h.hexdigest()


def fit_pca(rows: NDArray[np.float32], components: int) -> PcaFit:
    """Fit principal components.

    Rows are rounded to fixed point and their products summed as whole numbers, so that neither their order nor how the
    sum was cut changes the covariance.

    Parameters
    ----------
    rows : ndarray of float32, shape (m, 384)
        At least two, at most 65,536, entries within +-1.
    components : int
        How many to keep.

    Raises
    ------
    RequestError
        When more components are asked for than there are rows or entries.
    """
    if not 1 <= components <= min(len(rows) - 1, rows.shape[1]):
        raise RequestError(
            f"{components} components cannot be fitted on {len(rows)} vectors of {rows.shape[1]} entries"
        )
    if len(rows) > 2**16 or np.abs(rows).max(initial=0.0) > 1.0:
        raise ValueError("sums of products of these rows would not be exact")
    fixed = np.rint(rows.astype(np.float64) * 2.0**_SUM_BITS)
    n = len(rows)
    mean = fixed.sum(axis=0) / n * 2.0**-_SUM_BITS
    covariance = (fixed.T @ fixed) * 4.0**-_SUM_BITS / n - np.outer(mean, mean)
    values, vectors = np.linalg.eigh(covariance)
    best = np.argsort(-values, kind="stable")[:components]
    kept = vectors[:, best].T
    largest = np.take_along_axis(kept, np.abs(kept).argmax(axis=1)[:, None], axis=1)
    return PcaFit(
        mean=mean.astype(np.float32),
        components=(kept * np.sign(largest)).astype(np.float32),
        variances=np.maximum(values[best], 0.0),
        total_variance=float(np.maximum(values, 0.0).sum()),
        num_rows=n,
    )


@dataclass(frozen=True)
class PcaConfig:
    """Settings of the encoder.

    Attributes
    ----------
    components : int
        Components used, zeros after them.
    fit_variant : str
        Variant of the fits it reads.
    """

    components: int = 64
    fit_variant: str = "v0"

    def __post_init__(self) -> None:
        if not 1 <= self.components <= EMBEDDING_DIM:
            raise RequestError(f"pca keeps 1 to {EMBEDDING_DIM} components, not {self.components}")


class PcaEncoder:
    """Distance of the weighted blocks from the fit's mean along its components; nothing is divided by its variance.

    The encoder as configured has no fit and encodes nothing: :meth:`fitted` gives the one that does, for the dates that
    its fit serves.

    Parameters
    ----------
    config : PcaConfig, optional
    fit : PcaFit, optional
    blocks : BlocksConfig, optional
        How the vectors that the fit is of were weighted.
    """

    def __init__(
        self, config: PcaConfig | None = None, fit: PcaFit | None = None, blocks: BlocksConfig | None = None
    ) -> None:
        self.config = config or PcaConfig()
        self.fit = fit
        self._blocks = blocks or BlocksConfig()
        self._map: ExactMap | None = None
        if fit is not None:
            if self.config.components > len(fit.components):
                raise RequestError(
                    f"{self.config.components} components are asked for and the fit has {len(fit.components)}"
                )
            kept = fit.components[: self.config.components].astype(np.float64)
            # the mean is taken off in the same exact arithmetic, as one more row
            self._map = ExactMap(kept.T, largest_norm(self._blocks, EMBEDDING_DIM, tuple(self._blocks.weights)))
            self._origin = self._map(fit.mean[None])[0]

    def fitted(self, fit: PcaFit, blocks: BlocksConfig) -> PcaEncoder:
        """Return the encoder with a fit."""
        return PcaEncoder(self.config, fit, blocks)

    @property
    def descriptor(self) -> NumericEncoderDescriptor:
        """Name, width and fingerprint; which fit serves is an input of a row, not a setting."""
        fingerprint = {
            "encoder": "pca",
            "revision": 1,
            "dimension": EMBEDDING_DIM,
            "components": self.config.components,
            "fit_variant": self.config.fit_variant,
        }
        if self.fit is not None:
            fingerprint["fit"] = self.fit.version
        return NumericEncoderDescriptor("pca", EMBEDDING_DIM, fingerprint)

    def inputs(self, model_blocks: tuple[str, ...]) -> tuple[str, ...]:
        """All of the model's blocks.

        Raises
        ------
        RequestError
            When the encoder has no fit.
        """
        if self._map is None:
            raise RequestError(
                "encoder pca encodes nothing without a dated fit; it serves backfill_numeric_embeddings, after "
                "backfill_encoder_fits"
            )
        return weighted(self._blocks, model_blocks)

    def encode(self, blocks: Mapping[str, Block], out: NDArray[np.float32]) -> None:
        """See :class:`~prometheus.encoders.numeric.base.NumericEncoder`."""
        assert self._map is not None
        width = sum(block.shape[1] for block in blocks.values())
        if width > EMBEDDING_DIM:
            raise RequestError(f"the blocks have {width} slots together and a fit is of {EMBEDDING_DIM}")
        rows = np.empty((len(out), EMBEDDING_DIM), dtype=np.float32)
        write_blocks(replace(self._blocks, norm="calibrated"), blocks, rows)
        out[:, : self._map.outputs] = self._map(rows) - self._origin
        out[:, self._map.outputs :] = 0.0
