"""Blank texts, names by content."""

from __future__ import annotations

import hashlib

import pytest

from prometheus.encoders.text.protocol import fingerprint_of, is_blank, require_texts, text_hash


@pytest.mark.parametrize(
    "text", [None, "", "  ", "\n\t\r", "\u00a0\u2003", "\u200b\ufeff", "\x00\x01", "\ud83d", "\ue000"]
)
def test_blank(text: str | None) -> None:
    assert is_blank(text)


@pytest.mark.parametrize("text", ["a", " 7 ", "$", "!", "\u200ba", "価", "\U0001f4c8", "\u0301"])
def test_not_blank(text: str) -> None:
    assert not is_blank(text)


def test_require_texts_says_which() -> None:
    assert require_texts(("a", "b")) == ["a", "b"]
    assert require_texts(["cut \ud83d off"]) == ["cut ? off"]
    with pytest.raises(ValueError, match="text 1 of 3 is blank; leave it out"):
        require_texts(["a", " ", "b"])
    with pytest.raises(ValueError, match="text 0 of 1 is blank"):
        require_texts([None])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="text 0 of 1 is a int"):
        require_texts([5])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="single string"):
        require_texts("a text")


def test_text_hash_is_blake2b_of_utf8() -> None:
    assert text_hash("Umsätze +5 %") == hashlib.blake2b("Umsätze +5 %".encode(), digest_size=16).hexdigest()
    assert text_hash("a") != text_hash("a ")
    assert len(text_hash("half \ud83d")) == 32


def test_fingerprint_ignores_the_order_of_its_parts() -> None:
    assert fingerprint_of({"a": 1, "b": "x"}) == fingerprint_of({"b": "x", "a": 1})
    assert fingerprint_of({"a": 1}) != fingerprint_of({"a": "1"})
