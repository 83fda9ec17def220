"""Small rows of regimes and soft_target_classes for tests of state changes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.engines.stability import CLASSES
from prometheus.lake import contract


def regimes(labels: Sequence[str | None], days: Sequence[dt.date], **given: Any) -> pa.Table:
    """Rows of regimes of some days with given labels."""
    declared = contract("regimes")
    row: dict[str, Any] = {
        "region": "US",
        "proxy": "MARKET",
        "model_id": "num-regime-core-v1",
        "variant": "v0",
        "backend": "prototypes",
        "regime_embedding": [0.0] * 384,
        **given,
    }
    rows = [
        {**row, "as_of_date": day, "as_of_year": day.year, "regime_label": label}
        for day, label in zip(days, labels, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=declared.schema)


def classes(codes: Mapping[str, NDArray[np.int8]], days: Sequence[dt.date], **given: Any) -> pa.Table:
    """Rows of soft_target_classes of some days and names by code; -1 leaves a day out."""
    row: dict[str, Any] = {
        "entity_type": "INSTRUMENT",
        "model_id": "stability-embedding-v1",
        "variant": "v0",
        "market_id": "US_EQ",
        "soft_target_score": 50.0,
        "backend": "embedding",
        **given,
    }
    rows = [
        {**row, "entity_id": name, "as_of_date": day, "as_of_year": day.year, "soft_target_class": CLASSES[code]}
        for name, of_name in codes.items()
        for day, code in zip(days, of_name, strict=True)
        if code >= 0
    ]
    return pa.Table.from_pylist(rows, schema=contract("soft_target_classes").schema)
