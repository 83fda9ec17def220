"""Small lakes made by hand for tests of joint spaces, and what their rows must come to, the slow way."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.lake import Lake, contract
from prometheus.runtime import RunOptions, RunSummary
from prometheus.vectors import from_list_array, to_list_array
from tests.demo_lakes import run
from tests.text_rows import instant, rows_of

MONDAY = dt.date(2025, 1, 27)
WEEK = [MONDAY + dt.timedelta(days=i) for i in range(5)]
FRIDAY = WEEK[-1]
TABLE = "joint_embeddings"
MODELS = {
    "REGIME_CONTEXT_V0": "joint-regime-core-v1",
    "PROFILE_CORE_V0": "joint-profile-core-v1",
    "STAB_FRAGILITY_V0": "joint-stab-fragility-v1",
    "ASSESSMENT_CTX_V0": "joint-assessment-context-v1",
    "EPISODE_V0": "joint-episode-core-v1",
}

Vector = NDArray[np.float64]


def listing(
    instrument: str,
    issuer: str | None,
    market: str = "US_EQ",
    begins: str = "2010-01-04",
    *,
    known: str = "2009-12-01 12:00",
    ends: str | None = None,
    delisted: str | None = None,
    withdrawn: bool = False,
) -> dict[str, Any]:
    """One version of what an instrument is."""
    return {
        "as_of_date": dt.date.fromisoformat(begins),
        "instrument_id": instrument,
        "valid_from": dt.date.fromisoformat(begins),
        "issuer_id": issuer,
        "market_id": market,
        "symbol": instrument.partition(".")[0],
        "asset_class": "EQUITY",
        "sector": "Industrials",
        "currency": "USD",
        "valid_to": dt.date.fromisoformat(ends) if ends else None,
        "delisted_on": dt.date.fromisoformat(delisted) if delisted else None,
        "known_at": instant(known),
        "withdrawn": withdrawn,
    }


def price(instrument: str, day: dt.date, close: float, volume: float | None, *, known: str = "") -> dict[str, Any]:
    """One version of a day's close and volume; known at 22:00 unless said."""
    return {
        "as_of_date": day,
        "instrument_id": instrument,
        "close": close,
        "volume": volume,
        "known_at": instant(known or f"{day} 22:00"),
        "withdrawn": False,
    }


def bring(lake: Lake, table: str, *rows: dict[str, Any]) -> None:
    """Write versions of raw rows as they are."""
    lake.upsert(table, rows_of(table, *rows))


def fresh(root: Path, *listings: dict[str, Any]) -> Lake:
    """A lake that knows some instruments."""
    lake = Lake.open(root, create=True)
    bring(lake, "instruments", *listings)
    return lake


def windows(
    lake: Lake,
    model_id: str,
    days: Sequence[dt.date],
    names: Sequence[str],
    *,
    entity_type: str = "INSTRUMENT",
    variant: str = "v0",
    leave_out: Iterable[tuple[dt.date, str]] = (),
) -> dict[tuple[dt.date, str], Vector]:
    """Write numeric windows drawn from a seed that model, day and name make; returns them."""
    pairs = sorted({(d, n) for d in days for n in names} - set(leave_out))
    block = np.stack([_drawn(model_id, variant, d, n) for d, n in pairs])
    declared = contract("numeric_window_embeddings")
    columns: dict[str, Any] = {
        "model_id": [model_id] * len(pairs),
        "variant": [variant] * len(pairs),
        "as_of_date": [d for d, _ in pairs],
        "entity_type": [entity_type] * len(pairs),
        "entity_id": [n for _, n in pairs],
        "window_spec": ["{}"] * len(pairs),
        "coverage": [1.0] * len(pairs),
        "vector": to_list_array(block),
    }
    lake.upsert(declared.name, pa.table([columns[f.name] for f in declared.schema], schema=declared.schema))
    return {pair: vector.astype(np.float64) for pair, vector in zip(pairs, block, strict=True)}


def _drawn(*words: Any) -> NDArray[np.float32]:
    seed = int.from_bytes("/".join(map(str, words)).encode(), "little")
    return (np.random.default_rng(seed).standard_normal(384) / 20 + 0.01).astype(np.float32)


def joint_rows(
    lake: Lake, joint_type: str, values: Mapping[tuple[dt.date, str], Vector], *, variant: str = "v0"
) -> dict[tuple[dt.date, str], Vector]:
    """Write rows of another joint space by hand, as upstream; returns the vectors as stored."""
    declared = contract(TABLE)
    pairs = sorted(values)
    block = np.stack([values[p] for p in pairs]).astype(np.float32)
    columns: dict[str, Any] = {
        "joint_type": [joint_type] * len(pairs),
        "model_id": [MODELS[joint_type]] * len(pairs),
        "variant": [variant] * len(pairs),
        "as_of_date": [d for d, _ in pairs],
        "entity_key": [k for _, k in pairs],
        "entity_scope": ["{}"] * len(pairs),
        "branches": pa.array([[]] * len(pairs), declared.schema.field("branches").type),
        "vector": to_list_array(block),
        "vector_ref": [None] * len(pairs),
    }
    arrays = [c if isinstance(c, pa.Array) else pa.array(c, declared.schema.field(n).type) for n, c in columns.items()]
    lake.upsert(TABLE, pa.table(arrays, names=list(columns)).select(declared.schema.names).cast(declared.schema))
    return {pair: vector.astype(np.float64) for pair, vector in zip(pairs, block, strict=True)}


def drawn(joint_type: str, days: Sequence[dt.date], keys: Sequence[str]) -> dict[tuple[dt.date, str], Vector]:
    """Vectors for :func:`joint_rows`."""
    return {(d, k): _drawn(joint_type, d, k).astype(np.float64) for d in days for k in keys}


def profile_texts(lake: Lake, *profiles: dict[str, Any], first: dt.date, last: dt.date) -> None:
    """Deliver profiles and hash their texts under variant ``hashing``."""
    bring(lake, "profiles", *profiles)
    run(lake, "profile_text_embeddings", first, last, backend="hashing", variant="hashing")


def make(
    lake: Lake,
    space: str,
    first: dt.date = MONDAY,
    last: dt.date = FRIDAY,
    options: RunOptions | None = None,
    *,
    variant: str = "test",
    **params: Any,
) -> RunSummary:
    """Run the stage of a space under a variant of its own."""
    return run(lake, f"joint_{space}", first, last, options, variant=variant, **params)


def rows_by_key(lake: Lake, joint_type: str, variant: str = "test", **where: Any) -> dict[tuple[dt.date, str], Any]:
    """Stored rows by day and key, ``vector`` as an array and ``scope`` parsed."""
    rows = lake.read(TABLE, where={"joint_type": joint_type, "variant": variant, **where})
    vectors = from_list_array(rows["vector"]).astype(np.float64)
    found = {}
    for row, vector in zip(rows.drop_columns(["vector"]).to_pylist(), vectors, strict=True):
        scope = json.loads(row["entity_scope"])
        names = {b["name"]: b for b in row["branches"]}
        found[row["as_of_date"], row["entity_key"]] = {**row, "vector": vector, "scope": scope, "by_name": names}
    return found


def plain(rows: Mapping[tuple[dt.date, str], Any]) -> dict[tuple[dt.date, str], tuple[Any, ...]]:
    """Rows as values that compare bit for bit."""
    return {
        key: (row["entity_scope"], json.dumps(row["branches"], default=str), row["vector"].tobytes())
        for key, row in rows.items()
    }


def averaged(*parts: tuple[float, Vector]) -> Vector:
    """``sum w z / sum w``."""
    total: Vector = np.sum([w * z for w, z in parts], axis=0) / sum(w for w, _ in parts)
    return total
