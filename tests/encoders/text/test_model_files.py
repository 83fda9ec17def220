"""Where a model is looked for, and what its files are held against."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prometheus.encoders.text import model_files
from prometheus.encoders.text.bundled import bundled_folder
from prometheus.encoders.text.model_files import (
    check_digest,
    find_model_folder,
    read_architecture,
    read_max_tokens,
    read_pooling,
)
from prometheus.errors import BadDataError, EncoderMismatchError, MissingExtraError, MissingInputError, RequestError

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
CONFIG = {
    "model_type": "bert",
    "hidden_size": 384,
    "hidden_act": "gelu",
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "max_position_embeddings": 512,
    "layer_norm_eps": 1e-12,
}


def model(folder: Path, **config: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    for name in ("model.safetensors", "tokenizer.json"):
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path | None]:
    """Stand-ins for the cache, the bundle and the hub; each empty until a test fills it."""
    where: dict[str, Path | None] = {"cache": None, "bundle": None, "hub": None}
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(model_files, "_cached", lambda *_: where["cache"])
    monkeypatch.setattr(model_files, "bundled_folder", lambda *_: where["bundle"])
    monkeypatch.setattr(model_files, "_downloaded", lambda *_: where["hub"])
    return where


def test_order_of_places(tmp_path: Path, places: dict[str, Path | None]) -> None:
    for place in ("hub", "bundle", "cache"):
        places[place] = model(tmp_path / place)
        assert find_model_folder(MINILM, None, None, True) == tmp_path / place
    given = model(tmp_path / "given")
    assert find_model_folder(MINILM, None, str(given), True) == given


def test_a_place_that_lacks_a_file_is_passed_over(tmp_path: Path, places: dict[str, Path | None]) -> None:
    places["cache"], places["bundle"] = model(tmp_path / "cache"), model(tmp_path / "bundle")
    (tmp_path / "cache" / "model.safetensors").unlink()
    assert find_model_folder(MINILM, None, None, False) == tmp_path / "bundle"


@pytest.mark.parametrize(("allowed", "offline"), [(False, ""), (True, "1"), (True, "true")])
def test_the_hub_is_not_asked_unless_allowed(
    tmp_path: Path, places: dict[str, Path | None], monkeypatch: pytest.MonkeyPatch, allowed: bool, offline: str
) -> None:
    places["hub"] = model(tmp_path / "hub")
    monkeypatch.setenv("HF_HUB_OFFLINE", offline)
    with pytest.raises(MissingExtraError):
        find_model_folder(MINILM, None, None, allowed)


def test_nowhere_is_said_with_the_line_that_helps(places: dict[str, Path | None]) -> None:
    with pytest.raises(MissingExtraError) as missing:
        find_model_folder(MINILM, None, None, False)
    assert str(missing.value).endswith("pip install 'prometheus-lakehouse[text]'")
    with pytest.raises(MissingInputError, match="hf download BAAI/bge-small-en"):
        find_model_folder("BAAI/bge-small-en", None, None, False)


def test_a_given_folder_is_the_only_place(tmp_path: Path, places: dict[str, Path | None]) -> None:
    places["cache"] = model(tmp_path / "cache")
    with pytest.raises(RequestError, match=r"has no model\.safetensors"):
        find_model_folder(MINILM, None, str(tmp_path / "empty"), True)


def test_an_unreachable_hub_is_a_place_without_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")

    def refuse(*_: object, **__: object) -> str:
        raise ConnectionError("no route")

    monkeypatch.setattr(hub, "snapshot_download", refuse)
    assert model_files._downloaded(MINILM, None) is None
    assert model_files._cached(MINILM, None) is None


def test_digests(tmp_path: Path) -> None:
    path = tmp_path / "w"
    path.write_bytes(b"abc")
    check_digest(path, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    with pytest.raises(EncoderMismatchError, match=r"/w has SHA-256 ba7816bf.* but the encoder is pinned to 00"):
        check_digest(path, "00")


def test_architecture(tmp_path: Path) -> None:
    assert read_architecture(model(tmp_path)) == "bert-6x384-h12-i1536-p512-eps1e-12"
    for key, value in (
        ("model_type", "roberta"),
        ("hidden_size", 768),
        ("hidden_act", "relu"),
        ("is_decoder", True),
        ("position_embedding_type", "relative_key"),
    ):
        with pytest.raises(BadDataError):
            read_architecture(model(tmp_path, **{key: value}))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(BadDataError, match="not valid JSON"):
        read_architecture(tmp_path)


@pytest.mark.parametrize(
    ("pooling", "meant"),
    [
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, "mean"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode": "mean", "embedding_dimension": 384}, "mean"),
        ({"pooling_mode": "cls"}, "cls"),
        ({"pooling_mode": "max"}, None),
        ({"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": True}, None),
    ],
)
def test_pooling(tmp_path: Path, pooling: dict[str, object], meant: str | None) -> None:
    model(tmp_path)
    assert read_pooling(tmp_path) == "mean"
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    if meant is None:
        with pytest.raises(BadDataError, match="by mean or cls"):
            read_pooling(tmp_path)
    else:
        assert read_pooling(tmp_path) == meant


def test_layers_and_prompts_that_are_not_run_are_refused(tmp_path: Path) -> None:
    model(tmp_path)
    modules = [{"type": "sentence_transformers.models.Transformer"}, {"type": "sentence_transformers.models.Dense"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(BadDataError, match="a layer Dense"):
        read_pooling(tmp_path)
    (tmp_path / "modules.json").write_text(json.dumps(modules[:1]))
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps({"default_prompt_name": "query"}))
    with pytest.raises(BadDataError, match="prompt before every text"):
        read_pooling(tmp_path)


def test_max_tokens(tmp_path: Path) -> None:
    model(tmp_path)
    assert read_max_tokens(tmp_path) == 512
    for stated, meant in ((256, 256), (1000, 512), (None, 512)):
        (tmp_path / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": stated}))
        assert read_max_tokens(tmp_path) == meant
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 128}))
    assert read_max_tokens(tmp_path) == 128
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 10**30}))
    assert read_max_tokens(tmp_path) == 512


def test_bundles_are_found_without_importing_them() -> None:
    assert bundled_folder("nobody/no-model") is None
