"""Rows delivered again, seen through the stages: windows between two deliveries, and articles that change their day."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from prometheus.clock import exchange_sessions
from prometheus.encoders.text import describe_text_encoder
from prometheus.lake import Lake
from prometheus.market.ingest import Deliverer
from prometheus.runtime import RunOptions
from prometheus.vectors import from_list_array
from tests.demo_lakes import run
from tests.market_rows import instrument_table
from tests.news_rows import article, news_table, regime_table
from tests.price_vendor import Vendor, intake

SESSIONS = exchange_sessions("XNYS", dt.date(2023, 6, 1), dt.date(2024, 4, 30))
FIRST, SECOND = 150, 190
NAMES = ("A.US", "B.US", "C.US", "D.US")


def windows(
    root: Path, source: Vendor, *deliveries: int, chained: bool = True
) -> dict[tuple[dt.date, str], np.ndarray]:
    """Windows of decisions between the deliveries, and a few after the last."""
    lake = Lake.open(root, create=True)
    lake.deliver("instruments", instrument_table([{"instrument_id": name} for name in source.names]))
    for collected in deliveries:
        rows = source.file(collected, 0, collected)
        if chained:
            Deliverer(lake, source.instant(collected)).deliver(intake(rows))
        else:
            lake.deliver("prices_daily", rows, now=source.instant(collected))
    first, last = (SESSIONS.dates[p].item() for p in (FIRST - 2, SECOND))
    run(lake, "numeric_embeddings", first, last, RunOptions(chunk_days=20), entity_type=("INSTRUMENT",))
    rows = lake.read("numeric_window_embeddings")
    keys = zip(rows["as_of_date"].to_pylist(), rows["entity_id"].to_pylist(), strict=True)
    return dict(zip(keys, from_list_array(rows["vector"]), strict=True))


def test_windows_between_deliveries_are_those_of_prices_that_were_never_restated(tmp_path: Path) -> None:
    source = Vendor(
        SESSIONS,
        NAMES,
        {("A.US", 155): 0.01, ("A.US", 120): 0.012, ("D.US", 180): 0.02},
        {("B.US", 170): 4.0, ("D.US", 165): 0.1},
    )
    truth = windows(tmp_path / "once", source, SECOND)
    got = windows(tmp_path / "twice", source, FIRST, SECOND)
    assert got.keys() == truth.keys()
    assert len(got) == (SECOND - FIRST + 3) * len(NAMES)
    errors = {key: float(np.abs(got[key] - truth[key]).max()) for key in got}
    assert max(errors.values()) < 1e-4, max(errors.items(), key=lambda item: item[1])
    unchained = windows(tmp_path / "unchained", source, FIRST, SECOND, chained=False)
    false = {name for (_, name), vector in unchained.items() if np.abs(vector - truth[_, name]).max() > 0.05}
    assert false == {"A.US", "B.US", "D.US"}, "the seams must show where nothing chains them"


MONDAY = dt.date(2025, 1, 27)
WEEK = [MONDAY + dt.timedelta(days=i) for i in range(5)]
REGIMES = np.random.default_rng(5).standard_normal((5, 384)).astype(np.float32)
ENCODER = describe_text_encoder("hashing").load()


def text_of_each_day(lake: Lake) -> dict[dt.date, np.ndarray]:
    """The NEWS branch of each day's joint row: twice the row less the regime."""
    run(lake, "text_embeddings", WEEK[0], WEEK[-1], backend="hashing", variant="hashing")
    run(lake, "joint_regime_context", WEEK[0], WEEK[-1], text_variant="hashing", variant="hashing")
    rows = lake.read("joint_embeddings", where={"variant": "hashing"})
    vectors = from_list_array(rows["vector"])
    return {
        day: 2 * vector - REGIMES[WEEK.index(day)]
        for day, vector in zip(rows["as_of_date"].to_pylist(), vectors, strict=True)
    }


def mean_of(*texts: str) -> np.ndarray:
    return ENCODER.encode(list(texts)).astype(np.float64).mean(axis=0)


@pytest.mark.parametrize("correction", ["delivered on Wednesday", "collected on Wednesday", "delivered much later"])
def test_an_article_that_moves_to_another_day_is_averaged_once(tmp_path: Path, correction: str) -> None:
    """Told of Monday, later of Wednesday: what a day's mean knew at its own cut-off is what it averages."""
    lake = Lake.open(tmp_path / "lake", create=True)
    lake.upsert("regimes", regime_table(WEEK, REGIMES))
    daily = [article(f"d{i}", f"{day} 09:00", f"News of day {i}") for i, day in enumerate(WEEK)]
    lake.deliver("news_articles", news_table(*daily, article("m", f"{MONDAY} 10:00", "Merger")), own_instants=False)
    before = text_of_each_day(lake)
    np.testing.assert_allclose(before[MONDAY], mean_of("News of day 0", "Merger"), atol=1e-5)

    wednesday = WEEK[2]
    known = dt.datetime.combine(wednesday, dt.time(12), dt.UTC)
    if correction == "collected on Wednesday":
        moved = article("m", f"{wednesday} 11:00", "Merger", known=f"{wednesday} 12:00")
        lake.deliver("news_articles", news_table(moved))
    else:
        now = known if correction == "delivered on Wednesday" else known + dt.timedelta(days=90)
        moved = article("m", f"{wednesday} 11:00", "Merger")
        lake.deliver("news_articles", news_table(moved), own_instants=False, now=now)
    after = text_of_each_day(lake)
    on_time = correction != "delivered much later"
    wanted = {day: [f"News of day {i}"] for i, day in enumerate(WEEK)}
    wanted[MONDAY].append("Merger")
    if on_time:
        wanted[wednesday].append("Merger")
    for day, texts in wanted.items():
        np.testing.assert_allclose(after[day], mean_of(*texts), atol=1e-5, err_msg=str(day))


def test_a_day_that_learns_in_time_that_an_article_is_not_its_own_leaves_it_out(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path / "lake", create=True)
    lake.upsert("regimes", regime_table(WEEK, REGIMES))
    monday, tuesday, wednesday = WEEK[:3]
    daily = [article(f"d{i}", f"{day} 09:00", f"News of day {i}") for i, day in enumerate(WEEK)]
    told = [
        article("m", f"{tuesday} 08:00", "Merger"),
        article("m", f"{monday} 23:00", "Merger", known=f"{tuesday} 15:00"),
    ]
    lake.deliver("news_articles", news_table(*daily, told[0]))
    lake.deliver("news_articles", news_table(told[1]))
    means = text_of_each_day(lake)
    for i, day in enumerate((monday, tuesday, wednesday)):
        np.testing.assert_allclose(means[day], mean_of(f"News of day {i}"), atol=1e-5)
