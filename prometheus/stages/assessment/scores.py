"""Stage: what each name of a market is expected to do against the others over 5, 21 and 63 sessions.

The context model orders names by the head that serves the year; where there is none, or a name has no context vector,
the basic model stands in: the row says so and why, the summary counts it. Every name is scored that the market is known
to list on the day, and whose last 63 sessions have a volatility.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Markets
from prometheus.engines.assessment import (
    BASIC,
    CONTEXT,
    LABELS,
    AssessmentHead,
    AssessmentModel,
    Assessments,
    BasicAssessmentModel,
    ContextAssessmentModel,
    NamesOfDays,
)
from prometheus.engines.stability.basic import NO_PRICES
from prometheus.lake import contract
from prometheus.runtime import Chunk, Holding, Input, Output, Stage, StageReader, market_in_scope
from prometheus.stages.assessment.fits import FITS
from prometheus.stages.assessment.inputs import (
    AssessmentParams,
    branch_surfaces,
    constant,
    joint_surface,
    market_and_horizon,
    markets_of,
    numeric_surface,
    reads_branches,
    reads_joint,
    reads_numeric,
    scope_of,
)
from prometheus.stages.assessment.names import (
    HISTORY_DAYS,
    NO_MOMENTUM,
    REASONS,
    SOFT_TARGETS,
    ListedNames,
    listed_names,
    soft_target_surface,
    soft_targets,
    vectors_of,
)
from prometheus.stages.cuts import check_prices

SCORES = "instrument_scores"

BRANCH_DAYS = 400
"""Calendar days that the branch of a joint vector may be older than it: as long as any of them is held to be known."""

_DAYS_AT_ONCE = 21
"""Sessions whose vectors are held at a time."""


def _days(params: AssessmentParams, reader: StageReader, first: dt.date, last: dt.date) -> dict[str, list[dt.date]]:
    markets = markets_of(params, reader)
    check_prices(reader, first, last)
    sessions = {m: reader.sessions(m).between(first, last).dates.tolist() for m in markets}
    return {scope_of(m, h): days for m, days in sessions.items() for h in params.horizons}


def _compute(params: AssessmentParams, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    parts: list[pa.Table] = []
    # Horizons asked for the same days share what was read.
    together: dict[tuple[str, tuple[dt.date, ...]], list[int]] = {}
    for scope, days in chunk.days.items():
        market_id, horizon = market_and_horizon(scope)
        together.setdefault((market_id, days), []).append(horizon)
    for (market_id, days), horizons in together.items():
        listed = listed_names(params, reader, market_id, days, horizons)
        for horizon in horizons:
            scored = listed.scored(horizon)
            _count(out, scope_of(market_id, horizon), days, listed, scored)
            out.replace(
                SCORES,
                partitions={"as_of_year": sorted({d.year for d in days})},
                keys={
                    "market_id": [market_id],
                    "horizon_days": [horizon],
                    "model_id": [params.model_id],
                    "variant": [params.variant],
                    "as_of_date": list(days),
                },
            )
        heads = {h: fitted_heads(params, reader, market_id, h) for h in horizons}
        for some in (days[i : i + _DAYS_AT_ONCE] for i in range(0, len(days), _DAYS_AT_ONCE)):
            parts += _assessed(params, reader, market_id, some, listed, heads, out)
    out.rows[SCORES] = pa.concat_tables(parts) if parts else contract(SCORES).empty()
    return out


def _count(out: Output, scope: str, days: Sequence[dt.date], listed: ListedNames, scored: NDArray[np.bool_]) -> None:
    why = np.where(listed.reason >= 0, listed.reason, REASONS.index(NO_MOMENTUM)).astype(np.int64)
    at = np.searchsorted(np.array(days, dtype="datetime64[D]"), listed.days)
    made = np.bincount(at[scored], minlength=len(days))
    left = np.zeros((len(days), len(REASONS)), dtype=np.int64)
    np.add.at(left, (at[~scored], why[~scored]), 1)
    for i, day in enumerate(days):
        if made[i]:
            out.make(scope, day, int(made[i]))
        for reason, count in zip(REASONS, left[i].tolist(), strict=True):
            out.skip(scope, day, reason, count)
        if not made[i] and not left[i].any():
            out.skip(scope, day, NO_PRICES)


def _assessed(
    params: AssessmentParams,
    reader: StageReader,
    market_id: str,
    days: Sequence[dt.date],
    listed: ListedNames,
    heads: Mapping[int, Mapping[int, tuple[AssessmentHead, dt.date]]],
    out: Output,
) -> list[pa.Table]:
    """Rows of some days, and a word in the summary for every one by basic."""
    begin, end = np.searchsorted(listed.days, [np.datetime64(days[0]), np.datetime64(days[-1], "D") + 1])
    rows = np.arange(begin, end)
    soft = soft_targets(params, reader, days, listed.days[rows], listed.names[rows])
    has, vectors = vectors_of(params, reader, days, listed.days[rows], listed.names[rows])
    years = listed.days[rows].astype("datetime64[Y]").astype(np.int64) + 1970
    found = []
    for horizon, by_year in heads.items():
        scored = listed.scored(horizon)[rows]
        for year in np.unique(years).tolist():
            at = np.flatnonzero(scored & (years == year))
            if not len(at):
                continue
            names = NamesOfDays(
                day=listed.days[rows[at]].astype(np.int64),
                momentum=listed.momentum[horizon][rows[at]],
                soft_target=soft[at],
                volatility=listed.volatility[rows[at]],
                known=has[at] >= 0,
                vectors=vectors[has[at][has[at] >= 0]],
            )
            head, cut = by_year.get(year, (None, None))
            assessed = _model(params, head).assess(names, horizon)
            if params.backend == CONTEXT:
                reasons, counts = np.unique(assessed.reason[~assessed.by_context], return_counts=True)
                for reason, count in zip(reasons.tolist(), counts.tolist(), strict=True):
                    out.notes[f"rows by {BASIC} ({reason})"] += count
            elif untold := int((assessed.reason != "").sum()):
                out.notes["rows without a soft-target score"] += untold
            found.append(
                _table(params, market_id, horizon, listed.days[rows[at]], listed.names[rows[at]], assessed, cut)
            )
    return found


def _model(params: AssessmentParams, head: AssessmentHead | None) -> AssessmentModel:
    basic = BasicAssessmentModel(params.prior_ic)
    return basic if params.backend == BASIC else ContextAssessmentModel(head, basic)


def fitted_heads(
    params: AssessmentParams, reader: StageReader, market_id: str, horizon: int
) -> dict[int, tuple[AssessmentHead, dt.date]]:
    """Return the head that serves each year, and the last session it had seen, as the lake holds them."""
    if params.backend == BASIC:
        return {}
    where = {"model_id": params.model_id, "variant": params.variant, "market_id": market_id, "horizon_days": horizon}
    heads = {}
    for row in reader.read(FITS, where=where).to_pylist():
        head = AssessmentHead(np.array(row["coefficients"], dtype=np.float32), row["ic"], row["reason"] or "")
        heads[row["year"]] = head, row["as_of_date"]
    return heads


def _table(
    params: AssessmentParams,
    market_id: str,
    horizon: int,
    days: NDArray[np.datetime64],
    names: NDArray[np.str_],
    assessed: Assessments,
    cut: dt.date | None,
) -> pa.Table:
    n = len(days)
    schema = contract(SCORES).schema
    fitted_on = np.where(assessed.by_context, np.datetime64(cut or "NaT", "D"), np.datetime64("NaT", "D"))
    values: dict[str, Any] = {
        "instrument_id": pa.array(names, pa.string()),
        "as_of_date": pa.array(days),
        "as_of_year": days.astype("datetime64[Y]").astype(np.int32) + 1970,
        "horizon_days": np.full(n, horizon),
        "model_id": constant(params.model_id, n),
        "variant": constant(params.variant, n),
        "market_id": constant(market_id, n),
        "score": assessed.score,
        "expected_return": assessed.expected_return,
        "confidence": assessed.confidence,
        "signal_label": pa.DictionaryArray.from_arrays(assessed.label.astype(np.int32), list(LABELS)),
        "volatility": assessed.volatility,
        "num_names": assessed.num_names,
        "ic": assessed.ic,
        "fitted_on": pa.array(fitted_on, from_pandas=True),
        "backend": pa.DictionaryArray.from_arrays(assessed.by_context.astype(np.int32), [BASIC, CONTEXT]),
        "reason": pa.array(assessed.reason, pa.string(), mask=assessed.reason == ""),
    }
    cells = (values[f.name] for f in schema)
    arrays = [cell if isinstance(cell, pa.Array) else pa.array(cell) for cell in cells]
    return pa.table([array.cast(f.type) for array, f in zip(arrays, schema, strict=True)], schema=schema)


def _holds(params: AssessmentParams, scope: str, markets: Markets) -> dict[str, Holding]:
    market_id, horizon = market_and_horizon(scope)
    where: dict[str, str | int] = {"market_id": market_id, "horizon_days": horizon}
    where |= {"model_id": params.model_id, "variant": params.variant}
    return {SCORES: Holding(where)}


ASSESSMENT = Stage(
    name="assessment",
    revision=1,
    summary="score what each name is expected to do against its market's others over some horizons",
    params=AssessmentParams,
    inputs=(
        Input("prices_daily", history=HISTORY_DAYS),
        Input("corporate_actions", history=None, optional=True),
        Input("instruments", history=None),
        Input(SOFT_TARGETS, history=0, where=soft_target_surface, optional=True),
        Input("joint_embeddings", history=0, where=joint_surface, optional=True, when=reads_joint),
        Input("joint_embeddings", history=BRANCH_DAYS, where=branch_surfaces, optional=True, when=reads_branches),
        Input("numeric_window_embeddings", history=0, where=numeric_surface, optional=True, when=reads_numeric),
        Input(
            FITS,
            history=None,
            where=lambda p: {"model_id": p.model_id, "variant": p.variant},
            optional=True,
            when=lambda p: p.backend == CONTEXT,
        ),
    ),
    outputs=(SCORES,),
    surface=lambda p: p.model_id,
    days=_days,
    compute=_compute,
    market=market_in_scope,
    chunk_by="year",
    command="backfill_assessment",
    holds=_holds,
    writes=lambda p: {SCORES: {"model_id": p.model_id}},
    surfaces=({}, {"model_id": f"assessment-{BASIC}-v1"}),
)
