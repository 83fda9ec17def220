"""Severe scenarios a market's states are compared with: those of the sets of the latest date known by then."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from prometheus.engines.stability.scenarios import SevereScenarios
from prometheus.runtime import StageReader
from prometheus.search import COMPARABLE
from prometheus.spaces.numeric import numeric_model
from prometheus.spaces.numeric.layout import slot_table
from prometheus.spaces.numeric.masking import volume_slots
from prometheus.stages.stability.windows import StabilitySettings, reads_numeric
from prometheus.vectors import from_list_array

SCENARIO_MODEL, SEVERE = "num-scenario-core-v1", "HIGH"


def compares(params: Any) -> bool:
    """Whether states are compared with scenarios: their embeddings must fill the same slots."""
    return reads_numeric(params) and bool(params.scenario_variant) and params.embedding == COMPARABLE[SCENARIO_MODEL]


def scenario_surface(params: Any) -> dict[str, Any]:
    """Partitions of the scenarios' embeddings."""
    return {"model_id": SCENARIO_MODEL, "variant": params.scenario_variant, "entity_type": "SCENARIO"}


class KnownScenarios:
    """Severe scenarios of a market over some days.

    Parameters
    ----------
    params : StabilityParams
    reader : StageReader
    market_id : str
    last : date
        Sets up to this day matter.
    """

    def __init__(self, params: StabilitySettings, reader: StageReader, market_id: str, last: dt.date) -> None:
        self._params, self._reader = params, reader
        self._held: dict[np.datetime64, SevereScenarios] = {}
        until = (dt.date(1900, 1, 1), last)
        sets = reader.read("scenario_sets", columns=["scenario_set_id"], dates=until, where={"market_id": market_id})[
            "scenario_set_id"
        ]
        paths = reader.read(
            "scenario_paths",
            columns=["scenario_set_id", "scenario_id", "as_of_date"],
            dates=until,
            where={"severity": SEVERE, "step": 1},
        )
        paths = paths.filter(pc.is_in(paths["scenario_set_id"], value_set=sets.combine_chunks()))
        self._ids = pc.binary_join_element_wise(paths["scenario_set_id"], paths["scenario_id"], "/")
        self._dates = paths["as_of_date"].to_numpy().astype("datetime64[D]")
        self._set_dates = np.unique(self._dates)

    def dates_of(self, days: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
        """Date of the sets each day is compared with; NaT before the first."""
        at = np.searchsorted(self._set_dates, days, side="right") - 1
        none = np.full(len(days), np.datetime64("NaT"), dtype="datetime64[D]")
        return np.where(at >= 0, self._set_dates[np.maximum(at, 0)], none) if len(self._set_dates) else none

    def of(self, date: np.datetime64) -> SevereScenarios:
        """Severe scenarios of the sets of a date that have an embedding."""
        if date not in self._held:
            day: dt.date = date.astype("datetime64[D]").item()
            rows = self._reader.read(
                "numeric_window_embeddings",
                columns=["entity_id", "vector"],
                dates=(day, day),
                where=scenario_surface(self._params),
            )
            severe = pa.array(self._ids.filter(pa.array(self._dates == date)).to_pylist(), pa.string())
            rows = rows.filter(pc.is_in(rows["entity_id"], value_set=severe)).sort_by("entity_id")
            self._held[date] = SevereScenarios(tuple(rows["entity_id"].to_pylist()), from_list_array(rows["vector"]))
        return self._held[date]

    def nearest(
        self, days: NDArray[np.datetime64], vectors: NDArray[np.float32]
    ) -> tuple[list[str | None], NDArray[np.float64]]:
        """Nearest severe scenario of each row, and the cosine to it; None and NaN without any."""
        names: list[str | None] = [None] * len(days)
        cosine = np.full(len(days), np.nan)
        masked = _slots_a_path_lacks(self._params.embedding)
        dated = self.dates_of(days)
        for date in np.unique(dated[~np.isnat(dated)]):
            severe = self.of(date)
            mine = np.flatnonzero(dated == date)
            if not severe.ids:
                continue
            best, cosine[mine] = severe.nearest(vectors[mine], masked)
            for row, place in zip(mine.tolist(), best.tolist(), strict=True):
                names[row] = severe.ids[place]
        return names, cosine


_OF_CROSS_SECTION = ("scales.dispersion_", "scales.correlation_", "scales.breadth_", "scales.cross_section_known")


def _slots_a_path_lacks(model_id: str) -> NDArray[np.int64]:
    """Places of the slots about volume and about members: a path has neither."""
    model = numeric_model(model_id)
    names = [slot.name for slot in slot_table(model)]
    members = [i for i, name in enumerate(names) if name.startswith(_OF_CROSS_SECTION)]
    return np.union1d(volume_slots(model), members).astype(np.int64)
