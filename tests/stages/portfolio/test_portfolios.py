"""Portfolios in a lake: what stands between rebalances, what a turnover limit remembers, what makes a day stale."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from prometheus.engines.portfolio import BACKENDS
from prometheus.errors import MissingInputError, RequestError
from prometheus.lake import Lake, contract
from prometheus.runtime import RunOptions
from prometheus.runtime.withdrawal import latest_lineage, withdraw
from prometheus.scripts.backfill_portfolios import main
from prometheus.stages.portfolio.params import MODEL_IDS, PortfoliosParams
from tests.demo_lakes import run, sql
from tests.engine_worlds import DEAD, DELISTED, FIRST, LAST, MARKET_ID
from tests.scored_worlds import GIVEN as SCORED

GIVEN: dict[str, Any] = {
    "universe_variant": "plain",
    "assessment_model_id": "assessment-basic-v1",
    "assessment_variant": "soft",
    "market_id": (MARKET_ID,),
    "max_weight": 0.2,
    "max_sector_weight": 0.6,
    "variant": "plain",
}
MEAN_VARIANCE: dict[str, Any] = {**GIVEN, "model_id": MODEL_IDS["mean_variance"]}


@pytest.fixture(scope="module")
def held(scored_world: Lake, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Portfolios of every backend over the quarter, decided weekly. For reading."""
    lake = copy(scored_world, tmp_path_factory.mktemp("held"))
    for backend in BACKENDS:
        run(lake, "portfolios", FIRST, LAST, **{**GIVEN, "model_id": MODEL_IDS[backend]})
    return lake


def copy(lake: Lake, folder: Path) -> Lake:
    shutil.copytree(lake.location.root, folder / "copy")
    return Lake.open(folder / "copy")


def rows_of(lake: Lake, backend: str = "mean_variance") -> pl.DataFrame:
    rows = lake.read("target_portfolios", where={"model_id": MODEL_IDS[backend]})
    return pl.DataFrame(pl.from_arrow(rows)).sort("as_of_date", "instrument_id")


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_session_holds_all_of_the_capital_and_keeps_the_caps(held: Lake, backend: str) -> None:
    rows = rows_of(held, backend)
    assert rows["as_of_date"].n_unique() == 62
    sums = rows.group_by("as_of_date").agg(
        pl.col("weight").sum(), (pl.col("instrument_id") == "CASH").sum().alias("cash")
    )
    assert (sums["weight"] - 1).abs().max() <= 1e-12
    assert set(sums["cash"]) == {1}
    names = rows.filter(pl.col("instrument_id") != "CASH")
    assert names["weight"].min() > 0
    assert names["weight"].max() <= 0.2 + 1e-12
    assert names.group_by("as_of_date", "sector").agg(pl.col("weight").sum())["weight"].max() <= 0.6 + 1e-12
    assert set(rows["backend"]) == {backend}
    assert (names["volatility"].null_count() == 0) == (backend != "score_proportional"), "a score alone needs none"


def test_a_decision_stands_until_the_first_session_of_the_next_week(held: Lake) -> None:
    rows = rows_of(held).filter(pl.col("instrument_id") != DEAD)
    weeks = rows.group_by("rebalanced_on").agg(pl.col("as_of_date").unique().sort())
    for decided, days in weeks.iter_rows():
        assert days[0] == decided
        assert {d.isocalendar()[:2] for d in days} == {decided.isocalendar()[:2]}
    assert dt.date(2020, 2, 18) in set(weeks["rebalanced_on"]), "the Monday was a holiday"
    names = rows.filter(pl.col("instrument_id") != "CASH")
    assert names.group_by("rebalanced_on", "instrument_id").agg(pl.col("weight").n_unique())["weight"].max() == 1


def test_what_is_no_longer_listed_becomes_cash(held: Lake) -> None:
    """DEAD is delisted on a Monday, having been held."""
    rows = rows_of(held, "inverse_volatility")
    week = rows.filter(pl.col("rebalanced_on") == DELISTED)
    mine = week.filter(pl.col("instrument_id") == DEAD)
    assert mine["as_of_date"].to_list() == [DELISTED]
    cash = dict(week.filter(pl.col("instrument_id") == "CASH").select("as_of_date", "weight").iter_rows())
    assert cash[DELISTED + dt.timedelta(1)] == pytest.approx(cash[DELISTED] + mine["weight"][0], abs=1e-12)


def test_turnover_is_limited_from_one_rebalance_to_the_next(held: Lake) -> None:
    rows = rows_of(held).filter((pl.col("as_of_date") == pl.col("rebalanced_on")) & (pl.col("instrument_id") != "CASH"))
    grid = rows.pivot("instrument_id", index="as_of_date", values="weight").sort("as_of_date").fill_null(0.0)
    members = pl.DataFrame(pl.from_arrow(held.read("universe_members", where={"variant": "plain"})))
    bought = sold = 0.0
    for before, now in zip(grid[:-1].iter_rows(named=True), grid[1:].iter_rows(named=True), strict=True):
        day, _ = now.pop("as_of_date"), before.pop("as_of_date")
        candidates = set(members.filter((pl.col("as_of_date") == day) & pl.col("rank").is_not_null())["instrument_id"])
        change = {n: now[n] - before[n] for n in now}
        bought = max(bought, sum(c for c in change.values() if c > 0))
        sold = max(sold, -sum(c for n, c in change.items() if c < 0 and n in candidates))
    assert max(bought, sold) <= 0.10 + 1e-12
    assert min(bought, sold) > 0.09, "it binds"


def test_a_name_that_is_only_out_of_room_is_kept_and_not_bought(scored_world: Lake, tmp_path: Path) -> None:
    lake = copy(scored_world, tmp_path)
    run(lake, "universes", FIRST, LAST, **{**SCORED, "max_names": 6, "core_names": 3, "variant": "narrow"})
    run(lake, "portfolios", FIRST, LAST, **{**MEAN_VARIANCE, "universe_variant": "narrow", "variant": "narrow"})
    rows = rows_of(lake).filter(pl.col("as_of_date") == pl.col("rebalanced_on"))
    members = pl.DataFrame(pl.from_arrow(lake.read("universe_members", where={"variant": "narrow"})))
    held = rows.join(members.select("as_of_date", "instrument_id", "excluded_by"), on=["as_of_date", "instrument_id"])
    before = rows.select("instrument_id", (pl.col("as_of_date")).alias("before"), pl.col("weight").alias("was"))
    days = sorted(set(rows["as_of_date"]))
    previous = dict(zip(days[1:], days[:-1], strict=True))
    capped = held.filter(pl.col("excluded_by").is_not_null())
    assert set(capped["excluded_by"]) == {"SIZE_CAP"}
    capped = capped.with_columns(before=pl.col("as_of_date").replace_strict(previous)).join(
        before, on=["instrument_id", "before"], how="left"
    )
    assert (capped["weight"] <= capped["was"] + 1e-12).all()


@pytest.mark.parametrize(
    "asks",
    [
        [(dt.date(2020, 2, 5), dt.date(2020, 2, 12)), (dt.date(2020, 3, 31), LAST)],
        [(dt.date(2020, 1, 6), dt.date(2020, 1, 6)), (dt.date(2020, 1, 2), dt.date(2020, 2, 27)), (FIRST, LAST)],
    ],
)
def test_rows_are_the_same_wherever_requests_begin_and_end(
    held: Lake, scored_world: Lake, tmp_path: Path, asks: list[tuple[dt.date, dt.date]]
) -> None:
    lake = copy(scored_world, tmp_path)
    for first, last in asks:
        run(lake, "portfolios", first, last, RunOptions(executor="serial", chunk_days=7), **MEAN_VARIANCE)
    assert rows_of(lake).equals(rows_of(held))


def test_a_day_taken_back_in_the_middle_is_made_again_as_it_was(held: Lake, tmp_path: Path) -> None:
    lake = copy(held, tmp_path)
    days = [dt.date(2020, 1, 13), dt.date(2020, 1, 14), dt.date(2020, 3, 2)]
    variants = pl.DataFrame(pl.from_arrow(lake.read("variants", where={"surface": MEAN_VARIANCE["model_id"]})))
    done = latest_lineage(lake).filter(pl.col("settings_digest").is_in(variants["settings_digest"].to_list()))
    assert withdraw(lake, done.filter(pl.col("as_of_date").is_in(days))) == 3
    summary = run(lake, "portfolios", LAST, LAST, **MEAN_VARIANCE)
    assert summary.done == 3
    assert rows_of(lake).equals(rows_of(held))


def test_a_change_to_something_early_makes_all_that_follows_stale(held: Lake, tmp_path: Path) -> None:
    lake = copy(held, tmp_path)
    day = dt.date(2020, 2, 3)
    rows = lake.read("universe_members", dates=(day, day))
    first = pl.DataFrame(pl.from_arrow(rows)).with_columns(
        pl.when(pl.col("rank") == 1).then(pl.lit("EXCLUDED")).otherwise("tier").alias("tier")
    )
    lake.upsert(
        "universe_members",
        first.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(contract("universe_members").schema),
    )
    after = sum(d >= day for d in set(rows_of(held)["as_of_date"]))
    assert run(lake, "portfolios", LAST, LAST, **MEAN_VARIANCE).done == after
    again = rows_of(lake)
    same = pl.col("as_of_date") < day
    assert again.filter(same).equals(rows_of(held).filter(same))
    assert not again.equals(rows_of(held))
    week = [d for d in set(rows_of(held)["as_of_date"]) if day <= d < day + dt.timedelta(5)]
    other = {**GIVEN, "model_id": MODEL_IDS["inverse_volatility"]}
    assert run(lake, "portfolios", FIRST, LAST, **other).done == len(week), "without a memory a week alone"


def test_every_day_and_the_core_alone_can_be_asked_for(scored_world: Lake, tmp_path: Path) -> None:
    lake = copy(scored_world, tmp_path)
    given = {**GIVEN, "variant": "core", "rebalance": "day", "satellites": False}
    narrow = {**SCORED, "core_names": 3, "variant": "narrow"}
    run(lake, "universes", LAST - dt.timedelta(5), LAST, **narrow)
    run(lake, "portfolios", LAST - dt.timedelta(5), LAST, **{**given, "universe_variant": "narrow"})
    rows = rows_of(lake, "score_proportional")
    assert (rows["as_of_date"] == rows["rebalanced_on"]).all()
    assert rows.filter(pl.col("instrument_id") != "CASH").group_by("as_of_date").len()["len"].max() <= 3
    assert rows.filter(pl.col("instrument_id") == "CASH")["weight"].min() >= 0.4 - 1e-9


def test_sessions_without_a_universe_are_counted(scored_world: Lake, tmp_path: Path) -> None:
    lake = copy(scored_world, tmp_path)
    summary = run(lake, "portfolios", FIRST - dt.timedelta(10), FIRST, **GIVEN)
    assert summary.skipped == {"no_universe": 6}
    assert rows_of(lake, "score_proportional")["as_of_date"].unique().to_list() == [FIRST]


def test_wrong_requests(scored_world: Lake) -> None:
    with pytest.raises(
        MissingInputError, match=r"there is no universe US_EQ_CORE .*prometheus\.scripts\.backfill_universes"
    ):
        run(scored_world, "portfolios", FIRST, LAST, **{**GIVEN, "universe_variant": "none"})
    with pytest.raises(RequestError, match="max_weight must be above 0"):
        PortfoliosParams(max_weight=0.0)
    with pytest.raises(RequestError, match="a portfolio needs a name without slashes"):
        PortfoliosParams(portfolio="")


def test_the_command(scored_world: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lake = copy(scored_world, tmp_path)
    flags = ["--backend", "inverse_volatility", "--universe-variant", "plain", "--variant", "command"]
    flags += ["--assessment-model-id", "assessment-basic-v1", "--assessment-variant", "soft", "--market-id", MARKET_ID]
    assert main(["--lake", str(lake.location.root), "--as-of", str(LAST), *flags]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "portfolios [command]: planned 1, done 1" in said.err
    assert sql(lake, "select distinct model_id, backend from target_portfolios") == [
        {"model_id": "portfolio-inverse-volatility-v1", "backend": "inverse_volatility"}
    ]
