"""Stage: NEWS vectors, each version of each text once.

The text of an article is its headline, then a blank line, then its body; see :mod:`.encoding`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial

import polars as pl

from prometheus.runtime import Chunk, Input, Output, Stage, StageReader, selection, setting
from prometheus.stages.text.encoding import NO_TEXT, TextEncoderParams, describe, encode_versions, text_writes
from prometheus.stages.text.texts import NEWS, asked_filters, required_days, text_holding, text_versions, texts_by_day

__all__ = ["NO_TEXT", "TEXT_EMBEDDINGS", "TextEmbeddingsParams", "describe"]


@dataclass(frozen=True)
class TextEmbeddingsParams(TextEncoderParams):
    """Parameters of the NEWS vectors."""

    language: str = selection("", "only articles of this language (any case)")
    limit: int | None = selection(None, "only the first N articles, by date and id", narrows=True)
    model_id: str = setting("text-fin-general-v1", "model id the vectors are stored under")


def _filters(params: TextEmbeddingsParams) -> dict[str, str]:
    return asked_filters(language=params.language)


def _days(params: TextEmbeddingsParams, reader: StageReader, first: dt.date, last: dt.date) -> dict[str, list[dt.date]]:
    wanted = f" in {params.language.upper()}" if params.language else ""
    by_day = required_days(reader, NEWS, first, last, _filters(params), wanted=wanted)
    days = list(by_day)
    if params.limit is not None:
        taken, total = [], 0
        for day in days:
            taken.append(day)
            total += by_day[day]
            if total >= params.limit:
                break
        days = taken
    return {NEWS.scope(_filters(params)): days}


def _compute(params: TextEmbeddingsParams, reader: StageReader, chunk: Chunk) -> Output:
    texts = _texts(params, reader, chunk)
    whole = not params.language and params.limit is None
    return encode_versions(params, reader, chunk, NEWS, texts, scope=NEWS.scope(_filters(params)), whole=whole)


def _texts(params: TextEmbeddingsParams, reader: StageReader, chunk: Chunk) -> pl.DataFrame:
    """Every version of the chunk's articles, with the text to encode."""
    filters = _filters(params)
    days = chunk.days[NEWS.scope(filters)]
    frame = text_versions(reader, NEWS, days, filters)
    if params.limit is not None:
        earlier = texts_by_day(reader, NEWS, chunk.asked[0], days[0], filters)
        left = params.limit - sum(n for day, n in earlier.items() if day < days[0])
        wanted = frame.select("as_of_date", "article_id").unique(maintain_order=True).head(max(left, 0))
        frame = frame.join(wanted, on=["as_of_date", "article_id"], how="semi", maintain_order="left")
    return frame


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
    holds=partial(text_holding, NEWS),
    writes=partial(text_writes, NEWS),
)
