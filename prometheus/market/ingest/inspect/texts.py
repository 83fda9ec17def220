"""Proposals for news."""

from __future__ import annotations

from typing import Any

import polars as pl

from prometheus.market.ingest.inspect.names import rank
from prometheus.market.ingest.inspect.pieces import Pieces, Rule

_TICKERS = r"^[\^]?[A-Z0-9]{1,6}([.-][A-Z0-9]{1,4})?$"


def news(p: Pieces) -> None:
    """Articles, and links where a column names instruments."""
    published = p.date("instant", "published_at")
    article = _article(p)
    texts = p.plain("headline", "body", "source", "language", "url")
    known = p.known("published_at")
    p.feed("news_articles", {"article_id": article, "published_at": published, **texts}, known_at=known)
    column = p.roles.get("instrument")
    if column is None or p.looks[column].kind == "empty":
        p.check("no column names an instrument: the articles are news of the market alone")
        return
    found = _links(p, column)
    if found is None:
        return
    steps, instrument = found
    links = {"article_id": article, "instrument_id": instrument, "published_at": published}
    p.feed("news_links", links | p.plain("relevance"), steps=steps, known_at=known)


def _links(p: Pieces, column: str) -> tuple[list[dict[str, Any]], Rule] | None:
    """Steps and rule of the links: one row per name an article speaks of."""
    if p.looks[column].kind == "list":
        return [{"explode": {"column": column}}], p.instrument().rule
    values = p.ids(column)
    if values.str.contains(r"^\[.*\]$").any():
        p.check(
            f"{column} holds lists written as text, {values[0][:40]!r}: no links; export it as JSON lines with lists"
        )
        return None
    for cut in (";", "|", ",", " "):
        parts = values.str.split(cut).explode().str.strip_chars()
        if values.str.contains(cut, literal=True).any() and parts.filter(parts != "").str.contains(_TICKERS).all():
            p.use("instrument", "instrument_id")
            named = (parts.str.contains(r"\.[A-Z]{1,4}$").sum() or 0) > 0.5 * len(parts)
            step = {"explode": {"column": column, "separator": cut}}
            return [step], column if named else {"template": f"{{{column}}}.US"}
    return [{"where": {"column": column}}], p.instrument().rule


def _article(p: Pieces) -> Rule:
    """The article's id: the column under which each text stands once, however many names it speaks of."""
    when = p.roles["instant"]
    texts = [p.roles[r] for r in ("headline", "body") if r in p.roles and p.looks[p.roles[r]].kind != "empty"]
    ids = [c for c, look in p.looks.items() if rank("article", c) is not None and look.kind != "empty"]
    sizes: list[tuple[int, int, str]] = []
    for column in ids:
        if p.rows[column].null_count() or p.rows.schema[column].is_nested():
            continue
        different = p.rows[column].n_unique()
        if different == p.rows.select(pl.struct(column, when, *texts).n_unique()).item():
            sizes.append((different, rank("article", column) or 0, column))
    if sizes:
        different, _, column = min(sizes)
        p.placed[column] = "article_id"
        if different < p.rows.height:
            p.check(f"{column} repeats with the same text: one article, and one link for each name it comes with")
        return column
    url = p.roles.get("url")
    if url is not None and p.rows[url].null_count() == 0 and p.rows[url].n_unique() == p.rows.height:
        p.check(f"no column is an id of its own for each article: {url} is taken")
        return url
    p.check(f"no column is an id of its own for each article: {when} and {texts[0]} together are taken")
    return {"template": f"{{{when}}} {{{texts[0]}}}"}
