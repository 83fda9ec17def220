"""Numeric encoders: slots of a window in, a vector out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from prometheus.encoders.numeric.base import Block, NumericEncoder, NumericEncoderDescriptor
from prometheus.encoders.numeric.blocks import BlocksConfig, BlocksEncoder
from prometheus.encoders.numeric.pad_to_dim import (
    NumericWindowEncoder,
    PadToDimEncoder,
    PadToDimNumericEmbeddingModel,
    SeedEncoder,
)
from prometheus.encoders.numeric.pca import PcaConfig, PcaEncoder, PcaFit, fit_pca
from prometheus.encoders.numeric.random_projection import RandomProjectionConfig, RandomProjectionEncoder
from prometheus.errors import RequestError

__all__ = [
    "Block",
    "BlocksConfig",
    "BlocksEncoder",
    "NumericEncoder",
    "NumericEncoderDescriptor",
    "NumericWindowEncoder",
    "PadToDimEncoder",
    "PadToDimNumericEmbeddingModel",
    "PcaConfig",
    "PcaEncoder",
    "PcaFit",
    "RandomProjectionConfig",
    "RandomProjectionEncoder",
    "SeedEncoder",
    "fit_pca",
    "numeric_encoder",
]


def _blocks(**settings: Any) -> NumericEncoder:
    return BlocksEncoder(BlocksConfig(**settings))


def _random_projection(**settings: Any) -> NumericEncoder:
    return RandomProjectionEncoder(RandomProjectionConfig(**settings))


def _pca(**settings: Any) -> NumericEncoder:
    return PcaEncoder(PcaConfig(**settings))


ENCODERS: dict[str, Callable[..., NumericEncoder]] = {
    "blocks": _blocks,
    "pad_to_dim": PadToDimEncoder,
    "seed": SeedEncoder,
    "random_projection": _random_projection,
    "pca": _pca,
}


def numeric_encoder(settings: Mapping[str, Any]) -> NumericEncoder:
    """Make an encoder from its settings: ``name`` and what that encoder takes.

    Raises
    ------
    RequestError
        When there is no such encoder, or it takes no such setting.
    """
    given = dict(settings)
    name = given.pop("name", "blocks")
    if name not in ENCODERS:
        raise RequestError(f"there is no numeric encoder {name!r}; there are {', '.join(sorted(ENCODERS))}")
    try:
        return ENCODERS[name](**given)
    except TypeError as error:
        raise RequestError(f"numeric encoder {name} cannot be set up with {sorted(given)}: {error}") from None
