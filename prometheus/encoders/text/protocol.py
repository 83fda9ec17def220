"""What a text encoder is, what may be encoded, and how texts and encoders are named by content."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

_INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Zs"})


@runtime_checkable
class TextEncoderDescriptor(Protocol):
    """What is known of an encoder before it is loaded; frozen and picklable.

    Two descriptors of one fingerprint load encoders whose vectors agree to 1e-6, wherever the weights lie and
    however many threads, devices or texts per batch are used.
    """

    @property
    def name(self) -> str:
        """Name for people: a model's name, or ``hashing``."""
        ...

    @property
    def dimension(self) -> int:
        """Width of the vectors."""
        ...

    @property
    def fingerprint(self) -> str:
        """Digest of everything that decides the vectors' values."""
        ...

    def load(self) -> TextEncoder:
        """Load the encoder."""
        ...


@runtime_checkable
class TextEncoder(Protocol):
    """Turns texts into unit vectors, each text on its own."""

    @property
    def descriptor(self) -> TextEncoderDescriptor:
        """The descriptor it was loaded from."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts.

        Parameters
        ----------
        texts : sequence of n str
            None of them blank (see :func:`is_blank`): a text without words is no text, and the caller counts it
            as skipped. Long texts are read to their end.

        Returns
        -------
        ndarray of shape (n, dimension), float32
            Unit vectors in the order of the texts; equal texts get equal vectors.

        Raises
        ------
        ValueError
            When a text is blank or not a string.
        """
        ...


def is_blank(text: str | None) -> bool:
    """Whether a text is missing or holds nothing visible: only spaces, control, format and
    private characters.
    """
    if text is None:
        return True
    stripped = text.strip()
    if stripped[:1].isalnum():
        return False
    return all(unicodedata.category(c) in _INVISIBLE for c in stripped)


def refuse_blank(texts: Sequence[str]) -> None:
    """Refuse texts that hold nothing to encode.

    Raises
    ------
    ValueError
        When a text is blank or not a string, or one string is given in place of a sequence.
    """
    if isinstance(texts, str):
        raise ValueError("a sequence of texts is encoded; got a single string")
    given: Sequence[object] = texts
    for i, text in enumerate(given):
        if text is not None and not isinstance(text, str):
            raise ValueError(f"text {i} of {len(given)} is a {type(text).__name__}, not a string")
        if is_blank(text):
            raise ValueError(f"text {i} of {len(given)} is blank; leave it out and count it as skipped")


def require_texts(texts: Sequence[str]) -> list[str]:
    """Return the texts as a list, each one fit to encode; refuse as :func:`refuse_blank` does.

    A lone surrogate (half a character, left by software that cuts strings) becomes a question mark.
    """
    refuse_blank(texts)
    return [text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8") for text in texts]


def text_hash(text: str) -> str:
    """BLAKE2b-128 of the text's UTF-8 bytes, as 32 hex digits: the name of a text by its content."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def fingerprint_of(parts: Mapping[str, str | int]) -> str:
    """BLAKE2b-128 of the named parts, whatever their order, as 32 hex digits."""
    canonical = json.dumps(dict(parts), sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()
