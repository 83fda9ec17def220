"""What an ingest makes stale: exactly what could have used the row in its day, and nothing that could not."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from prometheus.cli.main import main
from prometheus.clock import DEFAULT_MARKETS
from prometheus.lake import Lake
from prometheus.runtime import RunOptions, StageReader, make_plan
from prometheus.runtime.done import DONE, STALE_INPUTS
from prometheus.stages import stage
from tests.commands import call
from tests.demo_lakes import run
from tests.news_rows import article, news_table

MONDAY, FRIDAY = dt.date(2025, 1, 27), dt.date(2025, 1, 31)
WEDNESDAY = dt.date(2025, 1, 29)
TEXT = {"variant": "hashing", "backend": "hashing"}
JOINT = {"variant": "hashing", "text_variant": "hashing"}
CALIBRATED = {"variant": "hashing_calibrated", "text_variant": "hashing", "calibrate": "hashing"}


def stale(lake: Lake, name: str, first: dt.date = MONDAY, last: dt.date = FRIDAY, **params: Any) -> list[dt.date]:
    """Output days a plan would make again, all for the sake of their inputs."""
    declared = stage(name)
    reader = StageReader(lake, DEFAULT_MARKETS, [i.table for i in declared.inputs])
    plan = make_plan(lake, declared, declared.params(**params), reader, first, last)
    assert set(plan.reasons) <= {DONE, STALE_INPUTS}
    return sorted({day for days in plan.todo.values() for day in days})


def test_a_late_article_known_in_its_day_makes_its_dependants_stale_and_nothing_else(demo_copy: Lake) -> None:
    assert stale(demo_copy, "text_embeddings", **TEXT) == []
    assert stale(demo_copy, "joint_regime_context", **JOINT) == []
    demo_copy.deliver("news_articles", news_table(article("late", "2025-01-29 10:00", "Stocks plunge as banks fail")))
    assert stale(demo_copy, "text_embeddings", **TEXT) == [WEDNESDAY]
    assert stale(demo_copy, "joint_regime_context", **JOINT) == [WEDNESDAY]
    assert stale(demo_copy, "regimes", region=("US",)) == []
    # This year's calibration was fitted before it; next year's will see it.
    assert stale(demo_copy, "branch_statistics_regime_context", **JOINT) == []
    assert stale(demo_copy, "joint_regime_context", **CALIBRATED) == [WEDNESDAY]

    before = joint_rows(demo_copy)
    assert run(demo_copy, "text_embeddings", MONDAY, FRIDAY, **TEXT).done == 1
    assert run(demo_copy, "joint_regime_context", MONDAY, FRIDAY, **JOINT).done == 1
    changed = before.join(joint_rows(demo_copy), on=before.columns, how="anti")
    assert changed["as_of_date"].to_list() == [WEDNESDAY]
    assert stale(demo_copy, "joint_regime_context", **JOINT) == []


def joint_rows(lake: Lake) -> pl.DataFrame:
    rows = lake.read("joint_embeddings", dates=(MONDAY, FRIDAY), where={"variant": "hashing", "entity_key": "US"})
    return pl.DataFrame(pl.from_arrow(rows.select(["as_of_date", "vector"])))


def test_an_article_known_a_day_late_reaches_nothing_stamped_in_its_day(demo_copy: Lake) -> None:
    late = article("late", "2025-01-29 10:00", "Stocks plunge", known="2025-01-30 12:00")
    demo_copy.deliver("news_articles", news_table(late))
    assert stale(demo_copy, "text_embeddings", **TEXT) == [WEDNESDAY]  # its vector is missing
    run(demo_copy, "text_embeddings", MONDAY, FRIDAY, **TEXT)
    assert stale(demo_copy, "joint_regime_context", **JOINT) == []


def corrected_price(lake: Lake, day: dt.date, instrument_id: str) -> pa.Table:
    row = lake.read("prices_daily", dates=(day, day), where={"instrument_id": instrument_id}).to_pylist()[0]
    return pa.Table.from_pylist([row | {"close": row["close"] * 1.01}], schema=lake.read("prices_daily").schema)


def test_a_correction_changes_what_is_decided_after_it_is_known_and_nothing_before(demo_copy: Lake) -> None:
    first, last = dt.date(2025, 1, 13), dt.date(2025, 2, 14)
    asked = {"market_id": ("US_EQ",)}
    run(demo_copy, "numeric_embeddings", first, last, **asked)
    before = demo_copy.digest("numeric_window_embeddings")
    known = dt.datetime(2025, 2, 3, 15, tzinfo=dt.UTC)
    demo_copy.deliver("prices_daily", corrected_price(demo_copy, dt.date(2025, 1, 10), "AAPL.US"), now=known)
    again = stale(demo_copy, "numeric_embeddings", first, last, **asked)
    assert again[0] == known.date()
    assert again[-1] == last
    assert len(again) == 10  # every session from the correction on
    assert stale(demo_copy, "regimes", first, last, region=("US",))[0] == known.date()

    kept = demo_copy.read("numeric_window_embeddings", dates=(first, dt.date(2025, 1, 31)))
    assert run(demo_copy, "numeric_embeddings", first, last, **asked).done == 10
    assert demo_copy.digest("numeric_window_embeddings") != before
    after = demo_copy.read("numeric_window_embeddings", dates=(first, dt.date(2025, 1, 31)))
    frames = [
        pl.DataFrame(pl.from_arrow(t)).sort("model_id", "variant", "as_of_date", "entity_type", "entity_id")
        for t in (kept, after)
    ]
    assert frames[0].equals(frames[1])


def test_force_writes_equal_rows(demo_copy: Lake) -> None:
    before = demo_copy.digest("joint_embeddings"), demo_copy.version("joint_embeddings")
    done = run(demo_copy, "joint_regime_context", MONDAY, FRIDAY, RunOptions(force=True), **JOINT)
    assert done.done == 5
    assert (demo_copy.digest("joint_embeddings"), demo_copy.version("joint_embeddings")) == before


def test_a_dry_run_of_the_job_counts_with_what_is_upstream(demo_copy: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    known = dt.datetime(2025, 1, 29, 15, tzinfo=dt.UTC)
    demo_copy.deliver("prices_daily", corrected_price(demo_copy, dt.date(2025, 1, 10), "AAPL.US"), now=known)
    assert stale(demo_copy, "joint_regime_context", **JOINT) == []
    words = f"range=[{MONDAY},{FRIDAY}] region=US variants=[hashing] encoder/text=hashing dry_run=true"
    assert call(main, ["backfill", *words.split(), "--lake", str(demo_copy.location.root)]) == 0
    said = capfd.readouterr().err.splitlines()
    assert said[said.index("joint_regime_context [hashing]: 3 output days in 1 chunks") + 1 :][:3] == [
        "  2 done",
        "  3 upstream: regimes",
        "  US: 2025-01-29 to 2025-01-31, 3 days",
    ]
