"""Exact search over 1,000,000 vectors: one query against the bare scan of them, 500 against the bare products."""

from __future__ import annotations

import datetime as dt
import statistics
import time

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from prometheus.lake import Lake, contract
from prometheus.search import Query, Surface, Vectors, nearest, nearest_many
from prometheus.vectors import to_list_array

DAYS, VECTORS, QUERIES, TOP = 3_000, 1_000_000, 500, 20
SURFACE = Surface.text("NEWS", "text-fin-general-v1")
BLOCK = 8_192


def unit_vectors(n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    block = rng.standard_normal((n, 384), dtype=np.float32)
    block /= np.linalg.norm(block, axis=1, keepdims=True)
    return block


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake of unit vectors, a file a day."""
    lake = Lake.open(tmp_path_factory.mktemp("search") / "lake", create=True)
    rng, per_day, first = np.random.default_rng(0), VECTORS // DAYS, dt.date(2010, 1, 1)
    for start in range(0, DAYS, 250):
        days = np.repeat(np.array([first + dt.timedelta(days=start + i) for i in range(250)], "datetime64[D]"), per_day)
        keys = pl.DataFrame({"as_of_date": days}).select(
            pl.lit("NEWS").alias("source_type"),
            pl.lit("text-fin-general-v1").alias("model_id"),
            pl.lit("v0").alias("variant"),
            "as_of_date",
            pl.format("a{}", pl.int_range(start * per_day, start * per_day + len(days))).alias("source_id"),
            pl.lit("h").alias("text_hash"),
            pl.col("as_of_date").cast(pl.Datetime("us", "UTC")).alias("known_at"),
        )
        rows = keys.to_arrow(compat_level=pl.CompatLevel.oldest())
        field = contract("text_embeddings").schema.field("vector")
        lake.upsert("text_embeddings", rows.append_column(field, to_list_array(unit_vectors(len(days), rng))))
    return lake


def one_against_scan(lake: Lake, repeats: int = 3) -> tuple[float, float]:
    """Seconds of the bare scan of the vectors, and of the 20 nearest of one query among them; medians."""
    query = Query(unit_vectors(1, np.random.default_rng(9))[0])
    source = lake.source("text_embeddings", columns=["vector"], where=dict(SURFACE.where), every_version=True)
    scans, searches = [], []
    for _ in range(repeats):
        t0 = time.perf_counter()
        rows = sum(batch.num_rows for batch in lake.stream(source))
        scans.append(time.perf_counter() - t0)
        t0 = time.perf_counter()
        found = nearest(lake, SURFACE, query, k=TOP)
        searches.append(time.perf_counter() - t0)
        assert rows > 0.99 * VECTORS
        assert len(found) == TOP
    return statistics.median(scans), statistics.median(searches)


def many_against_products(repeats: int = 3) -> tuple[float, float]:
    """Seconds of the bare products of 500 queries with a million vectors, and of the 20 nearest of each; medians."""
    rng = np.random.default_rng(1)
    vectors, queries = unit_vectors(VECTORS, rng), unit_vectors(QUERIES, rng)
    keys = pa.table({"as_of_date": np.full(VECTORS, "2020-01-02", "datetime64[D]"), "source_id": np.arange(VECTORS)})
    keys = keys.append_column("text_hash", keys["source_id"])
    held = Vectors(SURFACE, keys, vectors)
    products, searches = [], []
    for _ in range(repeats):
        t0 = time.perf_counter()
        for start in range(0, VECTORS, BLOCK):
            scores = queries @ vectors[start : start + BLOCK].T
        products.append(time.perf_counter() - t0)
        t0 = time.perf_counter()
        found = nearest_many(None, held, queries, k=TOP, when="any")
        searches.append(time.perf_counter() - t0)
    assert len(found) == QUERIES * TOP
    assert scores.shape[0] == QUERIES
    # One of them by brute force.
    best = np.argsort(-(vectors @ queries[7]), kind="stable")[:TOP]
    assert found.of(7).rows["source_id"].to_pylist() == best.tolist()
    return statistics.median(products), statistics.median(searches)


@pytest.mark.bench
def test_one_query_against_the_scan(million: Lake) -> None:
    scan, search = one_against_scan(million)
    print(f"\nsearch, one query: scan {scan:.2f} s, top {TOP} {search:.2f} s, ratio {search / scan:.2f} (limit 1.5)")
    assert search / scan <= 1.5


@pytest.mark.bench
def test_many_queries_against_the_products() -> None:
    product, search = many_against_products()
    print(
        f"\nsearch, {QUERIES} queries: products {product:.2f} s, ours {search:.2f} s, ratio {search / product:.2f} (limit 2)"
    )
    assert search / product <= 2.0
