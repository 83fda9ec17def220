"""The files of conf/encoder/text describe encoders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from prometheus.encoders.text import HashingDescriptor, SentenceTransformerDescriptor, describe_text_encoder
from prometheus.errors import RequestError

CONF = Path(__file__).resolve().parents[3] / "conf" / "encoder" / "text"


def test_configs() -> None:
    nodes: dict[str, Any] = {p.stem: OmegaConf.to_container(OmegaConf.load(p)) for p in CONF.glob("*.yaml")}
    variants = {name: node.pop("variants", {}) for name, node in nodes.items()}
    assert variants == {"minilm": {"hashing": {"backend": "hashing"}}, "hashing": {}}
    described = {name: describe_text_encoder(**node) for name, node in nodes.items()}
    assert described == {"minilm": SentenceTransformerDescriptor(), "hashing": HashingDescriptor()}


def test_unknown_words_are_refused() -> None:
    with pytest.raises(RequestError, match="choose one of sentence_transformers, hashing"):
        describe_text_encoder("word2vec")
    with pytest.raises(RequestError, match="does not take these options"):
        describe_text_encoder("hashing", window=3)
    with pytest.raises(RequestError, match="does not take these options"):
        describe_text_encoder(windows=3)
