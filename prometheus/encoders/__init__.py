"""Encoders: arrays and strings in, vectors in R^384 out.

Floor one of the house: nothing here opens a lake, reads a config or (unless explicitly allowed) touches a network.
Importing this package loads none of its parts; a name loads the module it lives in when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus.encoders.joint import BranchStatistics, calibrate
    from prometheus.encoders.models_joint_simple import SimpleAverageJointModel
    from prometheus.encoders.numeric import NumericWindowEncoder, PadToDimNumericEmbeddingModel
    from prometheus.encoders.text import (
        FileTextCache,
        HashingDescriptor,
        SentenceTransformerDescriptor,
        TextEncoder,
        TextEncoderDescriptor,
        TextVectorCache,
        describe_text_encoder,
        encode_with_cache,
        text_hash,
    )

_HOMES = {
    "BranchStatistics": "joint",
    "FileTextCache": "text",
    "HashingDescriptor": "text",
    "NumericWindowEncoder": "numeric",
    "PadToDimNumericEmbeddingModel": "numeric",
    "SentenceTransformerDescriptor": "text",
    "SimpleAverageJointModel": "models_joint_simple",
    "TextEncoder": "text",
    "TextEncoderDescriptor": "text",
    "TextVectorCache": "text",
    "calibrate": "joint",
    "describe_text_encoder": "text",
    "encode_with_cache": "text",
    "text_hash": "text",
}

__all__ = [
    "BranchStatistics",
    "FileTextCache",
    "HashingDescriptor",
    "NumericWindowEncoder",
    "PadToDimNumericEmbeddingModel",
    "SentenceTransformerDescriptor",
    "SimpleAverageJointModel",
    "TextEncoder",
    "TextEncoderDescriptor",
    "TextVectorCache",
    "calibrate",
    "describe_text_encoder",
    "encode_with_cache",
    "text_hash",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'prometheus.encoders' has no attribute {name!r}")
    return getattr(importlib.import_module(f"prometheus.encoders.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
