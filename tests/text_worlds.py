"""Random texts that are corrected, withdrawn and moved, and who was right at a cut-off: the slow way."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prometheus.clock import DEFAULT_MARKETS
from prometheus.encoders.text import describe_text_encoder
from prometheus.lake import Lake
from prometheus.runtime import StageReader

START = dt.date(2025, 1, 1)
WORDS = ("rates", "anvils", "rise", "fall", "merger", "lawsuit", "profit", "warning")


def moment(day: dt.date, hour: float) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(hours=hour)


def words(rng: np.random.Generator) -> str:
    return " ".join(rng.choice(WORDS, size=3))


def reader(lake: Lake, *tables: str) -> StageReader:
    return StageReader(lake, DEFAULT_MARKETS, ["text_embeddings", *tables])


def days_and_cutoffs(days: Sequence[dt.date]) -> tuple[NDArray[np.datetime64], NDArray[np.datetime64]]:
    """Days, and the end of each."""
    dated = np.array(days, dtype="datetime64[D]")
    return dated, (dated + 1).astype("datetime64[us]") - np.timedelta64(1, "us")


def known_by(versions: list[dict[str, Any]], key: Sequence[str], cutoff: np.datetime64) -> list[dict[str, Any]]:
    """The version of each row that was known at an instant, unless it was taken back."""
    by_then = dt.datetime.fromisoformat(str(cutoff)).replace(tzinfo=dt.UTC)
    latest: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in versions:
        at = tuple(row[k] for k in key)
        if row["known_at"] <= by_then and (at not in latest or row["known_at"] > latest[at]["known_at"]):
            latest[at] = row
    return [row for row in latest.values() if not row["withdrawn"]]


_ENCODER = describe_text_encoder("hashing").load()
_vectors: dict[str, NDArray[np.float64]] = {}


def vector(text: str) -> NDArray[np.float64]:
    if text not in _vectors:
        _vectors[text] = _ENCODER.encode([text])[0].astype(np.float64)
    return _vectors[text]
