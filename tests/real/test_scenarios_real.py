"""Scenarios of the S&P 500 and of real names: the worst windows are the crises everybody knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from prometheus.engines.scenarios import (
    BaseHistory,
    SeverityRule,
    bootstrap_paths,
    historical_paths,
    past_drawdowns,
    path_outcomes,
    random_streams,
)

pytestmark = pytest.mark.real


def index_history(real_data: Path, last: str) -> BaseHistory:
    rows = (
        pl.read_parquet(real_data / "indices" / "prices_daily.parquet")
        .filter(pl.col("instrument_id").str.contains("GSPC") & (pl.col("trade_date") <= pl.lit(last).str.to_date()))
        .filter(pl.col("close") > 0)
        .sort("trade_date")
        .unique("trade_date", maintain_order=True)
    )
    close = rows["close"].to_numpy().astype(np.float64)
    returns = np.concatenate([[0.0], np.diff(np.log(close))])
    return BaseHistory(rows["trade_date"].to_numpy().astype("datetime64[D]"), returns, np.arange(len(close)) > 0)


def test_the_worst_months_of_the_index_are_the_known_ones(real_data: Path) -> None:
    history = index_history(real_data, "2020-12-31")
    found = historical_paths(history, 20, 12)
    total = np.expm1(found.log_return.sum(axis=1))
    worst = [found.scenario_ids[i] for i in np.argsort(total)[:6]]
    months = {month for name in worst for month in (name[:7], name.rpartition("_")[2][:7])}
    assert {"2020-03", "2008-10", "2009-02", "2002-07", "2001-09"} <= months
    assert -0.36 < total.min() < -0.25
    outcomes = path_outcomes(found.log_return, past_drawdowns(history, 20), SeverityRule())
    assert {outcomes.severity[i] for i in np.argsort(total)[:6]} == {"HIGH"}


def test_before_a_crisis_nothing_of_it_is_known(real_data: Path) -> None:
    found = historical_paths(index_history(real_data, "2008-08-29"), 20, 12)
    assert max(name.rpartition("_")[2] for name in found.scenario_ids) == "2008-08-29"
    assert np.expm1(found.log_return.sum(axis=1)).min() > -0.25


def test_bootstrapped_months_spread_about_as_real_ones_do(real_data: Path) -> None:
    history = index_history(real_data, "2020-12-31")
    real = history.windows(history.window_ends(20), 20).sum(axis=1)
    drawn = bootstrap_paths(history, 20, 4_000, random_streams(7, "x"), block_length=10.0).log_return.sum(axis=1)
    assert drawn.std() == pytest.approx(real.std(), rel=0.12)
    assert drawn.mean() == pytest.approx(real.mean(), abs=0.004)
    assert np.quantile(drawn, 0.05) == pytest.approx(np.quantile(real, 0.05), abs=0.02)
