"""Whole commands in processes of their own: from CSV files to joint rows, interrupted, sped, elsewhere on earth."""

from __future__ import annotations

import csv
import datetime as dt
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import prometheus
from prometheus.cli.main import main
from prometheus.clock import exchange_sessions
from prometheus.lake import Lake
from tests.commands import call
from tests.demo_lakes import copy_lake

ROOT = Path(prometheus.__file__).parent.parent
SESSIONS = exchange_sessions("XNYS", dt.date(2024, 1, 2), dt.date(2024, 12, 31)).dates.tolist()
NAMES = [f"N{i}" for i in range(6)]
DECEMBER = "range=[2024-12-02,2024-12-31]"
HASHED = ("encoder/text=hashing", "variants=[hashing]", "quiet=true")


def prometheus_command(*arguments: str, lake: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``prometheus`` with a lake, in an empty working directory."""
    return subprocess.run(
        [sys.executable, "-m", "prometheus.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=lake.parent,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PROMETHEUS_LAKE": str(lake)} | environment,
    )


def write_csv(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A year of six names and a headline a day, as long CSV files; one price has a bad date, one no price at all."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    closes = 50 * np.exp(np.cumsum(0.01 * rng.standard_normal((len(SESSIONS), len(NAMES))), axis=0))
    prices = [
        {"instrument_id": f"{name}.US", "date": day, "close": f"{closes[t, i]:.4f}", "volume": 1000 + 10 * i + t % 7}
        for t, day in enumerate(SESSIONS)
        for i, name in enumerate(NAMES)
    ]
    prices.append({"instrument_id": "N0.US", "date": "2024-31-31", "close": 1, "volume": 1})
    prices.append({"instrument_id": "N0.US", "date": "2025-01-02", "close": "", "volume": 1})
    write_csv(folder / "prices.csv", prices)
    listed = {"valid_from": "2000-01-03", "asset_class": "STOCK", "sector": "Technology"}
    write_csv(
        folder / "instruments.csv",
        [{"instrument_id": f"{n}.US", "issuer_id": n, "symbol": n, **listed} for n in NAMES],
    )
    write_csv(
        folder / "news.csv",
        [
            {
                "article_id": f"a{t}",
                "published_at": f"{day}T12:00:00Z",
                "language": "EN",
                "headline": f"Shares move for the {t}th time",
                "instrument_id": f"{NAMES[t % 6]}.US",
            }
            for t, day in enumerate(SESSIONS)
        ],
    )
    return folder


def test_from_csv_files_to_joint_rows(files: Path, tmp_path: Path) -> None:
    root = tmp_path / "lake"
    done = prometheus_command("ingest", "source=long_csv", f"path={files}", "quiet=true", lake=root)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert f"prices_daily: read {len(SESSIONS) * 6 + 2:,}, new {len(SESSIONS) * 6:,}" in done.stderr
    assert "quarantined 2" in done.stderr
    lake = Lake.open(root)
    assert lake.count("quarantine") == 2
    assert lake.count("news_articles") == lake.count("news_links") == len(SESSIONS)

    again = prometheus_command("ingest", "source=long_csv", f"path={files}", "quiet=true", lake=root)
    assert again.returncode == 0
    assert f"new 0, corrected 0, unchanged {len(SESSIONS) * 6:,}" in again.stderr

    built = prometheus_command("backfill", DECEMBER, *HASHED, lake=root)
    assert (built.returncode, built.stdout) == (0, ""), built.stderr
    stages = [line.split(" ")[0] for line in built.stderr.splitlines()]
    assert stages == ["regime_prototypes", "regimes", "text_embeddings", "joint_regime_context"]
    days = [d for d in SESSIONS if d >= dt.date(2024, 12, 2)]
    rows = lake.read("joint_embeddings").sort_by("as_of_date")
    assert rows["as_of_date"].to_pylist() == days
    assert lake.count("regimes") == lake.count("text_embeddings") == len(days)

    twice = prometheus_command("backfill", DECEMBER, *HASHED, lake=root)
    assert twice.returncode == 0
    assert f"already done {len(days)}" in twice.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lake"]  # nothing is left in the working directory


def test_jobs_are_modules_too_and_refuse_with_2(files: Path, tmp_path: Path) -> None:
    def job(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", f"jobs.{name}", *arguments], capture_output=True, text=True, timeout=120, cwd=ROOT
        )

    for done, sentence in (
        (job("backfill", f"lake={tmp_path}"), "range is missing"),
        (job("backfill", f"lake={tmp_path}", "nonsense=1", DECEMBER), "Could not override 'nonsense'"),
        (job("backfill", f"lake={tmp_path}", "space=NULL", DECEMBER), "names a file of conf/space"),
        (job("ingest", f"lake={tmp_path}", "source=magic", f"path={files}"), "there is no ingest map 'magic'"),
    ):
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("error: ")
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr


def test_a_sweep_runs_every_job_and_ends_with_the_worst_code(demo_lake: Path, tmp_path: Path) -> None:
    lake = copy_lake(demo_lake, tmp_path / "lake")
    day = "range=[2025-01-31,2025-01-31]"
    swept = prometheus_command("backfill", "--multirun", day, *HASHED, "region=US,MOON,EU", lake=tmp_path / "lake")
    assert (swept.returncode, swept.stdout) == (2, "")
    assert swept.stderr.count("joint_regime_context [hashing]: planned 1, done 0, already done 1") == 2
    assert swept.stderr.count("there is no region 'MOON'") == 1
    assert lake.count("joint_embeddings") == Lake.open(demo_lake).count("joint_embeddings")


def test_an_interrupted_backfill_says_how_to_go_on_and_is_continued(demo_lake: Path, tmp_path: Path) -> None:
    root = tmp_path / "lake"
    lake = copy_lake(demo_lake, root, only="raw")
    words = ["backfill", "range=[2024-10-01,2025-03-31]", "executor=serial", *HASHED]
    process = subprocess.Popen(
        [sys.executable, "-m", "prometheus.cli.main", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PROMETHEUS_LAKE": str(root)},
    )
    deadline = time.monotonic() + 60
    while lake.version("text_embeddings") in (None, 0) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert "run the same command again to go on" in err
    assert "Traceback" not in err
    assert lake.count("text_embeddings") > 0

    again = prometheus_command(*words, lake=root)
    assert again.returncode == 0, again.stderr
    assert "already done" in next(line for line in again.stderr.splitlines() if line.startswith("text_embeddings"))
    whole = Lake.open(demo_lake)
    span = (dt.date(2024, 10, 1), dt.date(2025, 3, 31))
    for table, where in (
        ("text_embeddings", {"variant": "hashing", "source_type": "NEWS"}),
        ("regimes", {"region": "US"}),
        ("joint_embeddings", {"joint_type": "REGIME_CONTEXT_V0", "variant": "hashing", "entity_key": "US"}),
    ):
        order = [(c, "ascending") for c in ("as_of_date", *(["source_id"] if table == "text_embeddings" else []))]
        mine, theirs = (
            x.read(table, dates=span, where=where, every_version=True).sort_by(order) for x in (lake, whole)
        )
        assert mine.num_rows > 100
        assert mine.equals(theirs), table


def test_the_machines_time_zone_changes_nothing(
    demo_lake: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither instants shown, nor the dates taken from them, nor what counts as done."""
    lake = copy_lake(demo_lake, tmp_path / "lake")
    query = (
        "select article_id, published_at::varchar as at, published_at::date = as_of_date as same "
        "from news_articles order by published_at desc limit 20"
    )
    elsewhere = prometheus_command("sql", "--csv", query, lake=tmp_path / "lake", TZ="Pacific/Auckland")
    assert call(main, ["sql", "--csv", query, "--lake", str(lake.location.root)]) == 0
    assert elsewhere.stdout == capfd.readouterr().out
    assert elsewhere.stdout.count("+00,True\n") == 20
    day = ("range=[2025-01-30,2025-01-31]", *HASHED)
    built = prometheus_command("backfill", *day, lake=tmp_path / "lake", TZ="Pacific/Auckland")
    assert built.returncode == 0
    assert built.stderr.count("done 0, already done") == 4, built.stderr
