"""Collected versions: a vendor that gives two sessions a day and back-adjusts for an ex-date once it knows it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from prometheus.market.ingest import Intake

COLUMNS = {
    "instrument": "id",
    "date": "date",
    "close": "close",
    "adjusted_close": "adj",
    "volume": "volume",
    "collected_at": "seen",
}
D2, D3, D4, D5 = (dt.date(2024, 1, d) for d in (2, 3, 4, 5))


def collected(day: dt.date, *rows: tuple[dt.date, float, float, float | None], who: str = "A") -> list[dict[str, Any]]:
    """Rows of one collection, made at 12:00 UTC of ``day``: (session, close, adjusted close, volume)."""
    seen = dt.datetime.combine(day, dt.time(12), dt.UTC)
    names = ("date", "close", "adj", "volume")
    return [{"id": who, "seen": seen, **dict(zip(names, row, strict=True))} for row in rows]


@pytest.fixture
def versions(write: Any, ingest: Any) -> Callable[..., tuple[Intake, Intake]]:
    def run(*collections: list[dict[str, Any]]) -> tuple[Intake, Intake]:
        rows = [row for rows in collections for row in rows]
        write("p.parquet", pl.DataFrame(rows, schema_overrides={"volume": pl.Float64}))
        prices = {
            "table": "prices_daily",
            "files": "p.parquet",
            "steps": [{"volume_as_traded": COLUMNS}],
            "columns": {"instrument_id": "id", "as_of_date": "date", "close": "close", "volume": "volume"},
            "market": "US_EQ",
            "known_at": {"column": "seen"},
        }
        actions = {
            "table": "corporate_actions",
            "files": "p.parquet",
            "steps": [{"adjustments": COLUMNS}],
            "columns": {
                "instrument_id": "id",
                "ex_date": "ex_date",
                "kind": {"value": "ADJUSTMENT"},
                "factor": "factor",
            },
            "known_at": {"column": "seen"},
        }
        first, second = ingest(prices, actions)
        return first, second

    return run


def factors(actions: Intake) -> list[tuple[dt.date, float, int]]:
    return [(r["ex_date"], r["factor"], r["known_at"].day) for r in actions.rows.to_pylist()]


def volumes(prices: Intake) -> list[tuple[int, float | None, int]]:
    return [(r["as_of_date"].day, r["volume"], r["known_at"].day) for r in prices.rows.to_pylist()]


# A 7:1 split with ex-date 4 January. The vendor shows the factor before the open of that day, so the collection of
# the 4th, which ends with the 3rd, is already adjusted throughout.
SPLIT = (
    collected(D3, (D2, 700.0, 700.0, 10.0)),
    collected(D4, (D2, 700.0, 100.0, 70.0), (D3, 714.0, 102.0, 20.0)),
    collected(D5, (D3, 714.0, 102.0, 140.0), (D4, 103.0, 103.0, 150.0)),
    collected(dt.date(2024, 1, 6), (D4, 103.0, 103.0, 151.0), (D5, 104.0, 104.0, 160.0)),
)


def test_a_factor_shown_before_its_open_is_counted_once_and_on_its_ex_date(versions: Any) -> None:
    _, actions = versions(*SPLIT)
    ((ex_date, factor, known),) = factors(actions)
    assert (ex_date, known) == (D4, 5)
    assert factor == pytest.approx(1 / 7, rel=1e-12)
    assert 103.0 / (714.0 * factor) - 1 == pytest.approx(103 / 102 - 1)


def test_volume_is_as_traded_in_every_version(versions: Any) -> None:
    prices, _ = versions(*SPLIT)
    assert volumes(prices) == [
        (2, 10.0, 3),
        (3, None, 4),
        (4, 150.0, 5),
        (4, 151.0, 6),
        (5, 160.0, 6),
    ]
    assert dict(prices.tally.nulled) == {"volume on an unknown split base": 2}
    assert dict(prices.tally.noted) == {"volume rescaled at a split, taken from the first version": 1}
    assert dict(prices.tally.dropped) == {"unchanged later version": 2}
    assert prices.rows["adjusted_close"].null_count == prices.rows.num_rows


def test_a_dividend_is_a_factor_and_leaves_volume_alone(versions: Any) -> None:
    prices, actions = versions(
        collected(D3, (D2, 100.0, 100.0, 10.0)),
        collected(D4, (D2, 100.0, 99.0, 11.0), (D3, 99.5, 99.5, 12.0)),
    )
    assert factors(actions) == [(D3, 0.99, 4)]
    assert volumes(prices) == [(2, 10.0, 3), (2, 11.0, 4), (3, 12.0, 4)]


def test_two_ex_dates_known_at_once_come_apart(versions: Any) -> None:
    _, actions = versions(
        collected(D5, (D2, 100.0, 49.0, 10.0), (D3, 100.0, 50.0, 10.0), (D4, 50.0, 50.0, 20.0)),
    )
    assert factors(actions) == [(D3, pytest.approx(0.98), 5), (D4, 0.5, 5)]


def test_noise_of_printing_is_no_adjustment(versions: Any) -> None:
    _, actions = versions(collected(D4, (D2, 100.0, 100.0001, 10.0), (D3, 100.0, 100.0, 10.0)))
    assert factors(actions) == []
    assert dict(actions.tally.dropped) == {"last session of its collection": 1, "no adjustment": 1}


def test_a_large_factor_the_prices_contradict_is_quarantined(versions: Any) -> None:
    _, actions = versions(collected(D4, (D2, 48.0, 32.0, 10.0), (D3, 48.1, 48.1, 10.0)))
    assert factors(actions) == []
    (kept,) = actions.quarantined.to_pylist()
    assert kept["reason"] == "factor contradicted by the prices"
    assert kept["source_row"] == 1


def test_a_stale_price_on_which_nothing_traded_contradicts_nothing(versions: Any) -> None:
    _, actions = versions(collected(D4, (D2, 11.69, 46.76, 10.0), (D3, 11.69, 11.69, 0.0)))
    assert factors(actions) == [(D3, pytest.approx(4.0), 4)]


def test_sessions_never_collected_together_are_counted_not_guessed(versions: Any) -> None:
    _, actions = versions(
        collected(D3, (D2, 100.0, 100.0, 10.0)),
        collected(D5, (D3, 100.0, 50.0, 10.0), (D4, 50.0, 50.0, 20.0)),
        collected(D5, (D3, 5.0, 5.0, 1.0), who="B"),
    )
    assert factors(actions) == [(D4, 0.5, 5)]
    noted = "sessions never collected together, an ex-date between them is unseen"
    assert dict(actions.tally.noted) == {noted: 1}
    assert actions.tally.offenders("noted", noted) == (("A", 1),)


def test_a_session_given_twice_in_one_collection_counts_once(versions: Any) -> None:
    _, actions = versions(
        collected(D4, (D2, 100.0, 98.0, 10.0), (D2, 100.0, 99.0, 10.0), (D3, 100.0, 100.0, 10.0)),
    )
    assert factors(actions) == [(D3, 0.99, 4)]
    assert actions.tally.dropped["same session twice in one collection"] == 1


def test_zero_prices_yield_no_factor(versions: Any) -> None:
    prices, actions = versions(
        collected(D3, (D2, 0.0, 1.0, 10.0)), collected(D4, (D2, 0.0, 1.0, 10.0), (D3, 1.0, 1.0, 10.0))
    )
    assert factors(actions) == []
    assert dict(prices.tally.quarantined) == {"neither close nor adjusted_close": 2}
