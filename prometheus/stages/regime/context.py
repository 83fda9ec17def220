"""Stages: regimes told from REGIME_CONTEXT_V0, the fusion of a region's window with the day's news.

The same heads as in :mod:`prometheus.stages.regime.regimes`, fitted on and shown the stored joint rows of the region.
States are named by what the market's windows did on the same sessions. Rows carry the joint model's id.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Markets, positions_in
from prometheus.engines.regime import BACKENDS, Windows, fit_prototypes
from prometheus.errors import MissingInputError, RequestError
from prometheus.lake import contract
from prometheus.runtime import Chunk, Holding, Input, Output, Stage, StageReader, market_of_region_in_scope, setting
from prometheus.spaces.joint import SPACES
from prometheus.stages.cuts import cut_days, first_day
from prometheus.stages.numeric.windows import fingerprint
from prometheus.stages.regime.fits import days_up_to, holds_fits
from prometheus.stages.regime.fitting import fits_of, served_by_year
from prometheus.stages.regime.labels import labelled, with_lead
from prometheus.stages.regime.windows import RegimeParams, past_windows, scope_of
from prometheus.vectors import from_list_array

SPACE = SPACES["regime_context"]
NO_JOINT_ROW = "no_joint_row"
MIN_ROWS = 126
"""Joint rows a fit needs, as the calibration of their branches does: news seldom go back as far as prices."""


@dataclass(frozen=True)
class ContextRegimeParams(RegimeParams):
    """Parameters of regimes told from joint rows; the numeric model's windows name the states."""

    joint_model_id: str = setting(SPACE.model_id, "joint model of the rows that are labelled")
    context_variant: str = setting("v0", "variant of the rows that are labelled", variant_of="joint_embeddings")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.instrument_id or self.block:
            raise RequestError(
                f"{SPACE.joint_type} is of a region as a whole: --instrument-id and --block are for num-regime windows"
            )

    @property
    def embedding_id(self) -> str:
        """The joint model."""
        return self.joint_model_id

    @property
    def least(self) -> int:
        """Joint rows a fit needs."""
        return MIN_ROWS

    @property
    def too_few(self) -> str:
        """Why there is no fit for a year."""
        return f"fewer than {self.least} joint rows before the year"


def _check_head(params: ContextRegimeParams) -> None:
    """Refuse the rule that reads no embedding."""
    if params.backend == "volatility":
        raise RequestError(f"the head volatility reads no joint rows; use {', '.join(BACKENDS[:-1])}")


def _rows_of(params: ContextRegimeParams) -> dict[str, Any]:
    return {
        "joint_type": SPACE.joint_type,
        "model_id": params.joint_model_id,
        "variant": params.context_variant,
    }


def _joint(
    params: ContextRegimeParams, reader: StageReader, region: str, first: dt.date, last: dt.date
) -> tuple[NDArray[np.datetime64], NDArray[np.float32]]:
    """Days and vectors of a region's joint rows, by day."""
    rows = reader.read(
        "joint_embeddings",
        columns=["as_of_date", "entity_key", "vector"],
        dates=(first, last),
        where={**_rows_of(params), "entity_key": region},
    ).sort_by("as_of_date")
    return rows["as_of_date"].to_numpy().astype("datetime64[D]"), from_list_array(rows["vector"])


def _shown(windows: Windows, days: NDArray[np.datetime64], vectors: NDArray[np.float32]) -> Windows:
    """Windows of the days that have a joint row, the row in place of the window's embedding."""
    at = positions_in(windows.days, days)
    kept = at >= 0
    mine = windows[at[kept]]
    return Windows(days[kept], vectors[kept], mine.volatility, mine.returns, mine.recent_volatility)


def _fit_days(
    params: ContextRegimeParams, reader: StageReader, first: dt.date, last: dt.date
) -> dict[str, list[dt.date]]:
    _check_head(params)
    reader.span(min(first, first_day(reader, "prices_daily")), last)
    return {
        scope_of(params, region): cut_days(reader, reader.market_of(region).market_id, first, last)
        for region in params.region
    }


def _fit(params: ContextRegimeParams, reader: StageReader, chunk: Chunk) -> Output:
    def past_of(region: str, cuts: Sequence[dt.date]) -> Windows:
        days = days_up_to(reader, region, cuts[-1])
        joint_days, vectors = _joint(params, reader, region, dt.date.min, cuts[-1])
        # Windows only of sessions that have a row: the others have no say.
        wanted = [d for d in days if joint_days.size and d >= joint_days[0].item()]
        return _shown(past_windows(params, reader, region, wanted), joint_days, vectors)

    return fits_of(params, chunk, past_of, fit_prototypes)


def _days(params: ContextRegimeParams, reader: StageReader, first: dt.date, last: dt.date) -> dict[str, list[dt.date]]:
    _check_head(params)
    scopes = {}
    for region in params.region:
        if _joint(params, reader, region, first, last)[0].size == 0:
            raise MissingInputError(
                f"there are no {SPACE.joint_type} rows ({params.joint_model_id}, variant {params.context_variant}) of "
                f"region {region} between {first} and {last}; make them with `python -m prometheus.scripts."
                f"{SPACE.command} --region {region} --date-range {first} {last}`"
            )
        sessions = reader.sessions(reader.market_of(region).market_id)
        scopes[scope_of(params, region)] = sessions.between(first, last).dates.tolist()
    return scopes


def _compute(params: ContextRegimeParams, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    regimes: list[pa.Table] = []
    declared = contract("regimes")
    for scope, days in chunk.days.items():
        region = scope.split("/")[0]
        heads = served_by_year(params, reader, region, params.proxy)
        lead = with_lead(params, reader, region, days)
        joint_days, vectors = _joint(params, reader, region, lead[0], days[-1])
        none = np.zeros(len(joint_days))
        shown = Windows(joint_days, vectors, none, none, none)
        wanted = np.array(days, dtype="datetime64[D]")
        regimes.append(labelled(params, scope, shown, wanted, heads))
        made = set(regimes[-1]["as_of_date"].to_pylist())
        for day in days:
            if day in made:
                out.make(scope, day)
            else:
                out.skip(scope, day, NO_JOINT_ROW)
        unlabelled = sum(day.year not in heads for day in made)
        if unlabelled:
            out.notes[f"regimes without a label ({params.too_few})"] += unlabelled
        out.replace(
            declared.name,
            partitions={"as_of_year": sorted({d.year for d in days})},
            keys={
                "region": [region],
                "proxy": [params.proxy],
                "model_id": [params.embedding_id],
                "variant": [params.variant],
                "as_of_date": days,
            },
        )
    out.rows[declared.name] = pa.concat_tables(regimes) if regimes else declared.empty()
    return out


def _holds(params: ContextRegimeParams, scope: str, markets: Markets) -> dict[str, Holding]:
    region, proxy = scope.split("/")
    where = {"region": region, "proxy": proxy, "model_id": params.embedding_id, "variant": params.variant}
    return {"regimes": Holding(where)}


def _writes(*tables: str) -> Any:
    def writes(params: ContextRegimeParams) -> Mapping[str, Mapping[str, Any]]:
        return {table: {"model_id": params.joint_model_id} for table in tables}

    return writes


CONTEXT_REGIME_FITS = Stage(
    name="context_regime_fits",
    revision=1,
    summary=f"fit the head that tells regimes from {SPACE.joint_type}, once a year on what lay before",
    params=ContextRegimeParams,
    inputs=(
        Input("joint_embeddings", history=None, where=_rows_of),
        Input("prices_daily", history=None),
        Input("corporate_actions", history=None, optional=True),
        Input("instruments", history=None),
    ),
    outputs=("regime_prototypes", "regime_fits"),
    surface=lambda p: p.joint_model_id,
    days=_fit_days,
    compute=_fit,
    market=market_of_region_in_scope,
    fingerprint=fingerprint,
    chunk_days=10_000,
    command="backfill_regimes",
    holds=holds_fits,
    writes=_writes("regime_prototypes", "regime_fits"),
)

CONTEXT_REGIMES = Stage(
    name="context_regimes",
    revision=1,
    summary=f"label each region's {SPACE.joint_type} rows with the head of the year",
    params=ContextRegimeParams,
    inputs=(
        Input("joint_embeddings", history=lambda p: 366 if p.recursive else 0, where=_rows_of),
        Input(
            "regime_prototypes",
            history=None,
            optional=True,
            when=lambda p: p.backend == "prototypes",
            where=lambda p: {"model_id": p.joint_model_id, "variant": p.variant},
        ),
        Input(
            "regime_fits",
            history=None,
            optional=True,
            when=lambda p: p.backend != "prototypes",
            where=lambda p: {"model_id": p.joint_model_id, "variant": p.variant},
        ),
    ),
    outputs=("regimes",),
    surface=lambda p: p.joint_model_id,
    days=_days,
    compute=_compute,
    market=market_of_region_in_scope,
    chunk_by="year",
    command="backfill_regimes",
    holds=_holds,
    writes=_writes("regimes"),
)
