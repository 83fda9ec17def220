"""From the words of a config to a text encoder's descriptor."""

from __future__ import annotations

from typing import Any

from prometheus.encoders.text.hashing import HashingDescriptor
from prometheus.encoders.text.protocol import TextEncoderDescriptor
from prometheus.encoders.text.sentence_transformers import describe_model
from prometheus.errors import RequestError

BACKENDS = ("sentence_transformers", "hashing")


def describe_text_encoder(backend: str = "sentence_transformers", **options: Any) -> TextEncoderDescriptor:
    """Describe an encoder by backend; the keys of ``conf/encoder/text/*.yaml`` are the arguments.

    Parameters
    ----------
    backend : {'sentence_transformers', 'hashing'}
    **options
        For ``sentence_transformers`` those of
        :func:`prometheus.encoders.text.sentence_transformers.describe_model`; ``hashing`` has none.

    Raises
    ------
    RequestError
        When there is no such backend or option.
    """
    try:
        if backend == "sentence_transformers":
            return describe_model(**options)
        if backend == "hashing":
            return HashingDescriptor(**options)
    except TypeError as error:
        raise RequestError(f"the text encoder backend {backend} does not take these options: {error}") from error
    raise RequestError(f"there is no text encoder backend {backend!r}; choose one of {', '.join(BACKENDS)}")
