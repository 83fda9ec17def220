"""Characteristics of real companies from what they filed, checked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from prometheus.lake.contracts import contract
from prometheus.market.fundamentals import CHARACTERISTICS, characteristics_as_known

pytestmark = pytest.mark.real

NAMES = [c.name for c in CHARACTERISTICS]
APPLE, CITI, DUKE = "CIK0000320193", "CIK0000831001", "CIK0001326160"
FIGURES = ("revenues", "op_income", "net_income", "eps_diluted", "dividend", "assets", "equity", "cash_flow_op")


@pytest.fixture(scope="module")
def filed(real_data: Path) -> pa.Table:
    """Rows of the table ``fundamentals``, under the source's own names."""
    frame = pl.read_parquet(real_data / "profiles" / "fundamentals.parquet")
    frame = frame.filter(pl.col("issuer_id").is_in([APPLE, CITI, DUKE])).rename({"source_file_date": "report_date"})
    long = frame.unpivot(
        FIGURES, index=["issuer_id", "report_date", "period_end", "known_at", "doc_type"], variable_name="metric"
    ).with_columns(
        as_of_date=pl.col("report_date"),
        period_start=pl.lit(None, pl.Date),
        frequency=pl.col("doc_type").replace_strict({"10-Q": "Q", "10-K": "A"}),
        withdrawn=pl.lit(False),
    )
    schema = contract("fundamentals").schema
    return long.select(schema.names).to_arrow().cast(schema)


def on(filed: pa.Table, issuer: str, name: str, day: str) -> float:
    days = np.array([day], dtype="datetime64[D]")
    cutoffs = days.astype("datetime64[us]") + np.timedelta64(86_399, "s")
    found = characteristics_as_known(filed, days, cutoffs, {issuer})
    return float(found.values[NAMES.index(name), 0, 0])


def test_a_trailing_year_of_a_company_that_files_three_quarters_and_a_year(filed: pa.Table) -> None:
    """Apple's December 2016: 215.6 billion of the year to September, plus 78.4 of the quarter, less 75.9 of 2015's."""
    assert on(filed, APPLE, "log_revenues", "2017-02-15") == pytest.approx(
        np.log(215.639e9 + 78.351e9 - 75.872e9), abs=1e-4
    )
    assert on(filed, APPLE, "log_revenues", "2017-02-01") == pytest.approx(np.log(215.639e9), abs=1e-4)
    assert on(filed, APPLE, "revenue_growth", "2016-11-30") == pytest.approx(215.639 / 233.715 - 1, abs=1e-4)
    assert on(filed, APPLE, "payout", "2016-11-30") == pytest.approx(2.18 / 8.31, abs=1e-4)
    assert on(filed, APPLE, "cash_yield", "2016-11-30") == pytest.approx(65.824 / 321.686, abs=1e-4)


def test_a_report_is_known_the_day_after_it_is_collected(filed: pa.Table) -> None:
    before, after = (on(filed, APPLE, "return_on_assets", day) for day in ("2016-10-26", "2016-10-27"))
    assert after == pytest.approx(45.687 / 321.686, abs=1e-4)
    assert before > after + 0.02


def test_a_bank_owes_most_of_what_it_has_and_a_utility_less(filed: pa.Table) -> None:
    assert 0.85 < on(filed, CITI, "leverage", "2016-12-30") < 0.95
    assert 0.6 < on(filed, DUKE, "leverage", "2016-12-30") < 0.8
