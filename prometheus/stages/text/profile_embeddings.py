"""Stages: PROFILE vectors of company descriptions, and of filings and transcripts.

The text of a profile is its business description, its risk summary and its recent events, each after a blank line; an
empty one is left out. Its ``source_id`` is ``issuer_id:YYYY-MM-DD``. A document is encoded as it was brought, section
by section, under the same model id; its ``source_id`` is ``issuer_id:YYYY-MM-DD:doc_id:doc``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from prometheus.runtime import Chunk, Input, Output, Stage, StageReader, selection, setting
from prometheus.stages.text.encoding import TextEncoderParams, describe, encode_versions, text_writes
from prometheus.stages.text.texts import DOCUMENTS, PROFILES, TextTable, required_days, text_holding, text_versions

NONE_IN_THE_RANGE = "issuer without any in the range"


@dataclass(frozen=True)
class ProfileTextEmbeddingsParams(TextEncoderParams):
    """Parameters of the PROFILE vectors, of profiles or of documents."""

    issuer_id: tuple[str, ...] = selection((), "only these issuers; repeat for several", narrows=True)
    model_id: str = setting("text-profile-v1", "model id the vectors are stored under")


def _names(params: ProfileTextEmbeddingsParams) -> dict[str, tuple[str, ...]]:
    return {"issuer_id": params.issuer_id} if params.issuer_id else {}


def _days(
    table: TextTable, params: ProfileTextEmbeddingsParams, reader: StageReader, first: dt.date, last: dt.date
) -> dict[str, list[dt.date]]:
    wanted = f" of {', '.join(params.issuer_id)}" if params.issuer_id else ""
    return {table.scope({}): list(required_days(reader, table, first, last, names=_names(params), wanted=wanted))}


def _compute(table: TextTable, params: ProfileTextEmbeddingsParams, reader: StageReader, chunk: Chunk) -> Output:
    scope = table.scope({})
    texts = text_versions(reader, table, chunk.days[scope], names=_names(params))
    out = encode_versions(params, reader, chunk, table, texts, scope=scope, whole=not params.issuer_id)
    if params.issuer_id and chunk.number == 0:
        held = reader.read(table.table, columns=["issuer_id"], dates=chunk.asked, where={"issuer_id": params.issuer_id})
        without = set(params.issuer_id) - set(held["issuer_id"].to_pylist())
        out.skip(scope, chunk.first, NONE_IN_THE_RANGE, len(without))
    return out


def _stage(name: str, summary: str, table: TextTable) -> Stage[Any]:
    days: Callable[..., Any] = partial(_days, table)
    compute: Callable[..., Any] = partial(_compute, table)
    return Stage(
        name=name,
        revision=1,
        summary=summary,
        params=ProfileTextEmbeddingsParams,
        inputs=(Input(table.table, history=0),),
        outputs=("text_embeddings",),
        surface=lambda p: p.model_id,
        days=days,
        compute=compute,
        fingerprint=lambda p: describe(p).fingerprint,
        chunk_days=21,
        command="backfill_profile_text_embeddings",
        holds=partial(text_holding, table),
        writes=partial(text_writes, table),
    )


PROFILE_TEXT_EMBEDDINGS = _stage(
    "profile_text_embeddings", "encode company descriptions (PROFILE), each version of each text once", PROFILES
)

DOCUMENT_TEXT_EMBEDDINGS = _stage(
    "document_text_embeddings", "encode filings and transcripts (PROFILE), each version of each text once", DOCUMENTS
)
