"""Branch statistics: mean and spread of what lay before the year they serve, and of nothing else."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from prometheus.clock import exchange_sessions
from prometheus.lake import Lake
from prometheus.market.calendars import stored_sessions
from prometheus.runtime import RunSummary
from prometheus.stages.joint.statistics import MIN_DATES
from prometheus.vectors import from_list_array
from tests.demo_lakes import known_news_means, run
from tests.news_rows import article, news_table, regime_table

TABLE = "branch_statistics"
STAGE = "branch_statistics_regime_context"
CALENDARS = {"US": "XNYS", "EU": "XETR"}


def fit(lake: Lake, first: dt.date, last: dt.date, **params) -> RunSummary:
    return run(lake, STAGE, first, last, **{"text_variant": "hashing", "variant": "hashing", **params})


def test_mean_and_rms_are_those_of_the_past_alone(demo_lake: Path) -> None:
    lake = Lake.open(demo_lake)
    rows = lake.read(TABLE, where={"joint_type": "REGIME_CONTEXT_V0"}).to_pylist()
    assert {(r["region"], r["branch"], r["year"]) for r in rows} == {
        (region, branch, year) for region in CALENDARS for branch in ("regime", "text") for year in (2024, 2025)
    }
    for region, calendar_id in CALENDARS.items():
        sessions = stored_sessions(lake, calendar_id).dates
        regimes = lake.read("regimes", where={"region": region})
        states = dict(zip(regimes["as_of_date"].to_pylist(), from_list_array(regimes["regime_embedding"]), strict=True))
        branches = {"regime": states, "text": known_news_means(lake, calendar_id)}
        for row in (r for r in rows if r["region"] == region):
            new_year = np.datetime64(f"{row['year']}-01-01")
            assert row["as_of_date"] == sessions[sessions < new_year].max().item()
            past = np.array([v for d, v in branches[row["branch"]].items() if d <= row["as_of_date"]], dtype=float)
            assert row["num_dates"] == len(past) >= MIN_DATES == 126
            mean = past.mean(axis=0)
            np.testing.assert_allclose(row["mean"], mean, atol=1e-6)
            assert row["rms"] == pytest.approx(np.sqrt(np.square(past - mean).sum(axis=1).mean()), rel=1e-6)


def test_one_date_too_few_gives_no_row_and_a_reason(tmp_path: Path) -> None:
    days = exchange_sessions("XNYS", dt.date(2019, 1, 2), dt.date(2019, 12, 31)).dates.tolist()[-MIN_DATES:]
    vectors = np.random.default_rng(1).standard_normal((MIN_DATES, 384)).astype(np.float32)
    lake = Lake.open(tmp_path / "lake", create=True)
    lake.upsert("regimes", regime_table(days[1:], vectors[1:]))
    lake.deliver(
        "news_articles", news_table(*(article(f"a{i}", f"{d} 09:00", f"News {i}") for i, d in enumerate(days)))
    )
    run(lake, "text_embeddings", days[0], days[-1], backend="hashing", variant="hashing")
    summary = fit(lake, dt.date(2020, 1, 2), dt.date(2020, 12, 31))
    assert summary.skipped == {f"fewer than {MIN_DATES} past dates in a branch": 1}
    assert lake.count(TABLE) == 0
    lake.upsert("regimes", regime_table(days[:1], vectors[:1]))
    assert fit(lake, dt.date(2020, 1, 2), dt.date(2020, 12, 31)).rows == 2
    row = lake.read(TABLE, where={"branch": "regime"}).to_pylist()[0]
    assert (row["num_dates"], row["year"], row["as_of_date"]) == (MIN_DATES, 2020, dt.date(2019, 12, 31))
    np.testing.assert_allclose(row["mean"], vectors.mean(axis=0, dtype=np.float64), atol=1e-6)


def test_a_fit_depends_neither_on_later_rows_nor_on_where_the_request_begins(tmp_path: Path) -> None:
    days = exchange_sessions("XNYS", dt.date(2013, 1, 2), dt.date(2019, 12, 31)).dates.tolist()
    days = days[:130] + days[-5:]
    vectors = np.random.default_rng(2).standard_normal((len(days), 384)).astype(np.float32)
    articles = [article(f"a{i}", f"{d} 09:00", f"News {i}") for i, d in enumerate(days)]
    fits = []
    for name, first in (("late", dt.date(2019, 12, 2)), ("early", dt.date(2013, 6, 3))):
        lake = Lake.open(tmp_path / name, create=True)
        lake.upsert("regimes", regime_table(days, vectors))
        lake.deliver("news_articles", news_table(*articles))
        run(lake, "text_embeddings", days[0], days[-1], backend="hashing", variant="hashing")
        fit(lake, first, dt.date(2019, 12, 31))
        fits.append(lake.read(TABLE, where={"year": 2019}).sort_by("branch").to_pylist())
    assert fits[0] == fits[1]
    assert [r["num_dates"] for r in fits[0]] == [130, 130]
