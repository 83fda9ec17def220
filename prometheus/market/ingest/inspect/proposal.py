"""A proposed map: what it is made of, and how it is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from prometheus.clock import Markets
from prometheus.errors import BadDataError
from prometheus.market.ingest.inspect.companies import (
    actions,
    documents,
    factors,
    figures,
    instruments,
    issuers,
    macro_texts,
    profiles,
    wide_factors,
)
from prometheus.market.ingest.inspect.pieces import Pieces
from prometheus.market.ingest.inspect.prices import prices
from prometheus.market.ingest.inspect.tables import SPECS, WIDE_FACTORS, match_tables
from prometheus.market.ingest.inspect.texts import news
from prometheus.market.ingest.inspect.values import Look

_MAKERS = {
    "prices_daily": prices,
    "news_articles": news,
    "instruments": instruments,
    "issuers": issuers,
    "corporate_actions": actions,
    "fundamentals": figures,
    "issuer_documents": documents,
    "macro_texts": macro_texts,
    "profiles": profiles,
    "factors_daily": factors,
    WIDE_FACTORS: wide_factors,
}
_NEAR = 0.7
"""Share of the best table's score from which another is named beside it."""


@dataclass(frozen=True)
class Proposal:
    """A map, and what there is to say about it.

    Attributes
    ----------
    table : str
        The table the file is believed to be for.
    because : str
        What it has that the table needs.
    feeds : tuple of dict
        As they stand in the YAML.
    placed : dict of str to str
        Source column to what it is taken for.
    unplaced : dict of str to str
        Source column to what it looks like.
    checks : tuple of str
        What was assumed, or cannot be known from the file.
    runner_up : str
        Another table that fits, empty where none does.
    """

    table: str
    because: str
    feeds: tuple[dict[str, Any], ...]
    placed: dict[str, str] = field(default_factory=dict)
    unplaced: dict[str, str] = field(default_factory=dict)
    checks: tuple[str, ...] = ()
    runner_up: str = ""


def propose(
    rows: pl.DataFrame,
    looks: Mapping[str, Look],
    name: str,
    common: Mapping[str, Any],
    *,
    markets: Markets,
    stem: str,
    checks: tuple[str, ...] = (),
) -> Proposal:
    """Propose a map.

    Parameters
    ----------
    rows : polars.DataFrame
    looks : mapping of str to Look
        The file's columns.
    name : str
        What the refusal calls the file.
    common : mapping
        Options of every feed: files, encoding, header.
    markets : Markets
    stem : str
        The file's name without suffix: the ticker, where no column names one.
    checks : tuple of str
        What is to be checked anyway.

    Raises
    ------
    BadDataError
        When the file fits no table.
    """
    matches = match_tables(looks)
    best = matches[0]
    if not best.fits:
        near = max(matches, key=lambda m: m.score)
        seen = ", ".join(f"{c} ({look.kind})" for c, look in looks.items())
        raise BadDataError(
            f"{name} fits no raw table; nearest is {near.table}, which needs {SPECS[near.table].needs}. Its columns "
            f"are {seen}. Rename them, or write a map by hand (docs/reference/ingest-maps.md)"
        )
    pieces = Pieces(rows, looks, best.roles, dict(common), markets, stem, checks=list(checks))
    _MAKERS[best.table](pieces)
    also = next((m.table for m in matches[1:] if m.fits and m.score >= _NEAR * best.score), "")
    rest = {c: look for c, look in looks.items() if c not in pieces.placed}
    unplaced = {c: look.kind + (f", for example {look.example!r}" if look.example else "") for c, look in rest.items()}
    return Proposal(
        table=str(pieces.feeds[0]["table"]),
        because=SPECS[best.table].needs,
        feeds=tuple(pieces.feeds),
        placed=pieces.placed,
        unplaced=unplaced,
        checks=tuple(pieces.checks),
        runner_up=also,
    )
