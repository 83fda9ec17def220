"""backfill_regime_change_risk and backfill_stability_change_risk: headers byte for byte, files, refusals."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from prometheus.clock import exchange_sessions
from prometheus.engines.regime import LABELS
from prometheus.lake import Lake
from tests.change_risk_rows import classes, regimes
from tests.commands import call, pasted, script

REGIME_HEADER = (
    "as_of_date,region,current_regime_label,horizon_steps,p_change_any,p_to_crisis_or_risk_off,p_to_carry,"
    "regime_risk_score"
)
STABILITY_HEADER = (
    "as_of_date,entity_type,entity_id,current_soft_target_class,horizon_steps,p_worsen_any,p_improve_any,"
    "p_to_targetable_or_breaker,p_to_breaker,stability_risk_score"
)
REGIMES = r"""
python -m prometheus.scripts.backfill_regime_change_risk \
  --region US \
  --start 2025-01-02 \
  --end 2025-01-31 \
  --horizon-steps 1 \
  --output regime_change_risk_US.csv
"""
STABILITY = r"""
python -m prometheus.scripts.backfill_stability_change_risk \
  --market-id US_EQ \
  --entity-type INSTRUMENT \
  --start 2025-01-02 \
  --end 2025-01-10 \
  --horizon-steps 1 \
  --output stability_change_risk.csv
"""
REGIME_CHANGES, STABILITY_CHANGES = script("backfill_regime_change_risk"), script("backfill_stability_change_risk")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Labels and classes from December 2024 to January 2025, and an empty working directory."""
    lake = Lake.open(tmp_path / "lake", create=True)
    days = exchange_sessions("XNYS", dt.date(2024, 12, 2), dt.date(2025, 1, 31)).dates.tolist()
    rng = np.random.default_rng(0)
    labels = [
        LABELS[i] if day.year == 2025 else None for day, i in zip(days, rng.integers(0, 4, len(days)), strict=True)
    ]
    lake.upsert("regimes", regimes(labels, days))
    codes = {name: rng.integers(0, 5, len(days)).astype(np.int8) for name in ("AAPL.US", "ACME.US", "ZZ, TOP.US")}
    lake.upsert("soft_target_classes", classes(codes, days))
    monkeypatch.setenv("PROMETHEUS_LAKE", str(lake.location.root))
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    return lake


def test_regimes_as_written(here: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    name, arguments, _ = pasted(REGIMES)
    assert call(script(name), [*arguments, "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "regime_change_risk [v0]: planned 20, done 20" in err
    path = Path("regime_change_risk_US.csv")
    assert [p.name for p in Path().iterdir()] == [path.name]  # nothing half-written beside it
    text = path.read_bytes().decode()
    assert text.startswith(REGIME_HEADER + "\n2025-01-02,US,")
    assert "\r" not in text
    held = {r["as_of_date"].isoformat(): r for r in here.read("state_change_risk").to_pylist()}
    lines = list(csv.DictReader(text.splitlines()))
    assert [line["as_of_date"] for line in lines] == sorted(held)
    for line in lines:
        row = held[line["as_of_date"]]
        shares = {p["label"]: p["probability"] for p in row["probabilities"]}
        assert line == {
            "as_of_date": row["as_of_date"].isoformat(),
            "region": "US",
            "current_regime_label": row["current_label"],
            "horizon_steps": "1",
            "p_change_any": f"{row['p_change_any']:.6f}",
            "p_to_crisis_or_risk_off": f"{shares['CRISIS'] + shares['RISK_OFF']:.6f}",
            "p_to_carry": f"{shares['CARRY']:.6f}",
            "regime_risk_score": f"{row['risk_score']:.6f}",
        }
    # What is done already is written again all the same, here to standard output.
    assert call(script(name), [*arguments[:-2], "--quiet"]) == 0
    assert capsys.readouterr().out == text


def test_stability_as_written(here: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    name, arguments, _ = pasted(STABILITY)
    assert call(script(name), [*arguments, "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    text = Path("stability_change_risk.csv").read_bytes().decode()
    assert text.splitlines()[0] == STABILITY_HEADER
    lines = list(csv.DictReader(text.splitlines()))
    held = here.read("state_change_risk", where={"engine": "stability"}).to_pylist()
    assert len(lines) == len(held) == 3 * 6
    rows = {(r["as_of_date"].isoformat(), r["entity_id"]): r for r in held}
    assert [(line["as_of_date"], line["entity_id"]) for line in lines] == sorted(rows)
    for line in lines:
        row = rows[line["as_of_date"], line["entity_id"]]
        shares = {p["label"]: p["probability"] for p in row["probabilities"]}
        assert line["entity_type"] == "INSTRUMENT"
        assert line["current_soft_target_class"] == row["current_label"]
        assert line["p_worsen_any"] == f"{row['p_worsen_any']:.6f}"
        assert line["p_improve_any"] == f"{row['p_improve_any']:.6f}"
        assert line["p_to_targetable_or_breaker"] == line["stability_risk_score"] == f"{row['risk_score']:.6f}"
        assert line["p_to_breaker"] == f"{shares['BREAKER']:.6f}"


def test_a_header_also_where_there_is_no_row(here: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    # No label yet in 2024, and a weekend.
    for dates in (("2024-12-02", "2024-12-06"), ("2025-01-04", "2025-01-05")):
        assert call(REGIME_CHANGES, ["--start", dates[0], "--end", dates[1], "--output", "empty.csv", "--quiet"]) == 0
        assert Path("empty.csv").read_text() == REGIME_HEADER + "\n"
    assert call(REGIME_CHANGES, ["--start", "2024-12-02", "--end", "2024-12-06", "--force", "--strict", "--quiet"]) == 1
    assert "no_regime_label 5" in capsys.readouterr().err


def test_a_file_keeps_what_it_held_when_the_command_fails(here: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    Path("kept.csv").write_text("before\n")
    argv = ["--start", "2020-01-02", "--end", "2020-01-31", "--output", "kept.csv", "--quiet"]
    assert call(REGIME_CHANGES, argv) == 1
    assert call(STABILITY_CHANGES, argv) == 1
    err = capsys.readouterr().err
    assert "make them with `python -m prometheus.scripts.backfill_regimes" in err
    assert "make them with `python -m prometheus.scripts.backfill_stability" in err
    assert call(REGIME_CHANGES, ["--as-of", "2025-01-31", "--dry-run", "--output", "kept.csv"]) == 0
    assert Path("kept.csv").read_text() == "before\n"
    assert [p.name for p in Path().iterdir()] == ["kept.csv"]
    assert here.count("state_change_risk") == 0


def test_what_is_refused_before_anything_is_run(here: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    day, days = ["--as-of", "2025-01-02"], ["--start", "2025-01-02", "--end", "2025-01-03"]
    for argv, said in (
        ([], "--start D --end D"),
        (days[:2], "--start D --end D"),
        (["--start", "2025-02-02", "--end", "2025-01-02"], "--end 2025-01-02 is before --start 2025-02-02"),
        ([*days, *day], "leave out --as-of"),
        ([*day, "--output", "no/where.csv"], "there is no folder no; make it first"),
        ([*day, "--output", "."], "is a folder; name a file"),
        ([*day, "--horizon-steps", "0"], "'0' is not a whole number of at least 1"),
        ([*day, "--backend", "direct"], "Name these settings with another --variant"),
    ):
        assert call(REGIME_CHANGES, argv) == 2
        out, err = capsys.readouterr()
        assert (out, said in err) == ("", True), err
    assert here.count("state_change_risk") == 0
