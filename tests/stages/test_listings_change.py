"""Names that change market or are taken back: what is known later about them changes nothing before."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

from prometheus.lake import Lake, contract
from prometheus.runtime import RunOptions
from tests.demo_lakes import run

TABLE = "numeric_window_embeddings"


def bring_versions(lake: Lake, rows: list[dict[str, Any]]) -> None:
    lake.upsert("instruments", pa.Table.from_pylist(rows, schema=contract("instruments").schema))


def known(month: int, day: int, year: int = 2024) -> dt.datetime:
    return dt.datetime(year, month, day, tzinfo=dt.UTC)


def test_a_name_that_comes_back_has_no_rows_in_between(raw_copy: Lake) -> None:
    listing = raw_copy.read("instruments", where={"instrument_id": "AAPL.US"}).to_pylist()[0]
    gone, back = listing | {"known_at": known(6, 5), "withdrawn": True}, listing | {"known_at": known(6, 20)}
    bring_versions(raw_copy, [gone, back])
    run(raw_copy, "numeric_embeddings", dt.date(2024, 6, 3), dt.date(2024, 6, 28), instrument_id=("AAPL.US",))
    days = sorted(raw_copy.read(TABLE, columns=["as_of_date"])["as_of_date"].to_pylist())
    assert (days[0], days[1]) == (dt.date(2024, 6, 3), dt.date(2024, 6, 4))
    assert (days[2], days[-1]) == (dt.date(2024, 6, 20), dt.date(2024, 6, 28))


def test_a_market_of_a_name_that_will_move_is_fitted_as_before(raw_copy: Lake) -> None:
    """The other market's basket, which comes first by name, must not stand in for the market's own."""

    def fitted() -> pa.Table:
        run(raw_copy, "regime_prototypes", dt.date(2025, 1, 2), dt.date(2026, 1, 2), RunOptions(force=True))
        return raw_copy.read("regime_prototypes", where={"year": 2025}).sort_by("label")

    before = fitted()
    assert before.num_rows == 4
    moves = {"market_id": "EU_EQ", "valid_from": dt.date(2025, 1, 3), "as_of_date": dt.date(2025, 1, 3)}
    listing = raw_copy.read("instruments", where={"instrument_id": "AAA.US"}).to_pylist()[0]
    bring_versions(raw_copy, [listing | moves | {"known_at": known(1, 2, 2025)}])
    assert fitted().equals(before)


def test_names_that_moved_make_no_basket_of_the_other_market(raw_copy: Lake) -> None:
    movers = ("AAA.US", "AAPL.US", "ACME.US", "BLFL.US", "DLCM.US")
    listed = raw_copy.read("instruments", where={"instrument_id": movers}).to_pylist()
    bring_versions(raw_copy, [r | {"market_id": "EU_EQ", "known_at": known(1, 2, 2025)} for r in listed])
    day = dt.date(2025, 1, 3)
    run(raw_copy, "numeric_embeddings", day, day, entity_type=("MARKET",), market_id=("US_EQ",))
    assert raw_copy.read(TABLE, columns=["entity_id"])["entity_id"].to_pylist() == ["US_EQ"]


@pytest.mark.parametrize("order", [("US_EQ", "EU_EQ"), ("EU_EQ", "US_EQ")])
@pytest.mark.parametrize("entity_type", ["INSTRUMENT", "ISSUER"])
def test_the_other_market_leaves_rows_of_before_the_move_alone(
    raw_copy: Lake, order: tuple[str, str], entity_type: str
) -> None:
    """One market after the other, each made again: neither takes away what the other made of a name that moved."""
    moved = dt.date(2024, 6, 12)
    listing = raw_copy.read("instruments", where={"instrument_id": "AAA.US"}).to_pylist()[0]
    there = {"market_id": "EU_EQ", "valid_from": moved, "as_of_date": moved, "known_at": known(6, 10)}
    here = {"valid_to": moved - dt.timedelta(days=1), "known_at": known(6, 10)}
    bring_versions(raw_copy, [listing | here, listing | there])
    first, last = dt.date(2024, 6, 6), dt.date(2024, 6, 18)
    whose = listing["instrument_id"] if entity_type == "INSTRUMENT" else listing["issuer_id"]
    seen = []
    for _ in range(2):
        for market_id in order:
            forced = RunOptions(force=True)
            kinds = {"entity_type": (entity_type,), "market_id": (market_id,)}
            run(raw_copy, "numeric_embeddings", first, last, forced, **kinds)
        rows = raw_copy.read(TABLE, where={"entity_type": entity_type, "entity_id": whose})
        seen.append(sorted(rows["as_of_date"].to_pylist()))
    days = [first + dt.timedelta(days=i) for i in range(13)]
    sessions = {day for day in days if day.weekday() < 5}
    assert seen[0] == seen[1]
    assert set(seen[0]) == sessions
