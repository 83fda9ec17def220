"""Names a market lists on some days, with what a score is made of: volatility, momentum, soft-target score, vector."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prometheus.engines.assessment import BASIC, momentum, momentum_sessions
from prometheus.engines.stability import past_windows
from prometheus.engines.stability.basic import NO_PRICES, SKIP_REASONS
from prometheus.market.listings import described_as_known
from prometheus.market.returns import RETURN_HISTORY
from prometheus.runtime import StageReader
from prometheus.stages.assessment.inputs import MOST_AHEAD, AssessmentParams, context_rows, width_of
from prometheus.stages.numeric.windows import read_market

SOFT_TARGETS = "soft_target_classes"

NO_MOMENTUM = "no_momentum"
REASONS = (*SKIP_REASONS, NO_MOMENTUM)
"""Why a listed name has no score."""

HISTORY = MOST_AHEAD + 1 + RETURN_HISTORY
"""Sessions up to and including a day that its rows depend on."""

HISTORY_DAYS = 245
"""Calendar days that hold them, holidays included."""


@dataclass(frozen=True, eq=False)
class ListedNames:
    """Names a market was known to list on some days, by (day, name).

    Attributes
    ----------
    days : ndarray of datetime64[D], shape (n,)
    names : ndarray of str, shape (n,)
    reason : ndarray of int8, shape (n,)
        Index into :data:`REASONS`; -1 where the window counts.
    volatility : ndarray of float64, shape (n,)
        Daily.
    momentum : mapping of int to ndarray of float64, shape (n,)
        By horizon.
    """

    days: NDArray[np.datetime64]
    names: NDArray[np.str_]
    reason: NDArray[np.int8]
    volatility: NDArray[np.float64]
    momentum: Mapping[int, NDArray[np.float64]]

    def scored(self, horizon: int) -> NDArray[np.bool_]:
        """Which have what a score needs."""
        return (self.reason < 0) & np.isfinite(self.momentum[horizon])


def listed_names(
    params: AssessmentParams, reader: StageReader, market_id: str, days: Sequence[dt.date], horizons: Sequence[int]
) -> ListedNames:
    """Names that a listing in force puts in a market on some sessions, with what their prices say as known on each."""
    market = read_market(reader, market_id, days, history=HISTORY, cutoff=params.cutoff)
    asked = market.sessions.dates[market.targets]
    described = described_as_known(
        reader.read_once("instruments"), asked, market.session_cutoffs[market.targets]
    ).filter((pl.col("market_id") == market_id) & pl.col("instrument_id").is_in(list(market.names)))
    day = np.searchsorted(asked, described["as_of_date"].to_numpy().astype("datetime64[D]"))
    name = np.searchsorted(market.names, described["instrument_id"].to_numpy().astype(np.str_))
    shape = len(asked), len(market.names)
    reason = np.full(shape, REASONS.index(NO_PRICES), dtype=np.int8)
    volatility = np.full(shape, np.nan)
    moved = {h: np.full(shape, np.nan) for h in horizons}
    for known in market.panels(HISTORY, apart=True, infer_splits=params.infer_splits):
        past, why = past_windows(known.panel, known.positions)
        cell = np.ix_(np.searchsorted(market.targets, known.targets), np.searchsorted(market.names, known.panel.names))
        reason[cell], volatility[cell] = why.T, past.volatility.T
        for h in horizons:
            moved[h][cell] = momentum(known.panel, known.positions, momentum_sessions(h)).T
    at = day, name
    names = np.array(market.names, dtype=np.str_)[name]
    return ListedNames(asked[day], names, reason[at], volatility[at], {h: m[at] for h, m in moved.items()})


def soft_targets(
    params: AssessmentParams,
    reader: StageReader,
    days: Sequence[dt.date],
    of_day: NDArray[np.datetime64],
    names: NDArray[np.str_],
) -> NDArray[np.float64]:
    """Soft-target scores of names on days; NaN where there is none."""
    rows = reader.read(
        SOFT_TARGETS,
        columns=["as_of_date", "entity_id", "soft_target_score"],
        dates=(days[0], days[-1]),
        where=soft_target_surface(params) | {"entity_type": "INSTRUMENT"},
    )
    held = pl.DataFrame(pl.from_arrow(rows)).rename({"entity_id": "name"})
    asked = pl.DataFrame({"as_of_date": of_day, "name": names}).with_columns(pl.col("as_of_date").cast(pl.Date))
    joined = asked.join(held, on=["as_of_date", "name"], how="left", maintain_order="left")
    return joined["soft_target_score"].cast(pl.Float64).fill_null(np.nan).to_numpy()


def vectors_of(
    params: AssessmentParams,
    reader: StageReader,
    days: Sequence[dt.date],
    of_day: NDArray[np.datetime64],
    names: NDArray[np.str_],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Row of the context vector of names on days (-1 for none), and the vectors."""
    if params.backend == BASIC:
        return np.full(len(names), -1), np.zeros((0, width_of(params)), dtype=np.float32)
    rows = context_rows(params, reader, days)
    held = pl.DataFrame({"as_of_date": rows.days, "name": rows.names}).with_row_index("row")
    asked = pl.DataFrame({"as_of_date": of_day, "name": names})
    at = asked.join(held, on=["as_of_date", "name"], how="left", maintain_order="left")["row"]
    return at.cast(pl.Int64).fill_null(-1).to_numpy(), rows.vectors


def soft_target_surface(params: AssessmentParams) -> dict[str, Any]:
    """Soft-target rows that scores read."""
    return {"model_id": params.soft_target_model, "variant": params.stability_variant}
