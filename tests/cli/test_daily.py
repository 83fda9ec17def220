"""The daily run: the whole chain of a day, current steps skipped, corrections heeded from when they were known."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from prometheus.cli.config import compose
from prometheus.cli.daily import daily
from prometheus.cli.main import main as prometheus
from prometheus.lake import CONTRACTS, Lake
from prometheus.runtime import RunOptions, RunSummary
from prometheus.scripts.run_full_day_core_pipeline import main
from prometheus.stages.pipeline import NEEDED

DAY_BEFORE, DAY = dt.date(2025, 2, 27), dt.date(2025, 2, 28)
VINTAGE = [name for name, c in CONTRACTS.items() if c.table_class == "vintage" and c.layer != "raw"]
BY_YEAR_BEFORE = {"regime_prototypes", "regime_fits", "branch_statistics", "stability_fits", "assessment_fits"}


@pytest.fixture(scope="module")
def run_once(demo_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw tables, two days of the chain. For copying."""
    root = tmp_path_factory.mktemp("daily") / "lake"
    shutil.copytree(demo_lake / "raw", root / "raw")
    assert main(["--date-range", str(DAY_BEFORE), str(DAY), "--variant", "hashing", "--lake", str(root)]) == 0
    return root


@pytest.fixture
def lake(run_once: Path, tmp_path: Path) -> Lake:
    shutil.copytree(run_once, tmp_path / "lake")
    return Lake.open(tmp_path / "lake")


def again(lake: Lake, first: dt.date = DAY_BEFORE, last: dt.date = DAY, **options: Any) -> list[RunSummary]:
    return daily(
        lake,
        compose("daily"),
        regions=("US",),
        first=first,
        last=last,
        variant="hashing",
        options=RunOptions(executor="serial", **options),
    )


def rows_of(lake: Lake, day: dt.date) -> dict[str, pa.Table]:
    found = {name: lake.read(name, where={"as_of_date": day}) for name in VINTAGE}
    return {
        name: rows.sort_by([(k, "ascending") for k in CONTRACTS[name].key])
        for name, rows in found.items()
        if rows.num_rows
    }


def booked(lake: Lake, day: dt.date) -> set[tuple[str, str, str]]:
    """Which runs made a day."""
    rows = lake.read("lineage", where={"as_of_date": day}).to_pylist()
    return {(r["stage"], r["scope"], r["run_id"]) for r in rows}


def test_every_engine_has_rows_of_the_day(lake: Lake) -> None:
    found = rows_of(lake, DAY)
    engines = {name for name in VINTAGE if CONTRACTS[name].layer == "engines"} - BY_YEAR_BEFORE
    # Books within their limits take no action; the day before had no label to have come from.
    assert engines - set(found) <= {"risk_actions", "regime_transitions"}
    assert {"numeric_window_embeddings", "joint_embeddings"} <= set(found)


def test_what_is_current_is_skipped(lake: Lake) -> None:
    before = {table: lake.version(table) for table in lake.tables()}
    summaries = again(lake)
    assert {s.stage for s in summaries} >= NEEDED
    assert sum(s.done for s in summaries) == 0
    assert sum(s.already for s in summaries) > 100
    assert {table: lake.version(table) for table in lake.tables()} == before


def test_a_correction_changes_the_day_it_is_known_and_nothing_before(lake: Lake) -> None:
    prices = lake.read("prices_daily", dates=(DAY_BEFORE, DAY_BEFORE))
    name = lake.read("instruments", where={"market_id": "US_EQ"})["instrument_id"].to_pylist()[0]
    row = prices.filter(pc.equal(prices["instrument_id"], name)).to_pylist()[0]
    known = dt.datetime.combine(DAY, dt.time(15), dt.UTC)
    corrected = row | {"high": row["high"] * 1.08, "close": row["close"] * 1.08, "known_at": known}
    earlier, today = rows_of(lake, DAY_BEFORE), rows_of(lake, DAY)
    before = booked(lake, DAY_BEFORE)
    lake.upsert("prices_daily", pa.Table.from_pylist([corrected], schema=prices.schema))

    summaries = again(lake)

    assert {table: rows.equals(earlier[table]) for table, rows in rows_of(lake, DAY_BEFORE).items()} == dict.fromkeys(
        earlier, True
    )
    changed = {table for table, rows in rows_of(lake, DAY).items() if not rows.equals(today[table])}
    assert changed >= {"numeric_window_embeddings", "joint_embeddings", "returns_daily", "stability_vectors"}
    assert changed >= {"instrument_scores"}
    assert booked(lake, DAY_BEFORE) == before, "the day before was made again"
    assert {s.stage for s in summaries if s.done} >= NEEDED


def test_a_lake_of_prices_alone_has_a_day_too(raw_copy: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(str(raw_copy.location.path / "raw" / "news_articles"))  # type: ignore[operator]
    code = main(["--as-of", str(DAY), "--variant", "hashing", "--lake", str(raw_copy.location.path)])
    said = capsys.readouterr().err
    assert code == 0, said
    assert "joint_regime_context [hashing]: left out: " in said
    assert "text_embeddings [hashing]: left out: " in said
    assert raw_copy.read("instrument_scores", where={"as_of_date": DAY}).num_rows > 0
    args = ["--as-of", str(DAY), "--variant", "hashing", "--strict", "--lake", str(raw_copy.location.path)]
    assert main(args) == 1
    assert "error: there are no " in capsys.readouterr().err


def test_without_prices_there_is_no_day(raw_copy: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--as-of", "2027-02-26", "--lake", str(raw_copy.location.path)])
    assert code == 1
    assert "prometheus ingest" in capsys.readouterr().err


def test_a_closed_day_is_no_failure(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--as-of", "2025-03-01", "--lake", str(lake.location.path)]) == 0
    assert "US_EQ has no session between 2025-03-01 and 2025-03-01" in capsys.readouterr().err


def test_a_dry_run_says_what_would_be_made_and_writes_nothing(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    before = {table: lake.version(table) for table in lake.tables()}
    args = ["--as-of", "2025-03-03", "--variant", "hashing", "--dry-run", "--lake", str(lake.location.path)]
    assert main(args) == 0
    said = capsys.readouterr().err
    assert "US_EQ/INSTRUMENT: 2025-03-03 to 2025-03-03, 1 days" in said
    assert {table: lake.version(table) for table in lake.tables()} == before


def test_the_job_takes_a_date_or_a_range(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    where = f"lake={lake.location.path}"
    assert prometheus(["daily", f"as_of={DAY}", "variant=hashing", where, "quiet=true"]) == 0
    assert prometheus(["daily", where]) == 2
    assert "range=[2024-01-02,2024-12-31], or as_of=2024-12-31" in capsys.readouterr().err
    assert prometheus(["daily", f"as_of={DAY}", f"range=[{DAY},{DAY}]", where]) == 2
    assert "give as_of or range, not both" in capsys.readouterr().err
