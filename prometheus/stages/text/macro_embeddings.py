"""Stage: MACRO vectors, each version of each text once.

The text is the title, then a blank line, then the body; ``source_id`` is ``doc_id``; see :mod:`.encoding`. A
country or event type asked for is a scope of its own, as a language is for NEWS: the day of all texts stays open.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial

from prometheus.errors import RequestError
from prometheus.runtime import Chunk, Input, Output, Stage, StageReader, selection, setting
from prometheus.stages.text.encoding import TextEncoderParams, describe, encode_versions, text_writes
from prometheus.stages.text.texts import MACRO, asked_filters, required_days, text_holding, text_versions


@dataclass(frozen=True)
class MacroTextEmbeddingsParams(TextEncoderParams):
    """Parameters of the MACRO vectors."""

    country: str = selection("", "only texts of this country (any case)")
    event_type: str = selection("", "only texts of this kind, for example FOMC_MINUTES (any case)")
    model_id: str = setting("text-macro-v1", "model id the vectors are stored under")


def _filters(params: MacroTextEmbeddingsParams) -> dict[str, str]:
    if "/" in params.country:
        raise RequestError(f"a country is written as ISO 3166 alpha-2, for example US; got {params.country!r}")
    return asked_filters(country=params.country, event_type=params.event_type)


def _days(
    params: MacroTextEmbeddingsParams, reader: StageReader, first: dt.date, last: dt.date
) -> dict[str, list[dt.date]]:
    filters = _filters(params)
    kind = f" of kind {filters['event_type']}" if params.event_type else ""
    place = f" of country {filters['country']}" if params.country else ""
    return {MACRO.scope(filters): list(required_days(reader, MACRO, first, last, filters, wanted=kind + place))}


def _compute(params: MacroTextEmbeddingsParams, reader: StageReader, chunk: Chunk) -> Output:
    filters = _filters(params)
    scope = MACRO.scope(filters)
    texts = text_versions(reader, MACRO, chunk.days[scope], filters)
    return encode_versions(params, reader, chunk, MACRO, texts, scope=scope, whole=not filters)


MACRO_TEXT_EMBEDDINGS = Stage(
    name="macro_text_embeddings",
    revision=1,
    summary="encode macro and policy texts (MACRO), each version of each text once",
    params=MacroTextEmbeddingsParams,
    inputs=(Input("macro_texts", history=0),),
    outputs=("text_embeddings",),
    surface=lambda p: p.model_id,
    days=_days,
    compute=_compute,
    fingerprint=lambda p: describe(p).fingerprint,
    chunk_days=21,
    command="backfill_macro_text_embeddings",
    holds=partial(text_holding, MACRO),
    writes=partial(text_writes, MACRO),
)
