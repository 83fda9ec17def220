"""Which raw tables hold texts, how a text is put together, and reading every version of some of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from prometheus.clock import Markets
from prometheus.errors import MissingInputError
from prometheus.lake.predicates import condition, literal
from prometheus.runtime import Holding, StageReader
from prometheus.stages.cuts import days_around

SEPARATOR = "\n\n"

Filters = Mapping[str, str]
"""Column to the value asked for, in upper case; compared without case. A column left out is not asked about."""

Names = Mapping[str, Collection[str]]
"""Column to the values asked for, as they are."""

EVERY = "*"
"""Stands in a scope for a column that is not asked about."""


@dataclass(frozen=True, eq=False)
class TextTable:
    """A raw table of texts.

    Attributes
    ----------
    source_type : str
        What ``text_embeddings`` calls them.
    table : str
    key : str
        Column that with ``as_of_date`` names a text.
    parts : tuple of str
        Columns whose texts, in this order and with a blank line between them, are the text; empty ones are left out.
    noun : str
        What sentences call them.
    id_columns : tuple of str
        Columns ``source_id`` is made of, ``key`` and ``as_of_date`` among them.
    source_id : callable
        Makes the expression that gives ``source_id`` from those columns.
    id_pattern : str
        Regular expression of the whole ``source_id``, where other texts of the type share its partitions.
    filters : tuple of str
        Columns a request may filter by, as the scopes name them.
    """

    source_type: str
    table: str
    key: str
    parts: tuple[str, ...]
    noun: str
    id_columns: tuple[str, ...]
    source_id: Callable[[], pl.Expr]
    id_pattern: str = ""
    filters: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """Columns every version of a text is read with."""
        own = (*self.id_columns, *self.filters, *self.parts)
        return [*dict.fromkeys(("as_of_date", self.key, *own, "known_at", "withdrawn"))]

    def text(self) -> pl.Expr:
        """Text of a row; empty where it has none."""
        return joined_text(self.parts)

    def scope(self, filters: Filters) -> str:
        """Name the scope of a request, ``MACRO/US/*``."""
        return "/".join((self.source_type, *(filters.get(c) or EVERY for c in self.filters)))

    def filters_in(self, scope: str) -> dict[str, str]:
        """Return what a scope's name asks for; only the last column may hold a slash."""
        asked = scope.split("/", len(self.filters))[1:]
        return {c: v for c, v in zip(self.filters, asked, strict=True) if v != EVERY}


def joined_text(parts: Sequence[str]) -> pl.Expr:
    """Stripped texts of some columns with a blank line between them; empty where all are."""
    texts = [pl.col(c).str.strip_chars().replace("", None) for c in parts]
    return pl.concat_str(texts, separator=SEPARATOR, ignore_nulls=True).fill_null("").alias("text")


def asked_filters(**values: str) -> dict[str, str]:
    """Return the filters of a request from its parameters; an empty one asks nothing."""
    return {column: value.upper() for column, value in values.items() if value}


def texts_by_day(
    reader: StageReader,
    table: TextTable,
    first: dt.date,
    last: dt.date,
    filters: Filters | None = None,
    names: Names | None = None,
) -> dict[dt.date, int]:
    """Texts of each day in a range of which any version counts."""
    texts = texts_of(reader, table, filters or {}, names or {}, (first, last))
    rows = reader.query(
        f"SELECT as_of_date, count(DISTINCT {table.key}) AS n FROM ({texts}) GROUP BY as_of_date ORDER BY as_of_date"
    )
    return dict(zip(rows["as_of_date"].to_pylist(), rows["n"].to_pylist(), strict=True))


def texts_of(
    reader: StageReader, table: TextTable, filters: Filters, names: Names, dates: tuple[dt.date, dt.date] | None = None
) -> str:
    """SQL of the key and day of every version that counts."""
    source = reader.source(
        table.table,
        columns=[*dict.fromkeys(("as_of_date", table.key, *table.filters, *names, "known_at", "withdrawn"))],
        dates=dates,
        every_version=True,
    )
    asked = "".join(f" AND upper({c}) = {literal(v)}" for c, v in filters.items())
    return f"SELECT as_of_date, {table.key} FROM ({source}) WHERE NOT withdrawn{asked} AND {condition(names)}"


def required_days(
    reader: StageReader,
    table: TextTable,
    first: dt.date,
    last: dt.date,
    filters: Filters | None = None,
    names: Names | None = None,
    *,
    wanted: str = "",
) -> dict[dt.date, int]:
    """:func:`texts_by_day`, refused when there are none.

    Raises
    ------
    MissingInputError
        ``wanted`` says in words which were asked for.
    """
    found = texts_by_day(reader, table, first, last, filters, names)
    if not found:
        every = texts_of(reader, table, filters or {}, names or {})
        raise MissingInputError(
            f"there are no {table.noun}{wanted} between {first} and {last}{days_around(reader, every, first, last)}; "
            "bring some with "
            "`prometheus ingest source=... path=...`"
        )
    return found


def text_versions(
    reader: StageReader,
    table: TextTable,
    days: Sequence[dt.date],
    filters: Filters | None = None,
    names: Names | None = None,
) -> pl.DataFrame:
    """Every version of the texts of some days that was not taken back, with ``source_id`` and ``text``.

    Filters choose whole texts, not single versions: since when a text was known must not depend on what was asked.

    Returns
    -------
    polars.DataFrame
        Sorted by ``as_of_date``, key and ``known_at``.
    """
    rows = reader.read(table.table, columns=table.columns, dates=(days[0], days[-1]), every_version=True)
    frame = pl.DataFrame(pl.from_arrow(rows)).filter(~pl.col("withdrawn"))
    for column, values in (names or {}).items():
        frame = frame.filter(pl.col(column).is_in(list(values)))
    if filters:
        fits = pl.all_horizontal(pl.col(c).str.to_uppercase() == v for c, v in filters.items())
        frame = frame.filter(fits.any().over("as_of_date", table.key))
    frame = frame.filter(pl.col("as_of_date").is_in(list(days)))
    frame = frame.sort("as_of_date", table.key, "known_at")
    return frame.with_columns(table.text(), table.source_id().alias("source_id"))


def text_holding(table: TextTable, params: Any, scope: str, markets: Markets) -> dict[str, Holding]:
    """Which vectors a scope's lineage counts; for ``Stage.holds`` of texts with ``model_id`` among their parameters."""
    where = {"source_type": table.source_type, "model_id": params.model_id, "variant": params.variant}
    own = f"regexp_full_match(source_id, {literal(table.id_pattern)}, 's')" if table.id_pattern else "true"
    filters = table.filters_in(scope)
    if not filters:
        return {"text_embeddings": Holding(where, own)}
    fits = " AND ".join(f"coalesce(upper({c}), '') = {literal(v)}" for c, v in filters.items())
    texts = (
        "(as_of_date, source_id) IN "
        f"(SELECT (as_of_date, {table.key}) FROM {table.table}__versions GROUP BY as_of_date, {table.key} HAVING {{}})"
    )
    # A correction may have changed what is filtered by since the vectors were made.
    always, ever = (f"{f}({fits})" for f in ("bool_and", "bool_or"))
    return {"text_embeddings": Holding(where, texts.format(always), texts.format(f"{ever} AND NOT {always}"))}


_DAY = r"\d{4}-\d{2}-\d{2}"
_DATED_ISSUER = ("issuer_id", "as_of_date")


def _dated_issuer() -> pl.Expr:
    return pl.concat_str("issuer_id", pl.lit(":"), pl.col("as_of_date").dt.to_string("%Y-%m-%d"))


NEWS = TextTable(
    source_type="NEWS",
    table="news_articles",
    key="article_id",
    parts=("headline", "body"),
    noun="news articles",
    id_columns=("article_id",),
    source_id=lambda: pl.col("article_id"),
    filters=("language",),
)
"""The text of an article is its headline, then a blank line, then its body."""

PROFILES = TextTable(
    source_type="PROFILE",
    table="profiles",
    key="issuer_id",
    parts=("business_description", "risk_summary", "recent_events_summary"),
    noun="profiles",
    id_columns=_DATED_ISSUER,
    source_id=_dated_issuer,
    id_pattern=f".*:{_DAY}",
)
"""Company descriptions: business, risks and recent events, each after a blank line."""

DOCUMENTS = TextTable(
    source_type="PROFILE",
    table="issuer_documents",
    key="doc_id",
    parts=("text",),
    noun="issuer documents",
    id_columns=(*_DATED_ISSUER, "doc_id"),
    source_id=lambda: pl.concat_str(_dated_issuer(), pl.lit(":"), "doc_id", pl.lit(":doc")),
    id_pattern=f".*:{_DAY}:.*:doc",
)
"""Filings and transcripts. A profile's id ends in a date and a document's in ``:doc``: neither can be the other's."""

MACRO = TextTable(
    source_type="MACRO",
    table="macro_texts",
    key="doc_id",
    parts=("title", "body"),
    noun="macro texts",
    id_columns=("doc_id",),
    source_id=lambda: pl.col("doc_id"),
    filters=("country", "event_type"),
)
"""Macro and policy texts: title, a blank line, body."""
