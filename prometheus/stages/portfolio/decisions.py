"""Deciding portfolios: from the rows of universes and scores to holdings."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prometheus.engines.portfolio import MEAN_VARIANCE, NO_SECTOR, UNITS, Allocation, Problem
from prometheus.engines.universe import CORE, SATELLITE
from prometheus.runtime import Output, StageReader
from prometheus.stages.portfolio.params import PortfoliosParams
from prometheus.stages.portfolio.returns import KnownCovariances

SCORES = "instrument_scores"
CASH = "CASH"

SESSIONS_A_YEAR = 252

DECISION = (
    "as_of_date", "instrument_id", "sector", "units", "score", "expected_return", "volatility", "backend", "reason",
)  # fmt: skip
"""Columns of a decision; its date is the session it was made on."""


def decide(
    params: PortfoliosParams,
    reader: StageReader,
    market_id: str,
    days: Sequence[dt.date],
    members: pl.DataFrame,
    previous: pl.DataFrame | None,
    out: Output,
) -> pl.DataFrame:
    """Decide some sessions in turn.

    Parameters
    ----------
    params : PortfoliosParams
    reader : StageReader
    market_id : str
    days : sequence of date
        Ascending.
    members : polars.DataFrame
        Rows of the universe on them.
    previous : polars.DataFrame or None
        The decision before the first, where there is one and it counts.
    out : Output
        Counts what stood in.
    """
    before: dict[str, int] = {}
    if previous is not None:
        before = dict(previous.filter(pl.col("instrument_id") != CASH).select("instrument_id", "units").iter_rows())
    tiers = [CORE, SATELLITE] if params.satellites else [CORE]
    held = members.with_columns(buys=pl.col("tier").is_in(tiers)).filter(pl.col("as_of_date").is_in(list(days)))
    names = sorted({*held.filter("buys")["instrument_id"], *before})
    # Who passed every filter and is left out by a cap alone need not be sold.
    stays = pl.col("rank").is_not_null() & params.remembers
    held = held.filter((pl.col("buys") | stays) & pl.col("instrument_id").is_in(names))
    scores = reader.read(
        SCORES,
        columns=["as_of_date", "instrument_id", "expected_return", "volatility"],
        dates=(days[0], days[-1]),
        where={**params.scores, "market_id": market_id},
    )
    per_year = SESSIONS_A_YEAR / params.horizon_days
    held = held.join(
        pl.DataFrame(pl.from_arrow(scores)).with_columns(pl.col("volatility") * per_year**0.5),
        on=["as_of_date", "instrument_id"],
        how="left",
        maintain_order="left",
    )
    at = (
        np.searchsorted(np.array(days, dtype="datetime64[D]"), held["as_of_date"].to_numpy().astype("datetime64[D]")),
        np.searchsorted(names, held["instrument_id"].to_list()) if names else np.zeros(0, dtype=np.int64),
    )
    there = np.zeros((len(days), len(names)), dtype=bool)
    keep = there.copy()
    there[at], keep[at] = held["buys"].to_numpy(), True
    sectors = sorted(set(held["sector"].drop_nulls()))
    place = {s: i for i, s in enumerate(sectors)}
    sector = np.full(there.shape, NO_SECTOR, dtype=np.int64)
    sector[at] = held["sector"].replace_strict(place, default=NO_SECTOR, return_dtype=pl.Int64).to_numpy()

    def grid(column: str) -> NDArray[np.float64]:
        values = np.full(there.shape, np.nan)
        values[at] = held[column].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        return values

    covariance = None
    if params.backend == MEAN_VARIANCE:
        covariance = KnownCovariances(
            reader, market_id, days, names, sector, params.cutoff, infer_splits=params.infer_splits
        )
    problem = Problem(
        there=there,
        sector=sector,
        score=grid("score"),
        volatility=grid("volatility"),
        expected_return=grid("expected_return") * per_year,
        covariance=covariance,
        previous=None if previous is None else np.array([before.get(n, 0) for n in names]) / UNITS,
        keep=keep,
    )
    decided = params.chosen.allocate(problem, params.limits)
    for backend, reason in zip(decided.backend.tolist(), decided.reason.tolist(), strict=True):
        if reason:
            out.notes[f"rebalances by {backend} ({reason})"] += 1
    return _holdings(days, names, sectors, problem, decided, grid("expected_return"))


def _holdings(
    days: Sequence[dt.date],
    names: Sequence[str],
    sectors: Sequence[str],
    problem: Problem,
    decided: Allocation,
    expected: NDArray[np.float64],
) -> pl.DataFrame:
    """Decided holdings as rows, CASH last on each session."""
    day, name = np.nonzero(decided.units)
    volatility = problem.volatility
    if decided.volatility is not None:
        volatility = np.where(np.isnan(decided.volatility), volatility, decided.volatility)
    code = problem.sector[day, name]
    kinds = pl.Series([*sectors, None], dtype=pl.String)
    ids = pl.Series([*names, CASH], dtype=pl.String)

    def numbers(values: NDArray[np.float64]) -> pl.Series:
        return pl.Series(values[day, name], dtype=pl.Float64).fill_nan(None)

    rows = pl.DataFrame(
        {
            "day": day,
            "instrument_id": ids[name],
            "sector": kinds[np.where(code == NO_SECTOR, len(sectors), code)],
            "units": decided.units[day, name],
            "score": numbers(problem.score),
            "expected_return": numbers(expected),
            "volatility": numbers(volatility),
        }
    )
    cash = pl.DataFrame(
        {
            "day": np.arange(len(days)),
            "instrument_id": pl.repeat(CASH, len(days), eager=True),
            "sector": pl.repeat(None, len(days), dtype=pl.String, eager=True),
            "units": UNITS - decided.units.sum(axis=1),
        },
    ).with_columns(pl.lit(None, pl.Float64).alias(c) for c in ("score", "expected_return", "volatility"))
    said = pl.DataFrame(
        {"as_of_date": list(days), "backend": decided.backend, "reason": decided.reason, "day": np.arange(len(days))}
    ).with_columns(pl.col("reason").replace("", None))
    return pl.concat([rows, cash]).join(said, on="day", maintain_order="left").select(DECISION)
