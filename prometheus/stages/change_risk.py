"""What the two stages of state changes share: parameters, and rows of ``state_change_risk`` from forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.engines.state_changes import MODELS, StateChanges
from prometheus.errors import RequestError
from prometheus.lake import contract
from prometheus.runtime import selection, setting
from prometheus.runtime.params import StageParams

TABLE = "state_change_risk"
NOTHING_SEEN = "no past transition from this label"


@dataclass(frozen=True)
class ChangeRiskParams(StageParams):
    """Parameters both stages have."""

    horizon_steps: tuple[int, ...] = selection((1,), "sessions ahead; repeat for several")
    backend: str = setting(
        MODELS[0].name, "how transitions become probabilities", choices=tuple(m.name for m in MODELS)
    )
    smoothing: float = setting(1.0, "pseudo-count of every transition (Laplace)")

    def __post_init__(self) -> None:
        if not all(isinstance(h, int) and h >= 1 for h in self.horizon_steps):
            raise RequestError(f"--horizon-steps must be whole numbers of at least 1; got {self.horizon_steps}")
        if not 0.0 < self.smoothing < float("inf"):
            raise RequestError(f"--smoothing must be a positive number; got {self.smoothing}")

    @property
    def horizons(self) -> list[int]:
        """Horizons asked for, each once, ascending."""
        return sorted(set(self.horizon_steps))


def scope_of(*words: object) -> str:
    """Lineage scope of some entities and a horizon: the words with slashes between."""
    return "/".join(map(str, words))


def rows_of(
    found: StateChanges,
    days: NDArray[np.datetime64],
    *,
    engine: str,
    entity_type: str,
    entity_ids: Sequence[str],
    market_id: str,
    horizon: int,
    model_id: str,
    variant: str,
    backend: str,
    proxies: Sequence[str] | None = None,
) -> pa.Table:
    """Rows of ``state_change_risk``.

    Parameters
    ----------
    found : StateChanges
    days : ndarray of datetime64[D]
        Of the sessions it was made on.
    engine, entity_type, market_id, model_id, variant, backend : str
    entity_ids : sequence of str
        Of the columns it was made on.
    horizon : int
    proxies : sequence of str, optional
        Whose window each row is from.
    """
    schema = contract(TABLE).schema
    n = len(found)
    dates = days[found.session]
    values: dict[str, Any] = {
        "engine": _constant(engine, n),
        "entity_type": _constant(entity_type, n),
        "entity_id": _coded(found.entity, entity_ids),
        "as_of_date": dates,
        "as_of_year": dates.astype("datetime64[Y]").astype(np.int32) + 1970,
        "horizon_steps": np.full(n, horizon),
        "model_id": _constant(model_id, n),
        "variant": _constant(variant, n),
        "market_id": _constant(market_id, n),
        "proxy": pa.nulls(n, pa.string()) if proxies is None else pa.array(proxies, pa.string()),
        "current_label": _coded(found.current, found.labels),
        "probabilities": _probabilities(found, schema.field("probabilities").type),
        "p_change_any": found.p_change_any,
        "p_worsen_any": found.p_worsen_any,
        "p_improve_any": found.p_improve_any,
        "risk_score": found.risk_score,
        "num_transitions": found.num_transitions,
        "num_from_current": found.num_from_current,
        "backend": _constant(backend, n),
        "reason": pa.array(np.full(n, NOTHING_SEEN), pa.string(), mask=found.num_from_current > 0),
    }
    cells = (values[f.name] for f in schema)
    arrays = [cell if isinstance(cell, pa.Array) else pa.array(cell) for cell in cells]
    return pa.table([array.cast(f.type) for array, f in zip(arrays, schema, strict=True)], schema=schema)


def _constant(value: str, n: int) -> pa.DictionaryArray:
    return _coded(np.zeros(n, dtype=np.int32), [value])


def _coded(codes: NDArray[Any], values: Sequence[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(list(values), pa.string()))


def _probabilities(found: StateChanges, kind: pa.ListType) -> pa.ListArray:
    n, k = found.probabilities.shape
    labels = _coded(np.tile(np.arange(k), n), found.labels).cast(pa.string())
    element = pa.StructArray.from_arrays(
        [labels, pa.array(found.probabilities.reshape(-1))],
        fields=[kind.value_type.field(0), kind.value_type.field(1)],
    )
    return pa.ListArray.from_arrays(pa.array(np.arange(n + 1, dtype=np.int32) * k), element, type=kind)
