"""What every text encoder keeps; a new one joins by being listed."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pytest

from prometheus.encoders.text import (
    HashingDescriptor,
    SentenceTransformerDescriptor,
    TextEncoder,
    TextEncoderDescriptor,
)
from prometheus.encoders.text.bundled import bundled_folder

TEXTS = [
    "Fed raises rates by 25 basis points",
    "$AAPL beats estimates, guides higher",
    "Fed raises rates by 25 basis points",
    "x",
    "Umsätze steigen: 価格 \U0001f4c8 !!!",
    "half a character \ud83d at the end",
    "The committee discussed inflation and employment at length. " * 40,
]


def minilm() -> TextEncoderDescriptor:
    pytest.importorskip("torch")
    descriptor = SentenceTransformerDescriptor()
    if bundled_folder(descriptor.name) is None:
        pytest.skip("the bundled weights are not installed")
    return descriptor


@pytest.fixture(
    scope="module",
    params=[pytest.param(HashingDescriptor, id="hashing"), pytest.param(minilm, id="minilm", marks=pytest.mark.text)],
)
def descriptor(request: pytest.FixtureRequest) -> TextEncoderDescriptor:
    build: Callable[[], TextEncoderDescriptor] = request.param
    return build()


@pytest.fixture(scope="module")
def encoder(descriptor: TextEncoderDescriptor) -> TextEncoder:
    return descriptor.load()


def test_descriptor(descriptor: TextEncoderDescriptor) -> None:
    assert isinstance(descriptor, TextEncoderDescriptor)
    assert descriptor.name
    assert descriptor.dimension == 384
    assert len(bytes.fromhex(descriptor.fingerprint)) == 16
    again = pickle.loads(pickle.dumps(descriptor))
    assert again == descriptor
    assert again.fingerprint == descriptor.fingerprint
    assert hash(again) == hash(descriptor)
    with pytest.raises((AttributeError, TypeError)):
        descriptor.name = "other"  # type: ignore[misc]


def test_unit_float32_vectors_of_the_declared_width(encoder: TextEncoder, descriptor: TextEncoderDescriptor) -> None:
    assert isinstance(encoder, TextEncoder)
    assert encoder.descriptor == descriptor
    v = encoder.encode(TEXTS)
    assert v.shape == (len(TEXTS), descriptor.dimension)
    assert v.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(v.astype(np.float64), axis=1), 1.0, atol=1e-5)


def test_equal_texts_get_equal_vectors_and_others_do_not(encoder: TextEncoder) -> None:
    v = encoder.encode(TEXTS)
    np.testing.assert_array_equal(v[0], v[2])
    others = np.delete(v, 2, axis=0)
    cosines = others @ others.T - np.eye(len(others))
    assert cosines.max() < 0.99


def test_repeats_order_and_company(encoder: TextEncoder) -> None:
    v = encoder.encode(TEXTS)
    np.testing.assert_array_equal(encoder.encode(TEXTS), v)
    np.testing.assert_array_equal(encoder.encode(tuple(TEXTS[::-1]))[::-1], v)
    for i, text in enumerate(TEXTS):
        np.testing.assert_allclose(encoder.encode([text])[0], v[i], atol=1e-6)


def test_a_second_load_is_the_same_encoder(encoder: TextEncoder, descriptor: TextEncoderDescriptor) -> None:
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(descriptor)).load().encode(TEXTS[:2]), encoder.encode(TEXTS[:2])
    )


def test_long_texts_are_read_to_their_end(encoder: TextEncoder) -> None:
    body = "The committee discussed inflation and employment at length. " * 120
    plain, other = encoder.encode([body + "Rates are kept.", body + "The bank has failed."])
    assert np.abs(plain - other).max() > 1e-5


@pytest.mark.parametrize("blank", ["", "  \n\t", "\u200b", None])
def test_blank_texts_are_refused(encoder: TextEncoder, blank: str) -> None:
    with pytest.raises(ValueError, match="text 1 of 2 is blank; leave it out and count it as skipped"):
        encoder.encode(["a text", blank])


def test_one_string_is_not_a_sequence_of_texts(encoder: TextEncoder) -> None:
    with pytest.raises(ValueError, match="single string"):
        encoder.encode("a text")


def test_no_texts_give_no_rows(encoder: TextEncoder) -> None:
    v = encoder.encode([])
    assert v.shape == (0, 384)
    assert v.dtype == np.float32
