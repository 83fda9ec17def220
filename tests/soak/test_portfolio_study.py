"""Portfolios at length: random problems for the optimiser, and what portfolios of real names did next.

Real names are those of longrun with tickers A to E, through 2007 to 2009, from prices alone: stability and assessment by
their basic backends. What a target returned is its weights on the next session's returns, the target standing between
rebalances; nothing is charged for trading.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from prometheus.engines.portfolio import BACKENDS, MeanVariance
from prometheus.lake import Lake
from prometheus.stages.portfolio.params import MODEL_IDS
from tests.portfolio_problems import check_kept, check_turnover, random_limits, random_problem
from tests.studies import lake_of, make

pytestmark = pytest.mark.soak

DECISIONS = 1000
FIRST, LAST = dt.date(2007, 1, 2), dt.date(2009, 12, 31)
BASIC = {"market_id": ("US_EQ",), "assessment_model_id": "assessment-basic-v1"}


def test_the_optimiser_keeps_every_limit_in_a_thousand_random_decisions() -> None:
    rng = np.random.default_rng(2026)
    said: Counter[str] = Counter()
    decided = checked = short = 0
    while decided < DECISIONS:
        asked, limits = random_problem(rng), random_limits(rng, turnover=True)
        found = MeanVariance().allocate(asked, limits)
        check_kept(asked, limits, found)
        checked += check_turnover(asked, limits, found)
        said.update(found.reason.tolist())
        decided += int((found.backend == "mean_variance").sum())
        short += int((found.cash > 0.01).sum())
    print(f"{decided} decisions of the optimiser, {checked} against weights before, {short} with cash; {dict(said)}")
    assert checked > DECISIONS / 2
    assert short > DECISIONS / 10
    assert min(said[reason] for reason in ("", "no_solution", "no_covariance", "no_members")) > 0


@pytest.fixture(scope="module")
def lake(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = lake_of(tmp_path_factory.mktemp("longrun") / "lake", real_data, ("longrun", "longrun"))
    make(made, "stability", FIRST, LAST, market_id=("US_EQ",))
    make(made, "assessment", FIRST, LAST, ["engine/assessment=basic"], market_id=("US_EQ",))
    make(made, "stability_change_risk", FIRST, LAST, market_id=("US_EQ",))
    make(made, "universes", FIRST, LAST, **BASIC)
    for backend in BACKENDS:
        make(made, "portfolios", FIRST, LAST, [f"portfolio={backend}"], **BASIC)
    return made


def next_returns(lake: Lake) -> pl.DataFrame:
    """Simple total return of each name from a session's close to its next."""
    prices = lake.read(
        "prices_daily",
        columns=["as_of_date", "instrument_id", "adjusted_close"],
        dates=(FIRST, LAST + dt.timedelta(8)),
    )
    frame = pl.DataFrame(pl.from_arrow(prices)).sort("as_of_date")
    later = pl.col("adjusted_close").shift(-1).over("instrument_id")
    return frame.with_columns(r=(later / pl.col("adjusted_close") - 1).clip(-1, 1)).drop("adjusted_close")


def daily(held: pl.DataFrame, returns: pl.DataFrame) -> NDArray[np.float64]:
    """Return of some weights, session by session; cash earns nothing."""
    joined = held.join(returns, on=["as_of_date", "instrument_id"], how="left")
    by_day = joined.group_by("as_of_date").agg((pl.col("weight") * pl.col("r").fill_null(0)).sum()).sort("as_of_date")
    return by_day["weight"].to_numpy()


def turnover_a_year(held: pl.DataFrame) -> float:
    weights = held.filter(pl.col("instrument_id") != "CASH").pivot("instrument_id", index="as_of_date", values="weight")
    change = np.diff(weights.sort("as_of_date").fill_null(0.0).drop("as_of_date").to_numpy(), axis=0)
    bought, sold = np.maximum(change, 0).sum(axis=1), np.maximum(-change, 0).sum(axis=1)
    return float(np.maximum(bought, sold).sum() / len(change) * 252)


@pytest.mark.real
def test_what_is_meant_to_be_calm_was_calmer(lake: Lake) -> None:
    returns = next_returns(lake)
    members = pl.DataFrame(pl.from_arrow(lake.read("universe_members"))).filter(pl.col("tier") != "EXCLUDED")
    equal = members.with_columns(weight=1.0 / pl.len().over("as_of_date"))
    volatility = {}
    for name, held in (
        ("members, equal", equal.select("as_of_date", "instrument_id", "weight")),
        *(
            (b, pl.DataFrame(pl.from_arrow(lake.read("target_portfolios", where={"model_id": MODEL_IDS[b]}))))
            for b in BACKENDS
        ),
    ):
        r = daily(held, returns)
        wealth = np.cumprod(1 + r)
        volatility[name] = float(r.std() * np.sqrt(252))
        fall = float((1 - wealth / np.maximum.accumulate(wealth)).max())
        names = held.filter(pl.col("instrument_id") != "CASH").group_by("as_of_date").len()["len"].mean()
        cash = held.filter(pl.col("instrument_id") == "CASH")["weight"].mean() or 0.0
        print(
            f"{name}: volatility {volatility[name]:.3f}, largest fall {fall:.3f}, turnover a year "
            f"{turnover_a_year(held):.1f}, {names:.0f} names, cash {cash:.3f}"
        )
    assert volatility["mean_variance"] < 0.85 * volatility["inverse_volatility"]
    assert volatility["inverse_volatility"] < volatility["members, equal"]
    worst = pl.DataFrame(pl.from_arrow(lake.read("universe_members", dates=(dt.date(2008, 11, 20),) * 2)))
    why = worst.group_by(pl.col("excluded_by").fill_null("held")).len().sort("len", descending=True)
    print(dict(why.iter_rows()))
    assert dict(why.iter_rows())["BREAKER"] > 200
