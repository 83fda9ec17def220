"""What the assessment stages share: parameters, which surfaces they read, and the context vectors of names on days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.engines.assessment import BASIC, CONTEXT, HORIZONS
from prometheus.engines.assessment.basic import PRIOR_IC
from prometheus.errors import RequestError
from prometheus.runtime import StageReader, selection, setting
from prometheus.runtime.params import StageParams
from prometheus.stages.assessment.branches import STORED, WIDTH, side_by_side
from prometheus.stages.numeric.embeddings import NumericEmbeddingsParams, markets_asked
from prometheus.stages.numeric.windows import INSTRUMENT
from prometheus.vectors import EMBEDDING_DIM, from_list_array

JOINT, BRANCHES, NUMERIC = "joint", "branches", "numeric"
READS = (JOINT, BRANCHES, NUMERIC)

JOINT_MODEL, JOINT_TYPE = "joint-assessment-context-v1", "ASSESSMENT_CTX_V0"

MOST_AHEAD = max(HORIZONS)


@dataclass(frozen=True)
class AssessmentSettings(StageParams):
    """Parameters the assessment stages share."""

    model_id: str = setting(f"assessment-{CONTEXT}-v1", "name the rows go by")
    backend: str = setting("", "what assesses the names; what the name says when empty", choices=(CONTEXT, BASIC))
    reads: str = setting(
        JOINT,
        "what the heads read: the vector of ASSESSMENT_CTX_V0, its branches, or a numeric one",
        choices=READS,
    )
    context_variant: str = setting("v0", "variant of the joint vectors", variant_of="joint_embeddings")
    embedding: str = setting("num-regime-core-v1", "numeric model, where one is read")
    embedding_variant: str = setting("v0", "its variant", variant_of="numeric_window_embeddings")
    infer_splits: bool = setting(False, "correct jumps that look like unrecorded splits instead of masking them")
    market_id: tuple[str, ...] = selection((), "market; repeat for several; all in the lake when none")
    horizon_days: tuple[int, ...] = selection(HORIZONS, "sessions ahead; repeat for several")

    def __post_init__(self) -> None:
        # Each name has a v0 of its own, so what its rows are made by follows from it.
        if not self.backend:
            object.__setattr__(self, "backend", BASIC if self.model_id == f"assessment-{BASIC}-v1" else CONTEXT)
        if not all(isinstance(h, int) and 1 <= h <= MOST_AHEAD for h in self.horizon_days):
            given = ", ".join(map(str, self.horizon_days))
            raise RequestError(f"--horizon-days must be whole numbers from 1 to {MOST_AHEAD}; got {given}")

    @property
    def horizons(self) -> list[int]:
        """Horizons asked for, each once, ascending."""
        return sorted(set(self.horizon_days))


@dataclass(frozen=True)
class AssessmentParams(AssessmentSettings):
    """Parameters of the scores."""

    soft_target_model: str = setting(
        "stability-embedding-v1", "model of the soft-target scores", flag="--soft-target-model-id"
    )
    stability_variant: str = setting("v0", "their variant", variant_of="soft_target_classes")
    prior_ic: float = setting(PRIOR_IC, "information coefficient of the basic model")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 <= self.prior_ic < 1.0:
            raise RequestError(f"--prior-ic must be at least 0 and less than 1; got {self.prior_ic}")


def joint_surface(params: AssessmentSettings) -> dict[str, Any]:
    """Partitions of the joint vectors that heads read."""
    return {"joint_type": JOINT_TYPE, "model_id": JOINT_MODEL, "variant": params.context_variant}


def numeric_surface(params: AssessmentSettings) -> dict[str, Any]:
    """Partitions of the numeric vectors that heads read."""
    return {"model_id": params.embedding, "variant": params.embedding_variant}


def reads_joint(params: AssessmentSettings) -> bool:
    """Whether joint vectors are read."""
    return params.backend == CONTEXT and params.reads in (JOINT, BRANCHES)


def branch_surfaces(params: AssessmentSettings) -> dict[str, Any]:
    """Partitions the joint vectors were made from: whatever variant they say they are of."""
    return {"joint_type": sorted(STORED.values())}


def reads_branches(params: AssessmentSettings) -> bool:
    """Whether the branches of the joint vectors are read."""
    return params.backend == CONTEXT and params.reads == BRANCHES


def reads_numeric(params: AssessmentSettings) -> bool:
    """Whether numeric vectors are read."""
    return params.backend == CONTEXT and params.reads == NUMERIC


def scope_of(market_id: str, horizon: int) -> str:
    """Lineage scope."""
    return f"{market_id}/{horizon}"


def market_and_horizon(scope: str) -> tuple[str, int]:
    """Market and horizon of a lineage scope."""
    market_id, horizon = scope.split("/")
    return market_id, int(horizon)


def markets_of(params: AssessmentSettings, reader: StageReader) -> list[str]:
    """Markets of the request."""
    return markets_asked(NumericEmbeddingsParams(market_id=params.market_id), reader)


def width_of(params: AssessmentSettings) -> int:
    """Slots of what the heads read."""
    return WIDTH if params.reads == BRANCHES else EMBEDDING_DIM


@dataclass(frozen=True, eq=False)
class ContextRows:
    """Context vectors by day, then name.

    Attributes
    ----------
    days : ndarray of datetime64[D], shape (n,)
    names : ndarray of str, shape (n,)
    vectors : ndarray of float32, shape (n, d)
    """

    days: NDArray[np.datetime64]
    names: NDArray[np.str_]
    vectors: NDArray[np.float32]

    def of_day(self, day: np.datetime64) -> slice:
        """Rows of a day."""
        begin, end = np.searchsorted(self.days, [day, day + 1])
        return slice(int(begin), int(end))


def context_rows(params: AssessmentSettings, reader: StageReader, days: Sequence[dt.date]) -> ContextRows:
    """Context vectors the lake holds of instruments on some days, of whatever market."""
    if not days:
        return ContextRows(
            np.zeros(0, dtype="datetime64[D]"), np.zeros(0, dtype=np.str_), np.zeros((0, width_of(params)), np.float32)
        )
    dates, wanted = (days[0], days[-1]), {"as_of_date": list(days)}
    if params.reads == NUMERIC:
        where: Mapping[str, Any] = {**numeric_surface(params), "entity_type": INSTRUMENT, **wanted}
        table, name = "numeric_window_embeddings", "entity_id"
    else:
        where = {**joint_surface(params), **wanted}
        table, name = "joint_embeddings", "entity_key"
    columns = ["as_of_date", name, "vector"] + ["branches"] * (params.reads == BRANCHES)
    rows = reader.read(table, columns=columns, dates=dates, where=where)
    rows = rows.sort_by([("as_of_date", "ascending"), (name, "ascending")])
    return ContextRows(
        rows["as_of_date"].to_numpy().astype("datetime64[D]"),
        np.array(rows[name].to_pylist(), dtype=np.str_),
        side_by_side(reader, rows) if params.reads == BRANCHES else from_list_array(rows["vector"]),
    )


def constant(value: str, n: int) -> pa.DictionaryArray:
    """Column of one text."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, dtype=np.int32)), [value])
