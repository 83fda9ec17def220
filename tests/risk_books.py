"""Target portfolios written by hand: what risk and the vectors of portfolios read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from prometheus.lake import Lake, contract

PORTFOLIO_MODEL = "portfolio-score-proportional-v1"
CASH = "CASH"


def portfolio_table(
    weights: Mapping[dt.date, Mapping[str, float]],
    portfolio_id: str = "US_EQ_CORE",
    *,
    market_id: str = "US_EQ",
    sectors: Mapping[str, str] | None = None,
    model_id: str = PORTFOLIO_MODEL,
    variant: str = "v0",
) -> pa.Table:
    """Rows of target_portfolios by day and name; cash is what the weights leave."""
    rows: list[dict[str, Any]] = []
    for day, held in weights.items():
        for name, weight in {**held, CASH: 1.0 - sum(held.values())}.items():
            rows.append(
                {
                    "portfolio_id": portfolio_id,
                    "instrument_id": name,
                    "as_of_date": day,
                    "as_of_year": day.year,
                    "model_id": model_id,
                    "variant": variant,
                    "market_id": market_id,
                    "universe_id": f"{market_id}_CORE",
                    "sector": (sectors or {}).get(name),
                    "weight": weight,
                    "rebalanced_on": day,
                    "backend": "score_proportional",
                }
            )
    schema = contract("target_portfolios").schema
    return pa.table({f.name: pa.array([r.get(f.name) for r in rows], f.type) for f in schema}, schema=schema)


def hold(lake: Lake, days: Sequence[dt.date], weights: Mapping[str, float], **about: Any) -> None:
    """Store one portfolio with the same weights on some days."""
    lake.upsert("target_portfolios", portfolio_table(dict.fromkeys(days, weights), **about))


def hold_what_trades(lake: Lake, first: dt.date, last: dt.date, weight: float, **about: Any) -> None:
    """Store a portfolio that holds every name with a price on the day at one weight."""
    rows = lake.read("prices_daily", columns=["instrument_id", "as_of_date"], dates=(first, last), every_version=True)
    by_day: dict[dt.date, dict[str, float]] = {}
    for name, day in sorted(zip(rows["instrument_id"].to_pylist(), rows["as_of_date"].to_pylist(), strict=True)):
        by_day.setdefault(day, {})[name] = weight
    lake.upsert("target_portfolios", portfolio_table(dict(sorted(by_day.items())), **about))


def replayed(lake: Lake, book_id: str, day: dt.date) -> dict[str, float]:
    """What a day's actions make of the weights before, applied one after another."""
    where: dict[str, Any] = {"book_id": book_id, "as_of_date": day}
    held = {r["instrument_id"]: r["weight_before"] for r in lake.read("book_targets", where=where).to_pylist()}
    actions = lake.read("risk_actions", where=where).sort_by([("step", "ascending"), ("instrument_id", "ascending")])
    for action in actions.to_pylist():
        name = action["instrument_id"]
        assert held[name] == action["weight_before"], action
        held[name] = action["weight_after"]
    return held
