"""Stage: each region's regime, day by day: the proxy's window embedding, its label and how sure the head is.

The window also goes to ``numeric_window_embeddings``, where searches and other heads find it. A head that remembers is
run from the first session of the year, from where its fit left off: rows do not depend on where a request begins.
"""

from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np
import pyarrow as pa

from prometheus.clock import Markets
from prometheus.lake import contract
from prometheus.runtime import Chunk, Holding, Input, Output, Stage, StageReader, market_of_region_in_scope
from prometheus.stages.cuts import check_prices
from prometheus.stages.numeric.embeddings import HISTORY_DAYS, window_rows
from prometheus.stages.numeric.windows import MARKET, WINDOW_SETTINGS, fingerprint
from prometheus.stages.regime.fits import OTHER_HEADS
from prometheus.stages.regime.fitting import Served, served_by_year
from prometheus.stages.regime.labels import labelled, with_lead
from prometheus.stages.regime.windows import RegimeParams, check_proxy, proxy_segments, scope_of, windows_of


def _days(params: RegimeParams, reader: StageReader, first: dt.date, last: dt.date) -> dict[str, list[dt.date]]:
    if params.recursive:
        # Windows of the year's first sessions are read too; without their sessions they would depend on what is held.
        reader.span(dt.date(first.year, 1, 1), last)
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
        asked = np.array(days, dtype="datetime64[D]")
        found = list(proxy_segments(params, reader, region, with_lead(params, reader, region, days)))
        seen: set[dt.date] = set()
        for segment in found:
            result = segment.result
            rows = window_rows(params, segment, params.entity_type)
            windows.append(rows.filter(pa.array(np.isin(segment.days[result.target_index], asked))))
            for reason, counts in result.skipped_by_target.items():
                for i in np.flatnonzero(counts):
                    if segment.days[i] in asked:
                        out.skip(scope, segment.days[i].item(), reason)
            seen.update(segment.days.tolist())
        regimes.append(labelled(params, scope, windows_of(found, params.model.window), asked, heads))
        made = regimes[-1]["as_of_date"].to_pylist()
        for day in made:
            out.make(scope, day)
        unlabelled = sum(day.year not in heads for day in made)
        if unlabelled:
            out.notes[f"regimes without a label ({params.too_few})"] += unlabelled
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


def fitted_heads(params: RegimeParams, reader: StageReader, region: str) -> dict[int, Served]:
    """Return the head that serves each year, as the lake holds it."""
    return served_by_year(params, reader, region, params.proxy)


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
    summary="encode each region's window and label it with the head of the year",
    params=RegimeParams,
    inputs=(
        Input("prices_daily", history=lambda p: HISTORY_DAYS + (366 if p.recursive else 0)),
        Input("corporate_actions", history=None, optional=True),
        Input("instruments", history=None),
        Input(
            "regime_prototypes",
            history=None,
            optional=True,
            when=lambda p: p.backend == "prototypes",
            where=lambda p: {"model_id": p.model_id, "variant": p.variant},
        ),
        Input(
            "regime_fits",
            history=None,
            optional=True,
            when=lambda p: p.backend != "prototypes",
            where=lambda p: {"model_id": p.model_id, "variant": p.variant},
        ),
    ),
    outputs=("numeric_window_embeddings", "regimes"),
    surface=lambda p: p.model_id,
    days=_days,
    compute=_compute,
    market=market_of_region_in_scope,
    fingerprint=fingerprint,
    chunk_by="year",
    command="run_numeric_regime",
    holds=_holds,
    writes=lambda p: {
        "numeric_window_embeddings": {"model_id": p.model_id, "entity_type": p.entity_type},
        "regimes": {"model_id": p.model_id},
    },
    shares={"numeric_embeddings": WINDOW_SETTINGS},
    surfaces=({}, *OTHER_HEADS),
)
