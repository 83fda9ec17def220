"""Returns, volatilities and exposures: the numbers, that only the request's part changes, and when things were known."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from prometheus.errors import MissingInputError, RequestError
from prometheus.lake import Lake
from prometheus.runtime import RunOptions
from tests.demo_lakes import copy_lake, lineage, run, sql

FIRST, LAST = dt.date(2024, 11, 25), dt.date(2025, 1, 31)
TABLES = ("returns_daily", "volatility_daily", "instrument_factors_daily")


@pytest.fixture(scope="module")
def derived(demo_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Both stages over ten weeks that touch two years. For reading."""
    lake = copy_lake(demo_lake, tmp_path_factory.mktemp("derived") / "lake", only="raw")
    for stage in ("returns", "factors"):
        run(lake, stage, FIRST, LAST)
    return lake


def test_a_return_is_what_the_prices_say(derived: Lake) -> None:
    """Of names without corporate actions in reach, which SQL can say as well."""
    rows = sql(
        derived,
        f"""with p as (select instrument_id, as_of_date, close / lag(close) over w - 1 as r,
                   as_of_date - lag(as_of_date) over w as gap
              from prices_daily where close > 0 window w as (partition by instrument_id order by as_of_date))
            select d.*, p.r from returns_daily d join p using (instrument_id, as_of_date)
            where p.gap < 6 and instrument_id not in
                  (select instrument_id from corporate_actions where ex_date >= date '{FIRST}' - interval 10 day)""",
    )
    assert len(rows) > 200
    for row in rows:
        assert row["simple_return"] == pytest.approx(row["r"], abs=1e-11)
        assert row["log_return"] == pytest.approx(np.log1p(row["r"]), abs=1e-11)
        assert (row["as_of_year"], row["variant"]) == (row["as_of_date"].year, "v0")
        assert row["market_id"] == {"US": "US_EQ", "EU": "EU_EQ"}[row["instrument_id"].rpartition(".")[2]]


def test_volatility_is_that_of_the_returns(derived: Lake) -> None:
    returns: dict[str, list[float]] = {}
    for row in sql(derived, "select instrument_id, log_return from returns_daily order by as_of_date"):
        returns.setdefault(row["instrument_id"], []).append(row["log_return"])
    last = sql(derived, f"select * from volatility_daily where as_of_date = '{LAST}'")
    assert len(last) > 10
    for row in last:
        mine = returns[row["instrument_id"]][-21:]
        assert row["volatility_21"] == pytest.approx(np.std(mine, ddof=1) * np.sqrt(252), rel=1e-9)
        assert row["num_returns_63"] >= 42
        assert 0.02 < row["volatility_63"] < 3
    counts = [derived.count(t) for t in TABLES[:2]]
    assert counts[0] == counts[1]


def test_the_market_of_all_betas_is_about_one(derived: Lake) -> None:
    """Each member on the others; the noise of a dozen names in the basket pulls the slopes down a little."""
    rows = sql(
        derived,
        f"""select market_id, avg(exposure) as mean, count(*) as n, min(num_returns) as least
            from instrument_factors_daily where factor_id = 'MARKET_BETA' and as_of_date = '{LAST}' group by 1""",
    )
    assert {r["market_id"] for r in rows} == {"US_EQ", "EU_EQ"}
    for row in rows:
        assert row["n"] >= 5
        assert 0.6 < row["mean"] < 1.1
        assert row["least"] >= 126
    kinds = sql(derived, "select factor_id, min(exposure) as least from instrument_factors_daily group by 1 order by 1")
    # no sector of this small market has five members with a return on enough sessions
    assert [k["factor_id"] for k in kinds] == ["MARKET_BETA", "RESIDUAL_VOLATILITY"]
    assert kinds[1]["least"] > 0


def test_rows_do_not_depend_on_how_the_request_is_cut(derived: Lake, demo_lake: Path, tmp_path: Path) -> None:
    wanted = {table: derived.digest(table) for table in TABLES}
    lake = copy_lake(demo_lake, tmp_path / "cut", only="raw")
    for stage in ("returns", "factors"):
        # the middle first, one market at a time, then around it
        run(lake, stage, dt.date(2024, 12, 30), dt.date(2025, 1, 3), market_id=("EU_EQ",))
        summary = run(lake, stage, FIRST, LAST, RunOptions(executor="serial"))
        assert summary.already == 3  # Xetra is closed on the last of December and the first of January
        assert run(lake, stage, FIRST, LAST).done == 0
    assert {table: lake.digest(table) for table in TABLES} == wanted


def test_one_name_alone_has_the_rows_it_has_in_company(derived: Lake, raw_copy: Lake) -> None:
    for stage in ("returns", "factors"):
        some = run(raw_copy, stage, LAST, LAST, instrument_id=("AAPL.US", "MRTL.EU"))
        assert some.rows == 4  # two tables; of exposures two each, for their sectors have fewer than five members
    for table in TABLES:
        where: dict[str, Any] = {"instrument_id": ["AAPL.US", "MRTL.EU"], "as_of_date": LAST}
        alone, before = (lake.read(table, where=where) for lake in (raw_copy, derived))
        assert alone.num_rows == raw_copy.count(table)
        order = [
            (k, "ascending") for k in ("instrument_id", *(["factor_id"] if "factor_id" in alone.column_names else []))
        ]
        assert alone.sort_by(order).equals(before.sort_by(order))
    listing = raw_copy.read("instruments", where={"instrument_id": "AAPL.US"})
    gone = [{**r, "withdrawn": True, "known_at": dt.datetime(2025, 1, 20, tzinfo=dt.UTC)} for r in listing.to_pylist()]
    raw_copy.upsert("instruments", pa.Table.from_pylist(gone, schema=listing.schema))
    for stage in ("returns", "factors"):
        assert run(raw_copy, stage, LAST, LAST, instrument_id=("AAPL.US", "MRTL.EU")).rows == 2, "a name taken back"
    assert {r["instrument_id"] for t in TABLES for r in raw_copy.read(t).to_pylist()} == {"MRTL.EU"}


def test_every_listed_name_is_made_or_counted(derived: Lake) -> None:
    booked = lineage(derived, {"stage": "returns", "variant": "v0"})
    known = sql(
        derived, "select market_id, instrument_id, min(known_at)::date as since from instruments__versions group by all"
    )
    assert len(booked) > 80
    for (market_id, day), (made, skipped) in booked.items():
        assert made + skipped == sum(r["market_id"] == market_id and r["since"] <= day for r in known)
    assert sum(made for made, _ in booked.values()) == derived.count("returns_daily")
    exposures = lineage(derived, {"stage": "factors", "variant": "v0"})
    assert sum(made for made, _ in exposures.values()) == derived.count("instrument_factors_daily")


def test_a_correction_changes_what_is_stamped_from_then_on(derived: Lake, demo_lake: Path, tmp_path: Path) -> None:
    lake = copy_lake(demo_lake, tmp_path / "corrected", only="raw")
    day, known = dt.date(2024, 12, 3), dt.datetime(2024, 12, 12, 12, tzinfo=dt.UTC)
    row = lake.read("prices_daily", dates=(day, day), where={"instrument_id": "ACME.US"}).to_pylist()[0]
    corrected = row | {"close": row["close"] * 1.1, "known_at": known}
    if row["adjusted_close"] is not None:
        corrected["adjusted_close"] = row["adjusted_close"] * 1.1
    lake.upsert(
        "prices_daily", pa.Table.from_pylist([corrected], schema=lake.read("prices_daily", dates=(day, day)).schema)
    )
    for stage in ("returns", "factors"):
        run(lake, stage, FIRST, LAST)
    for table in TABLES:
        key = [k for k in ("instrument_id", "factor_id", "as_of_date") if k in derived.read(table).column_names]
        rows = [x.read(table).sort_by([(k, "ascending") for k in key]) for x in (derived, lake)]
        before = [r.filter(pc.less(r["as_of_date"], pa.scalar(known.date()))) for r in rows]
        after = [r.filter(pc.greater_equal(r["as_of_date"], pa.scalar(known.date()))) for r in rows]
        assert before[0].equals(before[1])
        # the return of the day itself was stamped before: only what looks back on it differs
        assert after[0].equals(after[1]) == (table == "returns_daily")


def test_refusals(raw_copy: Lake) -> None:
    for stage in ("returns", "factors"):
        with pytest.raises(MissingInputError, match="there are no prices between 2015-01-05 and 2015-01-09"):
            run(raw_copy, stage, dt.date(2015, 1, 5), dt.date(2015, 1, 9))
        with pytest.raises(RequestError, match=r"no instrument NOBODY\.US in market US_EQ"):
            run(raw_copy, stage, LAST, LAST, market_id=("US_EQ",), instrument_id=("NOBODY.US",))
