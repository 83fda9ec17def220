"""Real prices delivered in parts, each as its vendor would have had it at the time."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from prometheus.cli.config import compose, markets_from
from prometheus.cli.ingest import IngestSummary, find_map, ingest
from prometheus.lake import Lake

pytestmark = pytest.mark.real

SPLITS = {
    ("V.US", dt.date(2015, 3, 19)): 4,
    ("SBUX.US", dt.date(2015, 4, 9)): 2,
    ("NKE.US", dt.date(2015, 12, 24)): 2,
}
CUTS = (dt.date(2015, 1, 30), dt.date(2015, 7, 31), dt.date(2016, 3, 31))
NAME, DAY = "instrument_id", "trade_date"


def as_of(prices: pl.DataFrame, day: dt.date) -> pl.DataFrame:
    """What a file fetched after a session held: nothing that came later is adjusted for."""
    told = prices.filter(pl.col(DAY) <= day).sort(NAME, DAY)
    shares = pl.lit(1.0)
    for (name, ex_date), ratio in SPLITS.items():
        if ex_date > day:
            shares = pl.when(pl.col(NAME) == name).then(shares * ratio).otherwise(shares)
    told = told.with_columns(
        *((pl.col(c) * shares).round(6).alias(c) for c in ("open", "high", "low", "close")),
        (pl.col("volume") / shares).round().alias("volume"),
    )
    base = (pl.col("close").last() / pl.col("adjusted_close").last()).over(NAME)
    return told.with_columns((pl.col("adjusted_close") * base).round(6).alias("adjusted_close"))


@pytest.fixture(scope="module")
def prices(real_data: Path) -> pl.DataFrame:
    rows = pl.read_parquet(real_data / "stocknet" / "prices_daily.parquet").filter(pl.col("close").is_not_null())
    wanted = pl.col(DAY).is_between(dt.date(2014, 7, 1), CUTS[-1])
    names = [*rows[NAME].unique().sort()[::3], "V.US", "SBUX.US", "NKE.US", "AAPL.US"]
    return rows.filter(wanted & pl.col(NAME).is_in(names)).sort(NAME, DAY)


def deliver(lake: Lake, root: Path, rows: pl.DataFrame, now: dt.datetime) -> IngestSummary:
    root.mkdir(exist_ok=True)
    rows.write_parquet(root / "prices_daily.parquet")
    source = find_map("stocknet")
    only_prices = replace(source, feeds=tuple(f for f in source.feeds if f.table == "prices_daily"))
    return ingest(lake, only_prices, root, markets=markets_from(compose("ingest")), now=now)


def test_returns_at_the_seams_of_three_deliveries_are_those_of_the_whole(prices: pl.DataFrame, tmp_path: Path) -> None:
    lake = Lake.open(tmp_path / "lake", create=True)
    instants = [dt.datetime.combine(day, dt.time(23, 30), dt.UTC) for day in CUTS]
    for day, now in zip(CUTS, instants, strict=True):
        summary = deliver(lake, tmp_path / "files", as_of(prices, day), now)
        again = deliver(lake, tmp_path / "files", as_of(prices, day), now + dt.timedelta(hours=1))
        assert (again.rows, again.chained.rows) == (0, 0)
    assert len(summary.chained.names) >= 20
    truth = prices.select(
        NAME, pl.col(DAY).alias("as_of_date"), pl.col("adjusted_close").log().diff().over(NAME).alias("truth")
    )
    versions = pl.DataFrame(pl.from_arrow(lake.read("prices_daily", every_version=True))).sort("known_at")
    days = [dt.date(2015, 2, 2), dt.date(2015, 3, 19), dt.date(2015, 4, 9), dt.date(2015, 8, 3), dt.date(2015, 12, 24)]
    between = [dt.datetime.combine(day, dt.time(23), dt.UTC) for day in days]
    around = [now + dt.timedelta(minutes=m) for now in instants for m in (-5, 5)]
    for instant in between + around:
        seen = versions.filter(pl.col("known_at") <= instant).unique([NAME, "as_of_date"], keep="last")
        seen = seen.sort(NAME, "as_of_date").with_columns(pl.col("adjusted_close").log().diff().over(NAME).alias("got"))
        both = seen.join(truth, on=[NAME, "as_of_date"])
        assert both.height == prices.filter(pl.col(DAY) <= instant.date()).height
        assert float((both["got"] - both["truth"]).abs().max() or 0.0) < 1e-6, instant
    latest = pl.DataFrame(pl.from_arrow(lake.read("prices_daily"))).sort(NAME, "as_of_date")
    file = as_of(prices, CUTS[-1])
    for column in ("close", "adjusted_close", "volume"):
        np.testing.assert_array_equal(latest[column], file[column])


def test_without_chaining_every_restated_name_has_a_false_return(prices: pl.DataFrame) -> None:
    """What the seams look like when each row is taken as its own file has it: what the test above would miss."""
    first, second = (as_of(prices, day) for day in CUTS[:2])
    mixed = pl.concat([first, second.filter(pl.col(DAY) > CUTS[0])]).sort(NAME, DAY)
    got = mixed.with_columns(pl.col("adjusted_close").log().diff().over(NAME).alias("got"))
    whole = prices.with_columns(pl.col("adjusted_close").log().diff().over(NAME).alias("truth"))
    both = got.join(whole.select(NAME, DAY, "truth"), on=[NAME, DAY])
    false = both.filter((pl.col("got") - pl.col("truth")).abs() > 1e-3)
    assert false.height >= 20
    assert false[DAY].n_unique() == 1
