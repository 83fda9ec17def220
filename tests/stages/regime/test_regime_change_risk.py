"""state_change_risk of regions: which labels count, whose, and what is left out and why."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from prometheus.clock import exchange_sessions
from prometheus.engines.regime import RegimeStateChangeForecaster
from prometheus.errors import MissingInputError, RequestError, VariantConflictError
from prometheus.lake import Lake
from prometheus.runtime import RunOptions, RunSummary
from tests import change_risk_rows
from tests.demo_lakes import lineage, run

SESSIONS = exchange_sessions("XNYS", dt.date(2024, 11, 1), dt.date(2025, 2, 28)).dates.tolist()
N = len(SESSIONS)
FIRST, LAST = dt.date(2025, 1, 2), dt.date(2025, 2, 28)
LABELS = ("CRISIS", "RISK_OFF", "NEUTRAL", "CARRY")
Label = str | None


def drawn(seed: int) -> list[Label]:
    """A label for every session, most of which are that of the session before."""
    rng = np.random.default_rng(seed)
    found = [0]
    for moves in rng.random(N - 1) < 0.15:
        found.append(int(rng.integers(4)) if moves else found[-1])
    return [LABELS[i] for i in found]


def regimes(labels: Sequence[Label], days: Sequence[dt.date] = SESSIONS, **given: Any) -> pa.Table:
    return change_risk_rows.regimes(labels, days, **given)


def world(root: Path, *tables: pa.Table) -> Lake:
    lake = Lake.open(root, create=True)
    for table in tables:
        lake.upsert("regimes", table)
    return lake


def make(lake: Lake, first: dt.date = FIRST, last: dt.date = LAST, **given: Any) -> RunSummary:
    return run(lake, "regime_change_risk", first, last, **given)


def rows_of(lake: Lake, **where: Any) -> list[dict[str, Any]]:
    rows = lake.read("state_change_risk", where={"engine": "regime", **where})
    return rows.sort_by([("as_of_date", "ascending"), ("entity_id", "ascending")]).to_pylist()


def expected(labels: Sequence[Label], horizon: int = 1, **settings: Any) -> dict[dt.date, Any]:
    """Forecast of each session by the plain definition: a fresh forecaster that is given no later label."""
    forecaster = RegimeStateChangeForecaster(**settings)
    found = {}
    for i, day in enumerate(SESSIONS):
        made = forecaster.forecast(forecaster.codes(list(labels[: i + 1])), horizon)
        if len(made) and made.session[-1] == i:
            found[day] = (made.probabilities[-1], int(made.num_transitions[-1]))
    return found


@pytest.mark.parametrize(
    ("horizon", "backend", "variant"), [(1, "markov", "v0"), (5, "markov", "v0"), (5, "direct", "d")]
)
def test_a_row_is_the_forecast_from_what_came_before(tmp_path: Path, horizon: int, backend: str, variant: str) -> None:
    labels = drawn(1)
    lake = world(tmp_path / "lake", regimes(labels))
    summary = make(lake, horizon_steps=(horizon,), backend=backend, variant=variant)
    rows = rows_of(lake)
    wanted = expected(labels, horizon, model=backend)
    asked = [d for d in SESSIONS if d >= FIRST]
    assert [r["as_of_date"] for r in rows] == asked
    assert (summary.rows, summary.skipped.total()) == (len(asked), 0)
    for row in rows:
        probabilities, num_transitions = wanted[row["as_of_date"]]
        assert [p["label"] for p in row["probabilities"]] == list(LABELS[::-1])
        np.testing.assert_allclose([p["probability"] for p in row["probabilities"]], probabilities, rtol=1e-12)
        shares = {p["label"]: p["probability"] for p in row["probabilities"]}
        now = row["current_label"]
        assert now == labels[SESSIONS.index(row["as_of_date"])]
        assert row["p_change_any"] == pytest.approx(1 - shares[now])
        assert row["risk_score"] == pytest.approx(shares["CRISIS"] + shares["RISK_OFF"])
        worse = LABELS[: LABELS.index(now)]
        assert row["p_worsen_any"] == pytest.approx(sum(shares[label] for label in worse))
        assert row["p_improve_any"] == pytest.approx(row["p_change_any"] - row["p_worsen_any"])
        assert row["num_transitions"] == num_transitions
        assert (row["entity_type"], row["entity_id"], row["market_id"], row["proxy"]) == (
            "REGION",
            "US",
            "US_EQ",
            "MARKET",
        )
        assert (row["horizon_steps"], row["backend"], row["variant"]) == (horizon, backend, variant)
        assert row["reason"] == (None if row["num_from_current"] else "no past transition from this label")


def test_history_before_the_request_counts_wherever_it_begins(tmp_path: Path) -> None:
    lake = world(tmp_path / "lake", regimes(drawn(2)))
    make(lake)
    whole = lake.digest("state_change_risk")
    pieces = world(tmp_path / "pieces", regimes(drawn(2)))
    for first, last in ((dt.date(2025, 2, 3), LAST), (FIRST, FIRST), (FIRST, LAST)):
        make(pieces, first, last, options=RunOptions(chunk_days=3, executor="serial"))
    assert pieces.digest("state_change_risk") == whole
    assert rows_of(lake)[0]["num_transitions"] == SESSIONS.index(FIRST)


def test_labels_of_long_ago_count_too(tmp_path: Path) -> None:
    long_ago = exchange_sessions("XNYS", dt.date(2015, 3, 2), dt.date(2015, 3, 31)).dates.tolist()
    early = exchange_sessions("XNYS", FIRST, dt.date(2025, 1, 10)).dates.tolist()
    lake = world(
        tmp_path / "lake", regimes(["CARRY"] * len(long_ago), long_ago), regimes(["CARRY"] * len(early), early)
    )
    make(lake, FIRST, early[-1])
    # Nothing joins the two stretches.
    assert [r["num_transitions"] for r in rows_of(lake)] == [len(long_ago) - 1 + i for i in range(len(early))]


def test_labels_after_a_day_have_no_say_in_it(tmp_path: Path) -> None:
    labels = drawn(3)
    lake = world(tmp_path / "lake", regimes(labels))
    make(lake)
    before = rows_of(lake)
    cut = dt.date(2025, 1, 31)
    i = SESSIONS.index(cut) + 1
    lake.upsert("regimes", regimes((["CRISIS", "CARRY"] * N)[: N - i], SESSIONS[i:]))
    summary = make(lake)
    after = rows_of(lake)
    assert summary.done == N - i  # and no day before is even looked at again
    assert [r for r in after if r["as_of_date"] <= cut] == [r for r in before if r["as_of_date"] <= cut]
    assert [r for r in after if r["as_of_date"] > cut] != [r for r in before if r["as_of_date"] > cut]


def test_sessions_without_a_row_or_a_label_are_counted_and_break_pairs(tmp_path: Path) -> None:
    labels: list[Label] = drawn(4)
    unlabelled, missing = SESSIONS.index(FIRST) + 3, SESSIONS.index(FIRST) + 8
    labels[unlabelled] = labels[missing] = None
    kept = [i for i in range(N) if i != missing]
    lake = world(tmp_path / "lake", regimes([labels[i] for i in kept], [SESSIONS[i] for i in kept]))
    summary = make(lake)
    assert summary.skipped == {"no_regime_label": 1, "no_regime": 1}
    counts = lineage(lake, {"stage": "regime_change_risk"})
    assert counts["US/1", SESSIONS[unlabelled]] == counts["US/1", SESSIONS[missing]] == (0, 1)
    rows = {r["as_of_date"]: r for r in rows_of(lake)}
    assert SESSIONS[unlabelled] not in rows
    assert rows[LAST]["num_transitions"] == N - 1 - 4
    for day, (probabilities, num) in expected(labels).items():
        if day >= FIRST:
            assert rows[day]["num_transitions"] == num
            np.testing.assert_allclose([p["probability"] for p in rows[day]["probabilities"]], probabilities)


def test_a_label_taken_back_takes_its_row_along(tmp_path: Path) -> None:
    labels: list[Label] = drawn(5)
    lake = world(tmp_path / "lake", regimes(labels))
    make(lake)
    labels[-1] = None
    lake.upsert("regimes", regimes(labels))
    make(lake)
    assert rows_of(lake)[-1]["as_of_date"] == SESSIONS[-2]


def test_regions_and_horizons_stand_side_by_side(tmp_path: Path) -> None:
    eu = exchange_sessions("XETR", dt.date(2024, 11, 1), dt.date(2025, 2, 28)).dates.tolist()
    lake = world(tmp_path / "lake", regimes(drawn(6)), regimes((drawn(7) * 2)[: len(eu)], eu, region="EU"))
    make(lake, region=("US", "EU"), horizon_steps=(1, 5, 1))
    found = {(r["entity_id"], r["market_id"], r["horizon_steps"]) for r in rows_of(lake)}
    assert found == {(r, f"{r}_EQ", h) for r in ("US", "EU") for h in (1, 5)}
    before = lake.digest("state_change_risk")
    make(lake, region=("EU",), horizon_steps=(5,), options=RunOptions(force=True))
    assert lake.digest("state_change_risk") == before


def test_the_configured_proxy_else_the_only_one_else_a_refusal(tmp_path: Path) -> None:
    market, fund = drawn(8), drawn(9)
    i = SESSIONS.index(dt.date(2025, 2, 3))
    lake = world(tmp_path / "lake", regimes(fund, proxy="SPY.US"), regimes(market[i:], SESSIONS[i:]))
    make(lake)
    rows = {r["as_of_date"]: r for r in rows_of(lake)}
    assert {r["proxy"] for d, r in rows.items() if d < SESSIONS[i]} == {"SPY.US"}
    assert {r["proxy"] for d, r in rows.items() if d >= SESSIONS[i]} == {"MARKET"}
    # Each proxy's own transitions: the market's begin anew.
    assert rows[SESSIONS[i - 1]]["num_transitions"] == i - 1
    assert [rows[d]["num_transitions"] for d in SESSIONS[i : i + 3]] == [0, 1, 2]
    make(lake, proxy="SPY.US", variant="spy")
    assert {r["proxy"] for r in rows_of(lake, variant="spy")} == {"SPY.US"}
    lake.upsert("regimes", regimes(drawn(10), proxy="QQQ.US"))
    with pytest.raises(
        RequestError, match=r"no regime row of proxy MARKET on 2025-01-02, but of QQQ.US, SPY.US; choose"
    ):
        make(lake)


def test_other_models_and_variants_of_regimes_are_read_by_name(tmp_path: Path) -> None:
    lake = world(tmp_path / "lake", regimes(drawn(11)), regimes(drawn(12), variant="text30"))
    make(lake)
    make(lake, regime_variant="text30", variant="text30")
    one, other = (rows_of(lake, variant=v) for v in ("v0", "text30"))
    assert [r["current_label"] for r in one] != [r["current_label"] for r in other]
    assert [r["current_label"] for r in other] == drawn(12)[SESSIONS.index(FIRST) :]


def test_what_is_refused(tmp_path: Path) -> None:
    lake = world(tmp_path / "lake", regimes(drawn(13)))
    with pytest.raises(
        MissingInputError,
        match=r"no regimes \(num-regime-core-v1, variant v0\) of region EU between .*backfill_regimes",
    ):
        make(lake, region=("EU",))
    with pytest.raises(MissingInputError, match="backfill_regimes --region US --date-range 2023-01-03 2023-01-31`"):
        make(lake, dt.date(2023, 1, 3), dt.date(2023, 1, 31))
    context = "--date-range 2025-01-02 2025-02-28 --embedding REGIME_CONTEXT_V0 --variant calibrated`"
    with pytest.raises(MissingInputError, match=context):
        make(lake, model_id="joint-regime-core-v1", regime_variant="calibrated", variant="calibrated")
    with pytest.raises(VariantConflictError, match=r"smoothing is 1\.0, now 0\.5"):
        make(lake, smoothing=0.5)
    with pytest.raises(RequestError, match="--smoothing must be a positive number; got 0"):
        make(lake, smoothing=0.0, variant="x")
    with pytest.raises(RequestError, match=r"--horizon-steps must be whole numbers of at least 1; got \(0,\)"):
        make(lake, horizon_steps=(0,))
    assert make(lake, dt.date(2025, 1, 4), dt.date(2025, 1, 5)).planned == 0  # a weekend
