"""Sentence-transformer models (BERT, width 384), run directly: tokenizers for the words, torch for the numbers.

The vectors are those of the ``sentence-transformers`` library for the same files (mean or first-token pooling, unit
length), which is not imported: without its padding, its Python per text and its truncation the same model runs faster
and reads every text to its end. A text of more than ``max_tokens`` tokens (256 in all-MiniLM-L6-v2, special tokens
included) is read in windows that overlap by ``overlap_tokens``: its vector is the mean of its windows' unit vectors,
renormalised. Shorter texts are untouched by that rule.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prometheus.encoders.text.batching import plan_batches, pool_windows, split_windows
from prometheus.encoders.text.bert import PackedBert
from prometheus.encoders.text.model_files import (
    TOKENIZER,
    WEIGHTS,
    check_digest,
    find_model_folder,
    read_architecture,
    read_max_tokens,
    read_pooling,
    sha256_of,
)
from prometheus.encoders.text.protocol import fingerprint_of, require_texts
from prometheus.errors import EncoderMismatchError, MissingExtraError, RequestError
from prometheus.vectors import EMBEDDING_DIM

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
_MINILM_NAMES = (MINILM, "all-MiniLM-L6-v2")
_REVISION = 1
_TOKENIZE = 1024
_BATCH_TOKENS = {"cpu": 2048, "cuda": 65_536}
# A pass uses every core it is given; two at once in one process would only wait for each other.
_ONE_PASS = threading.Lock()


@dataclass(frozen=True)
class SentenceTransformerDescriptor:
    """A sentence-transformer by content; by default all-MiniLM-L6-v2, pinned to the official files.

    Descriptors compare by what decides the vectors; where the files lie and how the model is run does not count.

    Attributes
    ----------
    name : str
        Model name on the hub.
    revision : str or None
        Commit on the hub that holds the pinned files; only says where to look.
    weights_sha256, tokenizer_sha256 : str
        Of ``model.safetensors`` and ``tokenizer.json``; checked when the model is loaded.
    architecture : str
        As :func:`prometheus.encoders.text.model_files.read_architecture` writes it; checked likewise.
    pooling : {'mean', 'cls'}
    max_tokens, overlap_tokens : int
        Window over long texts, in tokens (special ones included), and what neighbours share.
    folder : str or None
        Look for the files here and nowhere else.
    device : {'auto', 'cpu', 'cuda'}
        ``auto`` takes a CUDA device when there is one.
    threads : int or None
        Threads of a CPU pass; the physical cores this process may use when None.
    batch_tokens : int or None
        Tokens per pass of the model; 2,048 on a CPU and 65,536 on a CUDA device when None.
    allow_network : bool
        Whether the hub may be asked when no local place has the files.
    """

    name: str = field(default=MINILM, compare=False)
    revision: str | None = field(default="1110a243fdf4706b3f48f1d95db1a4f5529b4d41", compare=False)
    weights_sha256: str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    tokenizer_sha256: str = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
    architecture: str = "bert-6x384-h12-i1536-p512-eps1e-12"
    pooling: str = "mean"
    max_tokens: int = 256
    overlap_tokens: int = 32
    folder: str | None = field(default=None, compare=False)
    device: str = field(default="auto", compare=False)
    threads: int | None = field(default=None, compare=False)
    batch_tokens: int | None = field(default=None, compare=False)
    allow_network: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        if self.device not in {"auto", "cpu", "cuda"}:
            raise RequestError(f"there is no device {self.device!r}; choose auto, cpu or cuda")
        if self.threads is not None and self.threads < 1:
            raise RequestError(f"the text encoder needs at least one thread; got {self.threads}")
        positions = int(self.architecture.split("-p")[1].split("-")[0])
        if not 3 <= self.max_tokens <= positions:
            raise RequestError(f"{self.name} takes windows of 3 to {positions} tokens; got {self.max_tokens}")
        if not 0 <= self.overlap_tokens < self.max_tokens - 2:
            raise RequestError(f"windows of {self.max_tokens} tokens cannot overlap by {self.overlap_tokens}")
        if self.batch_tokens is not None and self.batch_tokens < self.max_tokens:
            raise RequestError(f"a batch of {self.batch_tokens} tokens cannot hold a window of {self.max_tokens}")

    @property
    def dimension(self) -> int:
        """Width of the vectors: 384."""
        return EMBEDDING_DIM

    @cached_property
    def fingerprint(self) -> str:
        """Digest of weights, tokenizer, architecture, pooling, windows, backend and the revision of this code."""
        return fingerprint_of(
            {
                "backend": "torch-packed-bert-float32",
                "revision": _REVISION,
                "weights": self.weights_sha256,
                "tokenizer": self.tokenizer_sha256,
                "architecture": self.architecture,
                "pooling": self.pooling,
                "normalise": "l2",
                "max_tokens": self.max_tokens,
                "overlap_tokens": self.overlap_tokens,
            }
        )

    def load(self) -> SentenceTransformerEncoder:
        """Find the files, check them against their digests, and load the model.

        Raises
        ------
        MissingExtraError
            When torch, safetensors or tokenizers, or the default model's files, are not installed.
        MissingInputError, RequestError
            When another model's files are nowhere, or the given folder lacks one.
        EncoderMismatchError
            When a file is not the pinned one.
        """
        _require_libraries(self.name)
        folder = find_model_folder(self.name, self.revision, self.folder, self.allow_network)
        check_digest(folder / TOKENIZER, self.tokenizer_sha256)
        check_digest(folder / WEIGHTS, self.weights_sha256)
        actual = read_architecture(folder)
        if actual != self.architecture:
            raise EncoderMismatchError(
                f"the config.json in {folder} describes {actual}, but the encoder is pinned to {self.architecture}"
            )
        return SentenceTransformerEncoder(self, folder)


class SentenceTransformerEncoder:
    """A loaded sentence-transformer; see the module for what it computes."""

    def __init__(self, descriptor: SentenceTransformerDescriptor, folder: Path) -> None:
        from tokenizers import Tokenizer

        self.descriptor = descriptor
        self.device = _device(descriptor.device)
        self._threads = descriptor.threads or physical_cores()
        self._batch_tokens = descriptor.batch_tokens or _BATCH_TOKENS[self.device]
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        around = self._tokenizer.encode("", add_special_tokens=True).ids
        if len(around) != 2:
            raise EncoderMismatchError(
                f"the tokenizer in {folder} puts {len(around)} special tokens around a text, not 2"
            )
        self._opening, self._closing = around
        self._model = PackedBert(folder / WEIGHTS, descriptor.architecture, descriptor.pooling, self.device)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts; see :class:`prometheus.encoders.text.protocol.TextEncoder`.

        Equal texts are computed once. Batches are composed from the distinct texts in sorted order, so they depend
        on the contents alone, not on the order of the call. Threads of one process take turns.
        """
        checked = require_texts(texts)
        distinct = sorted(set(checked))
        windows = split_windows(
            self._tokens(distinct),
            self._opening,
            self._closing,
            self.descriptor.max_tokens,
            self.descriptor.overlap_tokens,
        )
        vectors = np.empty((len(windows.tokens), self.descriptor.dimension), dtype=np.float32)
        with _ONE_PASS, _torch_threads(self._threads):
            for batch in plan_batches(windows, self._batch_tokens):
                vectors[batch.windows] = self._model.encode(batch)
        pooled = pool_windows(windows, vectors)
        row = {text: i for i, text in enumerate(distinct)}
        return pooled[[row[text] for text in checked]]

    def _tokens(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text without special tokens."""
        # The tokenizer's own objects hold offsets and strings; a slab at a time keeps them from piling up.
        return [
            encoding.ids
            for start in range(0, len(texts), _TOKENIZE)
            for encoding in self._tokenizer.encode_batch(texts[start : start + _TOKENIZE], add_special_tokens=False)
        ]


def describe_model(model: str = MINILM, **options: Any) -> SentenceTransformerDescriptor:
    """Describe a model by name or folder, reading its digests from the files where they are not pinned here.

    Parameters
    ----------
    model : str
        Name on the hub, or a folder with the model's files. The default model needs no files to be described.
    **options
        Fields of :class:`SentenceTransformerDescriptor` to set; None leaves a field as the model has it.

    Raises
    ------
    MissingInputError, RequestError
        When the files are nowhere, or the folder lacks one.
    BadDataError
        When the model is not one this encoder runs.
    """
    options = {key: value for key, value in options.items() if value is not None}
    if model in _MINILM_NAMES:
        return SentenceTransformerDescriptor(**options)
    is_folder = Path(model).is_dir()
    # Where the digests come from is also where the model is loaded from.
    folder = find_model_folder(
        model,
        options.get("revision"),
        model if is_folder else options.get("folder"),
        bool(options.get("allow_network", False)),
    )
    found: dict[str, Any] = {
        "name": Path(model).name if is_folder else model,
        "revision": None,
        "weights_sha256": sha256_of(folder / WEIGHTS),
        "tokenizer_sha256": sha256_of(folder / TOKENIZER),
        "architecture": read_architecture(folder),
        "pooling": read_pooling(folder),
        "max_tokens": read_max_tokens(folder),
    }
    return SentenceTransformerDescriptor(**(found | options | {"folder": str(folder)}))


def physical_cores() -> int:
    """Physical cores this process may run on; its logical processors where the machine does not tell."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    siblings = set()
    for cpu in allowed:
        path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        siblings.add(path.read_text().strip() if path.is_file() else str(cpu))
    return max(len(siblings), 1)


def _device(wanted: str) -> str:
    import torch

    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise RequestError("device=cuda was asked for, but torch sees no CUDA device; use device=auto or device=cpu")
    return "cuda" if available and wanted != "cpu" else "cpu"


def _require_libraries(name: str) -> None:
    for library in ("torch", "safetensors", "tokenizers"):
        if find_spec(library) is None:
            raise MissingExtraError(f"the text encoder {name} ({library} is not installed)", "text")


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    """Run with so many threads and give the caller's number back."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
