"""SQL over a table's files: what is pruned, what is read, what is refused."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from prometheus.errors import RequestError
from prometheus.lake import Lake, contract
from prometheus.lake.reader import FILE_INDEX, duckdb_type, pruning_predicate, source_sql
from tests.lake_rows import days_from, price_rows, window_rows

DAY = dt.date(2024, 1, 2)
WINDOWS = "numeric_window_embeddings"


def test_types_by_their_duckdb_names() -> None:
    pairs = pa.list_(pa.struct([pa.field("label", pa.string()), pa.field("p", pa.float64())]))
    assert duckdb_type(pairs) == "STRUCT(label VARCHAR, p DOUBLE)[]"
    assert duckdb_type(contract(WINDOWS).schema.field("vector").type) == "FLOAT[]"
    assert duckdb_type(pa.timestamp("us", tz="UTC")) == "TIMESTAMPTZ"


def test_partition_columns_alone_choose_files() -> None:
    dates = (dt.date(2023, 12, 30), DAY)
    where = {"variant": "v0", "entity_id": "A"}
    windows, regimes, instruments = (contract(t) for t in (WINDOWS, "regimes", "instruments"))
    assert pruning_predicate(windows, None, {}) == "true"
    assert pruning_predicate(windows, dates, where) == (
        "as_of_date >= '2023-12-30' AND as_of_date <= '2024-01-02' AND variant = 'v0'"
    )
    assert pruning_predicate(regimes, dates, {}).startswith("as_of_year >= 2023 AND as_of_year <= 2024")
    assert pruning_predicate(instruments, dates, {"symbol": "A"}) == "true"


@pytest.fixture
def windows(lake: Lake) -> Lake:
    lake.upsert(WINDOWS, window_rows(days_from(DAY, 3), ["A", "B"]))
    return lake


def test_rows_by_date_and_condition(windows: Lake) -> None:
    rows = windows.read(WINDOWS, dates=(DAY, DAY + dt.timedelta(1)), where={"entity_id": "B"}, columns=["as_of_date"])
    assert rows.column_names == ["as_of_date"]
    assert sorted(rows["as_of_date"].to_pylist()) == days_from(DAY, 2)


def test_a_table_whose_partitions_are_no_days_is_filtered_by_row(lake: Lake) -> None:
    rows = price_rows([DAY], ["A"])
    columns = {f.name: [None] for f in contract("instruments").schema}
    for i, valid_from in enumerate(days_from(DAY, 3)):
        told = {"as_of_date": valid_from, "valid_from": valid_from, "instrument_id": f"N{i}", "symbol": f"N{i}"}
        told |= {"market_id": "US_EQ", "asset_class": "EQUITY", "currency": "USD", "withdrawn": False}
        told["known_at"] = rows["known_at"][0].as_py()
        row = {name: [told.get(name)] for name in columns}
        lake.upsert("instruments", pa.table(row, schema=contract("instruments").schema))
    got = lake.read("instruments", dates=(DAY, DAY + dt.timedelta(1)), columns=["instrument_id"])
    assert sorted(got["instrument_id"].to_pylist()) == ["N0", "N1"]


def test_a_file_can_be_told_beside_its_rows(windows: Lake) -> None:
    declared = contract(WINDOWS)
    uris = sorted(windows._handles.files(WINDOWS))
    rows = windows.query(source_sql(declared, uris, columns=["as_of_date", FILE_INDEX]))
    places = dict(zip(rows["as_of_date"].to_pylist(), rows[FILE_INDEX].to_pylist(), strict=True))
    assert places == {day: i for i, day in enumerate(days_from(DAY, 3))}


def test_no_files_read_as_no_rows_of_the_right_types(lake: Lake) -> None:
    empty = source_sql(contract(WINDOWS), [], columns=["as_of_date", "vector"], fixed_width=True)
    assert empty == "SELECT NULL::DATE AS as_of_date, NULL::FLOAT[384] AS vector WHERE false"
    assert source_sql(contract(WINDOWS), [], columns=["vector"]) == "SELECT NULL::FLOAT[] AS vector WHERE false"


@pytest.mark.parametrize("every_version", [True, False])
def test_what_can_be_withdrawn_is_left_out_unless_every_version_is_asked(lake: Lake, every_version: bool) -> None:
    first = price_rows([DAY], ["A", "B"])
    lake.upsert("prices_daily", first)
    gone = first.slice(0, 1)
    gone = gone.set_column(gone.column_names.index("withdrawn"), gone.schema.field("withdrawn"), pa.array([True]))
    later = pa.array([gone["known_at"][0].as_py() + dt.timedelta(hours=1)], gone.schema.field("known_at").type)
    gone = gone.set_column(gone.column_names.index("known_at"), gone.schema.field("known_at"), later)
    lake.upsert("prices_daily", gone)
    names = lake.read("prices_daily", every_version=every_version)["instrument_id"].to_pylist()
    assert sorted(names) == (["A", "A", "B"] if every_version else ["B"])


def test_the_version_of_the_very_instant_counts(lake: Lake) -> None:
    rows = price_rows([DAY], ["A"])
    lake.upsert("prices_daily", rows)
    known = rows["known_at"][0].as_py()
    assert lake.read("prices_daily", as_of=known).num_rows == 1
    assert lake.read("prices_daily", as_of=known - dt.timedelta(microseconds=1)).num_rows == 0


def test_refusals(lake: Lake) -> None:
    with pytest.raises(RequestError, match="prices_daily has no column 'price'; it has as_of_date"):
        lake.read("prices_daily", columns=["price"])
    with pytest.raises(RequestError, match="keeps no versions, so it cannot be read as of an instant"):
        lake.read(WINDOWS, as_of=dt.datetime(2024, 1, 1, tzinfo=dt.UTC))
