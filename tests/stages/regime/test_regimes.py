"""Regimes: labels with their probabilities or a reason, from prototypes that saw nothing of the year they serve."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from prometheus.clock import exchange_sessions
from prometheus.engines.regime import LABELS, MIN_WINDOWS
from prometheus.errors import MissingInputError, RequestError, VariantConflictError
from prometheus.lake import Lake
from prometheus.market.calendars import stored_sessions
from prometheus.vectors import from_list_array
from tests.demo_lakes import copy_lake, run
from tests.market_rows import grid_table, instrument_table

REASON = f"fewer than {MIN_WINDOWS} windows before the year"
JANUARY = dt.date(2025, 1, 2), dt.date(2025, 1, 31)
CALENDARS = {"US": "XNYS", "EU": "XETR"}


def rows_of(lake: Lake, table: str = "regimes", **where: object) -> list[dict]:
    return lake.read(table, where=where).sort_by([("region", "ascending"), ("as_of_date", "ascending")]).to_pylist()


def test_no_label_but_a_reason_where_too_little_is_known(demo_lake: Path) -> None:
    early = [r for r in rows_of(Lake.open(demo_lake)) if r["as_of_year"] < 2025]
    assert {(r["region"], r["as_of_year"]) for r in early} == {(x, y) for x in ("US", "EU") for y in (2023, 2024)}
    for row in early:
        assert (row["regime_label"], row["confidence"], row["probabilities"], row["fitted_on"]) == (None,) * 4
        assert row["reason"] == REASON
        assert len(row["regime_embedding"]) == 384


def test_label_confidence_and_probabilities_follow_from_the_prototypes(demo_lake: Path) -> None:
    lake = Lake.open(demo_lake)
    labelled = rows_of(lake, as_of_year=2025)
    assert len({r["regime_label"] for r in labelled}) > 1
    for row in labelled:
        shares = {p["label"]: p["probability"] for p in row["probabilities"]}
        assert set(shares) == set(LABELS)
        assert sum(shares.values()) == pytest.approx(1.0, abs=1e-12)
        assert row["confidence"] == max(shares.values())
        assert row["regime_label"] == max(shares, key=shares.__getitem__)
        assert row["reason"] is None
        prototypes = rows_of(lake, "regime_prototypes", region=row["region"], year=2025)
        gaps = {
            p["label"]: np.square(np.subtract(row["regime_embedding"], p["centroid"], dtype=np.float64)).sum()
            for p in prototypes
        }
        scores = np.exp([-(gaps[name] - min(gaps.values())) / prototypes[0]["temperature"] for name in LABELS])
        np.testing.assert_allclose([shares[name] for name in LABELS], scores / scores.sum(), atol=1e-9)


def test_prototypes_saw_nothing_of_the_year_they_serve(demo_lake: Path) -> None:
    lake = Lake.open(demo_lake)
    for region, calendar_id in CALENDARS.items():
        sessions = stored_sessions(lake, calendar_id).dates
        before = sessions[np.searchsorted(sessions, np.datetime64("2025-01-01")) - 1].item()
        prototypes = rows_of(lake, "regime_prototypes", region=region)
        assert sorted(p["label"] for p in prototypes) == sorted(LABELS)
        assert {(p["year"], p["as_of_date"]) for p in prototypes} == {(2025, before)}
        assert {r["fitted_on"] for r in rows_of(lake, region=region, as_of_year=2025)} == {before}
        past = lake.count("regimes", {"region": region, "as_of_year": [2022, 2023, 2024]})
        assert sum(p["num_windows"] for p in prototypes) == past >= MIN_WINDOWS
        by_label = {p["label"]: p for p in prototypes}
        volatility = [by_label[name]["mean_volatility"] for name in LABELS]
        assert volatility[0] >= volatility[1] >= max(volatility[2:])
        assert by_label["CARRY"]["mean_return"] >= by_label["NEUTRAL"]["mean_return"]


def test_the_embedding_is_the_markets_window(demo_lake: Path) -> None:
    lake = Lake.open(demo_lake)
    market = {"entity_type": "MARKET", "entity_id": "US_EQ", "model_id": "num-regime-core-v1"}
    windows = lake.read("numeric_window_embeddings", where=market)
    windows = windows.sort_by("as_of_date")
    regimes = lake.read("regimes", where={"region": "US"}).sort_by("as_of_date")
    assert regimes["as_of_date"].to_pylist() == windows["as_of_date"].to_pylist()
    np.testing.assert_array_equal(from_list_array(regimes["regime_embedding"]), from_list_array(windows["vector"]))


def test_an_instrument_and_the_market_stand_side_by_side(demo_copy: Lake) -> None:
    market = demo_copy.digest("regimes")
    for stage in ("regime_prototypes", "regimes"):
        run(demo_copy, stage, *JANUARY, instrument_id="AAPL.US")
    both = {(r["proxy"], r["as_of_date"]) for r in rows_of(demo_copy, region="US", as_of_year=2025)}
    days = {day for proxy, day in both if proxy == "AAPL.US"}
    assert len(days) == 20
    assert {("MARKET", day) for day in days} <= both
    assert demo_copy.digest("regimes", {"proxy": "MARKET"}) == market
    apple = {"entity_type": "INSTRUMENT", "entity_id": "AAPL.US", "model_id": "num-regime-core-v1"}
    windows = demo_copy.read("numeric_window_embeddings", dates=JANUARY, where=apple).sort_by("as_of_date")
    mine = demo_copy.read("regimes", where={"proxy": "AAPL.US"}).sort_by("as_of_date")
    np.testing.assert_array_equal(from_list_array(mine["regime_embedding"]), from_list_array(windows["vector"]))
    fits = {(p["proxy"], p["year"]) for p in rows_of(demo_copy, "regime_prototypes", region="US")}
    assert fits == {("MARKET", 2025), ("AAPL.US", 2025)}


def test_later_data_does_not_move_a_label(demo_lake: Path, tmp_path: Path) -> None:
    """A lake that only knows what was known at the end of January, and the same lake two months later."""
    demo = Lake.open(demo_lake)
    lake = Lake.open(tmp_path / "lake", create=True)
    cut = dt.datetime(2025, 1, 31, 23, 59, 59, tzinfo=dt.UTC)
    tables = {t: demo.read(t, every_version=True) for t in ("instruments", "prices_daily", "corporate_actions")}
    for name, rows in tables.items():
        lake.deliver(name, rows.filter(pc.less_equal(rows["known_at"], cut)))
    for stage in ("regime_prototypes", "regimes"):
        run(lake, stage, *JANUARY)
    before = rows_of(lake)
    assert len(before) == 20
    assert all(r["regime_label"] for r in before)
    for name, rows in tables.items():
        lake.deliver(name, rows)
    for stage in ("regime_prototypes", "regimes"):
        summary = run(lake, stage, JANUARY[0], dt.date(2025, 3, 31))
        assert summary.already == (1 if stage == "regime_prototypes" else 20)
    after = rows_of(lake)
    assert len(after) > len(before)
    assert after[: len(before)] == before
    assert after == rows_of(demo, region="US", as_of_year=2025)


def test_a_fit_does_not_depend_on_where_the_request_begins(tmp_path: Path) -> None:
    sessions = exchange_sessions("XNYS", dt.date(2014, 1, 2), dt.date(2020, 12, 31))
    steps = np.random.default_rng(3).standard_normal(len(sessions)) * 0.01
    prices = grid_table(sessions, {"A.US": (50 * np.exp(np.cumsum(steps))).tolist()})
    fits = []
    for name, first in (("late", dt.date(2020, 12, 1)), ("early", dt.date(2014, 6, 2))):
        lake = Lake.open(tmp_path / name, create=True)
        lake.deliver("prices_daily", prices)
        lake.deliver("instruments", instrument_table([{"instrument_id": "A.US"}]))
        run(lake, "regime_prototypes", first, dt.date(2020, 12, 31), instrument_id="A.US")
        fits.append(rows_of(lake, "regime_prototypes", year=2020))
    assert fits[0] == fits[1]
    assert sum(p["num_windows"] for p in fits[0]) > 1_300


def test_labels_come_once_the_prototypes_are_there(raw_copy: Lake) -> None:
    run(raw_copy, "regimes", *JANUARY)
    assert {(r["regime_label"], r["reason"]) for r in rows_of(raw_copy)} == {(None, REASON)}
    run(raw_copy, "regime_prototypes", *JANUARY)
    again = run(raw_copy, "regimes", *JANUARY)
    assert again.done == 20
    assert all(r["regime_label"] and r["reason"] is None for r in rows_of(raw_copy))


def test_one_region_first_and_then_both_lose_nothing(raw_copy: Lake) -> None:
    run(raw_copy, "regimes", JANUARY[0], dt.date(2025, 1, 3), region=("EU",))
    before = rows_of(raw_copy)
    run(raw_copy, "regimes", *JANUARY, region=("US", "EU"))
    assert [r for r in rows_of(raw_copy) if r["region"] == "EU"][: len(before)] == before
    assert len(before) == 2


def test_the_same_rows_whatever_is_asked_at_once(demo_lake: Path, tmp_path: Path) -> None:
    lake = copy_lake(demo_lake, tmp_path / "lake", only="raw")
    run(lake, "regime_prototypes", *JANUARY, region=("EU", "US"))
    for region in CALENDARS:
        run(lake, "regimes", dt.date(2025, 1, 20), JANUARY[1], region=(region,))
    run(lake, "regimes", *JANUARY, region=("US", "EU"))
    expected = [r for r in rows_of(Lake.open(demo_lake), as_of_year=2025) if r["as_of_date"] <= JANUARY[1]]
    assert rows_of(lake) == expected


def test_one_variant_has_one_head_and_one_kind_of_window(raw_copy: Lake) -> None:
    """Rows of ``regimes`` say neither which head made them nor, of the market's windows, which stage did."""
    run(raw_copy, "regime_prototypes", *JANUARY, backend="volatility", variant="alt")
    for stage in ("regime_prototypes", "regimes"):
        run(raw_copy, stage, *JANUARY, backend="volatility", variant="alt")
        with pytest.raises(VariantConflictError, match="backend was 'volatility', now 'nowcast'"):
            run(raw_copy, stage, *JANUARY, backend="nowcast", variant="alt")
    windows = {"entity_type": ("MARKET",), "window_days": 80}
    with pytest.raises(VariantConflictError, match=r"shared with regimes, .* window_days was None, now 80"):
        run(raw_copy, "numeric_embeddings", *JANUARY, variant="alt", **windows)
    run(raw_copy, "numeric_embeddings", *JANUARY, variant="eighty", **windows)
    with pytest.raises(VariantConflictError, match=r"shared with numeric_embeddings, .* window_days was 80, now None"):
        run(raw_copy, "regimes", *JANUARY, backend="volatility", variant="eighty")


def test_refusals_say_what_to_do(raw_copy: Lake) -> None:
    with pytest.raises(RequestError, match=r"no instrument MRTL\.EU in market US_EQ \(region US\)"):
        run(raw_copy, "regimes", *JANUARY, instrument_id="MRTL.EU")
    with pytest.raises(RequestError, match="can stand for one region"):
        run(raw_copy, "regimes", *JANUARY, instrument_id="AAPL.US", region=("US", "EU"))
    with pytest.raises(RequestError, match="declares ASIA, EU, US"):
        run(raw_copy, "regimes", *JANUARY, region=("MOON",))
    with pytest.raises(MissingInputError, match="no instruments of market ASIA_EQ"):
        run(raw_copy, "regimes", *JANUARY, region=("ASIA",))
    with pytest.raises(MissingInputError, match="prometheus ingest"):
        run(raw_copy, "regimes", dt.date(2015, 1, 5), dt.date(2015, 1, 9))
    assert raw_copy.count("regimes") == 0
