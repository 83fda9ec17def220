"""What the stages that encode texts share: the encoder's parameters, and encoding each version of each text once.

Vectors are cached by content, so a text that comes again, under any id, date or model id of the same encoder, is not
encoded again. Long texts are read to their end: windows of tokens that overlap, the mean of their unit vectors, unit
length again.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa

from prometheus.encoders.text import (
    FileTextCache,
    TextEncoder,
    TextEncoderDescriptor,
    describe_text_encoder,
    encode_with_cache,
    is_blank,
)
from prometheus.lake import contract
from prometheus.runtime import Chunk, Output, StageParams, StageReader, execution, setting
from prometheus.stages.text.texts import TextTable
from prometheus.vectors import to_list_array

NO_TEXT = "no text"
TABLE = "text_embeddings"


@dataclass(frozen=True)
class TextEncoderParams(StageParams):
    """Parameters of whatever encodes texts; a stage adds the model id its vectors are stored under."""

    backend: str = setting("sentence_transformers", "kind of encoder", choices=("sentence_transformers", "hashing"))
    model: str = setting(
        "sentence-transformers/all-MiniLM-L6-v2", "name on the model hub, or a folder", flag="--hf-model-name"
    )
    max_tokens: int | None = setting(None, "tokens of one window; the model's own when none")
    overlap_tokens: int | None = setting(32, "tokens two windows of a long text share")
    folder: str | None = execution(None, "folder that holds the model's files", flag="--model-folder")
    device: str = execution("auto", "where to encode", choices=("auto", "cpu", "cuda"))
    threads: int | None = execution(None, "threads of a CPU pass; the physical cores when none")
    batch_tokens: int | None = execution(None, "tokens encoded at once")
    batch_size: int | None = execution(None, "texts encoded at once, at 32 tokens a text; sets --batch-tokens")
    allow_network: bool = execution(False, "ask the model hub when nothing local has the files")


_TOKENS_A_TEXT = 32
"""By which a number of texts becomes a number of tokens: news headlines and posts have about 30."""

_loaded: dict[str, TextEncoder] = {}
_encoding = threading.Lock()


def describe(params: TextEncoderParams) -> TextEncoderDescriptor:
    """Describe the encoder the parameters ask for; nothing is loaded."""
    if params.backend == "hashing":
        return describe_text_encoder("hashing")
    options: dict[str, Any] = {
        "max_tokens": params.max_tokens,
        "overlap_tokens": params.overlap_tokens,
        "folder": params.folder,
        "device": params.device,
        "threads": params.threads,
        "batch_tokens": params.batch_tokens or (params.batch_size and params.batch_size * _TOKENS_A_TEXT),
        "allow_network": params.allow_network,
    }
    return describe_text_encoder(
        params.backend, model=params.model, **{k: v for k, v in options.items() if v is not None}
    )


def _encoder(descriptor: TextEncoderDescriptor) -> TextEncoder:
    """Load once a process; chunks that run side by side share it."""
    if descriptor.fingerprint not in _loaded:
        _loaded[descriptor.fingerprint] = descriptor.load()
    return _loaded[descriptor.fingerprint]


def text_writes(table: TextTable, params: Any) -> dict[str, dict[str, str]]:
    """What every row of a text stage carries; for ``Stage.writes``."""
    return {TABLE: {"source_type": table.source_type, "model_id": params.model_id}}


def encode_versions(
    params: Any,
    reader: StageReader,
    chunk: Chunk,
    table: TextTable,
    texts: pl.DataFrame,
    *,
    scope: str,
    whole: bool,
) -> Output:
    """Encode the versions of a chunk's texts.

    Parameters
    ----------
    params : TextEncoderParams
        With ``model_id``.
    reader : StageReader
    chunk : Chunk
    table : TextTable
    texts : polars.DataFrame
        As :func:`~prometheus.stages.text.texts.text_versions` gives them.
    scope : str
    whole : bool
        Every text of the days was asked for: vectors of texts that are not there any more go with them. For some
        texts alone nobody can tell.
    """
    out = Output()
    blank = pl.Series([is_blank(t) for t in texts["text"]], dtype=pl.Boolean)
    for day, n in texts.filter(blank).group_by("as_of_date").len().iter_rows():
        out.skip(scope, day, NO_TEXT, n)
    texts = texts.filter(~blank)
    descriptor = describe(params)
    cache = FileTextCache(f"{reader.cache_root}/text", descriptor.fingerprint)
    with _encoding:
        encoded = encode_with_cache(_encoder(descriptor), texts["text"].to_list(), cache)
    rows = texts.select(
        pl.lit(table.source_type).alias("source_type"),
        pl.lit(params.model_id).alias("model_id"),
        pl.lit(params.variant).alias("variant"),
        "as_of_date",
        "source_id",
        pl.Series("text_hash", encoded.hashes, dtype=pl.String),
        "known_at",
    ).with_row_index("__row")
    # Versions that differ in something other than their text share one vector, known from the first of them on.
    kept = rows.sort("known_at", "__row").unique(
        ["as_of_date", "source_id", "text_hash"], keep="first", maintain_order=True
    )
    kept = kept.sort("as_of_date", "source_id", "text_hash")
    vectors = encoded.vectors[kept["__row"].to_numpy()]
    plain = kept.drop("__row").to_arrow(compat_level=pl.CompatLevel.oldest())
    declared = contract(TABLE)
    out.rows[TABLE] = pa.table(
        [
            *(plain[f.name].cast(f.type) for f in declared.schema if f.name != "vector"),
            to_list_array(vectors),
        ],
        schema=declared.schema,
    )
    for day, n in kept.group_by("as_of_date").len().iter_rows():
        out.make(scope, day, n)
    if whole:
        surface = {"source_type": [table.source_type], "model_id": [params.model_id], "variant": [params.variant]}
        out.replace(
            TABLE,
            {**surface, "as_of_date": list(chunk.days[scope])},
            {"source_type": [table.source_type]},
            {"source_id": table.id_pattern} if table.id_pattern else {},
        )
    return out
