"""Stage: the heads that forecast the next 21 sessions from stability embeddings, fitted once a year on what lay before.

1. Windows are those that end on the last session of a week, as the lake holds their embeddings.
2. A window is counted at the first yearly cut by which its 21 sessions are over, with what was known of them then: the
   fit dated T uses rows and outcomes up to T, and what is corrected later never reaches back.
3. Sums of a year are added to those of the years before, so memory holds weeks, not the horizon. The penalty is the one
   that forecast the years best that it had not seen (:class:`~prometheus.engines.stability.YearlyHeads`).
4. The head is the mean of the regression on every slot and of that on the level of volatility over a week and a month
   alone: the first knows more, the second is harder to take by surprise.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Markets, cutoffs
from prometheus.engines.stability import HORIZON, RidgeSums, YearlyHeads, next_outcomes
from prometheus.engines.stability.embedding import ANCHOR_SLOTS, TARGETS
from prometheus.lake import contract
from prometheus.market.listings import described_as_known
from prometheus.market.panel import EntitySeries
from prometheus.market.returns import RETURN_HISTORY
from prometheus.runtime import Chunk, Holding, Input, Output, Stage, StageReader, market_in_scope
from prometheus.spaces.numeric import numeric_model
from prometheus.spaces.numeric.layout import slot_table
from prometheus.stages.cuts import cut_days, first_day, new_week_ends
from prometheus.stages.numeric.embeddings import NumericEmbeddingsParams, markets_asked
from prometheus.stages.numeric.windows import INSTRUMENT, read_market
from prometheus.stages.stability.windows import (
    BASIC,
    StabilitySettings,
    baskets_of,
    fitted_on,
    fitted_type,
    joint_surface,
    numeric_surface,
    panels,
    reads_joint,
    reads_numeric,
    scope_of,
    stored,
)
from prometheus.vectors import EMBEDDING_DIM, from_list_array, to_list_array

MIN_WEEKS = 20
TOO_FEW = f"fewer than {MIN_WEEKS} weeks of embeddings with known outcomes before the year"

_WEEKS_AT_ONCE = 4


def _days(params: StabilitySettings, reader: StageReader, first: dt.date, last: dt.date) -> dict[str, list[dt.date]]:
    if params.backend == BASIC:
        return {}
    markets = markets_asked(NumericEmbeddingsParams(market_id=params.market_id), reader)
    # A fit takes every embedding there is, wherever the request begins.
    reader.span(min(first, _beginning(params, reader)), last)
    types = sorted({fitted_type(t) for t in params.entity_type})
    return {scope_of(m, t): cut_days(reader, m, first, last) for m in markets for t in types}


def _beginning(params: StabilitySettings, reader: StageReader) -> dt.date:
    """First date of the embeddings; the end of time without any."""
    if params.joint:
        return first_day(reader, "joint_embeddings", joint_surface(params))
    return first_day(reader, "numeric_window_embeddings", numeric_surface(params))


@dataclass
class _Past:
    """What is counted up to a cut: rows, and the weeks they are of."""

    heads: YearlyHeads
    weeks: int = 0


def _compute(params: StabilitySettings, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    rows: list[dict[str, object]] = []
    slopes: list[NDArray[np.float32]] = []
    begin = _beginning(params, reader)
    for scope, cuts in chunk.days.items():
        market_id, entity_type = scope.split("/")
        out.replace(
            "stability_fits",
            partitions={"model_id": [params.model_id], "variant": [params.variant]},
            keys={"market_id": [market_id], "entity_type": [entity_type], "as_of_date": list(cuts)},
        )
        if begin > cuts[-1]:
            for cut in cuts:
                out.skip(scope, cut, TOO_FEW)
            continue
        past = _Past(YearlyHeads(EMBEDDING_DIM, len(TARGETS), _anchor(params)))
        # Every cut since the embeddings begin, whichever are asked for: the sums must be the same.
        before: dt.date | None = None
        for cut in cut_days(reader, market_id, begin, dt.date(cuts[-1].year + 1, 1, 1)):
            if not begin <= cut <= cuts[-1]:
                continue
            _count(params, reader, market_id, entity_type, begin, before, cut, past)
            before = cut
            if cut not in cuts:
                continue
            if past.weeks < MIN_WEEKS:
                out.skip(scope, cut, TOO_FEW)
                continue
            made, vectors = _fit(params, market_id, entity_type, cut, past)
            rows += made
            slopes += vectors
            out.make(scope, cut, len(made))
        for cut in cuts:
            if (scope, cut) not in out.made and (scope, cut) not in out.skipped:
                out.skip(scope, cut, TOO_FEW)
    declared = contract("stability_fits")
    table = declared.empty()
    if rows:
        plain = pa.Table.from_pylist(rows, schema=pa.schema([f for f in declared.schema if f.name != "coefficients"]))
        table = plain.append_column(declared.schema.field("coefficients"), to_list_array(np.stack(slopes)))
    out.rows[declared.name] = table
    return out


def _count(
    params: StabilitySettings,
    reader: StageReader,
    market_id: str,
    entity_type: str,
    begin: dt.date,
    before: dt.date | None,
    cut: dt.date,
    past: _Past,
) -> None:
    """Add windows whose outcomes became known between two cuts."""
    sessions = reader.sessions(market_id).between(dt.date.min, cut)
    ends, last_before = new_week_ends(sessions.dates, begin, before, HORIZON)
    if not len(ends):
        return
    outcomes = _outcomes(params, reader, market_id, entity_type, cut, sessions.dates, ends)
    older, newer = (RidgeSums(EMBEDDING_DIM, len(TARGETS)) for _ in range(2))
    for start in range(0, len(ends), _WEEKS_AT_ONCE):
        some = ends[start : start + _WEEKS_AT_ONCE]
        for at, vectors, targets in _weeks(params, reader, entity_type, sessions.dates, some, outcomes):
            (older if at <= last_before else newer).add(vectors, targets)
            past.weeks += 1
    past.heads.add_year(older, newer)


def _anchor(params: StabilitySettings) -> NDArray[np.int64] | None:
    """Places of the slots whose own regression the heads are drawn to; None for embeddings that have no such slots."""
    if params.joint:
        return None
    names = [slot.name for slot in slot_table(numeric_model(params.embedding))]
    return np.array([names.index(a) for a in ANCHOR_SLOTS], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class _Outcomes:
    """What came after some sessions: by name (ascending) and session, as :func:`next_outcomes` has it."""

    names: NDArray[np.str_]
    at: NDArray[np.int64]
    values: NDArray[np.float64]
    known: NDArray[np.bool_]


def _outcomes(
    params: StabilitySettings,
    reader: StageReader,
    market_id: str,
    entity_type: str,
    cut: dt.date,
    dates: NDArray[np.datetime64],
    ends: NDArray[np.int64],
) -> _Outcomes:
    """Outcomes as known at a cut."""
    history = len(dates) - int(ends[0]) + RETURN_HISTORY
    market = read_market(reader, market_id, [cut], history=history, cutoff=params.cutoff)
    known = next(iter(panels(params, market, alone=entity_type == INSTRUMENT, history=history)))
    every: list[EntitySeries] = [known.panel]
    if entity_type != INSTRUMENT:
        every = [baskets_of(known, market_id, t) for t in fitted_on(entity_type)]
    found = [next_outcomes(series, np.searchsorted(series.sessions, dates[ends])) for series in every]
    names = np.array([name for series in every for name in series.names], dtype=np.str_)
    order = np.argsort(names)
    values, enough = (np.concatenate(parts)[order] for parts in zip(*found, strict=True))
    if entity_type == INSTRUMENT:
        # A name that came to the market later has prices there, and embeddings as of where it was.
        enough &= _listed(params, reader, market_id, dates[ends], names[order])
    return _Outcomes(names[order], ends, values, enough)


def _listed(
    params: StabilitySettings,
    reader: StageReader,
    market_id: str,
    days: NDArray[np.datetime64],
    names: NDArray[np.str_],
) -> NDArray[np.bool_]:
    """Which names the market was known to list at the cut-off of each day, shape (names, days)."""
    sessions = reader.sessions(market_id)
    known_by = cutoffs(sessions, params.cutoff)[np.searchsorted(sessions.dates, days)]
    described = described_as_known(reader.read_once("instruments"), days, known_by).filter(
        (pl.col("market_id") == market_id) & pl.col("instrument_id").is_in(names.tolist())
    )
    listed = np.zeros((len(names), len(days)), dtype=bool)
    of_day = described["as_of_date"].to_numpy().astype("datetime64[D]")
    listed[
        np.searchsorted(names, described["instrument_id"].to_numpy().astype(np.str_)), np.searchsorted(days, of_day)
    ] = True
    return listed


def _weeks(
    params: StabilitySettings,
    reader: StageReader,
    entity_type: str,
    dates: NDArray[np.datetime64],
    ends: NDArray[np.int64],
    outcomes: _Outcomes,
) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.float64]]]:
    """Embeddings and outcomes of the entities that have both, a session at a time, by name."""
    rows = stored(params, reader, fitted_on(entity_type), dates[ends].tolist())
    if rows.num_rows == 0:
        return
    rows = rows.sort_by([("as_of_date", "ascending"), ("entity_id", "ascending")])
    of_day = rows["as_of_date"].to_numpy().astype("datetime64[D]")
    vectors = from_list_array(rows["vector"])
    entities = np.array(rows["entity_id"].to_pylist(), dtype=np.str_)
    names = outcomes.names
    if not len(names):
        return
    for at in ends.tolist():
        begin, stop = np.searchsorted(of_day, [dates[at], dates[at] + 1])
        place = np.minimum(np.searchsorted(names, entities[begin:stop]), len(names) - 1)
        column = int(np.searchsorted(outcomes.at, at))
        good = (names[place] == entities[begin:stop]) & outcomes.known[place, column]
        if good.any():
            yield at, vectors[begin:stop][good], outcomes.values[place[good], column]


def _fit(
    params: StabilitySettings, market_id: str, entity_type: str, cut: dt.date, past: _Past
) -> tuple[list[dict[str, object]], list[NDArray[np.float32]]]:
    fitted = past.heads.fitted()
    rows: list[dict[str, object]] = [
        {
            "market_id": market_id,
            "entity_type": entity_type,
            "model_id": params.model_id,
            "variant": params.variant,
            "year": cut.year + 1,
            "target": target,
            "as_of_date": cut,
            "num_rows": found.num_rows,
            "num_days": past.weeks,
            "penalty": found.penalty,
            "intercept": found.head.intercept,
            "residual_variance": found.head.residual_variance,
            "held_back_r2": found.held_back_r2,
        }
        for target, found in zip(TARGETS, fitted, strict=True)
    ]
    return rows, [found.head.coefficients for found in fitted]


def _holds(params: StabilitySettings, scope: str, markets: Markets) -> dict[str, Holding]:
    market_id, entity_type = scope.split("/")
    where = {"market_id": market_id, "entity_type": entity_type, "model_id": params.model_id, "variant": params.variant}
    return {"stability_fits": Holding(where)}


STABILITY_FITS = Stage(
    name="stability_fits",
    revision=1,
    summary="fit the heads that forecast the next 21 sessions, once a year on what lay before",
    params=StabilitySettings,
    inputs=(
        Input("prices_daily", history=None),
        Input("corporate_actions", history=None, optional=True),
        Input("instruments", history=None),
        Input("numeric_window_embeddings", history=None, where=numeric_surface, optional=True, when=reads_numeric),
        Input("joint_embeddings", history=None, where=joint_surface, optional=True, when=reads_joint),
    ),
    outputs=("stability_fits",),
    surface=lambda p: p.model_id,
    days=_days,
    compute=_compute,
    market=market_in_scope,
    chunk_days=10_000,
    command="backfill_stability",
    holds=_holds,
    writes=lambda p: {"stability_fits": {"model_id": p.model_id}},
)
