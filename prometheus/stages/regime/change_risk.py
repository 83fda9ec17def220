"""Stage: how likely each region's regime is to change, from the transitions of its own past.

1. Labels of a proxy up to the day are read from ``regimes``; sessions without a row or a label break pairs.
2. Which proxy stands for the region is asked day by day: the configured one where it has a row on the session, else
   the only one that has. The transitions counted are that proxy's alone.
3. Nothing after a session has a say: a row that is appended or changed later leaves the day as it was.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Markets, positions_in
from prometheus.engines.regime import RegimeStateChangeForecaster
from prometheus.engines.state_changes import UNKNOWN
from prometheus.errors import MissingInputError, RequestError
from prometheus.lake import contract
from prometheus.runtime import (
    Chunk,
    Holding,
    Input,
    Output,
    Stage,
    StageReader,
    market_of_region_in_scope,
    selection,
    setting,
)
from prometheus.spaces.joint import SPACES
from prometheus.stages.change_risk import TABLE, ChangeRiskParams, rows_of, scope_of
from prometheus.stages.cuts import first_day
from prometheus.stages.numeric.windows import MARKET

ENGINE, ENTITY_TYPE = "regime", "REGION"

NO_REGIME = "no_regime"
NO_LABEL = "no_regime_label"


@dataclass(frozen=True)
class RegimeChangeRiskParams(ChangeRiskParams):
    """Parameters of regime change risk."""

    region: tuple[str, ...] = selection(("US",), "region; repeat for several")
    model_id: str = setting("num-regime-core-v1", "model of the regimes")
    regime_variant: str = setting("v0", "variant of the regimes", variant_of="regimes")
    proxy: str = setting(MARKET, "whose regime stands for the region: MARKET or an instrument")

    @property
    def forecaster(self) -> RegimeStateChangeForecaster:
        """What makes the forecasts."""
        return RegimeStateChangeForecaster(model=self.backend, smoothing=self.smoothing)


def _surface(params: RegimeChangeRiskParams) -> dict[str, str]:
    return {"model_id": params.model_id, "variant": params.regime_variant}


def _days(
    params: RegimeChangeRiskParams, reader: StageReader, first: dt.date, last: dt.date
) -> dict[str, list[dt.date]]:
    # Transitions are counted from the first label on, wherever the request begins.
    reader.span(min(first, first_day(reader, "regimes")), last)
    scopes = {}
    for region in params.region:
        days = reader.sessions(reader.market_of(region).market_id).between(first, last).dates.tolist()
        if days and _labels(params, reader, region, first, last).is_empty():
            context = SPACES["regime_context"]
            named = f" --embedding {context.joint_type}" if params.model_id == context.model_id else ""
            named += f" --variant {params.regime_variant}" if params.regime_variant != "v0" else ""
            raise MissingInputError(
                f"there are no regimes ({params.model_id}, variant {params.regime_variant}) of region {region} between "
                f"{first} and {last}; make them with `python -m prometheus.scripts.backfill_regimes --region {region} "
                f"--date-range {first} {last}{named}`"
            )
        scopes.update({scope_of(region, horizon): days for horizon in params.horizons})
    return scopes


def _labels(
    params: RegimeChangeRiskParams, reader: StageReader, region: str, first: dt.date, last: dt.date
) -> pl.DataFrame:
    """Labels of every proxy of a region, with whether it stands for the region on the day.

    Raises
    ------
    RequestError
        When on some day the configured proxy has no row and several others do; the sentence lists them.
    """
    columns = ["as_of_date", "proxy", "regime_label"]
    rows = reader.read("regimes", columns=columns, dates=(first, last), where={"region": region, **_surface(params)})
    configured = pl.col("proxy") == params.proxy
    serves = configured | (~configured.any().over("as_of_date") & (pl.len().over("as_of_date") == 1))
    return pl.DataFrame(pl.from_arrow(rows)).with_columns(serves=serves).sort("as_of_date", "proxy")


def _check_served(params: RegimeChangeRiskParams, region: str, labels: pl.DataFrame) -> None:
    several = labels.filter(~pl.col("serves").any().over("as_of_date"))
    if several.height:
        day = several["as_of_date"][0]
        there = several.filter(pl.col("as_of_date") == day)["proxy"]
        raise RequestError(
            f"region {region} has no regime row of proxy {params.proxy} on {day}, but of {', '.join(there)}; choose "
            "one with --proxy, under a --variant of its own"
        )


def _compute(params: RegimeChangeRiskParams, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    parts: list[pa.Table] = []
    read: dict[str, pl.DataFrame] = {}
    for scope, days in chunk.days.items():
        region, horizon = scope.split("/")
        if region not in read:
            read[region] = _labels(params, reader, region, dt.date.min, chunk.last)
        parts.extend(_region(params, reader, scope, region, int(horizon), np.array(days, "datetime64[D]"), read, out))
        out.replace(
            TABLE,
            partitions={"engine": [ENGINE], "as_of_year": sorted({d.year for d in days})},
            keys={
                "entity_id": [region],
                "horizon_steps": [int(horizon)],
                "model_id": [params.model_id],
                "variant": [params.variant],
                "as_of_date": days,
            },
        )
    out.rows[TABLE] = pa.concat_tables(parts) if parts else contract(TABLE).empty()
    return out


def _region(
    params: RegimeChangeRiskParams,
    reader: StageReader,
    scope: str,
    region: str,
    horizon: int,
    days: NDArray[np.datetime64],
    read: dict[str, pl.DataFrame],
    out: Output,
) -> list[pa.Table]:
    """Rows of one region and horizon, with what was skipped counted."""
    market_id = reader.market_of(region).market_id
    sessions = reader.sessions(market_id).dates
    labels = read[region]
    asked = labels.filter(pl.col("as_of_date").is_in(days.tolist()))
    _check_served(params, region, asked)
    served = asked.filter("serves")
    parts = []
    for proxy in sorted(set(served["proxy"])):
        own = labels.filter(pl.col("proxy") == proxy)
        held = own["as_of_date"].to_numpy().astype("datetime64[D]")
        forecaster = params.forecaster
        # Consecutive sessions from the first label on: a pair over a session without one is none.
        begin, end = np.searchsorted(sessions, [held[0], days[-1]])
        span = sessions[begin : end + 1]
        codes = np.full(len(span), UNKNOWN, dtype=np.int8)
        at = positions_in(span, held)
        codes[at[at >= 0]] = forecaster.codes(own["regime_label"].to_numpy())[at >= 0]
        wanted = served.filter(pl.col("proxy") == proxy)["as_of_date"].to_numpy().astype("datetime64[D]")
        found = forecaster.forecast(codes, horizon, at=np.searchsorted(span, wanted))
        made = span[found.session]
        for day in made.tolist():
            out.make(scope, day)
        for day in wanted[~np.isin(wanted, made)].tolist():
            out.skip(scope, day, NO_LABEL)
        parts.append(
            rows_of(
                found,
                span,
                engine=ENGINE,
                entity_type=ENTITY_TYPE,
                entity_ids=[region],
                market_id=market_id,
                horizon=horizon,
                model_id=params.model_id,
                variant=params.variant,
                backend=params.backend,
                proxies=[proxy] * len(found),
            )
        )
    for day in days[~np.isin(days, served["as_of_date"].to_numpy().astype("datetime64[D]"))].tolist():
        out.skip(scope, day, NO_REGIME)
    return parts


def _holds(params: RegimeChangeRiskParams, scope: str, markets: Markets) -> dict[str, Holding]:
    region, horizon = scope.split("/")
    where = {"engine": ENGINE, "entity_id": region, "model_id": params.model_id, "variant": params.variant}
    return {TABLE: Holding({**where, "horizon_steps": int(horizon)})}


REGIME_CHANGE_RISK = Stage(
    name="regime_change_risk",
    revision=1,
    summary="forecast each region's regime some sessions ahead from its past transitions",
    params=RegimeChangeRiskParams,
    inputs=(Input("regimes", history=None, where=_surface),),
    outputs=(TABLE,),
    surface=lambda p: p.model_id,
    days=_days,
    compute=_compute,
    market=market_of_region_in_scope,
    chunk_by="year",
    command="backfill_regime_change_risk",
    holds=_holds,
    writes=lambda p: {TABLE: {"engine": ENGINE, "model_id": p.model_id}},
)
