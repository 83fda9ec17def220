"""The transformer encoder: descriptor, loading, equality with the library, long texts."""

from __future__ import annotations

import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prometheus.encoders.text import sentence_transformers as module
from prometheus.encoders.text.batching import Windows, plan_batches
from prometheus.encoders.text.bundled import bundled_folder
from prometheus.encoders.text.sentence_transformers import (
    MINILM,
    SentenceTransformerDescriptor,
    SentenceTransformerEncoder,
    describe_model,
    physical_cores,
)
from prometheus.errors import BadDataError, EncoderMismatchError, MissingExtraError, RequestError

TEXTS = [
    "Stocks fell sharply as the central bank raised rates.",
    "Apple unveils a new phone; shares rise 2%.",
    "$AAPL",
    "Oil.",
    "La banque centrale a relevé ses taux directeurs. 価格 \U0001f4c8",
] + [f"Company {i} reports earnings of {i * 7} cents a share, " + "beating estimates " * (i % 13) for i in range(24)]


@pytest.fixture(scope="module")
def bundle() -> Path:
    pytest.importorskip("torch")
    folder = bundled_folder(MINILM)
    if folder is None:
        pytest.skip("the bundled weights are not installed")
    return folder


@pytest.fixture(scope="module")
def encoder(bundle: Path) -> SentenceTransformerEncoder:
    return SentenceTransformerDescriptor(folder=str(bundle)).load()


def test_the_fingerprint_is_known_beforehand_and_pinned() -> None:
    """A change here means other vectors: every stored one is stale."""
    assert SentenceTransformerDescriptor().fingerprint == "c94f28499159faae129f1c040239cfd4"


def test_the_fingerprint_holds_settings_and_not_execution() -> None:
    plain = SentenceTransformerDescriptor()
    for same in (
        {"folder": "/models/minilm", "name": "a copy", "revision": None},
        {"device": "cpu", "threads": 1, "batch_tokens": 512, "allow_network": True},
    ):
        other = replace(plain, **same)
        assert other.fingerprint == plain.fingerprint
        assert other == plain
        assert hash(other) == hash(plain)
    changes: list[dict[str, Any]] = [
        {"weights_sha256": "0"},
        {"tokenizer_sha256": "0"},
        {"architecture": "bert-6x384-h6-i1536-p512-eps1e-12"},
        {"pooling": "cls"},
        {"max_tokens": 128},
        {"overlap_tokens": 0},
    ]
    assert len({replace(plain, **change).fingerprint for change in changes} | {plain.fingerprint}) == 7
    assert pickle.loads(pickle.dumps(plain)) == plain


def test_settings_that_are_refused() -> None:
    for wrong, sentence in (
        ({"device": "tpu"}, "choose auto, cpu or cuda"),
        ({"threads": 0}, "at least one thread"),
        ({"max_tokens": 513}, "3 to 512 tokens"),
        ({"overlap_tokens": 254}, "cannot overlap by 254"),
        ({"batch_tokens": 255}, "cannot hold a window of 256"),
    ):
        with pytest.raises(RequestError, match=sentence):
            SentenceTransformerDescriptor(**wrong)  # type: ignore[arg-type]


def test_a_missing_library_is_said_with_the_line_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "tokenizers" else object())
    with pytest.raises(MissingExtraError, match="tokenizers is not installed") as missing:
        SentenceTransformerDescriptor().load()
    assert str(missing.value).endswith("pip install 'prometheus-lakehouse[text]'")


def test_physical_cores() -> None:
    import os

    assert 1 <= physical_cores() <= (os.cpu_count() or 1)


@pytest.mark.text
def test_equal_to_the_library(bundle: Path, encoder: SentenceTransformerEncoder) -> None:
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(str(bundle), device="cpu").encode(TEXTS)
    ours = encoder.encode(TEXTS)
    assert (ours * reference).sum(axis=1).min() > 0.9999
    np.testing.assert_allclose(ours, reference, atol=2e-6)


@pytest.mark.text
def test_folder_cache_and_bundle_give_one_encoder(
    bundle: Path, encoder: SentenceTransformerEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub")
    descriptor = SentenceTransformerDescriptor()
    snapshot = tmp_path / "models--sentence-transformers--all-MiniLM-L6-v2" / "snapshots" / str(descriptor.revision)
    snapshot.mkdir(parents=True)
    for name in ("model.safetensors", "tokenizer.json", "config.json", "sentence_bert_config.json"):
        (snapshot / name).symlink_to(bundle / name)
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    assert module.find_model_folder(MINILM, descriptor.revision, None, False) == snapshot
    from_cache = descriptor.load()
    as_folder = describe_model(str(snapshot))
    assert as_folder.fingerprint == from_cache.descriptor.fingerprint == encoder.descriptor.fingerprint
    np.testing.assert_array_equal(from_cache.encode(TEXTS[:3]), encoder.encode(TEXTS[:3]))


@pytest.mark.text
def test_files_that_are_not_the_pinned_ones_are_refused(bundle: Path, tmp_path: Path) -> None:
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        shutil.copy(bundle / name, tmp_path / name)
    pinned = SentenceTransformerDescriptor(folder=str(tmp_path))
    pinned.load()
    (tmp_path / "config.json").write_text((bundle / "config.json").read_text().replace(": 12,", ": 6,"))
    with pytest.raises(EncoderMismatchError, match="h6-"):
        pinned.load()
    with (tmp_path / "tokenizer.json").open("ab") as file:
        file.write(b" ")
    with pytest.raises(EncoderMismatchError, match=r"tokenizer\.json has SHA-256"):
        pinned.load()
    shutil.copy(bundle / "tokenizer.json", tmp_path / "tokenizer.json")
    with (tmp_path / "model.safetensors").open("r+b") as file:
        file.seek(50_000_000)
        file.write(b"\x01")
    with pytest.raises(EncoderMismatchError, match=r"model\.safetensors has SHA-256"):
        pinned.load()
    assert describe_model(str(tmp_path)).fingerprint != pinned.fingerprint


@pytest.mark.text
def test_execution_does_not_move_a_vector(bundle: Path, encoder: SentenceTransformerEncoder) -> None:
    whole = encoder.encode(TEXTS)
    for execution in ({"threads": 1}, {"batch_tokens": 512}, {"batch_tokens": 4096, "threads": 2}):
        other = SentenceTransformerDescriptor(folder=str(bundle), device="cpu", **execution).load()
        np.testing.assert_allclose(other.encode(TEXTS), whole, atol=1e-6)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS[:6]])
    np.testing.assert_allclose(alone, whole[:6], atol=1e-6)
    np.testing.assert_array_equal(encoder.encode(TEXTS[::-1])[::-1], whole)


@pytest.mark.text
def test_the_callers_threads_are_given_back(bundle: Path) -> None:
    import torch

    encoder = SentenceTransformerDescriptor(folder=str(bundle), device="cpu", threads=2).load()
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        encoder.encode(TEXTS[:2])
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.text
def test_threads_of_one_process_get_the_same_vectors(encoder: SentenceTransformerEncoder) -> None:
    parts = [TEXTS[i::4] for i in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(encoder.encode, parts))
    for part, vectors in zip(parts, together, strict=True):
        np.testing.assert_array_equal(vectors, encoder.encode(part))


@pytest.mark.text
def test_a_long_text_is_the_mean_of_its_windows(encoder: SentenceTransformerEncoder) -> None:
    words = [f"word{i % 97}" for i in range(400)]
    text = " ".join(words)
    content = encoder._tokenizer.encode(text, add_special_tokens=False).ids
    assert len(content) > 700
    starts = [*range(0, len(content) - 254, 222), len(content) - 254]
    tokens = tuple(np.array([101, *content[s : s + 254], 102]) for s in starts)
    parts = [encoder._model.encode(batch) for t in tokens for batch in plan_batches(Windows((t,), np.array([0])), 2048)]
    mean = np.concatenate(parts).astype(np.float64).mean(axis=0)
    long, _ = encoder.encode([text, "word1"])
    np.testing.assert_allclose(long, mean / np.linalg.norm(mean), atol=2e-6)
    assert np.linalg.norm(long) == pytest.approx(1.0, abs=1e-6)
    other_end, _ = encoder.encode([" ".join([*words[:-1], "bankruptcy"]), "word1"])
    assert np.abs(other_end - long).max() > 1e-4


@pytest.mark.text
def test_texts_up_to_the_window_are_not_windowed(bundle: Path, encoder: SentenceTransformerEncoder) -> None:
    from sentence_transformers import SentenceTransformer

    exactly = " ".join(["rate"] * 254)
    assert len(encoder._tokenizer.encode(exactly, add_special_tokens=False).ids) == 254
    reference = SentenceTransformer(str(bundle), device="cpu").encode([exactly])
    np.testing.assert_allclose(encoder.encode([exactly]), reference, atol=2e-6)


@pytest.mark.text
def test_cuda_is_refused_where_there_is_none(bundle: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(RequestError, match="torch sees no CUDA device"):
        SentenceTransformerDescriptor(folder=str(bundle), device="cuda").load()


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer BERT of width 384 with first-token pooling and its own words."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    folder = tmp_path_factory.mktemp("small")
    vocabulary = {w: i for i, w in enumerate(["[PAD]", "[CLS]", "[SEP]", "[UNK]", *"abcdefghij"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary), hidden_size=384, num_hidden_layers=2, num_attention_heads=6,
        intermediate_size=64, max_position_embeddings=24, layer_norm_eps=1e-6,
    )  # fmt: skip
    transformers.BertModel(config).eval().save_pretrained(folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode": "cls"}')
    return folder


@pytest.mark.text
def test_another_bert_by_its_folder(small_model: Path) -> None:
    import torch
    import transformers

    described = describe_model(str(small_model), overlap_tokens=4)
    assert described.pooling == "cls"
    assert described.architecture == "bert-2x384-h6-i64-p24-eps1e-06"
    assert described.max_tokens == 24
    texts = ["a b c", "j", "a a b x", " ".join("abcdefghij" * 2)]
    model = transformers.BertModel.from_pretrained(small_model).eval()
    with torch.inference_mode():
        ids = [described.load()._tokenizer.encode(t).ids for t in texts]
        expected = [model(torch.tensor([i])).last_hidden_state[0, 0] for i in ids]
        reference = torch.nn.functional.normalize(torch.stack(expected), dim=1).numpy()
    np.testing.assert_allclose(described.load().encode(texts), reference, atol=1e-6)


@pytest.mark.text
def test_a_checkpoint_without_its_tensors_is_refused(small_model: Path, tmp_path: Path) -> None:
    shutil.copytree(small_model, tmp_path / "m")
    config = tmp_path / "m" / "config.json"
    config.write_text(config.read_text().replace('"num_hidden_layers": 2', '"num_hidden_layers": 3'))
    with pytest.raises(BadDataError, match=r"no tensor encoder\.layer\.2"):
        describe_model(str(tmp_path / "m"), overlap_tokens=4).load()
