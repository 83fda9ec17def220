"""Books, actions and reports in a lake: limits kept, actions replayed, what is not known said, refusals."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest

from prometheus.errors import BadDataError, MissingInputError, RequestError, VariantConflictError
from prometheus.lake import Lake
from prometheus.scripts.backfill_risk import main
from tests.crashes import doctor
from tests.demo_lakes import run, sql
from tests.engine_worlds import DEAD, DELISTED, LAST, MARKET_ID, NAMES, UPSTREAM, sessions, world
from tests.risk_books import hold, hold_what_trades, portfolio_table, replayed

FIRST = dt.date(2020, 2, 3)
DAYS = sessions().between(FIRST, LAST).dates.tolist()
BOOK = "US_EQ_CORE"
SECTORS = {name: "Energy" if i % 2 else "Utilities" for i, name in enumerate(NAMES)}
LEVERED = dict.fromkeys(NAMES[:6], 0.25)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A levered portfolio of six names, and one of every name that trades, with classes and scenarios."""
    lake = world(tmp_path_factory.mktemp("risk") / "lake")
    hold(lake, DAYS, LEVERED, sectors=SECTORS)
    hold_what_trades(lake, FIRST, LAST, 1 / 32, portfolio_id="US_EQ_WIDE", sectors=SECTORS)
    given = {"method": ("bootstrap", "stressed"), "num_paths": 60, "horizon_days": 10}
    run(lake, "scenarios", UPSTREAM, LAST, market_id=(MARKET_ID,), **given)
    run(lake, "stability", FIRST, LAST, market_id=(MARKET_ID,), model_id="stability-basic-v1")
    summary = run(lake, "risk", FIRST, LAST, market_id=(MARKET_ID,), stability_model_id="stability-basic-v1")
    assert summary.done == len(DAYS)
    return lake


def test_every_book_keeps_every_limit_and_owes_nothing(lake: Lake) -> None:
    rows = lake.read("portfolio_risk_reports").to_pylist()
    assert len(rows) == 2 * len(DAYS)
    for row in rows:
        assert row["gross"] <= 1 + 1e-9
        assert row["cash"] >= 0
        assert row["net"] + row["cash"] == pytest.approx(1, abs=1e-12)
        assert (row["largest_weight"] or 0) <= 0.1 + 1e-9
        assert (row["largest_sector_weight"] or 0) <= 0.35 + 1e-9
        assert row["volatility"] <= 0.3 * (1 + 1e-9)
        assert row["es_95"] <= 0.2 * (1 + 1e-9)
        assert row["gross"] <= row["gross_before"] + 1e-12
    rules = {rule for row in rows for rule in (row["rules"] or "").split("+")}
    assert {"BREAKER", "NAME_CAP"} <= rules


def test_actions_replayed_lead_to_the_book(lake: Lake) -> None:
    targets: dict[tuple[str, dt.date], dict[str, float]] = {}
    for row in lake.read("book_targets").to_pylist():
        targets.setdefault((row["book_id"], row["as_of_date"]), {})[row["instrument_id"]] = row["weight"]
    assert len(targets) == 2 * len(DAYS)
    for (book_id, day), weights in list(targets.items())[:: len(DAYS) // 8]:
        assert replayed(lake, book_id, day) == weights
        assert sum(weights.values()) == pytest.approx(1, abs=1e-12)
    counted = sql(lake, "select book_id, as_of_date, count(*) as n from risk_actions group by 1, 2")
    said = {(r["book_id"], r["as_of_date"]): r["num_actions"] for r in lake.read("portfolio_risk_reports").to_pylist()}
    assert {(r["book_id"], r["as_of_date"]): r["n"] for r in counted} == {k: n for k, n in said.items() if n}


def test_a_change_says_what_was_exceeded(lake: Lake) -> None:
    (row,) = sql(
        lake,
        f"select * from risk_actions where book_id = '{BOOK}' and as_of_date = '{FIRST}' and rule = 'NAME_CAP' "
        f"and instrument_id = '{NAMES[0]}'",
    )
    assert (row["weight_before"], row["weight_after"], row["limit_value"], row["value"]) == (0.25, 0.1, 0.1, 0.25)
    assert row["why"] == "0.2500 of the capital is more than 0.1 in one name; cut to 0.1000"
    (cash,) = sql(
        lake,
        f"select * from risk_actions where book_id = '{BOOK}' and as_of_date = '{FIRST}' and rule = 'NAME_CAP' "
        "and instrument_id = 'CASH'",
    )
    assert cash["why"] == "what NAME_CAP frees"
    assert cash["weight_before"] == pytest.approx(-0.5)


def test_figures_are_those_of_the_portfolio_and_of_the_book(lake: Lake) -> None:
    for row in lake.read("portfolio_risk_reports", where={"book_id": BOOK}).to_pylist():
        assert row["gross_before"] == pytest.approx(1.5)
        assert row["cash_before"] == pytest.approx(-0.5)
        assert row["volatility"] < row["volatility_before"]
        assert row["volatility"] ** 2 == pytest.approx(row["volatility_factors"] ** 2 + row["volatility_residual"] ** 2)
        assert row["es_95_before"] > row["var_95_before"] > 0
        assert (row["horizon_days"], row["num_scenarios"]) == (10, 60)
        assert row["scenarios_of"] <= row["as_of_date"]
        assert row["worst_scenario"].partition("/")[0].endswith(f"{row['scenarios_of']:%Y%m%d}")
        exposures = json.loads(row["factor_exposures"])
        assert set(exposures["sectors"]) <= {"US_EQ/Energy", "US_EQ/Utilities"}
        assert sum(json.loads(row["sector_weights"]).values()) == pytest.approx(row["gross"])
        assert row["reason"] is None
        assert (row["proxied_weight"], row["unclassified_weight"]) == (0.0, 0.0)


def test_volatility_now_is_higher_than_before_the_storm(lake: Lake) -> None:
    """The world's returns treble in its last eight weeks."""
    rows = lake.read("portfolio_risk_reports", where={"book_id": BOOK}).sort_by("as_of_date").to_pylist()
    assert rows[-1]["volatility_before"] > 1.5 * rows[0]["volatility_before"]
    assert rows[-1]["var_95_before"] > 1.5 * rows[0]["var_95_before"]


def test_turnover_is_against_the_session_before_wherever_a_run_begins(lake: Lake, tmp_path: Path) -> None:
    rows = lake.read("portfolio_risk_reports", where={"book_id": "US_EQ_WIDE"}).sort_by("as_of_date").to_pylist()
    assert rows[0]["turnover"] is None
    assert all(r["turnover"] is not None for r in rows[1:])
    held: dict[dt.date, dict[str, float]] = {}
    for row in lake.read("book_targets", where={"book_id": "US_EQ_WIDE"}).to_pylist():
        held.setdefault(row["as_of_date"], {})[row["instrument_id"]] = row["weight"]
    for before, now, row in zip(DAYS, DAYS[1:], rows[1:], strict=False):
        names = held[before].keys() | held[now].keys()
        moved = sum(abs(held[now].get(n, 0.0) - held[before].get(n, 0.0)) for n in names)
        assert row["turnover"] == pytest.approx(moved / 2, abs=1e-12)
    # Made again from the middle on: the first day has its turnover too, and not a bit is another.
    before_digest = lake.digest("portfolio_risk_reports")
    run(lake, "risk", DAYS[20], DAYS[25], market_id=(MARKET_ID,), stability_model_id="stability-basic-v1")
    from prometheus.runtime import RunOptions

    run(
        lake,
        "risk",
        DAYS[20],
        DAYS[25],
        RunOptions(force=True),
        market_id=(MARKET_ID,),
        stability_model_id="stability-basic-v1",
    )
    assert lake.digest("portfolio_risk_reports") == before_digest


def test_a_name_that_left_is_in_no_book(lake: Lake) -> None:
    rows = lake.read("book_targets", where={"instrument_id": DEAD}).to_pylist()
    assert max(r["as_of_date"] for r in rows) == DELISTED


def test_the_doctor_finds_the_rows_that_lineage_counts(lake: Lake) -> None:
    found = doctor(Path(lake.location.root)).findings
    # The portfolios were written by hand, so lineage knows nothing of them.
    assert {f.table for f in found} == {"target_portfolios"}


def test_what_is_not_known_is_said_and_counted(tmp_path: Path) -> None:
    """No scenarios, no classes, no sectors, and on the first days no factor model either."""
    lake = world(tmp_path / "lake")
    early = sessions().dates[100:102].tolist()
    hold(lake, [*early, DAYS[0]], LEVERED)
    summary = run(lake, "risk", early[0], DAYS[0], market_id=(MARKET_ID,))
    rows = lake.read("portfolio_risk_reports").sort_by("as_of_date").to_pylist()
    assert len(rows) == 3
    words = "names_without_class+names_without_sector"
    assert rows[0]["reason"] == f"no_market_factor+no_scenarios+names_without_beta+{words}"
    assert rows[2]["reason"] == f"no_scenarios+{words}"
    for name in ("beta", "volatility", "var_95", "es_95", "worst_loss", "worst_scenario", "horizon_days"):
        assert rows[0][name] is None, name
    assert rows[2]["volatility"] > 0
    assert rows[2]["var_95"] is None
    assert rows[0]["proxied_weight"] == pytest.approx(0.6)
    assert rows[0]["unclassified_weight"] == pytest.approx(0.6)
    assert json.loads(rows[0]["factor_exposures"])["market"] is None
    assert summary.notes["books: no_scenarios"] == 3
    assert summary.notes["books: no_market_factor"] == 2
    assert summary.skipped["no_portfolio"] == len(sessions().between(early[0], DAYS[0])) - 3
    reasons = {r["reason"] for r in lake.read("book_targets", where={"as_of_date": early[0]}).to_pylist()}
    assert reasons == {"no_class+no_beta", None}, "cash lacks nothing"


def test_only_known_scenarios_count(lake: Lake) -> None:
    """Sets are made at the end of each month; a day of the month sees those of the month before."""
    rows = lake.read("portfolio_risk_reports", where={"book_id": BOOK}).to_pylist()
    seen = {(r["as_of_date"].month, r["as_of_date"] == r["scenarios_of"]): r["scenarios_of"] for r in rows}
    assert seen[2, False] == dt.date(2020, 1, 31)
    assert seen[2, True] == dt.date(2020, 2, 28)
    assert seen[3, False] == dt.date(2020, 2, 28)


def test_books_of_other_portfolios_stand_beside(lake: Lake) -> None:
    model = "portfolio-inverse-volatility-v1"
    lake.upsert("target_portfolios", portfolio_table({DAYS[0]: LEVERED}, model_id=model))
    before = lake.read("book_targets", where={"book_id": BOOK})
    run(lake, "risk", DAYS[0], DAYS[0], market_id=(MARKET_ID,), portfolio_model_id=model)
    (row,) = lake.read("portfolio_risk_reports", where={"portfolio_model_id": model}).to_pylist()
    assert (row["book_id"], row["portfolio_id"]) == (f"{BOOK}:INVERSE_VOLATILITY", BOOK)
    assert lake.read("book_targets", where={"book_id": BOOK}).equals(before)


def test_wrong_requests_are_refused(lake: Lake, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    day = (DAYS[0], DAYS[0])
    with pytest.raises(RequestError, match=r"max_net must be 0 to 1, or a book could owe cash; got 1.3"):
        run(lake, "risk", *day, variant="x", max_net=1.3)
    with pytest.raises(RequestError, match=r"max_name must be 0 or more, or null to switch the rule off; got -0.1"):
        run(lake, "risk", *day, variant="x", max_name=-0.1)
    with pytest.raises(RequestError, match=r"half_life must be a positive number of sessions; got 0"):
        run(lake, "risk", *day, variant="x", half_life=0.0)
    with pytest.raises(VariantConflictError, match=r"max_name is 0\.1, now 0.2"):
        run(lake, "risk", *day, max_name=0.2, stability_model_id="stability-basic-v1")
    with pytest.raises(MissingInputError, match=r"there are no target portfolios .*the next are of 2020-02-03"):
        run(lake, "risk", dt.date(2020, 1, 2), dt.date(2020, 1, 3), variant="other")
    root = str(lake.location.root)
    assert main(["--as-of", "2020-01-02", "--lake", root, "--market-id", MARKET_ID, "--variant", "other"]) == 1
    assert "backfill_portfolios --date-range 2020-01-02 2020-01-02" in capfd.readouterr().err
    loose = world(tmp_path / "loose")
    rows = portfolio_table({DAYS[0]: LEVERED})
    loose.upsert("target_portfolios", rows.slice(0, rows.num_rows - 1))
    with pytest.raises(BadDataError, match=r"the weights of US_EQ_CORE on 2020-02-03 sum to 1.500000 with CASH"):
        run(loose, "risk", *day)


def test_other_limits_have_a_name_of_their_own(lake: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    """From the command line, with one rule off."""
    asked = ["--as-of", str(DAYS[3]), "--market-id", MARKET_ID, "--variant", "loose", "--lake", str(lake.location.root)]
    asked += ["--stability-model-id", "stability-basic-v1", "--max-name", "0.2"]
    asked += ["--overrides", "engine.risk.max_sector=null", "engine.risk.breaker_weight=null"]
    assert main(asked) == 0
    assert "risk [loose]: planned 1, done 1" in capfd.readouterr().err
    (row,) = lake.read("portfolio_risk_reports", where={"variant": "loose", "book_id": BOOK}).to_pylist()
    assert row["rules"].startswith("NAME_CAP+GROSS")
    np.testing.assert_allclose(row["largest_weight"], 0.2 / 1.2)
