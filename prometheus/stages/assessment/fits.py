"""Stage: the heads of the context model, fitted once a year on how names did against each other before.

1. Days are those that end a week; names are those with a context vector in the lake that the market was known to list
   then.
2. A day is counted at the first yearly cut by which the horizon is over, with returns as known then: the fit dated T
   uses rows and outcomes up to T, and what is corrected later never reaches back. Days of before a cut whose outcomes
   came after it overlap what was fitted on, so no penalty and no information coefficient is measured on them.
3. Sums of a year are added to those of the years before, so memory holds weeks, not the horizon.
4. The information coefficient of a head is the mean rank correlation that the heads before it had in the years they
   served (:class:`~prometheus.engines.assessment.AssessmentHeads`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Markets, cutoffs
from prometheus.engines.assessment import BASIC, AssessmentHeads, FittedAssessmentHead, next_returns
from prometheus.engines.assessment.fitting import MIN_DAYS
from prometheus.lake import contract
from prometheus.market.membership import listed_as_known
from prometheus.market.returns import RETURN_HISTORY
from prometheus.runtime import Chunk, Holding, Input, Output, Stage, StageReader, market_in_scope
from prometheus.stages.assessment.inputs import (
    AssessmentSettings,
    branch_surfaces,
    context_rows,
    joint_surface,
    market_and_horizon,
    markets_of,
    numeric_surface,
    reads_branches,
    reads_joint,
    reads_numeric,
    scope_of,
    width_of,
)
from prometheus.stages.cuts import cut_days, first_day, new_week_ends
from prometheus.stages.numeric.windows import read_market

FITS = "assessment_fits"
TOO_FEW = f"fewer than {MIN_DAYS} weeks of context vectors with known outcomes before the year"

_WEEKS_AT_ONCE = 4


def _days(params: AssessmentSettings, reader: StageReader, first: dt.date, last: dt.date) -> dict[str, list[dt.date]]:
    if params.backend == BASIC:
        return {}
    markets = markets_of(params, reader)
    # A fit takes every vector there is, wherever the request begins.
    reader.span(min(first, _beginning(params, reader)), last)
    return {scope_of(m, h): cut_days(reader, m, first, last) for m in markets for h in params.horizons}


def _beginning(params: AssessmentSettings, reader: StageReader) -> dt.date:
    """First date of the context vectors; the end of time without any."""
    if reads_joint(params):
        return first_day(reader, "joint_embeddings", joint_surface(params))
    return first_day(reader, "numeric_window_embeddings", numeric_surface(params))


def _compute(params: AssessmentSettings, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    rows: list[dict[str, object]] = []
    begin = _beginning(params, reader)
    for scope, cuts in chunk.days.items():
        market_id, horizon = market_and_horizon(scope)
        out.replace(
            FITS,
            partitions={"model_id": [params.model_id], "variant": [params.variant]},
            keys={"market_id": [market_id], "horizon_days": [horizon], "as_of_date": list(cuts)},
        )
        fits = dict(_fits(params, reader, market_id, horizon, begin, cuts[-1])) if begin <= cuts[-1] else {}
        for cut in cuts:
            fitted = fits.get(cut)
            if fitted is None:
                out.skip(scope, cut, TOO_FEW)
                continue
            rows.append(_row(params, market_id, horizon, cut, fitted))
            out.make(scope, cut)
    out.rows[FITS] = pa.Table.from_pylist(rows, schema=contract(FITS).schema)
    return out


def _fits(
    params: AssessmentSettings, reader: StageReader, market_id: str, horizon: int, begin: dt.date, last: dt.date
) -> Iterator[tuple[dt.date, FittedAssessmentHead | None]]:
    """Heads of every cut since the vectors begin, whichever are asked for: the sums must be the same."""
    heads = AssessmentHeads(width_of(params))
    before: dt.date | None = None
    for cut in cut_days(reader, market_id, begin, dt.date(last.year + 1, 1, 1)):
        if begin <= cut <= last:
            _count(params, reader, market_id, horizon, begin, before, cut, heads)
            yield cut, heads.close_year()
            before = cut


def _count(
    params: AssessmentSettings,
    reader: StageReader,
    market_id: str,
    horizon: int,
    begin: dt.date,
    before: dt.date | None,
    cut: dt.date,
    heads: AssessmentHeads,
) -> None:
    """Add days whose outcomes became known between two cuts."""
    sessions = reader.sessions(market_id).between(dt.date.min, cut)
    ends, last_before = new_week_ends(sessions.dates, begin, before, horizon)
    if not len(ends):
        return
    names, returns, known = _outcomes(params, reader, market_id, horizon, cut, sessions.dates, ends)
    if not len(names):
        return
    for start in range(0, len(ends), _WEEKS_AT_ONCE):
        some = np.arange(start, min(start + _WEEKS_AT_ONCE, len(ends)))
        rows = context_rows(params, reader, sessions.dates[ends[some]].tolist())
        for column in some.tolist():
            at = rows.of_day(sessions.dates[ends[column]])
            place = np.minimum(np.searchsorted(names, rows.names[at]), len(names) - 1)
            good = (names[place] == rows.names[at]) & known[place, column]
            heads.add_day(rows.vectors[at][good], returns[place[good], column], newer=bool(ends[column] > last_before))


def _outcomes(
    params: AssessmentSettings,
    reader: StageReader,
    market_id: str,
    horizon: int,
    cut: dt.date,
    dates: NDArray[np.datetime64],
    ends: NDArray[np.int64],
) -> tuple[NDArray[np.str_], NDArray[np.float64], NDArray[np.bool_]]:
    """Names (ascending), their returns over the horizon as known at a cut, and of which they count; (names, ends)."""
    history = len(dates) - int(ends[0]) + RETURN_HISTORY
    market = read_market(reader, market_id, [cut], history=history, cutoff=params.cutoff)
    (panel,) = market.panels(history, infer_splits=params.infer_splits)
    series = panel.panel
    returns, known = next_returns(series, np.searchsorted(series.sessions, dates[ends]), horizon)
    # A name that came to the market later has prices there, and vectors as of where it was.
    everything = reader.sessions(market_id)
    at = np.searchsorted(everything.dates, dates[ends])
    listed = listed_as_known(
        market.instruments, market_id, series.names, everything, cutoffs(everything, params.cutoff)
    )[at]
    return np.array(series.names, dtype=np.str_), returns, known & listed.T


def _row(
    params: AssessmentSettings, market_id: str, horizon: int, cut: dt.date, fitted: FittedAssessmentHead
) -> dict[str, object]:
    return {
        "market_id": market_id,
        "model_id": params.model_id,
        "variant": params.variant,
        "year": cut.year + 1,
        "horizon_days": horizon,
        "as_of_date": cut,
        "num_rows": fitted.num_rows,
        "num_days": fitted.num_days,
        "penalty": fitted.penalty,
        "held_back_ic": fitted.held_back_ic,
        "held_back_days": fitted.held_back_days,
        "ic": fitted.head.ic,
        "reason": fitted.head.reason or None,
        "coefficients": fitted.head.coefficients.astype(np.float64),
    }


def _holds(params: AssessmentSettings, scope: str, markets: Markets) -> dict[str, Holding]:
    market_id, horizon = market_and_horizon(scope)
    where: dict[str, str | int] = {"market_id": market_id, "horizon_days": horizon}
    where |= {"model_id": params.model_id, "variant": params.variant}
    return {FITS: Holding(where)}


ASSESSMENT_FITS = Stage(
    name=FITS,
    revision=1,
    summary="fit the heads that order a market's names, once a year on how they did against each other before",
    params=AssessmentSettings,
    inputs=(
        Input("prices_daily", history=None),
        Input("corporate_actions", history=None, optional=True),
        Input("instruments", history=None),
        Input("joint_embeddings", history=None, where=joint_surface, optional=True, when=reads_joint),
        Input("joint_embeddings", history=None, where=branch_surfaces, optional=True, when=reads_branches),
        Input("numeric_window_embeddings", history=None, where=numeric_surface, optional=True, when=reads_numeric),
    ),
    outputs=(FITS,),
    surface=lambda p: p.model_id,
    days=_days,
    compute=_compute,
    market=market_in_scope,
    chunk_days=10_000,
    command="backfill_assessment",
    holds=_holds,
    writes=lambda p: {FITS: {"model_id": p.model_id}},
)
