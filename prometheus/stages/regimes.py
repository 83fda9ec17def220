"""Stage: each region's regime, day by day: the proxy's window embedding, its label and how sure the head is.

The window also goes to ``numeric_window_embeddings``, where searches and other heads find it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Markets
from prometheus.engines.regime import PrototypeHead
from prometheus.lake import contract
from prometheus.runtime import Chunk, Holding, Input, Output, Stage, StageReader, market_of_region_in_scope
from prometheus.stages.numeric_embeddings import HISTORY_DAYS, window_rows
from prometheus.stages.regime_prototypes import TOO_FEW
from prometheus.stages.regime_windows import RegimeParams, check_prices, check_proxy, proxy_segments, scope_of
from prometheus.stages.windows import MARKET, Segment, fingerprint
from prometheus.vectors import from_list_array, to_list_array


def _days(params: RegimeParams, reader: StageReader, first: dt.date, last: dt.date) -> dict[str, list[dt.date]]:
    check_proxy(params, reader)
    check_prices(reader, first, last)
    return {
        scope_of(params, region): reader.sessions(reader.market_of(region).market_id)
        .between(first, last)
        .dates.tolist()
        for region in params.region
    }


def _compute(params: RegimeParams, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    windows: list[pa.Table] = []
    regimes: list[pa.Table] = []
    embeddings, labels = contract("numeric_window_embeddings"), contract("regimes")
    for scope, days in chunk.days.items():
        region = scope.split("/")[0]
        heads = fitted_heads(params, reader, region)
        seen: set[dt.date] = set()
        for segment in proxy_segments(params, reader, region, days):
            windows.append(window_rows(params, segment, params.entity_type))
            regimes.append(_regime_rows(params, region, segment, heads))
            made = segment.days[segment.result.target_index].tolist()
            for day in made:
                out.make(scope, day)
            for reason, counts in segment.result.skipped_by_target.items():
                for i in np.flatnonzero(counts):
                    out.skip(scope, segment.days[i].item(), reason)
            seen.update(segment.days.tolist())
            unlabelled = sum(day.year not in heads for day in made)
            if unlabelled:
                out.notes[f"regimes without a label ({TOO_FEW})"] += unlabelled
        for day in days:
            if day not in seen:
                out.skip(scope, day, "no_prices")
        out.replace(
            embeddings.name,
            partitions={
                "model_id": [params.model_id],
                "variant": [params.variant],
                "entity_type": [params.entity_type],
                "as_of_date": days,
            },
            keys={"entity_id": [params.instrument_id or reader.market_of(region).market_id]},
        )
        out.replace(
            labels.name,
            partitions={"as_of_year": sorted({d.year for d in days})},
            keys={
                "region": [region],
                "proxy": [params.proxy],
                "model_id": [params.model_id],
                "variant": [params.variant],
                "as_of_date": days,
            },
        )
    out.rows[embeddings.name] = pa.concat_tables(windows) if windows else embeddings.empty()
    out.rows[labels.name] = pa.concat_tables(regimes) if regimes else labels.empty()
    return out


def fitted_heads(params: RegimeParams, reader: StageReader, region: str) -> dict[int, PrototypeHead]:
    """Return the head that serves each year, as the lake holds it."""
    rows = reader.read(
        "regime_prototypes",
        where={
            "region": region,
            "proxy": params.proxy,
            "model_id": params.model_id,
            "variant": params.variant,
        },
    )
    centroids = from_list_array(rows["centroid"])
    columns = {c: np.array(rows[c].to_pylist()) for c in ("year", "label", "num_windows", "temperature")}
    volatility, returns = (np.array(rows[c].to_pylist()) for c in ("mean_volatility", "mean_return"))
    heads = {}
    for year in sorted(set(rows["year"].to_pylist())):
        at = np.flatnonzero(columns["year"] == year)
        at = at[np.argsort(columns["label"][at])]
        heads[year] = PrototypeHead(
            labels=tuple(columns["label"][at].tolist()),
            centroids=centroids[at],
            temperature=float(columns["temperature"][at[0]]),
            counts=columns["num_windows"][at].astype(np.int64),
            mean_volatility=volatility[at].astype(np.float64),
            mean_return=returns[at].astype(np.float64),
        )
    return heads


def _regime_rows(params: RegimeParams, region: str, segment: Segment, heads: dict[int, PrototypeHead]) -> pa.Table:
    days = segment.days[segment.result.target_index]
    vectors: NDArray[np.float32] = segment.result.vectors
    declared = contract("regimes")
    parts = []
    years = days.astype("datetime64[Y]").astype(int) + 1970
    for year in np.unique(years).tolist():
        at = np.flatnonzero(years == year)
        n = len(at)
        head = heads.get(year)
        described: dict[str, object]
        if head is None:
            described = {
                "regime_label": pa.nulls(n, pa.string()),
                "confidence": pa.nulls(n, pa.float64()),
                "probabilities": pa.nulls(n, declared.schema.field("probabilities").type),
                "fitted_on": pa.nulls(n, pa.date32()),
                "reason": pa.array([TOO_FEW] * n),
            }
        else:
            shares = head.probabilities(vectors[at])
            best = shares.argmax(axis=1)
            described = {
                "regime_label": pa.array([head.labels[k] for k in best]),
                "confidence": pa.array(shares[np.arange(n), best]),
                "probabilities": _probabilities(head, shares, declared.schema.field("probabilities").type),
                "fitted_on": pa.array([_last_session_before(segment, year)] * n, pa.date32()),
                "reason": pa.nulls(n, pa.string()),
            }
        described |= {
            "region": pa.array([region] * n),
            "as_of_date": pa.array(days[at]),
            "as_of_year": pa.array([year] * n, pa.int32()),
            "proxy": pa.array([params.proxy] * n),
            "model_id": pa.array([params.model_id] * n),
            "variant": pa.array([params.variant] * n),
            "backend": pa.array([params.backend] * n),
            "regime_embedding": to_list_array(vectors[at]),
        }
        parts.append(pa.table([described[name] for name in declared.schema.names], schema=declared.schema))
    return pa.concat_tables(parts) if parts else declared.empty()


def _last_session_before(segment: Segment, year: int) -> dt.date | None:
    at = int(np.searchsorted(segment.series.sessions, np.datetime64(f"{year}-01-01"))) - 1
    return segment.series.sessions[at].item() if at >= 0 else None


def _probabilities(head: PrototypeHead, shares: NDArray[np.float64], kind: pa.ListType) -> pa.ListArray:
    n, k = shares.shape
    element = pa.StructArray.from_arrays(
        [pa.array(list(head.labels) * n), pa.array(shares.reshape(-1))],
        fields=[kind.value_type.field(0), kind.value_type.field(1)],
    )
    return pa.ListArray.from_arrays(pa.array(np.arange(n + 1, dtype=np.int32) * k), element, type=kind)


def _holds(params: RegimeParams, scope: str, markets: Markets) -> dict[str, Holding]:
    region, proxy = scope.split("/")
    surface = {"model_id": params.model_id, "variant": params.variant}
    whose = dataclasses.replace(params, instrument_id="" if proxy == MARKET else proxy)
    entity = whose.instrument_id or markets.of_region(region).market_id
    return {
        "numeric_window_embeddings": Holding({**surface, "entity_type": whose.entity_type, "entity_id": entity}),
        "regimes": Holding({"region": region, "proxy": proxy, **surface}),
    }


REGIMES = Stage(
    name="regimes",
    revision=1,
    summary="encode each region's window and label it with the prototypes of the year",
    params=RegimeParams,
    inputs=(
        Input("prices_daily", history=HISTORY_DAYS),
        Input("corporate_actions", history=None, optional=True),
        Input("instruments", history=None),
        Input("regime_prototypes", history=None, optional=True),
    ),
    outputs=("numeric_window_embeddings", "regimes"),
    surface=lambda p: f"{p.model_id}/{p.backend}",
    days=_days,
    compute=_compute,
    market=market_of_region_in_scope,
    fingerprint=fingerprint,
    chunk_by="year",
    command="run_numeric_regime",
    holds=_holds,
    writes=lambda p: {"numeric_window_embeddings": {"model_id": p.model_id, "entity_type": p.entity_type}},
)
