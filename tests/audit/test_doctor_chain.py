"""The doctor on the whole chain: a lake with rows of every stage is healthy, and a row lost from any of them is seen."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from prometheus.cli.config import compose
from prometheus.cli.daily import daily
from prometheus.clock import DEFAULT_MARKETS
from prometheus.lake import Lake, contract
from prometheus.runtime import Stage
from prometheus.stages import all_stages
from tests.crashes import doctor
from tests.demo_lakes import run


def test_the_whole_chain_is_healthy_and_a_lost_row_of_any_stage_is_seen(demo_copy: Lake, tmp_path: Path) -> None:
    root = demo_copy.location.path
    assert root is not None
    first, last = dt.date(2025, 1, 2), dt.date(2025, 1, 31)
    episode = {"episode_id": "E", "label": "E", "region": "US", "start_date": str(first), "end_date": str(last)}
    (tmp_path / "episodes.json").write_text(json.dumps([episode]), encoding="utf-8")
    hashing = {"variant": "hashing", "text_variant": "hashing"}
    run(demo_copy, "encoder_fits", first, last, market_id=("US_EQ",))
    run(demo_copy, "document_text_embeddings", dt.date(2024, 6, 3), last, variant="hashing", backend="hashing")
    run(demo_copy, "joint_episode", first, last, **hashing, episodes_file=str(tmp_path / "episodes.json"))
    for space, texts in (("profile_core", hashing), ("stab_fragility_states", {"variant": "hashing"})):
        profiles = {} if space == "profile_core" else {"profile_variant": "hashing"}
        run(demo_copy, f"branch_statistics_{space}", first, last, market_id=("US_EQ",), **texts, **profiles)
    for name in ("context_regime_fits", "context_regimes"):
        run(demo_copy, name, first, last, variant="hashing", context_variant="hashing")
    # Statistics of portfolios ask for half a year of them.
    daily(demo_copy, compose("daily"), regions=("US",), first=dt.date(2024, 6, 3), last=last, variant="hashing")
    run(demo_copy, "branch_statistics_portfolio_core", first, last, variant="hashing", numeric_variant="hashing")
    assert list(doctor(root).findings) == []
    for stage in all_stages():
        lose_a_row(demo_copy, stage)
    report = doctor(root)
    assert report.notes == []
    assert {f.kind for f in report.findings} == {"ledger"}
    named = " ".join(f.sentence for f in report.findings)
    # Which market a scenario set is of, its rows in joint_embeddings do not say: they are never surely a scope's.
    unseen = [s.name for s in all_stages() if f"lineage of {s.name} [" not in named]
    assert unseen == ["joint_stab_fragility_scenarios"]


def lose_a_row(lake: Lake, stage: Stage[Any]) -> None:
    """Delete one row that the latest lineage of a stage counts."""
    books = lake.read("lineage", where={"stage": stage.name}).to_pylist()
    latest = max((r for r in books if r["num_keys"]), key=lambda r: (r["as_of_date"], r["recorded_at"]))
    params = stage.params(variant=latest["variant"])
    for table, held in stage.holds(params, latest["scope"], DEFAULT_MARKETS).items():
        rows = lake.read(table, where={**held.where, "as_of_date": latest["as_of_date"]}, every_version=True)
        lost = rows.select(list(contract(table).key)).to_pylist()[:1]
        for row in lost:
            said = (f"{k} = '{v}'" if isinstance(v, str | dt.date) else f"{k} = {v}" for k, v in row.items())
            DeltaTable(lake.location.table_uri(table)).delete(" AND ".join(said))
