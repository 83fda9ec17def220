"""One flat window, zeros after it: the plainest embedding there is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from prometheus.encoders.numeric.base import Block, NumericEncoderDescriptor, write_scaled
from prometheus.errors import RequestError
from prometheus.vectors import EMBEDDING_DIM


class PadToDimNumericEmbeddingModel:
    """Pads flat inputs with zeros at the end, up to the embedding's width.

    Parameters
    ----------
    dimension : int
        Width of the embedding.
    """

    def __init__(self, dimension: int = EMBEDDING_DIM) -> None:
        self.dimension = dimension

    def embed(self, values: NDArray[np.floating], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Pad each row.

        Parameters
        ----------
        values : ndarray, shape (m, k) or (k,)
        out : ndarray of float32, shape (m, dimension), optional
            Where to write.

        Returns
        -------
        ndarray of float32, shape (m, dimension), or (dimension,) for one flat input

        Raises
        ------
        RequestError
            When an input is longer than the embedding. Nothing is ever cut off.
        """
        rows = np.atleast_2d(values)
        self.check_width(rows.shape[1])
        if out is None:
            out = np.empty((len(rows), self.dimension), dtype=np.float32)
        out[:, : rows.shape[1]] = rows
        out[:, rows.shape[1] :] = 0.0
        return out[0] if values.ndim == 1 else out

    def check_width(self, width: int) -> None:
        """Refuse inputs that do not fit.

        Raises
        ------
        RequestError
            When ``width`` exceeds the embedding's.
        """
        if width > self.dimension:
            raise RequestError(
                f"a window of {width} numbers does not fit into an embedding of {self.dimension} and nothing is cut "
                "off; choose a shorter window or another encoder (encoder/numeric=blocks)"
            )


class NumericWindowEncoder:
    """Encodes windows of several features by flattening them time-major and embedding the result.

    Parameters
    ----------
    model : PadToDimNumericEmbeddingModel, optional
        What embeds the flat window.
    """

    def __init__(self, model: PadToDimNumericEmbeddingModel | None = None) -> None:
        self.model = model or PadToDimNumericEmbeddingModel()

    def encode(self, windows: NDArray[np.floating], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Encode windows.

        Parameters
        ----------
        windows : ndarray, shape (m, sessions, features) or (sessions, features)
            Oldest session first.
        out : ndarray of float32, shape (m, dimension), optional
            Where to write.

        Returns
        -------
        ndarray of float32, shape (m, dimension), or (dimension,) for one window

        Raises
        ------
        RequestError
            When a window holds more numbers than the embedding.
        """
        if windows.ndim == 2:
            return self.model.embed(windows.reshape(-1))
        return self.model.embed(windows.reshape(len(windows), -1), out)


class PadToDimEncoder:
    """The window block alone, scaled to a typical norm near ``weight``, padded.

    Parameters
    ----------
    weight : float
        Norm of a window whose slots have unit scale.
    clip : float
        Slots are limited to +-clip first.
    dimension : int
        Width of the vectors.
    """

    def __init__(self, weight: float = 1.0, clip: float = 5.0, dimension: int = EMBEDDING_DIM) -> None:
        if not (weight > 0 and clip > 0):
            raise RequestError(f"weight {weight} and clip {clip} must be above 0")
        self.weight, self.clip = weight, clip
        self._model = PadToDimNumericEmbeddingModel(dimension)

    @property
    def descriptor(self) -> NumericEncoderDescriptor:
        """Name, width and fingerprint."""
        return NumericEncoderDescriptor(
            name="pad_to_dim",
            dimension=self._model.dimension,
            fingerprint={
                "encoder": "pad_to_dim",
                "revision": 1,
                "dimension": self._model.dimension,
                "weight": float(self.weight),
                "clip": float(self.clip),
            },
        )

    def inputs(self, model_blocks: tuple[str, ...]) -> tuple[str, ...]:
        """The window block, whichever the model has besides.

        Raises
        ------
        RequestError
            When the model has none.
        """
        if "window" not in model_blocks:
            raise RequestError("encoder pad_to_dim encodes the window block, which this model does not have")
        return ("window",)

    def encode(self, blocks: Mapping[str, Block], out: NDArray[np.float32]) -> None:
        """See :class:`~prometheus.encoders.numeric.base.NumericEncoder`."""
        block = blocks["window"]
        width = block.shape[1]
        self._model.check_width(width)
        write_scaled(block, float(self.weight / np.sqrt(width)), self.clip, out[:, :width])
        out[:, width:] = 0.0


class SeedEncoder:
    """The ancestor's form: unscaled close, volume and log return of each session, padded.

    Volume is practically all of its norm; it is kept as the baseline every evaluation includes.

    Parameters
    ----------
    dimension : int
        Width of the vectors.
    """

    def __init__(self, dimension: int = EMBEDDING_DIM) -> None:
        self._model = PadToDimNumericEmbeddingModel(dimension)

    @property
    def descriptor(self) -> NumericEncoderDescriptor:
        """Name, width and fingerprint."""
        return NumericEncoderDescriptor(
            name="seed",
            dimension=self._model.dimension,
            fingerprint={"encoder": "seed", "revision": 1, "dimension": self._model.dimension},
        )

    def inputs(self, model_blocks: tuple[str, ...]) -> tuple[str, ...]:
        """The plain window, whatever the model's blocks."""
        return ("plain",)

    def encode(self, blocks: Mapping[str, Block], out: NDArray[np.float32]) -> None:
        """See :class:`~prometheus.encoders.numeric.base.NumericEncoder`."""
        self._model.embed(blocks["plain"], out)
