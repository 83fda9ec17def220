"""Stage: NEWS vectors, each version of each text once.

The text of an article is its headline, then a blank line, then its body. Vectors are cached by content, so a text that
comes again, under any article, date or model id of the same encoder, is not encoded again.
"""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa

from prometheus.clock import Markets
from prometheus.encoders.text import (
    FileTextCache,
    TextEncoder,
    TextEncoderDescriptor,
    describe_text_encoder,
    encode_with_cache,
    is_blank,
)
from prometheus.errors import MissingInputError
from prometheus.lake import contract
from prometheus.lake.predicates import literal
from prometheus.runtime import (
    Chunk,
    Holding,
    Input,
    Output,
    Stage,
    StageParams,
    StageReader,
    execution,
    selection,
    setting,
)
from prometheus.stages.news import article_text, articles_by_day
from prometheus.vectors import to_list_array

NO_TEXT = "no text"


@dataclass(frozen=True)
class TextEmbeddingsParams(StageParams):
    """Parameters of the NEWS vectors."""

    language: str = selection("", "only articles of this language (any case)")
    limit: int | None = selection(None, "only the first N articles, by date and id", narrows=True)
    model_id: str = setting("text-fin-general-v1", "model id the vectors are stored under")
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


def describe(params: TextEmbeddingsParams) -> TextEncoderDescriptor:
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


def _scope(params: TextEmbeddingsParams) -> str:
    return f"NEWS/{params.language.upper() or '*'}"


def _days(params: TextEmbeddingsParams, reader: StageReader, first: dt.date, last: dt.date) -> dict[str, list[dt.date]]:
    by_day = articles_by_day(reader, first, last, params.language)
    if not by_day:
        wanted = f" in {params.language.upper()}" if params.language else ""
        raise MissingInputError(
            f"there are no news articles{wanted} between {first} and {last}; bring some with "
            "`prometheus ingest source=... path=...`"
        )
    days = list(by_day)
    if params.limit is not None:
        taken, total = [], 0
        for day in days:
            taken.append(day)
            total += by_day[day]
            if total >= params.limit:
                break
        days = taken
    return {_scope(params): days}


def _compute(params: TextEmbeddingsParams, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    scope = _scope(params)
    texts = _texts(params, reader, chunk)
    blank = pl.Series([is_blank(t) for t in texts["text"]], dtype=pl.Boolean)
    for day, n in texts.filter(blank).group_by("as_of_date").len().iter_rows():
        out.skip(scope, day, NO_TEXT, n)
    texts = texts.filter(~blank)
    descriptor = describe(params)
    cache = FileTextCache(f"{reader.cache_root}/text", descriptor.fingerprint)
    with _encoding:
        encoded = encode_with_cache(_encoder(descriptor), texts["text"].to_list(), cache)
    rows = texts.select(
        pl.lit("NEWS").alias("source_type"),
        pl.lit(params.model_id).alias("model_id"),
        pl.lit(params.variant).alias("variant"),
        "as_of_date",
        pl.col("article_id").alias("source_id"),
        pl.Series("text_hash", encoded.hashes, dtype=pl.String),
        "known_at",
    ).with_row_index("__row")
    # Versions that differ in something other than their text share one vector, known from the first of them on.
    kept = rows.sort("known_at", "__row").unique(
        ["as_of_date", "source_id", "text_hash"], keep="first", maintain_order=True
    )
    kept = kept.sort("as_of_date", "source_id", "text_hash")
    vectors = encoded.vectors[kept["__row"].to_numpy()]
    table = kept.drop("__row").to_arrow(compat_level=pl.CompatLevel.oldest())
    declared = contract("text_embeddings")
    out.rows["text_embeddings"] = pa.table(
        [
            *(table[f.name].cast(f.type) for f in declared.schema if f.name != "vector"),
            to_list_array(vectors),
        ],
        schema=declared.schema,
    )
    for day, n in kept.group_by("as_of_date").len().iter_rows():
        out.make(scope, day, n)
    if not params.language and params.limit is None:
        # Vectors of articles that are not there any more go with them; for some articles alone nobody can tell.
        surface = {"source_type": ["NEWS"], "model_id": [params.model_id], "variant": [params.variant]}
        out.replace("text_embeddings", {**surface, "as_of_date": list(chunk.days[scope])}, {"source_type": ["NEWS"]})
    return out


def _texts(params: TextEmbeddingsParams, reader: StageReader, chunk: Chunk) -> pl.DataFrame:
    """Every version of the chunk's articles, with the text to encode."""
    days = chunk.days[_scope(params)]
    rows = reader.read(
        "news_articles",
        columns=["as_of_date", "article_id", "language", "headline", "body", "known_at", "withdrawn"],
        dates=(days[0], days[-1]),
        every_version=True,
    )
    frame = pl.DataFrame(pl.from_arrow(rows)).filter(~pl.col("withdrawn"))
    if params.language:
        # Whole articles, not single versions: since when a text was known must not depend on the language asked for.
        spoken = pl.col("language").str.to_uppercase() == params.language.upper()
        frame = frame.filter(spoken.any().over("as_of_date", "article_id"))
    frame = frame.filter(pl.col("as_of_date").is_in(list(days)))
    frame = frame.sort("as_of_date", "article_id", "known_at")
    if params.limit is not None:
        earlier = articles_by_day(reader, chunk.asked[0], days[0], params.language)
        left = params.limit - sum(n for day, n in earlier.items() if day < days[0])
        wanted = frame.select("as_of_date", "article_id").unique(maintain_order=True).head(max(left, 0))
        frame = frame.join(wanted, on=["as_of_date", "article_id"], how="semi", maintain_order="left")
    return frame.with_columns(article_text())


def _holds(params: TextEmbeddingsParams, scope: str, markets: Markets) -> dict[str, Holding]:
    where = {"source_type": "NEWS", "model_id": params.model_id, "variant": params.variant}
    language = scope.split("/")[1]
    if language == "*":
        return {"text_embeddings": Holding(where)}
    spoken = f"coalesce(upper(language), '') = {literal(language)}"
    articles = (
        "(as_of_date, source_id) IN "
        "(SELECT (as_of_date, article_id) FROM news_articles__versions GROUP BY as_of_date, article_id HAVING {})"
    )
    # A correction may have changed the language since the vectors were made.
    always, ever = (f"{f}({spoken})" for f in ("bool_and", "bool_or"))
    return {"text_embeddings": Holding(where, articles.format(always), articles.format(f"{ever} AND NOT {always}"))}


TEXT_EMBEDDINGS = Stage(
    name="text_embeddings",
    revision=1,
    summary="encode NEWS articles, each version of each text once",
    params=TextEmbeddingsParams,
    inputs=(Input("news_articles", history=0),),
    outputs=("text_embeddings",),
    surface=lambda p: p.model_id,
    days=_days,
    compute=_compute,
    fingerprint=lambda p: describe(p).fingerprint,
    chunk_days=21,
    command="backfill_text_embeddings",
    holds=_holds,
)
