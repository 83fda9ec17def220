"""backfill_regimes and compute_regime_prototypes, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from prometheus.lake import Lake
from prometheus.vectors import from_list_array
from tests.commands import call, script

RANGE = ["--date-range", "2025-01-02", "2025-01-31"]


def test_a_named_head_over_a_range_in_one_pass(raw_here: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    asked = ["--region", "US", "--region", "EU", *RANGE, "--variant", "volatility", "--quiet"]
    assert call(script("backfill_regimes"), asked) == 0
    said = capfd.readouterr()
    assert said.out == ""
    assert [line.split(" ")[0] for line in said.err.splitlines()] == [
        "regime_prototypes",
        "regimes",
        "regime_transitions",
    ]
    rows = raw_here.read("regimes").to_pylist()
    assert {(r["variant"], r["backend"]) for r in rows} == {("volatility", "volatility")}
    assert len(rows) == 20 + 22
    assert raw_here.count("regime_transitions", {"variant": "volatility"}) == len(rows) - 2
    assert call(script("backfill_regimes"), asked) == 0
    assert capfd.readouterr().err.count("done 0") == 3


def test_joint_rows_are_labelled_on_request(here: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    before = here.digest("regimes", {"model_id": "num-regime-core-v1"})
    asked = ["--embedding", "REGIME_CONTEXT_V0", "--context-variant", "hashing", "--variant", "hashing", *RANGE]
    assert call(script("backfill_regimes"), asked) == 0, capfd.readouterr().err
    joint = {"model_id": "joint-regime-core-v1", "variant": "hashing"}
    assert here.count("regimes", joint) > 10
    assert here.count("regime_transitions", joint) > 10
    assert here.digest("regimes", {"model_id": "num-regime-core-v1"}) == before


def test_a_head_that_is_not_the_default_needs_a_name(raw_here: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    assert call(script("run_numeric_regime"), ["--backend", "jump", "--as-of", "2025-01-31"]) == 2
    assert "Name these settings with another --variant" in capfd.readouterr().err


def test_prototypes_of_a_range_are_a_file(here: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    before = {table: here.version(table) for table in here.tables()}
    asked = ["--region", "US", "--start", "2022-10-03", "--end", "2024-12-31"]
    assert call(script("compute_regime_prototypes"), [*asked, "--output", "prototypes.json"]) == 0
    assert capfd.readouterr().out == ""
    found = json.loads(Path("prototypes.json").read_text())
    assert call(script("compute_regime_prototypes"), asked) == 0
    assert json.loads(capfd.readouterr().out) == found
    stored = here.read("regime_prototypes", where={"region": "US", "year": 2025, "variant": "v0"})
    by_label = dict(zip(stored["label"].to_pylist(), from_list_array(stored["centroid"]), strict=True))
    assert [p["label"] for p in found["prototypes"]] == ["CRISIS", "RISK_OFF", "NEUTRAL", "CARRY"]
    for prototype in found["prototypes"]:
        np.testing.assert_array_equal(np.float32(prototype["centroid"]), by_label[prototype["label"]])
    assert (found["proxy"], found["end"], found["num_windows"]) == (
        "MARKET",
        "2024-12-31",
        sum(stored["num_windows"].to_pylist()),
    )
    assert {table: here.version(table) for table in here.tables()} == before


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--start", "2024-06-03", "--end", "2024-12-31"], 1, "windows of US/MARKET between 2024-06-03 and 2024-12-31"),
        (["--start", "2024-12-31", "--end", "2024-06-03"], 2, "--end 2024-06-03 is before --start 2024-12-31"),
        (["--start", "2023-01-03", "--end", "2024-12-31", "--output", "no/p.json"], 2, "there is no folder no"),
        (["--start", "2014-01-02", "--end", "2015-12-31"], 1, "there are no prices between"),
    ],
)
def test_what_prototypes_cannot_be_made_of(
    shared: Lake,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    sentence: str,
) -> None:
    monkeypatch.setenv("PROMETHEUS_LAKE", str(shared.location.root))
    assert call(script("compute_regime_prototypes"), ["--region", "US", *arguments]) == code
    said = capfd.readouterr()
    assert (said.out, sentence in said.err) == ("", True)
