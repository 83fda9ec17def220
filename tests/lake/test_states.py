"""States: a day's state changes exactly when its rows do."""

from __future__ import annotations

import datetime as dt

import numpy as np

from prometheus.lake import Lake
from tests.lake_rows import days_from, price_rows

DAY = dt.date(2020, 1, 2)
WHOLE = np.array([dt.date(2021, 1, 1)], dtype="datetime64[D]")


def day_state(lake: Lake, day: dt.date) -> int:
    at = np.array([day], dtype="datetime64[D]")
    return int(lake.states("prices_daily").between(at, at)[0])


def test_a_new_row_changes_its_day_alone(lake: Lake) -> None:
    days = days_from(DAY, 3)
    lake.deliver("prices_daily", price_rows(days, ["A"]))
    before = [day_state(lake, d) for d in days]
    lake.deliver("prices_daily", price_rows([days[1]], ["B"]))
    after = [day_state(lake, d) for d in days]
    assert [b == a for b, a in zip(before, after, strict=True)] == [True, False, True]


def test_a_redelivery_changes_nothing(lake: Lake) -> None:
    rows = price_rows(days_from(DAY, 3), ["A"])
    lake.deliver("prices_daily", rows)
    before = lake.states("prices_daily").between(None, WHOLE)
    lake.deliver("prices_daily", rows)
    assert lake.states("prices_daily").between(None, WHOLE) == before


def test_small_tables_answer_by_content_and_knowledge_day(lake: Lake) -> None:
    import pyarrow as pa

    from prometheus.lake import contract

    def listing(name: str, known: dt.datetime) -> pa.Table:
        row = dict.fromkeys(contract("instruments").schema.names)
        row |= {
            "as_of_date": DAY,
            "instrument_id": name,
            "valid_from": DAY,
            "market_id": "US_EQ",
            "symbol": name,
            "asset_class": "EQUITY",
            "currency": "USD",
            "known_at": known,
            "withdrawn": False,
        }
        return pa.Table.from_pylist([row], schema=contract("instruments").schema)

    lake.deliver("instruments", listing("A", dt.datetime(2020, 1, 2, tzinfo=dt.UTC)))
    early = np.array([dt.date(2020, 3, 1)], dtype="datetime64[D]")
    before = lake.states("instruments").between(None, early)
    lake.deliver("instruments", listing("B", dt.datetime(2020, 6, 1, tzinfo=dt.UTC)))
    states = lake.states("instruments")
    assert states.between(None, early) == before  # known later: nothing stamped before is stale
    assert states.between(None, WHOLE) != before
