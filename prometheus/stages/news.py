"""Reading the daily NEWS mean: the articles known at each day's cut-off, their vectors, one plain mean a day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
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

    Per article the version known by then says which vector counts; DuckDB streams the vectors, NumPy adds the batches
    exactly (see :class:`~prometheus.spaces.joint.DailySums`), so no sort is needed.

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
    sums = DailySums(wanted)
    if len(wanted) == 0:
        return sums.means()
    span = (days[0], days[-1])
    cut = pa.table({"day": pa.array(wanted), "cutoff": pa.array(day_cutoffs).cast(pa.timestamp("us", tz="UTC"))})
    where = {"source_type": "NEWS", "model_id": selection.model_id, "variant": selection.variant}
    keys = _frame(
        reader.read(
            "text_embeddings",
            columns=["source_id", "as_of_date", "text_hash", "known_at"],
            dates=span,
            where=where,
            every_version=True,
        )
    )
    chosen = _chosen_texts(reader, selection, span, keys, cut)
    whole, parts = _by_completeness(keys, chosen)
    held = keys["as_of_date"].n_unique()
    for these, picked in ((whole, None), (parts, chosen)):
        if not these:
            continue
        vectors = reader.source(
            "text_embeddings",
            columns=["as_of_date", "vector"] if picked is None else ["source_id", "as_of_date", "text_hash", "vector"],
            dates=span,
            where=where if len(these) == held else {**where, "as_of_date": these},
            every_version=True,
        )
        only = "" if picked is None else "SEMI JOIN chosen USING (source_id, as_of_date, text_hash)"
        batches = reader.stream(
            f"SELECT as_of_date, vector FROM ({vectors}) {only}",
            None if picked is None else {"chosen": _arrow(picked)},
        )
        for batch in batches:
            dated = batch.column(0).to_numpy(zero_copy_only=False).astype("datetime64[D]")
            sums.add(dated, from_list_array(batch.column(1)))
    return sums.means()


def _by_completeness(keys: pl.DataFrame, chosen: pl.DataFrame) -> tuple[list[dt.date], list[dt.date]]:
    """Days all of whose vectors count, and days of which only some do: the first need no join to be read."""
    held, picked = (f.group_by("as_of_date").agg(pl.len().alias("n")) for f in (keys, chosen))
    both = picked.join(held, on="as_of_date", suffix="_held").sort("as_of_date")
    complete = pl.col("n") == pl.col("n_held")
    return both.filter(complete)["as_of_date"].to_list(), both.filter(~complete)["as_of_date"].to_list()


def _chosen_texts(
    reader: StageReader,
    selection: NewsSelection,
    span: tuple[dt.date, dt.date],
    keys: pl.DataFrame,
    cut: pa.Table,
) -> pl.DataFrame:
    """Return source_id, as_of_date and text_hash of the texts that count: one an article, of the version known by then.

    Most articles have one version, and their vector is found by id. Those with several are matched by the hash of the
    text their known version has: a correction may go back to an earlier wording.
    """
    article = ["source_id", "as_of_date"]
    narrow = ["article_id", "as_of_date", "known_at", "withdrawn", *(["language"] if selection.language else [])]
    by_then = "a JOIN cut ON a.as_of_date = cut.day AND a.known_at <= cut.cutoff"
    source = reader.source("news_articles", columns=narrow, dates=span, every_version=True)
    columns = ", ".join(f"a.{c}" for c in narrow[1:])
    known = _frame(reader.query(f"SELECT a.article_id AS source_id, {columns} FROM ({source}) {by_then}", {"cut": cut}))
    counts = ~pl.col("withdrawn")
    if selection.language:
        counts &= pl.col("language").str.to_uppercase() == selection.language.upper()
    # Telling that no id comes twice is much cheaper than telling which do.
    if known["source_id"].n_unique() == known.height:
        twice = known.clear()
        settled = known
    else:
        several = pl.len().over(article) > 1
        twice = known.filter(several).select(article).unique()
        settled = known.filter(~several)
    plain = (
        keys.join(settled.filter(counts), on=article, suffix="_article")
        .filter(pl.col("known_at_article") >= pl.col("known_at"))
        .select(*article, "text_hash")
    )
    if twice.height == 0:
        return plain
    texts = _frame(
        reader.query(
            f"""
            SELECT a.article_id AS source_id, a.as_of_date, a.headline, a.body, a.language, a.withdrawn
            FROM ({reader.source("news_articles", dates=span, every_version=True)}) {by_then}
            SEMI JOIN twice ON a.article_id = twice.source_id AND a.as_of_date = twice.as_of_date
            QUALIFY row_number() OVER (PARTITION BY a.article_id, a.as_of_date ORDER BY a.known_at DESC) = 1
            """,
            {"cut": cut, "twice": _arrow(twice)},
        )
    )
    texts = texts.filter(counts).with_columns(article_text()).filter(pl.col("text") != "")
    hashes = pl.Series("text_hash", [text_hash(t) for t in texts["text"]], dtype=pl.String)
    exact = texts.select(article).with_columns(hashes)
    return pl.concat([plain, keys.join(exact, on=[*article, "text_hash"], how="semi").select(plain.columns)])


def _frame(rows: pa.Table) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(rows))


def _arrow(frame: pl.DataFrame) -> pa.Table:
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


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
