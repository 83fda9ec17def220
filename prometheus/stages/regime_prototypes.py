"""Stage: the prototype head, fitted once a year on the proxy's windows of all years before.

Windows are computed from raw prices as known at each session, not read from what happens to be stored: a fresh lake
gives the same fit.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Markets
from prometheus.engines.regime import MIN_WINDOWS, PrototypeHead, fit_prototypes
from prometheus.lake import contract
from prometheus.runtime import Chunk, Holding, Input, Output, Stage, StageReader, market_of_region_in_scope
from prometheus.stages.cuts import cut_days, first_day
from prometheus.stages.regime_windows import RegimeParams, check_prices, check_proxy, past_windows, scope_of
from prometheus.stages.windows import fingerprint
from prometheus.vectors import to_list_array

TOO_FEW = f"fewer than {MIN_WINDOWS} windows before the year"


def _days(params: RegimeParams, reader: StageReader, first: dt.date, last: dt.date) -> dict[str, list[dt.date]]:
    check_proxy(params, reader)
    check_prices(reader, first, last)
    # A fit takes every window since the first price, wherever the request begins.
    reader.span(min(first, first_day(reader, "prices_daily")), last)
    return {
        scope_of(params, region): cut_days(reader, reader.market_of(region).market_id, first, last)
        for region in params.region
    }


def _compute(params: RegimeParams, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    rows: list[dict[str, object]] = []
    centroids: list[NDArray[np.float32]] = []
    for scope, cuts in chunk.days.items():
        region = scope.split("/")[0]
        sessions = reader.sessions(reader.market_of(region).market_id)
        days = sessions.between(first_day(reader, "prices_daily"), cuts[-1]).dates.tolist()
        past = past_windows(params, reader, region, days)
        out.replace(
            "regime_prototypes",
            partitions={},
            keys={
                "region": [region],
                "proxy": [params.proxy],
                "model_id": [params.model_id],
                "variant": [params.variant],
                "as_of_date": list(cuts),
            },
        )
        for cut in cuts:
            n = int(np.searchsorted(past.days, np.datetime64(cut), side="right"))
            if n < MIN_WINDOWS:
                out.skip(scope, cut, TOO_FEW)
                continue
            head = fit_prototypes(
                past.vectors[:n], past.volatility[:n], past.returns[:n], seed=params.seed, restarts=params.restarts
            )
            rows.extend(_rows(params, region, cut, head))
            centroids.extend(head.centroids)
            out.make(scope, cut, len(head.labels))
    declared = contract("regime_prototypes")
    table = declared.empty()
    if rows:
        plain = pa.Table.from_pylist(rows, schema=pa.schema([f for f in declared.schema if f.name != "centroid"]))
        table = plain.append_column(declared.schema.field("centroid"), to_list_array(np.stack(centroids)))
    out.rows[declared.name] = table
    return out


def _rows(params: RegimeParams, region: str, cut: dt.date, head: PrototypeHead) -> list[dict[str, object]]:
    return [
        {
            "region": region,
            "proxy": params.proxy,
            "model_id": params.model_id,
            "variant": params.variant,
            "year": cut.year + 1,
            "label": label,
            "as_of_date": cut,
            "num_windows": int(head.counts[k]),
            "mean_volatility": float(head.mean_volatility[k]),
            "mean_return": float(head.mean_return[k]),
            "temperature": head.temperature,
        }
        for k, label in enumerate(head.labels)
    ]


def _holds(params: RegimeParams, scope: str, markets: Markets) -> dict[str, Holding]:
    region, proxy = scope.split("/")
    where = {"region": region, "proxy": proxy, "model_id": params.model_id, "variant": params.variant}
    return {"regime_prototypes": Holding(where)}


REGIME_PROTOTYPES = Stage(
    name="regime_prototypes",
    revision=1,
    summary="fit the prototypes a region's regimes are named by, once a year on what lay before",
    params=RegimeParams,
    inputs=(
        Input("prices_daily", history=None),
        Input("corporate_actions", history=None, optional=True),
        Input("instruments", history=None),
    ),
    outputs=("regime_prototypes",),
    surface=lambda p: f"{p.model_id}/{p.backend}",
    days=_days,
    compute=_compute,
    market=market_of_region_in_scope,
    fingerprint=fingerprint,
    chunk_days=10_000,
    command="run_numeric_regime",
    holds=_holds,
)
