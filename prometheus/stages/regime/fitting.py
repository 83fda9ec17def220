"""Fits of regime heads: made on the windows up to a cut, stored one row a state, read back by the year they serve."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.engines.regime import (
    PrototypeHead,
    RegimeHead,
    StoredState,
    Windows,
    fit_hmm,
    fit_jump,
    fit_nowcast,
    fit_volatility,
    head_of,
    states_of,
)
from prometheus.lake import contract
from prometheus.runtime import Chunk, Output, StageReader
from prometheus.stages.regime.windows import RegimeParams
from prometheus.vectors import from_list_array, to_list_array

FitPrototypes = Callable[..., PrototypeHead]
Past = Callable[[str, Sequence[dt.date]], Windows]
"""``past(region, cuts)``: every embedding up to the last cut, with what its window did."""

_LISTS = ("center", "spread", "transition", "input_mean", "input_axes")


@dataclass(frozen=True)
class Served:
    """A head and the last session its fit had seen."""

    head: RegimeHead
    fitted_on: dt.date


def table_of(params: RegimeParams) -> str:
    """Name of the table a backend's fits lie in."""
    return "regime_prototypes" if params.backend == "prototypes" else "regime_fits"


def fit_head(params: RegimeParams, past: Windows, fit_prototypes: FitPrototypes) -> RegimeHead:
    """Fit the configured head on the windows up to a cut."""
    vectors, least = params.read(past.vectors), params.least
    if params.backend == "prototypes":
        return fit_prototypes(
            vectors, past.volatility, past.returns, seed=params.seed, restarts=params.restarts, least=least
        )
    read = Windows(past.days, vectors, past.volatility, past.returns, past.recent_volatility)
    if params.backend == "jump":
        return fit_jump(read, components=params.components, seed=params.seed, restarts=params.restarts, least=least)
    if params.backend == "hmm":
        return fit_hmm(read, components=params.components, seed=params.seed, least=least)
    return fit_nowcast(read, least=least) if params.backend == "nowcast" else fit_volatility(read, least=least)


def fits_of(params: RegimeParams, chunk: Chunk, past_of: Past, fit_prototypes: FitPrototypes) -> Output:
    """Fit a head at every cut of a chunk; the rows go to the backend's table."""
    out = Output()
    table = table_of(params)
    rows: list[dict[str, object]] = []
    centroids: list[NDArray[np.float32]] = []
    for scope, cuts in chunk.days.items():
        region, proxy = scope.split("/")
        past = past_of(region, cuts)
        keys: dict[str, Any] = {"region": [region], "proxy": [proxy], "as_of_date": list(cuts)}
        surface = {"model_id": [params.embedding_id], "variant": [params.variant]}
        if table == "regime_prototypes":
            out.replace(table, partitions={}, keys=keys | surface)
        else:
            out.replace(table, partitions=surface, keys=keys)
        for cut in cuts:
            n = int(np.searchsorted(past.days, np.datetime64(cut), side="right"))
            if n < params.least:
                out.skip(scope, cut, params.too_few)
                continue
            head = fit_head(params, past[:n], fit_prototypes)
            whose = {
                "region": region,
                "proxy": proxy,
                "model_id": params.embedding_id,
                "variant": params.variant,
                "year": cut.year + 1,
                "as_of_date": cut,
            }
            if isinstance(head, PrototypeHead):
                rows.extend(whose | row for row in _prototype_rows(head))
                centroids.extend(head.centroids)
            else:
                rows.extend(whose | {"backend": params.backend} | vars(state) for state in states_of(head))
            out.make(scope, cut, len(head.labels))
    out.rows[table] = _table(table, rows, centroids)
    return out


def _prototype_rows(head: PrototypeHead) -> list[dict[str, object]]:
    return [
        {
            "label": label,
            "num_windows": int(head.counts[k]),
            "mean_volatility": float(head.mean_volatility[k]),
            "mean_return": float(head.mean_return[k]),
            "temperature": head.temperature,
        }
        for k, label in enumerate(head.labels)
    ]


def _table(name: str, rows: list[dict[str, object]], centroids: list[NDArray[np.float32]]) -> pa.Table:
    declared = contract(name)
    if not rows:
        return declared.empty()
    if name != "regime_prototypes":
        return pa.Table.from_pylist(rows, schema=declared.schema)
    plain = pa.Table.from_pylist(rows, schema=pa.schema([f for f in declared.schema if f.name != "centroid"]))
    return plain.append_column(declared.schema.field("centroid"), to_list_array(np.stack(centroids)))


def served_by_year(params: RegimeParams, reader: StageReader, region: str, proxy: str) -> dict[int, Served]:
    """Return the head that serves each year, as the lake holds it."""
    table = table_of(params)
    where = {"region": region, "proxy": proxy, "model_id": params.embedding_id, "variant": params.variant}
    rows = reader.read(table, where=where)
    if table == "regime_prototypes":
        return _prototype_heads(rows)
    by_year: dict[int, list[dict[str, Any]]] = {}
    for row in rows.to_pylist():
        by_year.setdefault(row["year"], []).append(row)
    return {
        year: Served(head_of(params.backend, [_stored(row) for row in mine]), mine[0]["as_of_date"])
        for year, mine in sorted(by_year.items())
    }


def _stored(row: dict[str, Any]) -> StoredState:
    values = {name: row[name] for name in StoredState.__dataclass_fields__}
    return StoredState(**(values | {name: tuple(row[name]) for name in _LISTS}))


def _prototype_heads(rows: pa.Table) -> dict[int, Served]:
    centroids = from_list_array(rows["centroid"])
    columns = {c: np.array(rows[c].to_pylist()) for c in ("year", "label", "num_windows", "temperature", "as_of_date")}
    volatility, returns = (np.array(rows[c].to_pylist()) for c in ("mean_volatility", "mean_return"))
    heads = {}
    for year in sorted(set(rows["year"].to_pylist())):
        at = np.flatnonzero(columns["year"] == year)
        at = at[np.argsort(columns["label"][at])]
        head = PrototypeHead(
            labels=tuple(columns["label"][at].tolist()),
            centroids=centroids[at],
            temperature=float(columns["temperature"][at[0]]),
            counts=columns["num_windows"][at].astype(np.int64),
            mean_volatility=volatility[at].astype(np.float64),
            mean_return=returns[at].astype(np.float64),
        )
        heads[year] = Served(head, columns["as_of_date"][at[0]])
    return heads
