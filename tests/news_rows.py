"""Small rows of news_articles and regimes for tests of the text and joint stages."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.lake import contract
from prometheus.vectors import to_list_array


def article(
    article_id: str,
    published: str,
    headline: str | None = "Shares rise",
    body: str | None = None,
    *,
    language: str | None = "EN",
    known: str | None = None,
    withdrawn: bool = False,
) -> dict[str, Any]:
    """One version of one article; instants as ``YYYY-MM-DD HH:MM``, UTC, known when published unless said."""
    published_at = dt.datetime.fromisoformat(published).replace(tzinfo=dt.UTC)
    return {
        "as_of_date": published_at.date(),
        "article_id": article_id,
        "published_at": published_at,
        "source": None,
        "language": language,
        "headline": headline,
        "body": body,
        "url": None,
        "known_at": published_at if known is None else dt.datetime.fromisoformat(known).replace(tzinfo=dt.UTC),
        "withdrawn": withdrawn,
    }


def news_table(*articles: dict[str, Any]) -> pa.Table:
    """Rows of news_articles."""
    return pa.Table.from_pylist(list(articles), schema=contract("news_articles").schema)


def regime_table(
    days: list[dt.date], vectors: NDArray[np.float32], *, region: str = "US", proxy: str = "MARKET", variant: str = "v0"
) -> pa.Table:
    """Rows of regimes with given embeddings and no labels."""
    declared = contract("regimes")
    n = len(days)
    columns = {
        "region": [region] * n,
        "as_of_date": days,
        "as_of_year": [d.year for d in days],
        "proxy": [proxy] * n,
        "model_id": ["num-regime-core-v1"] * n,
        "variant": [variant] * n,
        "backend": ["prototypes"] * n,
        "reason": ["made by hand"] * n,
    }
    return pa.table(
        [
            to_list_array(vectors)
            if f.name == "regime_embedding"
            else pa.array(columns.get(f.name, [None] * n), f.type)
            for f in declared.schema
        ],
        schema=declared.schema,
    )
