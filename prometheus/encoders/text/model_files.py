"""Where a model's files lie, whether they are the right ones, and what they say about the model.

Order of search: the folder the user names, the Hugging Face cache, the bundled package, and only then, where it is
allowed, the hub. The first three need no network, and the digests decide what is accepted, so the order never
changes a vector; the hub comes last because a machine without a network should not wait for it.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from prometheus.encoders.text.bundled import BUNDLES, bundled_folder
from prometheus.errors import BadDataError, EncoderMismatchError, MissingExtraError, MissingInputError, RequestError
from prometheus.vectors import EMBEDDING_DIM

WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
CONFIG = "config.json"
_NEEDED = (WEIGHTS, TOKENIZER, CONFIG)
_OPTIONAL = (
    "modules.json",
    "1_Pooling/config.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "tokenizer_config.json",
)
_HUB_TIMEOUT_S = 10.0


def find_model_folder(name: str, revision: str | None, folder: str | None, allow_network: bool) -> Path:
    """Find a folder that holds the model's weights, tokenizer and config.

    Parameters
    ----------
    name : str
        Model name on the hub.
    revision : str or None
        Commit on the hub; its default branch when None.
    folder : str or None
        Look here and nowhere else.
    allow_network : bool
        Whether the hub may be asked when nothing local has the model; the environment variable
        ``HF_HUB_OFFLINE`` forbids it all the same.

    Raises
    ------
    RequestError
        When the given folder lacks a file.
    MissingExtraError
        When no place has a model that is bundled with the optional part ``[text]``.
    MissingInputError
        When no place has another model.
    """
    if folder is not None:
        given = Path(folder)
        lacking = _lacking(given)
        if lacking:
            raise RequestError(f"the model folder {given} has no {lacking[0]}; a model needs {', '.join(_NEEDED)}")
        return given
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    for found in (_cached(name, revision), bundled_folder(name)):
        if found is not None and not _lacking(found):
            return found
    if allow_network and not offline:
        fetched = _downloaded(name, revision)
        if fetched is not None and not _lacking(fetched):
            return fetched
    if name in BUNDLES:
        raise MissingExtraError(f"the text encoder {name}", "text")
    raise MissingInputError(
        f"the text encoder {name} is not in the Hugging Face cache; download it with `hf download {name}`, give its "
        f"folder, or let the hub be asked (allow_network=true, HF_HUB_OFFLINE unset)"
    )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as hex digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def check_digest(path: Path, expected: str) -> None:
    """Refuse a file that is not the one the encoder is pinned to.

    Raises
    ------
    EncoderMismatchError
    """
    actual = sha256_of(path)
    if actual != expected:
        raise EncoderMismatchError(
            f"{path} has SHA-256 {actual}, but the encoder is pinned to {expected}; replace the file with the "
            f"official one, or describe this model as an encoder of its own by giving its folder as the model"
        )


def read_architecture(folder: Path) -> str:
    """Read the numbers of a BERT encoder that its weights do not tell, as one word.

    Returns
    -------
    str
        For example ``bert-6x384-h12-i1536-p512-eps1e-12``: layers x width, heads, inner width, positions, epsilon of
        the layer normalisation.

    Raises
    ------
    BadDataError
        When the model is not a BERT encoder of width 384 with the GELU activation and absolute positions.
    """
    config = _json(folder / CONFIG)
    wanted = {"model_type": "bert", "hidden_size": EMBEDDING_DIM, "hidden_act": "gelu"}
    for key, value in wanted.items():
        if config.get(key) != value:
            raise BadDataError(
                f"{folder / CONFIG} says {key}={config.get(key)!r}; this encoder runs BERT models with "
                f"{', '.join(f'{k}={v}' for k, v in wanted.items())} only"
            )
    if config.get("position_embedding_type", "absolute") != "absolute" or config.get("is_decoder"):
        raise BadDataError(f"{folder / CONFIG} describes relative positions or a decoder, which this encoder is not")
    return (
        f"bert-{config['num_hidden_layers']}x{config['hidden_size']}-h{config['num_attention_heads']}"
        f"-i{config['intermediate_size']}-p{config['max_position_embeddings']}-eps{config['layer_norm_eps']:g}"
    )


def read_pooling(folder: Path) -> str:
    """Read how token vectors become one: ``mean`` (also when nothing is said) or ``cls``.

    Raises
    ------
    BadDataError
        When the model pools otherwise, has layers after pooling, or puts a prompt before every text.
    """
    modules = _json(folder / "modules.json") if (folder / "modules.json").is_file() else []
    for module in modules:
        kind = str(module["type"]).rsplit(".", 1)[-1]
        if kind not in {"Transformer", "Pooling", "Normalize"}:
            raise BadDataError(f"{folder / 'modules.json'} holds a layer {kind}, which this encoder does not run")
    overall = folder / "config_sentence_transformers.json"
    if overall.is_file() and _json(overall).get("default_prompt_name"):
        raise BadDataError(f"{overall} puts a prompt before every text, which this encoder does not do")
    path = folder / "1_Pooling" / CONFIG
    if not path.is_file():
        return "mean"
    pooling = _json(path)
    named = pooling.get("pooling_mode")
    modes = [named] if named else [k for k, on in pooling.items() if k.startswith("pooling_mode_") and on]
    short = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "mean": "mean", "cls": "cls"}
    if len(modes) != 1 or modes[0] not in short:
        raise BadDataError(f"{path} asks for pooling {modes}; this encoder pools by mean or cls")
    return short[modes[0]]


def read_max_tokens(folder: Path) -> int:
    """Read the most tokens the model takes at once, special tokens included."""
    positions = int(_json(folder / CONFIG)["max_position_embeddings"])
    for name, key in (("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")):
        stated = _json(folder / name).get(key) if (folder / name).is_file() else None
        if stated:
            return min(int(stated), positions)
    return positions


def _lacking(folder: Path) -> list[str]:
    return [name for name in _NEEDED if not (folder / name).is_file()]


def _cached(name: str, revision: str | None) -> Path | None:
    return _snapshot(name, revision, local_files_only=True)


def _downloaded(name: str, revision: str | None) -> Path | None:
    return _snapshot(name, revision, local_files_only=False)


def _snapshot(name: str, revision: str | None, *, local_files_only: bool) -> Path | None:
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        return None
    try:
        return Path(
            snapshot_download(
                name,
                revision=revision,
                allow_patterns=[*_NEEDED, *_OPTIONAL],
                local_files_only=local_files_only,
                etag_timeout=_HUB_TIMEOUT_S,
            )
        )
    except (OSError, ValueError):
        # Not cached, no such model, or the hub is out of reach: the next place is tried, and when none is left the
        # caller's sentence says what to do.
        return None


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise BadDataError(f"{path} is not valid JSON: {error}") from error
