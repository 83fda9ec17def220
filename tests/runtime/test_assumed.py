"""Dates a map assumes: the ingest says so, and so does whatever is built on its rows."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest

from prometheus.cli.ingest import IngestSummary, ingest
from prometheus.clock import DEFAULT_MARKETS
from prometheus.lake import Lake
from prometheus.market.ingest import load_map
from prometheus.runtime import RunSummary
from prometheus.stages.text.profiles import ProfileSelection, profile_text_rows
from tests import text_worlds as worlds
from tests.demo_lakes import run

MAP = {
    "name": "descriptions",
    "feeds": [
        {
            "table": "profiles",
            "files": "profiles.csv",
            "columns": {
                "issuer_id": "issuer",
                "as_of_date": {"value": dt.date(2014, 1, 1)},
                "business_description": "text",
            },
            "known_at": {"assume_known": "always"},
        }
    ],
}
SAID = "assumed dates: profiles (known always)"


def bring(folder: Path, known_at: dict[str, str]) -> tuple[Lake, IngestSummary]:
    (folder / "profiles.csv").write_text("issuer,text\nA,Makes anvils.\nB,Makes rockets.\n", encoding="utf-8")
    lake = Lake.open(folder / "lake", create=True)
    source = load_map(MAP | {"feeds": [MAP["feeds"][0] | {"known_at": known_at}]})
    return lake, ingest(lake, source, folder, markets=DEFAULT_MARKETS)


def embed(lake: Lake, **given) -> RunSummary:
    days = dt.date(2014, 1, 1), dt.date(2014, 12, 31)
    return run(lake, "profile_text_embeddings", *days, backend="hashing", variant="hashing", **given)


def requests(lake: Lake) -> dict[str, dict]:
    return {r["run_id"]: json.loads(r["request"]) for r in lake.read("job_runs").to_pylist()}


def test_summaries_books_and_lineage_carry_the_word(tmp_path: Path) -> None:
    lake, summary = bring(tmp_path, {"assume_known": "always"})
    assert summary.lines()[0].endswith(", dates assumed")
    made = embed(lake)
    assert made.line().endswith("; " + SAID)
    assert made.record()["assumed"] == {"profiles": ["known always"]}
    assert embed(lake).line().endswith("; " + SAID)  # though there is nothing left to do
    (run_id,) = set(lake.read("lineage")["run_id"].to_pylist())
    assert requests(lake)[run_id]["assumed"] == {"profiles": ["known always"]}
    assert sum("assumed" in r and bool(r["assumed"]) for r in requests(lake).values()) == 2  # the ingest's and this one


def test_what_is_assumed_known_always_serves_the_years_it_is_dated_for(tmp_path: Path) -> None:
    lake, _ = bring(tmp_path, {"assume_known": "always"})
    embed(lake)
    days, ends = worlds.days_and_cutoffs([dt.date(2013, 12, 31), dt.date(2014, 1, 1), dt.date(2014, 12, 31)])
    reader, selection = worlds.reader(lake, "profiles"), ProfileSelection(variant="hashing")
    found = profile_text_rows(reader, selection, np.array(["B"] * 3), days, ends)
    assert found.source_keys.tolist() == ["", "B:2014-01-01", "B:2014-01-01"]


@pytest.mark.parametrize("known_at", [{"end_of_day": "as_of_date"}])
def test_where_nothing_is_assumed_nothing_is_said(tmp_path: Path, known_at: dict[str, str]) -> None:
    lake, summary = bring(tmp_path, known_at)
    assert "assumed" not in summary.lines()[0]
    made = embed(lake)
    assert "assumed" not in made.line()
    assert made.record()["assumed"] == {}
    assert not any(r.get("assumed") for r in requests(lake).values())
