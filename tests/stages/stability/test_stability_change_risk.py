"""state_change_risk of soft-target classes: transitions pooled over a market's entities of one type."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from prometheus.clock import exchange_sessions
from prometheus.engines.stability import CLASSES, StabilityStateChangeForecaster
from prometheus.errors import BadDataError, MissingInputError, RequestError
from prometheus.lake import Lake, contract
from prometheus.runtime import RunOptions, RunSummary
from tests import change_risk_rows
from tests.demo_lakes import lineage, run

SESSIONS = exchange_sessions("XNYS", dt.date(2024, 11, 1), dt.date(2025, 1, 31)).dates.tolist()
N = len(SESSIONS)
FIRST, LAST = dt.date(2025, 1, 2), dt.date(2025, 1, 31)
ASKED = [d for d in SESSIONS if d >= FIRST]
Codes = Mapping[str, np.ndarray]


def drawn(seed: int, names: str = "ABCD") -> dict[str, np.ndarray]:
    """A class for every name and session, most of which are those of the session before."""
    rng = np.random.default_rng(seed)
    found = {}
    for name in names:
        steps = np.where(rng.random(N) < 0.2, rng.integers(-1, 2, N), 0)
        found[name] = np.clip(2 + np.cumsum(steps), 0, 4).astype(np.int8)
    return found


def classes(codes: Codes, **given: Any) -> pa.Table:
    return change_risk_rows.classes(codes, SESSIONS, **given)


def world(root: Path, *tables: pa.Table) -> Lake:
    lake = Lake.open(root, create=True)
    for table in tables:
        lake.upsert("soft_target_classes", table)
    return lake


def make(lake: Lake, first: dt.date = FIRST, last: dt.date = LAST, **given: Any) -> RunSummary:
    return run(lake, "stability_change_risk", first, last, **given)


def rows_of(lake: Lake, **where: Any) -> dict[tuple[dt.date, str], dict[str, Any]]:
    rows = lake.read("state_change_risk", where={"engine": "stability", **where}).to_pylist()
    return {(r["as_of_date"], r["entity_id"]): r for r in rows}


@pytest.mark.parametrize(("horizon", "weight", "variant"), [(1, 0.0, "v0"), (5, 0.0, "v0"), (5, 40.0, "own")])
def test_rows_are_forecasts_from_the_transitions_of_all_names(
    tmp_path: Path, horizon: int, weight: float, variant: str
) -> None:
    codes = drawn(1)
    codes["C"][N - 5 :] = -1  # leaves
    codes["D"][: N - 8] = -1  # joins
    codes["B"][N - 12] = -1  # is away for a day
    lake = world(tmp_path / "lake", classes(codes))
    summary = make(lake, horizon_steps=(horizon,), entity_weight=weight, variant=variant)
    forecaster = StabilityStateChangeForecaster(entity_weight=weight)
    grid = np.stack(list(codes.values()), axis=1)
    found = rows_of(lake)
    wanted: dict[tuple[dt.date, str], tuple[Any, int]] = {}
    for i, day in enumerate(SESSIONS):
        if day >= FIRST:
            made = forecaster.forecast(grid[: i + 1], horizon, at=np.array([i]))
            wanted |= {(day, "ABCD"[e]): (made, k) for k, e in enumerate(made.entity.tolist())}
    assert found.keys() == wanted.keys()
    assert len(found) == summary.rows == 4 * len(ASKED) - 5 - (len(ASKED) - 8) - 1
    for key, (made, k) in wanted.items():
        row = found[key]
        assert row["current_label"] == made.current_labels[k]
        np.testing.assert_allclose([p["probability"] for p in row["probabilities"]], made.probabilities[k], rtol=1e-12)
        assert [p["label"] for p in row["probabilities"]] == list(CLASSES)
        assert row["risk_score"] == pytest.approx(made.p_to_targetable_or_breaker[k])
        assert row["p_worsen_any"] == pytest.approx(made.p_worsen_any[k])
        assert row["p_improve_any"] == pytest.approx(made.p_improve_any[k])
        assert (row["num_transitions"], row["num_from_current"]) == (made.num_transitions[k], made.num_from_current[k])
        assert (row["entity_type"], row["market_id"], row["proxy"]) == ("INSTRUMENT", "US_EQ", None)
    counts = lineage(lake, {"stage": "stability_change_risk"})
    assert counts[f"US_EQ/INSTRUMENT/{horizon}", LAST] == (3, 0)


def test_markets_and_types_are_samples_of_their_own(tmp_path: Path) -> None:
    lake = world(
        tmp_path / "lake",
        classes(drawn(2)),
        classes(drawn(3, "XY"), market_id="EU_EQ"),
        classes(drawn(4, "M"), entity_type="MARKET"),
    )
    alone = world(tmp_path / "alone", classes(drawn(2)))
    make(lake, entity_type=("INSTRUMENT", "MARKET"), market_id=("US_EQ",))
    make(alone)
    mine = rows_of(lake, entity_type="INSTRUMENT", market_id="US_EQ")
    assert mine == rows_of(alone)
    assert {r["num_transitions"] for (d, _), r in rows_of(lake, entity_type="MARKET").items() if d == LAST} == {N - 1}


def test_pieces_and_reruns_give_the_same_rows(tmp_path: Path) -> None:
    lake, pieces = (world(tmp_path / name, classes(drawn(5))) for name in ("lake", "pieces"))
    make(lake, horizon_steps=(1, 21))
    for first, last in ((dt.date(2025, 1, 21), LAST), (FIRST, FIRST), (FIRST, LAST)):
        make(pieces, first, last, horizon_steps=(21, 1), options=RunOptions(executor="serial"))
    assert pieces.digest("state_change_risk") == lake.digest("state_change_risk")
    assert make(lake, horizon_steps=(1, 21)).done == 0


def test_classes_of_long_ago_count_too(tmp_path: Path) -> None:
    long_ago = exchange_sessions("XNYS", dt.date(2015, 3, 2), dt.date(2015, 3, 31)).dates.tolist()
    past = change_risk_rows.classes({"A": np.zeros(len(long_ago), dtype=np.int8)}, long_ago)
    lake = world(tmp_path / "lake", past, classes({"B": np.ones(N, dtype=np.int8)}))
    make(lake)
    assert rows_of(lake)[FIRST, "B"]["num_transitions"] == len(long_ago) - 1 + SESSIONS.index(FIRST)


def test_later_classes_have_no_say_and_a_name_taken_back_goes(tmp_path: Path) -> None:
    codes = drawn(6)
    lake = world(tmp_path / "lake", classes(codes))
    make(lake)
    before = rows_of(lake)
    for of_name in codes.values():
        of_name[-3:] = 4
    lake.upsert("soft_target_classes", classes(codes))
    assert make(lake).done == 3
    after = rows_of(lake)
    assert {k: r for k, r in after.items() if k[0] < SESSIONS[-3]} == {
        k: r for k, r in before.items() if k[0] < SESSIONS[-3]
    }
    assert after[LAST, "A"] != before[LAST, "A"]


def test_sessions_without_any_class_are_counted(tmp_path: Path) -> None:
    codes = drawn(7)
    for of_name in codes.values():
        of_name[-2] = -1
    lake = world(tmp_path / "lake", classes(codes))
    assert make(lake).skipped == {"no_soft_target_class": 1}


def test_what_is_refused(tmp_path: Path) -> None:
    lake = world(tmp_path / "lake", classes(drawn(8)))
    missing = (
        r"no soft-target classes \(stability-basic-v1, variant v0\) of INSTRUMENT between .*backfill_stability --entity"
    )
    with pytest.raises(MissingInputError, match=missing):
        make(lake, model_id="stability-basic-v1")
    with pytest.raises(MissingInputError, match="backfill_stability --market-id EU_EQ --entity-type INSTRUMENT --date"):
        make(lake, market_id=("EU_EQ",))
    with pytest.raises(MissingInputError, match="no soft-target classes"):
        make(lake, entity_type=("SECTOR",))
    with pytest.raises(RequestError, match="--entity-weight must be 0 or a positive number; got -1"):
        make(lake, entity_weight=-1.0, variant="x")
    strange = classes(drawn(8)).to_pylist()
    strange[-1]["soft_target_class"] = "WOBBLY"
    lake.upsert("soft_target_classes", pa.Table.from_pylist(strange, schema=contract("soft_target_classes").schema))
    with pytest.raises(BadDataError, match="of US_EQ has the class WOBBLY; known are STABLE, WATCH"):
        make(lake)
