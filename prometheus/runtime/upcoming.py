"""What a dry run of several stages would write, so that the plan of a later stage counts with it.

A plan compares the inputs in the lake with those of the last run. In a dry run over a chain nothing upstream is
written, so a later stage would look done although its inputs are about to change. Here each plan is remembered, and a
later one asks which of its days read what an earlier stage will make again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prometheus.runtime.params import StageParams
from prometheus.runtime.stage import Stage

UPSTREAM = "upstream: "
"""What begins the reason of a day that is up to date now and will not be once the named stages have run."""


@dataclass(frozen=True)
class _Writing:
    """Days a stage will write, ascending, and what its rows carry by output table."""

    stage: str
    days: NDArray[np.datetime64]
    carries: Mapping[str, Mapping[str, Any]]


@dataclass
class Upcoming:
    """Output days that earlier stages of one request will make."""

    _writing: list[_Writing] = field(default_factory=list)

    def add(self, stage: Stage[Any], params: StageParams, todo: Mapping[str, Sequence[dt.date]]) -> None:
        """Remember the days a plan is to make, by scope."""
        days = sorted({day for own in todo.values() for day in own})
        if days:
            carries = {table: {**said, "variant": params.variant} for table, said in stage.carried(params).items()}
            self._writing.append(_Writing(stage.name, np.array(days, dtype="datetime64[D]"), carries))

    def reasons(self, stage: Stage[Any], params: StageParams, days: Sequence[dt.date]) -> list[str]:
        """Why each day will be made again: the stages whose rows it reads and that will write them; empty for none.

        Rows that come out as they were leave the day as it is: a dry run cannot know.

        Parameters
        ----------
        stage : Stage
        params : StageParams
        days : sequence of date
        """
        asked = np.array(days, dtype="datetime64[D]")
        named: list[dict[str, None]] = [{} for _ in days]
        for writing in self._writing:
            for declared in stage.inputs:
                carried = writing.carries.get(declared.table)
                if carried is None or not declared.admits(params, carried):
                    continue
                for i in np.flatnonzero(_reaches(asked, declared.reach(params), writing.days)):
                    named[i][writing.stage] = None
        return [UPSTREAM + ", ".join(stages) if stages else "" for stages in named]


def _reaches(asked: NDArray[np.datetime64], history: int | None, written: NDArray[np.datetime64]) -> NDArray[np.bool_]:
    """Which days have a written one inside their history."""
    latest = np.searchsorted(written, asked, side="right") - 1
    found: NDArray[np.bool_] = latest >= 0
    if history is not None:
        found &= written[latest] >= asked - np.timedelta64(history, "D")
    return found
