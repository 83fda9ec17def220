"""Small rows of the raw tables that hold texts, for tests; those of news_articles are in :mod:`tests.news_rows`."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa

from prometheus.lake import contract


def instant(text: str) -> dt.datetime:
    """``YYYY-MM-DD HH:MM``, UTC."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def profile(
    issuer: str,
    day: str,
    business: str | None = "Makes anvils.",
    risk: str | None = None,
    events: str | None = None,
    *,
    known: str | None = None,
    withdrawn: bool = False,
) -> dict[str, Any]:
    """One version of one company's description; known at noon of its day unless said."""
    return {
        "as_of_date": dt.date.fromisoformat(day),
        "issuer_id": issuer,
        "business_description": business,
        "risk_summary": risk,
        "recent_events_summary": events,
        "known_at": instant(known or f"{day} 12:00"),
        "withdrawn": withdrawn,
    }


def document(
    doc_id: str, issuer: str, published: str, text: str, *, kind: str = "10-K", known: str | None = None
) -> dict[str, Any]:
    """One version of one filing; known when published unless said."""
    at = instant(published)
    return {
        "as_of_date": at.date(),
        "doc_id": doc_id,
        "issuer_id": issuer,
        "kind": kind,
        "published_at": at,
        "text": text,
        "known_at": at if known is None else instant(known),
        "withdrawn": False,
    }


def macro(
    doc_id: str,
    published: str,
    body: str = "Rates were left unchanged.",
    title: str | None = None,
    *,
    country: str | None = "US",
    event_type: str | None = "MINUTES",
    known: str | None = None,
    withdrawn: bool = False,
) -> dict[str, Any]:
    """One version of one macro text; known when published unless said."""
    at = instant(published)
    return {
        "as_of_date": at.date(),
        "doc_id": doc_id,
        "published_at": at,
        "country": country,
        "event_type": event_type,
        "title": title,
        "body": body,
        "known_at": at if known is None else instant(known),
        "withdrawn": withdrawn,
    }


def link(
    article_id: str, instrument_id: str, published: str, *, known: str | None = None, withdrawn: bool = False
) -> dict[str, Any]:
    """One version of one link of an article to an instrument; known when published unless said."""
    at = instant(published)
    return {
        "as_of_date": at.date(),
        "article_id": article_id,
        "instrument_id": instrument_id,
        "published_at": at,
        "known_at": at if known is None else instant(known),
        "withdrawn": withdrawn,
    }


def rows_of(table: str, *rows: dict[str, Any]) -> pa.Table:
    """Rows of a raw table; columns not given are null."""
    schema = contract(table).schema
    return pa.Table.from_pylist([{**dict.fromkeys(schema.names), **row} for row in rows], schema=schema)
