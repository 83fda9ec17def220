from __future__ import annotations

import polars as pl
import pytest

from prometheus.market.synthetic import SyntheticMarket
from prometheus.market.synthetic.fundamentals import METRICS


def test_reports_come_weeks_after_the_quarter(frames: dict[str, pl.DataFrame]) -> None:
    f = frames["fundamentals"]
    lag = (f["report_date"] - f["period_end"]).dt.total_days()
    assert lag.min() >= 30
    assert lag.max() <= 60
    assert lag.n_unique() > 10
    assert (f["known_at"].dt.date() >= f["report_date"]).all()
    assert (f["as_of_date"] == f["report_date"]).all()


def test_a_year_of_reports_is_known_at_the_first_session(
    frames: dict[str, pl.DataFrame], small: SyntheticMarket
) -> None:
    first = small.config.first
    early = frames["fundamentals"].filter(pl.col("known_at").dt.date() < first)
    quarters = early.group_by("issuer_id").agg(pl.col("period_end").n_unique())
    listed = sum(n.listed == 0 for h in small.histories for n in h.names)
    assert len(quarters) == listed
    assert quarters["period_end"].min() >= 4


def test_the_balance_sheet_adds_up(frames: dict[str, pl.DataFrame]) -> None:
    first = frames["fundamentals"].sort("known_at").unique(["issuer_id", "period_end", "metric"], keep="first")
    wide = first.pivot(on="metric", index=["issuer_id", "period_end"], values="value")
    assert set(METRICS) <= set(wide.columns)
    assert wide.null_count().select(pl.sum_horizontal(pl.all())).item() == 0
    assert wide.select((pl.col("total_assets") - pl.col("total_liabilities") == pl.col("equity")).all()).item()
    assert wide.select(
        ((pl.col("net_income") / pl.col("shares_outstanding") - pl.col("eps")).abs() < 6e-5).all()
    ).item()
    assert wide.select((pl.col("revenues") > 0).all() & (pl.col("total_assets") > 0).all()).item()


def test_shares_follow_splits(small: SyntheticMarket) -> None:
    h = small.histories[0]
    shares = h.reports.values["shares_outstanding"]
    ex = h.sessions.dates[400]
    (aapl,) = (k for k, n in enumerate(h.names) if n.symbol == "AAPL")
    after = h.reports.report_date[:, aapl] >= ex
    ratio = shares[after, aapl][0] / shares[~after, aapl][-1]
    assert ratio == pytest.approx(7.0, rel=0.02)


def test_corrections_are_later_versions(frames: dict[str, pl.DataFrame], small: SyntheticMarket) -> None:
    f = frames["fundamentals"]
    versions = f.group_by("issuer_id", "report_date", "period_end", "metric").agg(
        n=pl.len(), spread=(pl.col("known_at").max() - pl.col("known_at").min()).dt.total_days()
    )
    twice = versions.filter(pl.col("n") > 1)
    assert set(twice["metric"]) <= {"net_income", "op_income", "eps"}
    assert versions["n"].max() <= 2
    if len(twice):
        assert twice["spread"].min() >= 30
    restated = sum(int((~(h.reports.restated_at != h.reports.restated_at)).sum()) for h in small.histories)
    assert len(twice) == 3 * restated


def test_a_failing_company_shows_it(small: SyntheticMarket) -> None:
    h = small.histories[0]
    (column,) = (k for k, n in enumerate(h.names) if n.exit == "CRASH" and n.last is not None)
    out = h.reports.published[:, column]
    margin = (h.reports.values["net_income"] / h.reports.values["revenues"])[out, column]
    leverage = (h.reports.values["total_liabilities"] / h.reports.values["total_assets"])[out, column]
    assert margin[-1] < margin[:4].mean() - 0.1
    assert leverage[-1] > leverage[:4].mean() + 0.08
