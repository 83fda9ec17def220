"""Reading the daily NEWS mean: the articles known at each day's cut-off, their vectors, one plain mean a day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.encoders.text import text_hash
from prometheus.lake.predicates import literal
from prometheus.runtime import StageReader
from prometheus.spaces.joint import DailyMeans, DailySums
from prometheus.vectors import from_list_array


@dataclass(frozen=True)
class NewsSelection:
    """Which NEWS vectors are averaged."""

    model_id: str
    variant: str
    language: str = ""


def daily_news_means(
    reader: StageReader,
    selection: NewsSelection,
    days: Sequence[dt.date],
    day_cutoffs: NDArray[np.datetime64],
) -> DailyMeans:
    """Mean NEWS vector of each day, over the articles known at that day's cut-off.

    DuckDB picks, per article, the version known by then and joins its vector; NumPy adds the streamed batches exactly
    (see :class:`~prometheus.spaces.joint.DailySums`), so no sort is needed.

    Parameters
    ----------
    reader : StageReader
        With ``text_embeddings`` and ``news_articles`` among its inputs.
    selection : NewsSelection
        Language is matched without case.
    days : sequence of date
        Ascending.
    day_cutoffs : ndarray of datetime64[us], shape (len(days),)
    """
    wanted = np.array(days, dtype="datetime64[D]")
    if len(wanted) == 0:
        return DailySums(wanted).means()
    span = (days[0], days[-1])
    cut = pa.table({"day": pa.array(wanted), "cutoff": pa.array(day_cutoffs).cast(pa.timestamp("us", tz="UTC"))})
    where = {"source_type": "NEWS", "model_id": selection.model_id, "variant": selection.variant}
    chosen = _chosen_texts(reader, selection, span, where, cut)
    sums = DailySums(wanted)
    if chosen.num_rows == 0:
        return sums.means()
    vectors = reader.source(
        "text_embeddings",
        columns=["source_id", "as_of_date", "text_hash", "vector"],
        dates=span,
        where=where,
        every_version=True,
    )
    batches = reader.stream(
        f"SELECT as_of_date, vector FROM ({vectors}) SEMI JOIN chosen USING (source_id, as_of_date, text_hash)",
        {"chosen": chosen},
    )
    for batch in batches:
        block = from_list_array(batch.column(1))
        sums.add(batch.column(0).to_numpy(zero_copy_only=False).astype("datetime64[D]"), block)
    return sums.means()


def _chosen_texts(
    reader: StageReader,
    selection: NewsSelection,
    span: tuple[dt.date, dt.date],
    where: Mapping[str, str],
    cut: pa.Table,
) -> pa.Table:
    """Return source_id, as_of_date and text_hash of the texts that count: one an article, of the version known by then.

    Most articles have one version, and their vector is found by id. Those with several are matched by the hash of the
    text their known version has: a correction may go back to an earlier wording.
    """
    narrow = ["article_id", "as_of_date", "language", "known_at", "withdrawn"]
    articles, with_text = (
        reader.source("news_articles", columns=columns, dates=span, every_version=True)
        for columns in (narrow, [*narrow, "headline", "body"])
    )
    keys = reader.source(
        "text_embeddings",
        columns=["source_id", "as_of_date", "text_hash", "known_at"],
        dates=span,
        where=where,
        every_version=True,
    )
    language = f"AND upper(a.language) = {literal(selection.language.upper())}" if selection.language else ""
    by_then = "a JOIN cut ON a.as_of_date = cut.day AND a.known_at <= cut.cutoff"
    known = f"({articles}) {by_then}"
    revised = reader.query(
        f"SELECT a.article_id, a.as_of_date FROM {known} GROUP BY ALL HAVING count(*) > 1", {"cut": cut}
    )
    settled = "ANTI JOIN revised USING (article_id, as_of_date)" if revised.num_rows else ""
    plain = reader.query(
        f"""
        SELECT e.source_id, e.as_of_date, e.text_hash FROM ({keys}) e
        JOIN (SELECT a.* FROM {known} {settled}) a
        ON a.article_id = e.source_id AND a.as_of_date = e.as_of_date AND a.known_at >= e.known_at
        WHERE NOT a.withdrawn {language}
        """,
        {"cut": cut, "revised": revised},
    )
    if revised.num_rows == 0:
        return plain
    latest = reader.query(
        f"""
        SELECT a.article_id AS source_id, a.as_of_date, a.headline, a.body, a.language, a.withdrawn
        FROM ({with_text}) {by_then} SEMI JOIN revised USING (article_id, as_of_date)
        QUALIFY row_number() OVER (PARTITION BY a.article_id, a.as_of_date ORDER BY a.known_at DESC) = 1
        """,
        {"cut": cut, "revised": revised},
    )
    texts = pl.DataFrame(pl.from_arrow(latest)).filter(~pl.col("withdrawn"))
    if selection.language:
        texts = texts.filter(pl.col("language").str.to_uppercase() == selection.language.upper())
    texts = texts.with_columns(article_text()).filter(pl.col("text") != "")
    hashes = pl.Series("text_hash", [text_hash(t) for t in texts["text"]], dtype=pl.String)
    exact = texts.select("source_id", "as_of_date").with_columns(hashes)
    found = reader.query(
        f"SELECT e.source_id, e.as_of_date, e.text_hash FROM ({keys}) e SEMI JOIN exact "
        "USING (source_id, as_of_date, text_hash)",
        {"exact": exact.to_arrow(compat_level=pl.CompatLevel.oldest())},
    )
    return pa.concat_tables([plain, found.cast(plain.schema)])


SEPARATOR = "\n\n"


def article_text() -> pl.Expr:
    """Text of an article: headline, a blank line, body; empty where it has neither."""
    parts = [pl.col(c).str.strip_chars().replace("", None) for c in ("headline", "body")]
    return pl.concat_str(parts, separator=SEPARATOR, ignore_nulls=True).fill_null("").alias("text")


def articles_by_day(reader: StageReader, first: dt.date, last: dt.date, language: str = "") -> dict[dt.date, int]:
    """Articles of each day in a range (latest versions)."""
    articles = reader.source(
        "news_articles",
        columns=["article_id", "as_of_date", "language", "known_at", "withdrawn"],
        dates=(first, last),
        every_version=True,
    )
    condition = f"AND upper(language) = {literal(language.upper())}" if language else ""
    rows = reader.query(
        f"SELECT as_of_date, count(DISTINCT article_id) AS n FROM ({articles}) WHERE NOT withdrawn {condition} "
        "GROUP BY as_of_date ORDER BY as_of_date"
    )
    return dict(zip(rows["as_of_date"].to_pylist(), rows["n"].to_pylist(), strict=True))
