"""Windows of portfolios in a lake, and the joint space made of them: values, how a path begins, what is not known."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest

from prometheus.errors import MissingInputError, RequestError
from prometheus.lake import Lake
from prometheus.runtime import RunOptions
from prometheus.scripts.backfill_joint_portfolios import main
from prometheus.spaces.numeric import NUM_PORTFOLIO_CORE_V1, slot_table, slots
from prometheus.vectors import from_list_array
from tests.demo_lakes import run
from tests.engine_worlds import LAST, MARKET_ID, NAMES, sessions, world
from tests.risk_books import hold, portfolio_table

MODEL = NUM_PORTFOLIO_CORE_V1.model_id
BEGIN, FIRST = dt.date(2019, 11, 1), dt.date(2020, 2, 3)
DAYS = sessions().between(BEGIN, LAST).dates.tolist()
EQUAL = dict.fromkeys(NAMES, 1 / 16)
LEANING = {NAMES[0]: 0.125, NAMES[1]: 0.0625}
PLACES = {name: i for i, name in enumerate(slots(NUM_PORTFOLIO_CORE_V1, "PORTFOLIO"))}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = world(tmp_path_factory.mktemp("portfolios") / "lake")
    hold(lake, DAYS, EQUAL)
    hold(lake, DAYS[-20:], LEANING, portfolio_id="US_EQ_NEW")
    run(lake, "scenarios", dt.date(2020, 1, 2), LAST, market_id=(MARKET_ID,), method=("bootstrap",), num_paths=40)
    run(lake, "risk", FIRST, LAST, market_id=(MARKET_ID,))
    summary = run(lake, "portfolio_embeddings", FIRST, LAST, market_id=(MARKET_ID,))
    assert summary.line().startswith("portfolio_embeddings [v0]: planned 41, done 41, skipped 0, rows 61")
    run(lake, "joint_portfolio_core", FIRST, LAST, market_id=(MARKET_ID,))
    return lake


def vectors(lake: Lake, name: str, variant: str = "v0") -> dict[dt.date, np.ndarray]:
    where = {"model_id": MODEL, "entity_type": "PORTFOLIO", "entity_id": name, "variant": variant}
    rows = lake.read("numeric_window_embeddings", where=where).sort_by("as_of_date")
    return dict(zip(rows["as_of_date"].to_pylist(), from_list_array(rows["vector"]), strict=True))


def raw(vector: np.ndarray, slot: str) -> float:
    """Value of a slot before centring, scaling and weighting."""
    declared = slot_table(NUM_PORTFOLIO_CORE_V1)[PLACES[slot]]
    block = slot.partition(".")[0]
    width = sum(name.startswith(f"{block}.") for name in PLACES)
    weight = {"scales": 0.866, "exposures": 0.5}[block]
    return float(vector[PLACES[slot]]) * np.sqrt(width) / weight * declared.spread + declared.center


def test_the_slots_are_the_models_and_zeros_follow(lake: Lake) -> None:
    assert len(PLACES) == 56
    found = vectors(lake, "US_EQ_CORE")
    assert len(found) == 41
    for vector in found.values():
        assert vector.shape == (384,)
        assert (vector[56:] == 0).all()
        assert 0.4 < np.linalg.norm(vector) < 3.0


def test_the_path_is_what_the_weights_would_have_made(lake: Lake) -> None:
    """Returns of the window against the closes; the long run from every session there is a book or a beginning for."""
    prices = lake.read("prices_daily", columns=["instrument_id", "as_of_date", "close"], every_version=True).to_pylist()
    calendar = sessions().dates.tolist()
    close = {(r["instrument_id"], r["as_of_date"]): r["close"] for r in prices}
    table = np.array([[close[name, day] for day in calendar] for name in NAMES])
    path = np.log1p(np.r_[0.0, (table[:, 1:] / table[:, :-1] - 1).sum(axis=0) / 16])
    for day in (FIRST, LAST):
        at = calendar.index(day)
        vector = vectors(lake, "US_EQ_CORE")[day]
        sigma = np.sqrt(np.mean(path[1 : at + 1] ** 2))
        for w in (5, 21, 63):
            wanted = path[at - w + 1 : at + 1].sum() / (sigma * np.sqrt(w))
            assert raw(vector, f"scales.return_{w}") == pytest.approx(wanted, rel=1e-4, abs=1e-5)
            level = np.log(np.sqrt(252 * np.mean(path[at - w + 1 : at + 1] ** 2)) / 0.25)
            assert raw(vector, f"scales.volatility_level_{w}") == pytest.approx(level, rel=1e-4)
        assert raw(vector, "scales.volume_known") == 0
        assert raw(vector, "scales.cross_section_known") == 0


def test_exposures_are_those_of_the_days_target_and_report(lake: Lake) -> None:
    reports = lake.read("portfolio_risk_reports", where={"book_id": "US_EQ_CORE"}).to_pylist()
    found = vectors(lake, "US_EQ_CORE")
    for report in reports:
        vector = found[report["as_of_date"]]
        assert raw(vector, "exposures.market_beta") == pytest.approx(report["beta_before"], rel=1e-4)
        assert raw(vector, "exposures.worst_loss") == pytest.approx(report["worst_loss_before"], rel=1e-4)
        assert np.exp(raw(vector, "exposures.ex_ante_volatility")) * 0.15 == pytest.approx(
            report["volatility_before"], rel=1e-4
        )
        assert np.exp(raw(vector, "exposures.var_95")) * 0.06 == pytest.approx(report["var_95_before"], rel=1e-4)
        assert np.exp(raw(vector, "exposures.es_95")) * 0.08 == pytest.approx(report["es_95_before"], rel=1e-4)
        said = json.loads(report["factor_exposures_before"])
        assert raw(vector, "exposures.volatility") == pytest.approx(said["volatility"], abs=1e-4)
        assert raw(vector, "exposures.momentum") == pytest.approx(said["momentum"], abs=1e-4)
        assert np.exp(raw(vector, "exposures.effective_names")) == pytest.approx(12, rel=1e-4)
        assert raw(vector, "exposures.gross") == pytest.approx(0.75, rel=1e-4)
        assert raw(vector, "exposures.cash") == pytest.approx(0.25, rel=1e-4)
        for mask in ("beta_known", "standing_known", "invested", "volatility_known", "scenarios_known"):
            assert raw(vector, f"exposures.{mask}") == pytest.approx(1.0, rel=1e-5)


def test_a_young_portfolio_says_how_much_of_its_window_is_its_own(lake: Lake) -> None:
    own = [raw(v, "exposures.own_books") for v in vectors(lake, "US_EQ_NEW").values()]
    np.testing.assert_allclose(own, np.arange(20) / 63, atol=1e-6)
    old = vectors(lake, "US_EQ_CORE")
    assert raw(old[FIRST], "exposures.own_books") == pytest.approx(DAYS.index(FIRST) / 63, rel=1e-5)
    assert raw(old[LAST], "exposures.own_books") == pytest.approx(1.0)


def test_chunks_and_company_change_no_bit(lake: Lake, tmp_path: Path) -> None:
    again = world(tmp_path / "lake")
    hold(again, DAYS, EQUAL)
    run(again, "portfolio_embeddings", FIRST, LAST, RunOptions(chunk_days=7), market_id=(MARKET_ID,))
    run(lake, "portfolio_embeddings", FIRST, LAST, variant="bare", risk_variant="", market_id=(MARKET_ID,))
    one, other = vectors(again, "US_EQ_CORE"), vectors(lake, "US_EQ_CORE", "bare")
    assert one.keys() == other.keys()
    for day, vector in one.items():
        np.testing.assert_array_equal(vector, other[day])
    # Without a report nothing is known that weights do not say, and the masks say so.
    for slot in ("market_beta", "volatility", "var_95", "worst_loss", "beta_known", "scenarios_known"):
        assert vector[PLACES[f"exposures.{slot}"]] == 0, slot
    assert raw(vector, "exposures.gross") == pytest.approx(0.75, rel=1e-4)


def test_portfolios_without_reports_are_counted(tmp_path: Path) -> None:
    lake = world(tmp_path / "lake")
    hold(lake, DAYS[-3:], {})
    hold(lake, DAYS[-2:], EQUAL, portfolio_id="US_EQ_OTHER")
    summary = run(lake, "portfolio_embeddings", DAYS[-4], LAST, market_id=(MARKET_ID,))
    assert summary.notes["portfolios without a risk report"] == 5
    assert dict(summary.skipped) == {"no_portfolio": 1, "zero_volatility": 3}
    # A portfolio that is asked for alone leaves the others be.
    before = vectors(lake, "US_EQ_OTHER")
    run(lake, "portfolio_embeddings", LAST, LAST, market_id=(MARKET_ID,), portfolio_id=("US_EQ_CORE",))
    assert vectors(lake, "US_EQ_OTHER").keys() == before.keys()


def test_another_models_portfolios_have_windows_beside(lake: Lake) -> None:
    model = "portfolio-mean-variance-v1"
    lake.upsert("target_portfolios", portfolio_table(dict.fromkeys(DAYS, LEANING), model_id=model))
    before = vectors(lake, "US_EQ_CORE")
    run(lake, "portfolio_embeddings", LAST, LAST, market_id=(MARKET_ID,), portfolio_model_id=model)
    assert set(vectors(lake, "US_EQ_CORE:MEAN_VARIANCE")) == {LAST}
    assert vectors(lake, "US_EQ_CORE").keys() == before.keys()


def test_the_joint_rows_are_the_windows(lake: Lake) -> None:
    rows = lake.read("joint_embeddings", where={"joint_type": "PORTFOLIO_CORE_V0"}).to_pylist()
    assert len(rows) == 61
    of_core = vectors(lake, "US_EQ_CORE")
    for row in rows:
        assert json.loads(row["entity_scope"]) == {
            "portfolio_id": row["entity_key"],
            "region": "US",
            "source": "num-portfolio",
        }
        (branch,) = row["branches"]
        assert branch["source_key"] == f"PORTFOLIO/{row['entity_key']}"
        assert branch["source_date"] == row["as_of_date"]
        if row["entity_key"] == "US_EQ_CORE":
            np.testing.assert_array_equal(np.array(row["vector"], np.float32), of_core[row["as_of_date"]])


def test_the_command_makes_both_and_refusals_name_it(lake: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    root = ["--lake", str(lake.location.root), "--market-id", MARKET_ID]
    assert main(["--as-of", str(LAST), *root]) == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert "portfolio_embeddings [v0]: planned 1" in err
    assert "joint_portfolio_core [v0]: planned 1" in err
    assert main(["--as-of", "2019-03-01", *root]) == 1
    assert "backfill_portfolios --date-range 2019-03-01 2019-03-01" in capfd.readouterr().err
    day = dt.date(2019, 3, 1)
    with pytest.raises(MissingInputError, match="backfill_joint_portfolios --date-range 2019-03-01 2019-03-01"):
        run(lake, "joint_portfolio_core", day, day)
    with pytest.raises(SystemExit, match="2"):
        main(["--as-of", str(LAST), *root, "--encoder", "pca"])
    assert "invalid choice: 'pca'" in capfd.readouterr().err
    with pytest.raises(RequestError, match="num-portfolio-core-v1 is a model of portfolios"):
        run(lake, "numeric_embeddings", LAST, LAST, model_id=MODEL)
