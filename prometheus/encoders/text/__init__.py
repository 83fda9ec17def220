"""Text encoders: strings in, unit vectors in R^384 out, each text encoded once.

A *descriptor* is small, picklable and knows the encoder's fingerprint before anything is loaded; ``load()`` gives the
encoder. Nothing here imports torch until a transformer is actually loaded.
"""

from __future__ import annotations

from prometheus.encoders.text.cache import EncodedTexts, TextVectorCache, encode_with_cache
from prometheus.encoders.text.file_cache import FileTextCache
from prometheus.encoders.text.hashing import HashingDescriptor, HashingEncoder
from prometheus.encoders.text.protocol import TextEncoder, TextEncoderDescriptor, is_blank, text_hash
from prometheus.encoders.text.registry import describe_text_encoder
from prometheus.encoders.text.sentence_transformers import SentenceTransformerDescriptor, SentenceTransformerEncoder

__all__ = [
    "EncodedTexts",
    "FileTextCache",
    "HashingDescriptor",
    "HashingEncoder",
    "SentenceTransformerDescriptor",
    "SentenceTransformerEncoder",
    "TextEncoder",
    "TextEncoderDescriptor",
    "TextVectorCache",
    "describe_text_encoder",
    "encode_with_cache",
    "is_blank",
    "text_hash",
]
