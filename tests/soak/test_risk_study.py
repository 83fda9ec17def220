"""Would one believe the risk figures? Ex ante volatility and value at risk of two books of real names, year by year.

Books of sixty large names of longrun, fixed by hand before the range begins: equal weights, and energy and financials
alone. Figures are of the portfolios before any limit, as the reports have them on every session of 2007 to 2010 and of
2017 to 2020; what came is the book's return, rebalanced daily, over the next session (volatility) and the next 20 (value
at risk). The names are those that were still traded at the end of each range: levels of return are not to be trusted,
ratios of risk to what came are.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from prometheus.lake import Lake
from tests.demo_lakes import sql
from tests.risk_books import hold
from tests.studies import lake_of, make, sessions_of

pytestmark = [pytest.mark.soak, pytest.mark.real]

Floats = NDArray[np.float64]
RANGES = {
    "2007-2010": (dt.date(2007, 1, 3), dt.date(2010, 12, 31)),
    "2017-2020": (dt.date(2017, 1, 3), dt.date(2020, 12, 31)),
}
HORIZON = 20


@dataclass(frozen=True, eq=False)
class Judged:
    """Figures of one book and range, and what came: arrays over sessions."""

    days: NDArray[np.datetime64]
    volatility: Floats
    var: Floats
    es: Floats
    next_return: Floats
    next_loss: Floats


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, real_data: Path) -> Lake:
    lake = lake_of(tmp_path_factory.mktemp("risk"), real_data, ("longrun", "longrun"))
    given = {"name": "risk", "method": ("bootstrap", "historical"), "num_paths": 500, "market_id": ("US_EQ",)}
    for first, last in RANGES.values():
        make(lake, "scenarios", first - dt.timedelta(days=62), last, **given)
        names, sectors = names_of(lake, first, last)
        days = sessions_of(lake, "US_EQ", first, last).dates.tolist()
        hold(lake, days, dict.fromkeys(names, 1 / 64), sectors=sectors)
        leaning = [n for n in names if sectors[n] in ("Energy", "Financials")]
        hold(lake, days, dict.fromkeys(leaning, 1 / 16), portfolio_id="US_EQ_TILT", sectors=sectors)
        make(lake, "stability", first, last, market_id=("US_EQ",), model_id="stability-basic-v1", backend="basic")
        make(lake, "risk", first, last, market_id=("US_EQ",), stability_model_id="stability-basic-v1")
    return lake


def names_of(lake: Lake, first: dt.date, last: dt.date) -> tuple[list[str], dict[str, str]]:
    rows = sql(
        lake,
        f"""
        WITH traded AS (
          SELECT instrument_id, min(as_of_date) AS f, max(as_of_date) AS l, avg(close * volume) AS money
          FROM prices_daily GROUP BY 1)
        SELECT instrument_id, sector FROM traded
        JOIN (SELECT instrument_id, any_value(sector) AS sector FROM instruments GROUP BY 1) USING (instrument_id)
        WHERE f <= '{first - dt.timedelta(days=400)}' AND l >= '{last - dt.timedelta(days=10)}' AND sector IS NOT NULL
        ORDER BY money DESC LIMIT 60
        """,
    )
    sectors = {r["instrument_id"]: r["sector"] for r in rows}
    return sorted(sectors), sectors


def judged(lake: Lake, book_id: str, span: str) -> Judged:
    first, last = RANGES[span]
    where = {"book_id": book_id}
    reports = lake.read("portfolio_risk_reports", dates=(first, last), where=where).sort_by("as_of_date")
    held = lake.read("target_portfolios", dates=(last, last), where={"portfolio_id": book_id}).to_pylist()
    weights = {r["instrument_id"]: r["weight"] for r in held if r["instrument_id"] != "CASH"}
    rows = lake.read(
        "prices_daily",
        columns=["instrument_id", "as_of_date", "adjusted_close"],
        dates=(first, last),
        where={"instrument_id": list(weights)},
        every_version=True,
    )
    days = reports["as_of_date"].to_numpy().astype("datetime64[D]")
    names = sorted(weights)
    close = np.full((len(days), len(names)), np.nan)
    at = np.searchsorted(days, rows["as_of_date"].to_numpy().astype("datetime64[D]"))
    close[at, np.searchsorted(names, rows["instrument_id"].to_pylist())] = rows["adjusted_close"].to_numpy()
    for row in range(1, len(close)):
        close[row] = np.where(np.isnan(close[row]), close[row - 1], close[row])
    moved = np.nan_to_num(close[1:] / close[:-1] - 1.0) @ np.array([weights[n] for n in names])
    usable = len(days) - HORIZON
    ahead = np.lib.stride_tricks.sliding_window_view(moved, HORIZON)[:usable]
    figures = (reports[f"{c}_before"].to_numpy()[:usable] for c in ("volatility", "var_95", "es_95"))
    return Judged(days[:usable], *figures, moved[:usable], 1.0 - np.prod(1.0 + ahead, axis=1))


@pytest.mark.parametrize("book_id", ["US_EQ_CORE", "US_EQ_TILT"])
@pytest.mark.parametrize("span", RANGES)
def test_volatility_and_value_at_risk_are_about_right(lake: Lake, book_id: str, span: str) -> None:
    found = judged(lake, book_id, span)
    scaled = found.next_return / (found.volatility / np.sqrt(252))
    beyond = found.next_loss > found.var
    print(f"{book_id} {span}: standard deviation of returns over forecasts {scaled.std():.3f}")
    print(f"  value at risk exceeded on {beyond.mean():.3f} of {len(beyond)} sessions, by year:", end=" ")
    years = found.days.astype("datetime64[Y]")
    print({str(y): round(float(beyond[years == y].mean()), 3) for y in np.unique(years)})
    print(f"  loss when exceeded {found.next_loss[beyond].mean():.3f}, forecast {found.es[beyond].mean():.3f}")
    assert 0.9 < scaled.std() < 1.25
    # Twice the crises that four years have on average are in each range.
    assert 0.02 < beyond.mean() < 0.10
    assert (found.es > found.var).all()


def test_a_crisis_is_riskier_than_a_calm_year(lake: Lake) -> None:
    early, late = (judged(lake, "US_EQ_CORE", span) for span in RANGES)
    calm = np.median(early.var[early.days < np.datetime64("2007-07-01")])
    for found, day, crisis in (
        (early, "2007-01-03", False),
        (early, "2008-10-10", True),
        (early, "2008-11-20", True),
        (late, "2020-02-19", False),
        (late, "2020-03-16", True),
    ):
        at = int(np.searchsorted(found.days, np.datetime64(day)))
        print(f"{day}: volatility {found.volatility[at]:.3f}, var {found.var[at]:.3f}, es {found.es[at]:.3f}")
        assert (found.var[at] > 3 * calm) == crisis


def test_every_book_of_every_session_keeps_its_limits(lake: Lake) -> None:
    (row,) = sql(
        lake,
        """
        SELECT count(*) AS n, max(gross) AS gross, min(cash) AS cash, max(largest_weight) AS name,
          max(largest_sector_weight) AS sector, max(volatility) AS volatility, max(es_95) AS es, max(abs(beta)) AS beta,
          count(*) FILTER (num_actions > 0) AS limited
        FROM portfolio_risk_reports
        """,
    )
    print(row)
    assert row["n"] > 4_000
    assert row["gross"] <= 1 + 1e-9
    assert row["cash"] >= 0
    assert row["name"] <= 0.1 + 1e-9
    assert row["sector"] <= 0.35 + 1e-9
    assert row["volatility"] <= 0.3 + 1e-9
    assert row["es"] <= 0.2 + 1e-9
    assert row["beta"] <= 1.5 + 1e-9
