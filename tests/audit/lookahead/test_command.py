"""``prometheus audit lookahead``."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from prometheus.cli.main import main
from prometheus.lake import Lake
from prometheus.stages import STAGES
from tests.commands import call

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Declare three stages more, as any new one is."""
    for name in ("HONEST", "TOMORROW", "CONSTANT"):
        monkeypatch.setitem(STAGES, name.lower(), ("tests.leaky_stages", name))


def audit(lake: Lake, capfd: Capture, words: str) -> tuple[int, str, str]:
    code = call(main, ["audit", "lookahead", "--quiet", "--lake", str(lake.location.root), *words.split()])
    out, err = capfd.readouterr()
    return code, out, err


def test_clean_is_0(market: Lake, capfd: Capture) -> None:
    code, out, err = audit(market, capfd, "--cut 2024-02-15 --stages honest --from 2024-02-12 --to 2024-02-20")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].endswith("output days 2024-02-12 to 2024-02-20")
    assert out.splitlines()[1].split()[:4] == ["stage", "table", "compared", "equal"]
    *counts, replaced = out.splitlines()[2].split()
    assert counts == ["honest", "[v0]", "numeric_window_embeddings", "4", "4", "0", "2"]
    assert int(replaced) > 60
    assert out.splitlines()[-1].startswith("clean: 4 rows of before the cut")


@pytest.mark.parametrize(("stage", "status"), [("tomorrow", "leak"), ("constant", "void")])
def test_a_leak_or_a_void_verdict_is_1(market: Lake, capfd: Capture, stage: str, status: str) -> None:
    span = "--from 2024-02-12 --to 2024-02-20"
    code, out, err = audit(market, capfd, f"--cut 2024-02-15 --stages {stage} {span} --json")
    assert (code, err) == (1, "")
    record = json.loads(out)
    assert record["status"] == status
    assert [s["stage"] for s in record["cuts"][0]["steps"]] == [stage]


def test_counts_as_csv_for_several_cuts(market: Lake, capfd: Capture) -> None:
    days = "--cut 2024-02-14 --cut 2024-02-15 --from 2024-02-12 --to 2024-02-20 --delete"
    code, out, _ = audit(market, capfd, f"{days} --stages honest --csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert [(r["cut"], r["stage"], r["variant"], r["compared"], r["differing_before"]) for r in rows] == [
        ("2024-02-14", "honest", "v0", "3", "0"),
        ("2024-02-15", "honest", "v0", "4", "0"),
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--stages honest", "the following arguments are required: --cut"),
        ("--cut yesterday", "'yesterday' is not a date"),
        ("--cut 2024-02-15 --stages honest pride", "there is no stage pride; there are returns, factors,"),
        ("--cut 2030-01-01 --stages honest", "the cut 2030-01-01 must lie within the days audited"),
        ("--cut 2024-02-15 --from 2024-03-01 --to 2024-02-01", "--to (2024-02-01) is before --from (2024-03-01)"),
        ("--cut 2024-02-15 --region MOON", "there is no region 'MOON'"),
        ("--cut 2024-02-15 --cutoff noon", "invalid choice: 'noon'"),
        ("--cut 2024-02-15 --seed -1", "a seed is a whole number of at least 0, got -1"),
        ("--cut 2024-02-15 --overrides executor=serial range=[1,2]", "--overrides range=[1,2]: here it takes keys of"),
        ("--cut 2024-02-15 --overrides encoder/text=none", "do not fit"),
        ("--cut 2024-02-15 --json --csv", "not allowed with argument"),
    ],
)
def test_wrong_requests_are_2(market: Lake, capfd: Capture, words: str, sentence: str) -> None:
    code, out, err = audit(market, capfd, words)
    assert (code, out) == (2, "")
    assert sentence in err
    assert "Traceback" not in err


def test_no_lake_is_1(tmp_path: Path, capfd: Capture) -> None:
    code, out, err = audit(Lake(tmp_path / "nowhere"), capfd, "--cut 2024-02-15")
    assert (code, out) == (1, "")
    assert "there is no lake at" in err


def test_assumed_dates_are_said(market: Lake, tmp_path: Path, capfd: Capture) -> None:
    from prometheus.runtime.ledger import IngestBook
    from tests.leaky_stages import small_market

    lake = small_market(tmp_path / "lake")
    assumed = {"prices_daily": ["known always"], "macro_texts": ["known always"]}
    IngestBook(lake, "mine", "data", assumed=assumed).event("finished")
    words = "--cut 2024-02-15 --stages honest --from 2024-02-14 --to 2024-02-16"
    code, out, _ = audit(lake, capfd, words)
    assert code == 0
    # Of the tables that were read.
    assert [line for line in out.splitlines() if "assumed" in line] == ["assumed dates: prices_daily (known always)"]
