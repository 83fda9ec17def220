"""Figures as reported: trailing years, what is known when, and ranks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from prometheus.lake.contracts import contract
from prometheus.market.fundamentals import (
    CHARACTERISTICS,
    FundamentalRanks,
    characteristics_as_known,
    mean_ranks,
    rank_members,
)

NAMES = [c.name for c in CHARACTERISTICS]
DAYS = np.arange(np.datetime64("2018-01-01"), np.datetime64("2018-12-31"))
CUTOFFS = DAYS.astype("datetime64[us]") + np.timedelta64(86_399, "s")
ENDS = ("03-31", "06-30", "09-30", "12-31")


def figure(metric: str, end: str, value: float | None, frequency: str | None = "Q", **other: Any) -> dict[str, Any]:
    period_end = dt.date.fromisoformat(end)
    report_date = other.pop("report_date", period_end + dt.timedelta(40))
    known = dt.datetime.combine(report_date, dt.time(12), dt.UTC)
    row = {
        "as_of_date": report_date,
        "issuer_id": "X",
        "report_date": report_date,
        "period_end": period_end,
        "metric": metric,
        "value": value,
        "period_start": None,
        "frequency": frequency,
        "known_at": known,
        "withdrawn": False,
    }
    return row | other


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=contract("fundamentals").schema)


def known(rows: list[dict[str, Any]], name: str, day: str) -> float:
    found = characteristics_as_known(table(*rows), DAYS, CUTOFFS, {"X"})
    return (
        float(found.values[NAMES.index(name), 0, np.searchsorted(DAYS, np.datetime64(day))])
        if found.issuers
        else np.nan
    )


def as_filed(value: Callable[[int], float], metric: str = "revenues") -> list[dict[str, Any]]:
    """Twelve quarters of 2015 to 2017 as American companies file them: three quarters, then the year."""
    rows = []
    for year in (2015, 2016, 2017):
        quarters = [value(4 * (year - 2015) + q) for q in range(4)]
        rows += [figure(metric, f"{year}-{end}", v) for end, v in zip(ENDS[:3], quarters[:3], strict=True)]
        rows.append(figure(metric, f"{year}-12-31", sum(quarters), "A"))
    return rows


def revenue_of(quarter: int) -> float:
    return 100.0 + 7.0 * quarter + 11.0 * (quarter % 4)


@pytest.mark.parametrize(("day", "last"), [("2018-02-08", 10), ("2018-02-10", 11)])
def test_a_trailing_year_is_the_last_four_quarters_however_they_were_filed(day: str, last: int) -> None:
    """The fourth quarter is in no report: it is what the year leaves."""
    rows = as_filed(revenue_of)
    year, before = (sum(revenue_of(k) for k in range(end - 3, end + 1)) for end in (last, last - 4))
    assert known(rows, "log_revenues", day) == pytest.approx(np.log(year))
    assert known(rows, "revenue_growth", day) == pytest.approx(year / before - 1)
    plain = [figure("revenues", f"{2015 + k // 4}-{ENDS[k % 4]}", revenue_of(k)) for k in range(12)]
    assert known(plain, "log_revenues", day) == pytest.approx(np.log(year))


def test_without_the_quarters_a_year_before_the_last_year_stands_in() -> None:
    rows = [figure("revenues", "2016-12-31", 400.0, "A"), figure("revenues", "2017-03-31", 120.0)]
    assert known(rows, "log_revenues", "2018-01-15") == pytest.approx(np.log(400.0))
    rows.append(figure("revenues", "2016-03-31", 90.0))
    assert known(rows, "log_revenues", "2018-01-15") == pytest.approx(np.log(430.0))


def test_growth_of_the_quarter_stands_in_for_that_of_the_year() -> None:
    rows = [figure("revenues", "2016-09-30", 100.0), figure("revenues", "2017-09-30", 130.0)]
    rows += [figure("net_income", "2016-09-30", 5.0), figure("net_income", "2017-09-30", 8.0)]
    rows += [figure("assets", "2016-09-30", 600.0)]
    assert known(rows, "revenue_growth", "2018-01-15") == pytest.approx(0.3)
    assert known(rows, "earnings_growth", "2018-01-15") == pytest.approx(4 * 3 / 600)


def test_cash_flow_of_a_quarter_counts_only_when_its_first_day_says_so() -> None:
    assets = [figure("assets", "2017-12-31", 1_000.0)]
    quarters = [figure("cash_flow_op", f"2017-{end}", 10.0 * (k + 1)) for k, end in enumerate(ENDS)]
    assert np.isnan(known(assets + quarters, "cash_yield", "2018-03-01"))
    starts = ("2017-01-01", "2017-04-01", "2017-07-01", "2017-10-01")
    told = [row | {"period_start": dt.date.fromisoformat(s)} for row, s in zip(quarters, starts, strict=True)]
    assert known(assets + told, "cash_yield", "2018-03-01") == pytest.approx(0.1)
    to_date = [row | {"period_start": dt.date(2017, 1, 1)} for row in quarters]
    assert np.isnan(known(assets + to_date[:3], "cash_yield", "2018-03-01"))
    # of the whole year to date is of the year
    assert known(assets + to_date, "cash_yield", "2018-03-01") == pytest.approx(0.04)


def test_figures_are_known_when_reported_corrected_when_corrected_and_gone_when_taken_back() -> None:
    first = [figure("assets", "2017-12-31", 200.0), figure("equity", "2017-12-31", 50.0)]
    noon = dt.time(12)
    correction = figure("equity", "2017-12-31", 80.0) | {
        "known_at": dt.datetime.combine(dt.date(2018, 4, 2), noon, dt.UTC)
    }
    amended = figure("equity", "2017-12-31", 100.0, report_date=dt.date(2018, 5, 1))
    back = amended | {"known_at": dt.datetime.combine(dt.date(2018, 6, 1), noon, dt.UTC), "withdrawn": True}
    rows = [*first, correction, amended, back]
    for day, leverage in (
        ("2018-02-08", np.nan),
        ("2018-02-09", 0.75),
        ("2018-04-01", 0.75),
        ("2018-04-02", 0.6),
        ("2018-05-01", 0.5),
        ("2018-05-31", 0.5),
        ("2018-06-01", 0.6),
    ):
        assert known(rows, "leverage", day) == pytest.approx(leverage, nan_ok=True), day


def test_figures_go_stale_400_days_after_the_period() -> None:
    rows = [figure("assets", "2017-03-31", 200.0), figure("equity", "2017-03-31", 50.0)]
    assert known(rows, "leverage", "2018-05-05") == 0.75
    assert np.isnan(known(rows, "leverage", "2018-05-06"))


def test_nonsense_is_unknown_not_an_infinity() -> None:
    rows = [
        figure("assets", "2017-12-31", 0.0),
        figure("equity", "2017-12-31", -5.0),
        figure("revenues", "2017-12-31", 0.0, "A"),
        figure("net_income", "2017-12-31", 5.0, "A"),
        figure("cash", "2018-12-31", 5.0, report_date=dt.date(2018, 2, 1)),
    ]
    found = characteristics_as_known(table(*rows), DAYS, CUTOFFS)
    assert np.isnan(found.values).all()


def test_a_day_has_the_same_values_in_any_chunk() -> None:
    rows = as_filed(revenue_of) + as_filed(lambda k: 0.1 * revenue_of(k), "net_income")
    rows += [figure("assets", f"{y}-{e}", 900.0 + y) for y in (2015, 2016, 2017, 2018) for e in ENDS]
    whole = characteristics_as_known(table(*rows), DAYS, CUTOFFS).values
    assert not np.isnan(whole[NAMES.index("revenue_growth")]).all()
    for lo, hi in ((0, 1), (38, 41), (39, 200), (100, 364)):
        part = characteristics_as_known(table(*rows[::-1]), DAYS[lo:hi], CUTOFFS[lo:hi]).values
        assert np.array_equal(part, whole[:, :, lo:hi], equal_nan=True)


def slow_ranks(values: np.ndarray) -> list[float]:
    out = []
    for v in values:
        below, level = (values < v).sum(), (values == v).sum()
        out.append(2 * (below + level / 2) / len(values) - 1)
    return out


def test_ranks_are_among_known_members_and_do_not_know_the_rest() -> None:
    rng = np.random.default_rng(1)
    values = rng.integers(0, 6, (len(NAMES), 12, 3)).astype(float)
    values[:, 3] = np.nan
    member = np.ones((12, 3), dtype=bool)
    member[7] = False
    ranks = rank_members(values, member)
    counted = [i for i in range(12) if i not in (3, 7)]
    for c in range(len(NAMES)):
        for d in range(3):
            assert ranks.rank[c, counted, d] == pytest.approx(slow_ranks(values[c, counted, d]))
    assert not ranks.known[:, [3, 7]].any()
    assert not ranks.rank[:, [3, 7]].any()
    assert (ranks.known[:, counted] == 1).all()
    assert ranks.rank[:, counted].mean(axis=1) == pytest.approx(0.0, abs=1e-12)
    order = rng.permutation(12)
    shuffled = rank_members(values[:, order], member[order])
    assert np.array_equal(shuffled.rank, ranks.rank[:, order])
    other = values.copy()
    other[:, 7] = 1e9
    assert np.array_equal(rank_members(other, member).rank, ranks.rank)


def test_fewer_than_five_known_members_have_no_rank() -> None:
    values = np.full((len(NAMES), 9, 1), np.nan)
    values[:, :4] = 1.0
    assert not rank_members(values, np.ones((9, 1), dtype=bool)).known.any()
    values[:, 4] = 2.0
    assert rank_members(values, np.ones((9, 1), dtype=bool)).known.sum() == 5 * len(NAMES)


def test_a_basket_has_its_members_mean_and_says_how_many_are_known() -> None:
    rank = np.array([[[0.5], [-0.1], [0.0], [0.9]]])
    ranks = FundamentalRanks(rank, np.array([[[1.0], [1.0], [0.0], [1.0]]]))
    belongs = np.array([[[True], [True], [True], [False]], [[False]] * 4])
    mean = mean_ranks(ranks, belongs)
    assert mean.rank[0, :, 0] == pytest.approx([0.2, 0.0])
    assert mean.known[0, :, 0] == pytest.approx([2 / 3, 0.0])
