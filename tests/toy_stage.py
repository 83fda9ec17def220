"""A small stage over prices, for tests of the runtime: the mean close of each session, one key a day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from prometheus.clock import Markets
from prometheus.lake import contract
from prometheus.runtime import Chunk, Holding, Input, Output, Stage, StageParams, StageReader, selection, setting
from prometheus.vectors import to_list_array


@dataclass(frozen=True)
class ToyParams(StageParams):
    """Parameters of the toy stage."""

    model_id: str = setting("toy-v1", "model id")
    scale: float = setting(1.0, "multiplies the mean")
    only: tuple[str, ...] = selection((), "instruments", narrows=True)


CALLS: list[Chunk] = []


def _days(params: ToyParams, reader: StageReader, first: dt.date, last: dt.date) -> Mapping[str, list[dt.date]]:
    return {"US": reader.sessions("US_EQ").between(first, last).dates.tolist()}


def compute(params: ToyParams, reader: StageReader, chunk: Chunk) -> Output:
    CALLS.append(chunk)
    out = Output()
    days = chunk.days["US"]
    rows = reader.read("prices_daily", columns=["as_of_date", "instrument_id", "close"], dates=(days[0], days[-1]))
    closes: dict[dt.date, list[float]] = {}
    for day, name, close in zip(*(rows[c].to_pylist() for c in rows.column_names), strict=True):
        if not params.only or name in params.only:
            closes.setdefault(day, []).append(close)
    made = [d for d in days if d in closes]
    for day in days:
        if day in closes:
            out.make("US", day)
        else:
            out.skip("US", day, "no prices")
    n = len(made)
    block = np.zeros((n, 384), np.float32)
    block[:, 0] = [params.scale * float(np.mean(sorted(closes[d]))) for d in made]
    out.rows["numeric_window_embeddings"] = pa.table(
        [
            pa.array([params.model_id] * n, pa.string()),
            pa.array([params.variant] * n, pa.string()),
            pa.array(made, pa.date32()),
            pa.array(["MARKET"] * n, pa.string()),
            pa.array(["US_EQ"] * n, pa.string()),
            pa.array(["{}"] * n, pa.string()),
            pa.array([1.0] * n, pa.float64()),
            to_list_array(block),
        ],
        schema=contract("numeric_window_embeddings").schema,
    )
    out.replace(
        "numeric_window_embeddings",
        {
            "model_id": [params.model_id],
            "variant": [params.variant],
            "entity_type": ["MARKET"],
            "as_of_date": list(days),
        },
        {"entity_id": ["US_EQ"]},
    )
    return out


def _holds(params: ToyParams, scope: str, markets: Markets) -> dict[str, Holding]:
    where = {"model_id": params.model_id, "variant": params.variant, "entity_type": "MARKET"}
    return {"numeric_window_embeddings": Holding({**where, "entity_id": markets.of_region(scope).market_id})}


TOY = Stage(
    name="toy",
    revision=1,
    summary="mean close",
    params=ToyParams,
    inputs=(Input("prices_daily", history=3),),
    outputs=("numeric_window_embeddings",),
    surface=lambda p: p.model_id,
    days=_days,
    compute=compute,
    chunk_days=5,
    command="toy",
    holds=_holds,
)
