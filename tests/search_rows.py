"""Rows of embedding tables made by hand, for searches."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.lake import Lake, contract

Vector = NDArray[np.float32]
SPACES = {
    "PROFILE_CORE_V0": "joint-profile-core-v1",
    "STAB_FRAGILITY_V0": "joint-stab-fragility-v1",
    "ASSESSMENT_CTX_V0": "joint-assessment-context-v1",
    "REGIME_CONTEXT_V0": "joint-regime-core-v1",
    "EPISODE_V0": "joint-episode-core-v1",
    "PORTFOLIO_CORE_V0": "joint-portfolio-core-v1",
}


def branch(name: str, weight: float, model_id: str, key: str, day: dt.date, vector: Vector) -> dict[str, Any]:
    """A branch as a joint row records it."""
    return {
        "name": name,
        "weight": weight,
        "model_id": model_id,
        "variant": "v0",
        "source_key": key,
        "source_date": day,
        "norm": float(np.linalg.norm(vector.astype(np.float64))),
    }


def joint_row(
    joint_type: str,
    day: dt.date,
    key: str,
    scope: Mapping[str, Any],
    vector: Vector,
    branches: Sequence[dict[str, Any]] = (),
    variant: str = "v0",
) -> dict[str, Any]:
    """One row of joint_embeddings."""
    return {
        "joint_type": joint_type,
        "model_id": SPACES[joint_type],
        "variant": variant,
        "as_of_date": day,
        "entity_key": key,
        "entity_scope": json.dumps(dict(scope), sort_keys=True, separators=(",", ":")),
        "branches": list(branches),
        "vector": vector.tolist(),
        "vector_ref": None,
    }


def profile_row(day: dt.date, issuer: str, vector: Vector, **more: Any) -> dict[str, Any]:
    """A profile, keyed as the seed's output shows."""
    scope = {
        "issuer_id": issuer,
        "instrument_id": issuer.removeprefix("ISS_").removesuffix("_CORP") + ".US",
        "as_of_date": str(day),
        "region": "US",
        "source": "num+text",
    }
    return joint_row("PROFILE_CORE_V0", day, issuer, scope, vector, **more)


def numeric_row(model_id: str, day: dt.date, entity_type: str, entity_id: str, vector: Vector) -> dict[str, Any]:
    """One row of numeric_window_embeddings."""
    return {
        "model_id": model_id,
        "variant": "v0",
        "as_of_date": day,
        "entity_type": entity_type,
        "entity_id": entity_id,
        "window_spec": "{}",
        "coverage": 1.0,
        "vector": vector.tolist(),
    }


def write(lake: Lake, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store rows."""
    lake.upsert(table, pa.Table.from_pylist(list(rows), schema=contract(table).schema))


def random_vectors(n: int, seed: int = 0) -> Vector:
    """Vectors around a common direction, of lengths near one."""
    rng = np.random.default_rng(seed)
    return ((rng.standard_normal((n, 384)) + 0.5) / np.sqrt(384)).astype(np.float32)


def average(parts: Sequence[tuple[float, Vector]]) -> Vector:
    """Weighted average, rounded once."""
    total = sum(w * v.astype(np.float64) for w, v in parts) / sum(w for w, _ in parts)
    return np.asarray(total, dtype=np.float32)
