"""Stage: mean and spread of each branch over its past, fitted once a year on what lay before.

The statistics that serve a year use the branch's rows of all dates up to the last session of the year before, at
least 126 of them; a correction of the scale never reaches back.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Markets
from prometheus.encoders.joint import BranchStatistics
from prometheus.lake import contract
from prometheus.runtime import Chunk, Holding, Input, Output, Stage, StageReader, market_of_region_in_scope
from prometheus.spaces.joint import REGIME_CONTEXT
from prometheus.stages.cuts import cut_days, first_day
from prometheus.stages.joint_regime_context import BRANCHES, JointRegimeContextParams, news_means, regime_rows
from prometheus.vectors import to_list_array

MIN_DATES = 126
_BEGINNING = dt.date(1900, 1, 1)


@dataclass(frozen=True)
class BranchStatisticsParams(JointRegimeContextParams):
    """Parameters of the branch statistics: those of the space they serve."""


def _days(
    params: BranchStatisticsParams, reader: StageReader, first: dt.date, last: dt.date
) -> dict[str, list[dt.date]]:
    # The population is every past date there is, wherever the request begins.
    reader.span(min(first, first_day(reader, "regimes")), last)
    return {region: cut_days(reader, region, first, last) for region in params.region}


def _compute(params: BranchStatisticsParams, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    rows: list[dict[str, object]] = []
    vectors: list[NDArray[np.float32]] = []
    for region, cuts in chunk.days.items():
        regimes = regime_rows(reader, region, params, _BEGINNING, cuts[-1])
        sessions = reader.sessions(reader.market_of(region).market_id).between(_BEGINNING, cuts[-1])
        means = news_means(reader, params, region, sessions.dates.tolist())
        out.replace(
            "branch_statistics",
            partitions={"joint_type": [REGIME_CONTEXT.joint_type], "variant": [params.variant]},
            keys={"region": [region], "as_of_date": list(cuts)},
        )
        for cut in cuts:
            fits = {}
            for name, days, block in (
                ("regime", regimes.days, regimes.vectors),
                ("text", means.days, means.vectors),
            ):
                known = block[: np.searchsorted(days, np.datetime64(cut), side="right")]
                if len(known) >= MIN_DATES:
                    fits[name] = (BranchStatistics.fit(known), len(known))
            if len(fits) < len(BRANCHES):
                out.skip(region, cut, f"fewer than {MIN_DATES} past dates in a branch")
                continue
            for name, (fit, dates) in fits.items():
                rows.append(
                    {
                        "joint_type": REGIME_CONTEXT.joint_type,
                        "branch": name,
                        "variant": params.variant,
                        "region": region,
                        "year": cut.year + 1,
                        "as_of_date": cut,
                        "num_dates": dates,
                        "rms": fit.rms,
                    }
                )
                vectors.append(np.asarray(fit.mean, dtype=np.float32))
            out.make(region, cut, len(fits))
    declared = contract("branch_statistics")
    table = declared.empty()
    if rows:
        plain = pa.Table.from_pylist(rows, schema=pa.schema([f for f in declared.schema if f.name != "mean"]))
        table = plain.append_column(declared.schema.field("mean"), to_list_array(np.stack(vectors)))
    out.rows["branch_statistics"] = table
    return out


def _holds(params: BranchStatisticsParams, scope: str, markets: Markets) -> dict[str, Holding]:
    where = {"joint_type": REGIME_CONTEXT.joint_type, "variant": params.variant, "region": scope}
    return {"branch_statistics": Holding(where)}


BRANCH_STATISTICS = Stage(
    name="branch_statistics",
    revision=1,
    summary="fit each branch's past mean and spread, year by year, for the calibrated variant",
    params=BranchStatisticsParams,
    inputs=(
        Input("regimes", history=None),
        Input(
            "text_embeddings",
            history=None,
            where=lambda p: {"source_type": "NEWS", "model_id": p.text_model_id, "variant": p.text_variant},
        ),
        Input("news_articles", history=None),
    ),
    outputs=("branch_statistics",),
    surface=lambda p: f"{REGIME_CONTEXT.joint_type}/{p.joint_model_id}",
    days=_days,
    compute=_compute,
    market=market_of_region_in_scope,
    chunk_days=10_000,
    command="backfill_joint_regime_context",
    holds=_holds,
)
