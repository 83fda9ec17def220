"""Rows of ``regimes`` from embeddings and the heads that serve their years."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.engines.regime import RegimeHead, Windows
from prometheus.lake import contract
from prometheus.runtime import StageReader
from prometheus.stages.regime.fitting import Served
from prometheus.stages.regime.windows import RegimeParams
from prometheus.vectors import to_list_array


def with_lead(params: RegimeParams, reader: StageReader, region: str, days: Sequence[dt.date]) -> list[dt.date]:
    """Days of one year, from its first session on where the head remembers."""
    if not params.recursive:
        return list(days)
    asked = set(days)
    year = reader.sessions(reader.market_of(region).market_id).between(dt.date(days[0].year, 1, 1), days[-1])
    before = [day for day in year.dates.tolist() if day < days[-1] and day not in asked]
    return sorted([*before, *days])


def labelled(
    params: RegimeParams,
    scope: str,
    windows: Windows,
    asked: NDArray[np.datetime64],
    heads: Mapping[int, Served],
) -> pa.Table:
    """Rows of ``regimes`` of the days asked for.

    Parameters
    ----------
    params : RegimeParams
    scope : str
        Region and proxy.
    windows : Windows
        Of the days asked for; for a head that remembers also of the days before them in their year.
    asked : ndarray of datetime64[D]
    heads : mapping of int to Served
        By year served.
    """
    declared = contract("regimes")
    region, proxy = scope.split("/")
    parts = []
    years = windows.days.astype("datetime64[Y]").astype(int) + 1970
    for year in np.unique(years).tolist():
        of_year = windows[np.flatnonzero(years == year)]
        wanted = np.flatnonzero(np.isin(of_year.days, asked))
        served, n = heads.get(year), len(wanted)
        described: dict[str, object]
        if served is None:
            described = {
                "regime_label": pa.nulls(n, pa.string()),
                "confidence": pa.nulls(n, pa.float64()),
                "probabilities": pa.nulls(n, declared.schema.field("probabilities").type),
                "fitted_on": pa.nulls(n, pa.date32()),
                "reason": pa.array([params.too_few] * n, pa.string()),
            }
        else:
            head = served.head
            shares = head.probabilities(params.read(of_year.vectors), of_year.recent_volatility)[wanted]
            best = shares.argmax(axis=1)
            described = {
                "regime_label": pa.array([head.labels[k] for k in best], pa.string()),
                "confidence": pa.array(shares[np.arange(n), best]),
                "probabilities": _probabilities(head, shares, declared.schema.field("probabilities").type),
                "fitted_on": pa.array([served.fitted_on] * n, pa.date32()),
                "reason": pa.nulls(n, pa.string()),
            }
        described |= {
            "region": pa.array([region] * n, pa.string()),
            "as_of_date": pa.array(of_year.days[wanted]),
            "as_of_year": pa.array([year] * n, pa.int32()),
            "proxy": pa.array([proxy] * n, pa.string()),
            "model_id": pa.array([params.embedding_id] * n, pa.string()),
            "variant": pa.array([params.variant] * n, pa.string()),
            "backend": pa.array([params.backend] * n, pa.string()),
            "regime_embedding": to_list_array(of_year.vectors[wanted]),
        }
        parts.append(pa.table([described[name] for name in declared.schema.names], schema=declared.schema))
    return pa.concat_tables(parts) if parts else declared.empty()


def _probabilities(head: RegimeHead, shares: NDArray[np.float64], kind: pa.ListType) -> pa.ListArray:
    n, k = shares.shape
    element = pa.StructArray.from_arrays(
        [pa.array(list(head.labels) * n, pa.string()), pa.array(shares.reshape(-1))],
        fields=[kind.value_type.field(0), kind.value_type.field(1)],
    )
    return pa.ListArray.from_arrays(pa.array(np.arange(n + 1, dtype=np.int32) * k), element, type=kind)
