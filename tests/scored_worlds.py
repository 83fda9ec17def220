"""The engine world with scores, classes and risks, as universes and portfolios read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from prometheus.lake import Lake, contract
from tests.demo_lakes import run
from tests.engine_cases import CASES
from tests.engine_worlds import FIRST, LAST, MARKET_ID, NAMES, SCALED, world

GIVEN: dict[str, Any] = {
    "stability_model_id": "stability-basic-v1",
    "assessment_model_id": "assessment-basic-v1",
    "assessment_variant": "soft",
    "max_sector_share": 1.0,
    "market_id": (MARKET_ID,),
    "variant": "plain",
}
"""Parameters of its universe: there are two sectors."""


def build_scored_world(root: Path) -> Lake:
    """Scores, classes, stability's risk, a regime risk made by hand, and the universe ``plain`` of the quarter."""
    lake = world(root, scaled={SCALED: 1 / 64})
    next(c for c in CASES if c.name == "assessment-basic").make(lake, None)
    run(lake, "stability_change_risk", FIRST, LAST, model_id="stability-basic-v1", market_id=(MARKET_ID,))
    lake.upsert("state_change_risk", _regime_risk(lake, 0.4))
    run(lake, "universes", FIRST, LAST, **GIVEN)
    return lake


def _regime_risk(lake: Lake, risk: float) -> pa.Table:
    """Rows of REGION US like those of one name."""
    rows = lake.read("state_change_risk", where={"entity_id": NAMES[0]}).to_pylist()
    said = {"engine": "regime", "entity_type": "REGION", "entity_id": "US", "model_id": "num-regime-core-v1"}
    said |= {"proxy": "MARKET", "risk_score": risk}
    return pa.Table.from_pylist([{**r, **said} for r in rows], schema=contract("state_change_risk").schema)
