"""The files of conf/encoder/text describe encoders."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from prometheus.encoders.text import HashingDescriptor, SentenceTransformerDescriptor, describe_text_encoder
from prometheus.errors import RequestError

CONF = Path(__file__).resolve().parents[3] / "conf" / "encoder" / "text"


def test_configs() -> None:
    described = {
        path.stem: describe_text_encoder(**OmegaConf.to_container(OmegaConf.load(path)))  # type: ignore[arg-type]
        for path in CONF.glob("*.yaml")
    }
    assert described == {"minilm": SentenceTransformerDescriptor(), "hashing": HashingDescriptor()}


def test_unknown_words_are_refused() -> None:
    with pytest.raises(RequestError, match="choose one of sentence_transformers, hashing"):
        describe_text_encoder("word2vec")
    with pytest.raises(RequestError, match="does not take these options"):
        describe_text_encoder("hashing", window=3)
    with pytest.raises(RequestError, match="does not take these options"):
        describe_text_encoder(windows=3)
