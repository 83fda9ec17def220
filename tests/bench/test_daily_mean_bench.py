"""Daily mean of 1,000,000 NEWS vectors over 3,000 days, with the join, against DuckDB's bare scan of them."""

from __future__ import annotations

import datetime as dt
import statistics
import time

import numpy as np
import polars as pl
import pytest

from prometheus.clock import DEFAULT_MARKETS
from prometheus.lake import Lake, contract
from prometheus.runtime import StageReader
from prometheus.stages.text.news import NewsSelection, daily_news_means
from prometheus.vectors import to_list_array

DAYS, VECTORS = 3_000, 1_000_000
SELECTION = NewsSelection("text-fin-general-v1", "v0")


@pytest.fixture(scope="module")
def news_lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake of unit vectors and their articles."""
    lake = Lake.open(tmp_path_factory.mktemp("news") / "lake", create=True)
    rng = np.random.default_rng(0)
    per_day = VECTORS // DAYS
    first = dt.date(2010, 1, 1)
    for start in range(0, DAYS, 250):
        days = [first + dt.timedelta(days=start + i) for i in range(min(250, DAYS - start))]
        n = len(days) * per_day
        block = rng.standard_normal((n, 384), dtype=np.float32)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
        frame = pl.DataFrame({"as_of_date": np.repeat(np.array(days, dtype="datetime64[D]"), per_day)}).with_columns(
            pl.format("a{}", pl.int_range(start * per_day, start * per_day + n)).alias("article_id"),
            pl.col("as_of_date").cast(pl.Datetime("us", "UTC")).dt.offset_by("9h").alias("published_at"),
        )
        articles = frame.select(
            "as_of_date",
            "article_id",
            "published_at",
            pl.lit("wire").alias("source"),
            pl.lit("EN").alias("language"),
            pl.format("headline {}", "article_id").alias("headline"),
            pl.lit(None, pl.String).alias("body"),
            pl.lit(None, pl.String).alias("url"),
            pl.col("published_at").alias("known_at"),
            pl.lit(False).alias("withdrawn"),
        )
        lake.upsert("news_articles", articles.to_arrow(compat_level=pl.CompatLevel.oldest()))
        keys = frame.select(
            pl.lit("NEWS").alias("source_type"),
            pl.lit("text-fin-general-v1").alias("model_id"),
            pl.lit("v0").alias("variant"),
            "as_of_date",
            pl.col("article_id").alias("source_id"),
            pl.col("article_id").alias("text_hash"),
            pl.col("published_at").alias("known_at"),
        ).to_arrow(compat_level=pl.CompatLevel.oldest())
        rows = keys.append_column(contract("text_embeddings").schema.field("vector"), to_list_array(block))
        lake.upsert("text_embeddings", rows)
    return lake


@pytest.mark.bench
def test_daily_mean_against_scan(news_lake: Lake) -> None:
    reader = StageReader(news_lake, DEFAULT_MARKETS, ["news_articles", "text_embeddings"])
    days = sorted(set(news_lake.read("news_articles", columns=["as_of_date"])["as_of_date"].to_pylist()))
    cutoffs = (np.array(days, dtype="datetime64[D]") + 1).astype("datetime64[us]") - np.timedelta64(1, "us")
    source = news_lake.source("text_embeddings", columns=["vector"], every_version=True)
    # The whole surface as the reader sees it: NEWS partitions of every day.
    ours, scans = [], []
    for _ in range(3):
        t0 = time.perf_counter()
        rows = sum(batch.num_rows for batch in news_lake.stream(source))
        scans.append(time.perf_counter() - t0)
        assert rows == len(days) * (VECTORS // DAYS)
        t0 = time.perf_counter()
        means = daily_news_means(reader, SELECTION, days, cutoffs)
        ours.append(time.perf_counter() - t0)
        assert len(means.days) == DAYS
    # An independent mean of one day, in plain NumPy.
    day = days[1_234]
    block = np.stack(news_lake.read("text_embeddings", dates=(day, day))["vector"].to_numpy(zero_copy_only=False))
    np.testing.assert_allclose(means.vectors[1_234], block.astype(np.float64).mean(axis=0), atol=1e-7)
    scan, own = statistics.median(scans), statistics.median(ours)
    print(f"\ndaily mean: scan {scan:.2f} s, join and mean {own:.2f} s, ratio {own / scan:.2f} (limit 2)")
    assert own / scan <= 2.0
