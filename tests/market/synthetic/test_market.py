"""The whole: contracts, equal bytes, stable prefixes, and what the demonstration promises."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from prometheus.lake.contracts import contract
from prometheus.lake.validation import validate
from prometheus.market.synthetic import MARKETS, REGIMES, TABLES, SyntheticConfig, SyntheticMarket, generate


def test_every_table_keeps_its_contract(small: SyntheticMarket) -> None:
    assert tuple(small.tables) == TABLES
    for name, table in small.tables.items():
        assert table.schema.equals(contract(name).schema), name
        assert table.num_rows > 0, name
        validate(table, contract(name))


def test_rows_are_in_key_order(frames: dict[str, pl.DataFrame]) -> None:
    for name, frame in frames.items():
        keys = list(dict.fromkeys(("as_of_date", *contract(name).key)))
        assert frame.select(keys).equals(frame.select(keys).sort(keys)), name


def test_dates_agree_with_the_columns_they_come_from(frames: dict[str, pl.DataFrame]) -> None:
    for name, frame in frames.items():
        source = contract(name).dated_by
        assert (frame["as_of_date"] == frame[source].cast(pl.Date)).all(), name
        assert not frame["withdrawn"].any()


def test_nothing_is_known_before_it_happened(frames: dict[str, pl.DataFrame]) -> None:
    for name in ("prices_daily", "fundamentals", "news_articles", "profiles", "factors_daily", "macro_texts"):
        assert (frames[name]["known_at"].dt.date() >= frames[name]["as_of_date"]).all(), name


def test_equal_settings_give_equal_bytes(small: SyntheticMarket, small_config: SyntheticConfig) -> None:
    again = generate(dataclasses.replace(small_config))
    for name, table in again.tables.items():
        assert table.equals(small.tables[name]), name
    other = generate(dataclasses.replace(small_config, seed=small_config.seed + 1))
    assert not other.tables["prices_daily"].equals(small.tables["prices_daily"])


LOAD = (
    "import hashlib, sys, time, yaml\n"
    "from prometheus.market.synthetic import config_from_mapping, generate\n"
    "config = config_from_mapping(yaml.safe_load(open(sys.argv[1], encoding='utf-8')))\n"
)


def run_python(script: str, file: Path, **environment: str) -> str:
    """Run a script on a configuration file in a process of its own; return what it printed."""
    path = os.pathsep.join(p or "." for p in sys.path)
    done = subprocess.run(
        [sys.executable, "-c", LOAD + script, str(file)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )
    return done.stdout


def test_equal_bytes_in_another_process(configuration_file: Callable[[str], Path]) -> None:
    """Neither hash seeds nor the number of threads may matter."""
    script = (
        "t = generate(config).tables\n"
        "d = hashlib.sha256()\n"
        "[d.update(repr(t[n].to_pydict()).encode()) for n in ('prices_daily', 'news_articles', 'fundamentals')]\n"
        "print(d.hexdigest())"
    )
    file = configuration_file("test")
    digests = {
        run_python(script, file, PYTHONHASHSEED=seed, OMP_NUM_THREADS=threads)
        for seed, threads in (("1", "1"), ("2", "2"))
    }
    assert len(digests) == 1


def test_chunks_share_no_day_and_add_up(small: SyntheticMarket) -> None:
    seen: set[tuple[str, dt.date]] = set()
    rows: dict[str, int] = {}
    for name, chunk in small.iter_tables():
        rows[name] = rows.get(name, 0) + chunk.num_rows
        days = {(name, day) for day in chunk["as_of_date"].unique().to_pylist()}
        assert not days & seen
        seen |= days
    assert rows == {name: table.num_rows for name, table in small.tables.items()}


def test_more_names_leave_the_others_as_they_are(small: SyntheticMarket, small_config: SyntheticConfig) -> None:
    us = dataclasses.replace(small_config.markets[0], names=19)
    larger = generate(dataclasses.replace(small_config, markets=(us, small_config.markets[1])))
    for name in ("prices_daily", "corporate_actions"):
        ids = pl.Series([n.instrument_id for h in small.histories for n in h.names])
        kept = pl.DataFrame(pl.from_arrow(larger.tables[name])).filter(pl.col("instrument_id").is_in(ids.implode()))
        assert kept.equals(pl.DataFrame(pl.from_arrow(small.tables[name])))


def test_a_longer_history_leaves_the_past_as_it_is(
    frames: dict[str, pl.DataFrame], small_config: SyntheticConfig
) -> None:
    last = dt.date(2024, 12, 20)
    shorter = generate(dataclasses.replace(small_config, last=last))
    for name, table in shorter.tables.items():
        until = dt.datetime(2024, 12, 20, tzinfo=dt.UTC)
        mine = pl.DataFrame(pl.from_arrow(table)).filter(pl.col("known_at") < until, pl.col("as_of_date") < last)
        other = frames[name].filter(pl.col("known_at") < until, pl.col("as_of_date") < last)
        assert mine.equals(other), name


def test_reference_data_say_who_was_there(small: SyntheticMarket, frames: dict[str, pl.DataFrame]) -> None:
    i = frames["instruments"]
    latest = i.sort("known_at").unique(["instrument_id", "valid_from"], keep="last").sort("valid_from")
    traded = (
        frames["prices_daily"]
        .group_by("instrument_id")
        .agg(first=pl.col("as_of_date").min(), last=pl.col("as_of_date").max())
    )
    spans = latest.group_by("instrument_id").agg(
        pl.col("valid_from").min(), pl.col("delisted_on").max(), pl.col("sector").n_unique(), pl.col("valid_to").last()
    )
    joined = traded.join(spans, on="instrument_id", how="full", validate="1:1")
    assert joined.null_count().select("first", "valid_from").row(0) == (0, 0)
    assert (joined["first"] >= joined["valid_from"]).all()
    gone = joined.filter(pl.col("delisted_on").is_not_null())
    assert (gone["last"] == gone["delisted_on"]).all()
    assert len(gone) >= 3
    assert (gone["valid_to"] == gone["delisted_on"]).all()
    moved = joined.filter(pl.col("sector") == 2)
    assert len(moved) == 2
    # Before the notice nobody knew: the first version has no end.
    first = i.sort("known_at").unique(["instrument_id", "valid_from"], keep="first")
    assert first["valid_to"].null_count() == len(first)
    for name in moved["instrument_id"]:
        spells = latest.filter(pl.col("instrument_id") == name)
        assert spells["valid_to"][0] == spells["valid_from"][1] - dt.timedelta(days=1)
    known_by_start = i.filter(pl.col("known_at").dt.date() < small.config.first)["instrument_id"].n_unique()
    assert known_by_start == sum(n.listed == 0 for h in small.histories for n in h.names)


def test_factors(small: SyntheticMarket, frames: dict[str, pl.DataFrame]) -> None:
    wide = frames["factors_daily"].pivot(on="factor_id", index="as_of_date", values="value").sort("as_of_date")
    assert set(wide.columns[1:]) == {f"{f}_{r}" for f in ("MKT", "SMB", "VIX") for r in ("US", "EU")}
    for h in small.histories:
        region = h.market.region
        mine = wide.drop_nulls(f"MKT_{region}")
        assert np.array_equal(mine[f"MKT_{region}"].to_numpy(), h.market_return)
        fear = mine[f"VIX_{region}"].to_numpy()
        crisis = small.truth.regions[region].regimes == "CRISIS"
        assert 8 < np.median(fear[~crisis]) < 25
        assert np.median(fear[crisis]) > 35


def test_truth_stays_out_of_the_tables(small: SyntheticMarket) -> None:
    assert set(small.truth.topics) == set(small.tables["news_articles"]["article_id"].to_pylist())
    for label in REGIMES:
        for name, table in small.tables.items():
            for column in table.column_names:
                if table.schema.field(column).type == "string":
                    assert label not in set(table[column].to_pylist()), (name, column)


def test_a_third_region(small_config: SyntheticConfig) -> None:
    asia = dataclasses.replace(MARKETS["ASIA"], names=6)
    market = generate(dataclasses.replace(small_config, markets=(*small_config.markets, asia)))
    for name, table in market.tables.items():
        validate(table, contract(name))
    prices = pl.DataFrame(pl.from_arrow(market.tables["prices_daily"])).filter(pl.col("currency") == "JPY")
    assert prices["close"].median() > 300
    assert (prices["close"] == prices["close"].round(0)).all()
    assert market.truth.regions["ASIA"].dates.shape != market.truth.regions["US"].dates.shape


@pytest.fixture(scope="module")
def demo(configuration: Callable[[str], SyntheticConfig]) -> SyntheticMarket:
    return generate(configuration("demo"))


def test_the_demonstration_keeps_its_promises(demo: SyntheticMarket) -> None:
    tables = {name: pl.DataFrame(pl.from_arrow(table)) for name, table in demo.tables.items()}
    news = tables["news_articles"]
    before = news.filter(pl.col("as_of_date") < dt.date(2025, 1, 1), pl.col("language") == "EN")
    assert before["as_of_date"].n_unique() > 126
    assert len(news.filter(pl.col("as_of_date") == dt.date(2025, 1, 31), pl.col("language") == "EN")) >= 1
    assert news.select("headline", "body").n_unique() <= 6000
    assert 6 <= len(news) / len(demo.histories[0].sessions) <= 10
    assert tables["prices_daily"]["as_of_date"].max() == dt.date(2025, 3, 31)
    on_the_day = tables["prices_daily"].filter(pl.col("as_of_date") == dt.date(2025, 1, 31))
    assert {"AAPL.US", "ACME.US", "PEER.US", "AAA.US"} <= set(on_the_day["instrument_id"])
    assert tables["profiles"].filter(pl.col("as_of_date") == dt.date(2025, 1, 31)).height >= 55
    for truth in demo.truth.regions.values():
        earlier = truth.regimes[truth.dates < np.datetime64("2025-01-01")]
        for label in REGIMES:
            starts = (earlier[1:] == label) & (earlier[:-1] != label)
            assert starts.sum() >= 2, label
    clusters = tables["instruments"].unique("instrument_id").group_by("market_id", "sector").len()
    assert clusters["len"].min() >= 5


@pytest.mark.bench
def test_the_small_market_is_quick(small_config: SyntheticConfig) -> None:
    start = time.perf_counter()
    assert len(generate(small_config).tables) == len(TABLES)
    assert time.perf_counter() - start < 3.0


@pytest.mark.bench
def test_five_hundred_names_over_fifteen_years(configuration_file: Callable[[str], Path]) -> None:
    """Under 20 seconds and one gigabyte for 500 names x 3,780 sessions, in a process of its own."""
    script = (
        "start = time.perf_counter(); rows = 0\n"
        "for name, chunk in generate(config).iter_tables():\n"
        "    rows += chunk.num_rows if name == 'prices_daily' else 0\n"
        # ru_maxrss is handed down from the parent; the high-water mark of this process is in its own status.
        "peak = next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(rows, time.perf_counter() - start, peak)"
    )
    rows, seconds, kilobytes = (float(x) for x in run_python(script, configuration_file("bench")).split())
    print(f"{rows:,.0f} rows in {seconds:.1f} s, peak {kilobytes / 1e3:.0f} MB")
    assert rows == 500 * 3780
    assert seconds < 20
    assert kilobytes < 1e6


def test_the_package_loads_no_heavy_library(configuration_file: Callable[[str], Path]) -> None:
    loaded = run_python("print(*sorted(sys.modules))", configuration_file("test")).split()
    assert "prometheus.market.synthetic.news" in loaded
    heavy = {"torch", "sklearn", "pandas", "exchange_calendars", "sentence_transformers", "matplotlib", "scipy"}
    assert not heavy & set(loaded)
