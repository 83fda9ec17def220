"""Reading NEWS vectors as known at a cut-off: the plain mean of a day, and the decayed news of one name."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.encoders.text import text_hash
from prometheus.runtime import StageReader
from prometheus.spaces.joint import DailyMeans, DailySums
from prometheus.spaces.joint.branch_rows import BranchRows
from prometheus.stages.exact_sums import Terms, decayed_means
from prometheus.stages.text.known import (
    FOREVER,
    TextSelection,
    arrow_of,
    frame_of,
    known_texts,
    microseconds,
    vectors_of,
)
from prometheus.stages.text.texts import NEWS, asked_filters, texts_of
from prometheus.vectors import EMBEDDING_DIM, from_list_array

NEWS_WINDOW_DAYS = 7
NEWS_HALF_LIFE = 3.0
"""Calendar days after which an article counts half."""

_DAYS_AT_ONCE = 63


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
    keys = frame_of(
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
            None if picked is None else {"chosen": arrow_of(picked)},
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

    Most articles have one version and one vector, found by id. Those with several of either are matched by the hash of
    the text their known version has: a correction may go back to an earlier wording, and vectors outlive the rows of a
    file that was taken back.
    """
    article = ["source_id", "as_of_date"]
    narrow = ["article_id", "as_of_date", "known_at", "withdrawn", *(["language"] if selection.language else [])]
    by_then = "a JOIN cut ON a.as_of_date = cut.day AND a.known_at <= cut.cutoff"
    source = reader.source("news_articles", columns=narrow, dates=span, every_version=True)
    columns = ", ".join(f"a.{c}" for c in narrow[1:])
    known = frame_of(
        reader.query(f"SELECT a.article_id AS source_id, {columns} FROM ({source}) {by_then}", {"cut": cut})
    )
    counts = ~pl.col("withdrawn")
    if selection.language:
        counts &= pl.col("language").str.to_uppercase() == selection.language.upper()
    twice = pl.concat([_repeated(known, article), _repeated(keys, article)]).unique()
    settled = known.join(twice, on=article, how="anti") if twice.height else known
    plain = (
        keys.join(settled.filter(counts), on=article, suffix="_article")
        .filter(pl.col("known_at_article") >= pl.col("known_at"))
        .select(*article, "text_hash")
    )
    if twice.height == 0:
        return plain
    texts = frame_of(
        reader.query(
            f"""
            SELECT a.article_id AS source_id, a.as_of_date, a.headline, a.body, a.language, a.withdrawn
            FROM ({reader.source("news_articles", dates=span, every_version=True)}) {by_then}
            SEMI JOIN twice ON a.article_id = twice.source_id AND a.as_of_date = twice.as_of_date
            QUALIFY row_number() OVER (PARTITION BY a.article_id, a.as_of_date ORDER BY a.known_at DESC) = 1
            """,
            {"cut": cut, "twice": arrow_of(twice)},
        )
    )
    texts = texts.filter(counts).with_columns(article_text()).filter(pl.col("text") != "")
    hashes = pl.Series("text_hash", [text_hash(t) for t in texts["text"]], dtype=pl.String)
    exact = texts.select(article).with_columns(hashes)
    return pl.concat([plain, keys.join(exact, on=[*article, "text_hash"], how="semi").select(plain.columns)])


def _repeated(rows: pl.DataFrame, article: list[str]) -> pl.DataFrame:
    """Articles that come more than once."""
    # Telling that no id comes twice is much cheaper than telling which do.
    if rows["source_id"].n_unique() == rows.height:
        return rows.select(article).clear()
    return rows.filter(pl.len().over(article) > 1).select(article).unique()


def own_news_rows(
    reader: StageReader,
    selection: NewsSelection,
    instruments: NDArray[np.str_],
    days: NDArray[np.datetime64],
    cutoffs: NDArray[np.datetime64],
    window_days: int = NEWS_WINDOW_DAYS,
    half_life: float = NEWS_HALF_LIFE,
) -> BranchRows:
    """News of the last days about each instrument, less the market's; the market's where it has none.

    Over the vectors v of the articles dated ``day - window_days + 1`` to ``day`` with a = age in calendar days,

        m = sum 2^(-a / half_life) v / sum 2^(-a / half_life)

    of the articles linked to the instrument, minus the same of all articles. Articles and links count as they were
    known at the row's cut-off. The daily sums are exact and added by age in one order, so a row's value does not
    depend, to the bit, on which others are asked for.

    Parameters
    ----------
    reader : StageReader
        With three inputs, each with a history of ``window_days - 1`` calendar days: ``news_articles``, ``news_links``,
        and ``text_embeddings`` where ``source_type`` is NEWS and model id and variant are those of the selection.
    selection : NewsSelection
        Articles of other languages count neither for the name nor for the market.
    instruments : ndarray of str, shape (n,)
    days : ndarray of datetime64[D], shape (n,)
        In any order.
    cutoffs : ndarray of datetime64[us], shape (n,)
        UTC.
    window_days : int
    half_life : float
        Calendar days.

    Returns
    -------
    BranchRows
        ``source_keys`` are ``NEWS/<instrument>`` for news of its own and ``NEWS/*`` for the market's; ``source_dates``
        the last day that had any.
    """
    instruments, days = np.asarray(instruments, dtype=np.str_), np.asarray(days, dtype="datetime64[D]")
    n = len(days)
    out = BranchRows(
        np.zeros(n, dtype=bool),
        np.zeros((n, EMBEDDING_DIM), dtype=np.float32),
        np.full(n, "", dtype=f"<U{max((len(i) for i in set(instruments.tolist())), default=1) + len(_OWN) + 1}"),
        np.full(n, np.datetime64("NaT"), dtype="datetime64[D]"),
    )
    weights = np.exp2(-np.arange(window_days) / half_life)
    order = np.argsort(days, kind="stable")
    # Which days are read together changes no value, only how many vectors are held at once.
    run = days[order].astype(np.int64) // _DAYS_AT_ONCE
    for rows in filter(len, np.split(order, np.flatnonzero(np.diff(run)) + 1)):
        _own_news(reader, selection, instruments, days, cutoffs, weights, rows, out)
    return out


_OWN = "NEWS/"
_MARKET = 0
"""Place of all articles among the names; instruments follow."""


def _own_news(
    reader: StageReader,
    selection: NewsSelection,
    instruments: NDArray[np.str_],
    days: NDArray[np.datetime64],
    cutoffs: NDArray[np.datetime64],
    weights: NDArray[np.float64],
    rows: NDArray[np.int64],
    out: BranchRows,
) -> None:
    """Fill in some rows, reading the days they need."""
    wanted, day = days[rows], days[rows].astype(np.int64)
    cutoff = microseconds(cutoffs)[rows]
    span = ((wanted.min() - np.timedelta64(len(weights) - 1, "D")).item(), wanted.max().item())
    texts = TextSelection(selection.model_id, selection.variant, asked_filters(language=selection.language))
    known = known_texts(reader, NEWS, texts, span)
    if known.height == 0:
        return
    at, vectors = vectors_of(reader, NEWS, texts, known)
    known = known.with_columns(pl.Series("at", at))
    names, place = np.unique(instruments[rows], return_inverse=True)
    linked = _linked(reader, span, names).join(
        known, left_on=["article_id", "as_of_date"], right_on=["source_id", "as_of_date"]
    )
    linked = linked.with_columns(
        pl.max_horizontal("since", "link_since").alias("since"), pl.min_horizontal("until", "link_until").alias("until")
    ).filter(pl.col("since") < pl.col("until"))
    moments, moment = np.unique(np.stack([day, cutoff], axis=1), axis=0, return_inverse=True)
    market = decayed_means(
        vectors,
        _terms(known, np.full(known.height, _MARKET)),
        np.full(len(moments), _MARKET),
        moments[:, 0],
        moments[:, 1],
        weights,
    )
    own = decayed_means(vectors, _terms(linked, linked["name"].to_numpy()), place + _MARKET + 1, day, cutoff, weights)
    moment = moment.reshape(-1)
    told, any_ = own.found, market.found[moment]
    means = np.where(told[:, None], own.means - market.means[moment], market.means[moment])
    newest = np.where(told, own.newest, market.newest[moment])
    out.present[rows] = any_
    out.vectors[rows] = means
    keys = np.char.add(_OWN, np.where(told, names[place], "*"))
    out.source_keys[rows] = np.where(any_, keys, "")
    out.source_dates[rows[any_]] = newest[any_].astype("datetime64[D]")


def _terms(known: pl.DataFrame, names: NDArray[np.int64]) -> Terms:
    return Terms(
        names.astype(np.int64),
        known["as_of_date"].to_numpy().astype("datetime64[D]").astype(np.int64),
        known["since"].to_numpy(),
        known["until"].to_numpy(),
        known["at"].to_numpy(),
    )


def _linked(reader: StageReader, span: tuple[dt.date, dt.date], names: NDArray[np.str_]) -> pl.DataFrame:
    """Links of some instruments with the span of time in which each was known; ``name`` is the place after all."""
    columns = ["article_id", "instrument_id", "as_of_date", "known_at", "withdrawn"]
    links = frame_of(reader.read("news_links", columns=columns, dates=span, every_version=True))
    places = pl.DataFrame({"instrument_id": names, "name": np.arange(len(names)) + _MARKET + 1})
    key, instant = ["article_id", "instrument_id", "as_of_date"], pl.col("known_at").dt.timestamp("us")
    links = links.join(places, on="instrument_id").sort(*key, "known_at")
    links = links.with_columns(
        instant.alias("link_since"), instant.shift(-1).over(key).fill_null(FOREVER).alias("link_until")
    )
    return links.filter(~pl.col("withdrawn")).select("article_id", "as_of_date", "name", "link_since", "link_until")


def encoded_articles_by_day(
    reader: StageReader, selection: NewsSelection, first: dt.date, last: dt.date
) -> dict[dt.date, tuple[int, int]]:
    """Articles of each day in a range of which any version counts, and how many of them no version was encoded of."""
    articles = texts_of(reader, NEWS, asked_filters(language=selection.language), {}, (first, last))
    where = {"source_type": "NEWS", "model_id": selection.model_id, "variant": selection.variant}
    vectors = reader.source(
        "text_embeddings", columns=["as_of_date", "source_id"], dates=(first, last), where=where, every_version=True
    )
    rows = reader.query(
        f"""
        SELECT a.as_of_date, count(*) AS n, count(*) FILTER (v.source_id IS NULL) AS without
        FROM (SELECT DISTINCT as_of_date, article_id FROM ({articles})) a
        LEFT JOIN (SELECT DISTINCT as_of_date, source_id FROM ({vectors})) v
        ON a.as_of_date = v.as_of_date AND a.article_id = v.source_id
        GROUP BY a.as_of_date ORDER BY a.as_of_date
        """
    )
    return {day: (n, without) for day, n, without in zip(*(c.to_pylist() for c in rows.columns), strict=True)}


def article_text() -> pl.Expr:
    """Text of an article: headline, a blank line, body; empty where it has neither."""
    return NEWS.text()
