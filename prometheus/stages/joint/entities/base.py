"""What a kind of entity answers: which rows there can be on each day, and what each row is about."""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Markets, Sessions, cutoffs
from prometheus.runtime import Holding, Input, StageReader, market_in_scope
from prometheus.spaces.joint import JointSpace
from prometheus.stages.joint.params import JointParams
from prometheus.stages.joint.rows import Wanted

Scopes = Mapping[str, Sequence[dt.date]]


@dataclass(frozen=True)
class Answered:
    """Existing rows a run answers for: those it does not make again go.

    Attributes
    ----------
    keys : mapping of str to list of str
        Column to the values it must have.
    like : mapping of str to str
        Column to the regular expression it must match besides.
    """

    keys: Mapping[str, list[str]]
    like: Mapping[str, str] = field(default_factory=dict)


class Entities(ABC):
    """One kind of entity."""

    inputs: tuple[Input, ...] = ()

    def __init__(self, space: JointSpace) -> None:
        self.space = space

    @abstractmethod
    def days(self, params: Any, reader: StageReader, first: dt.date, last: dt.date) -> Scopes:
        """Output days there can be, by scope."""

    def retired(self, params: Any, reader: StageReader) -> Scopes:
        """Days earlier runs made that hold nothing any more, by scope, whatever the range: rows they left there go."""
        return {}

    @abstractmethod
    def wanted(self, params: Any, reader: StageReader, scope: str, days: Sequence[dt.date]) -> Wanted:
        """Rows to try to make on some days of a scope."""

    @abstractmethod
    def describe(self, params: Any, reader: StageReader, wanted: Wanted, sources: pa.Array) -> pa.StringArray:
        """``entity_scope`` of each row, ``sources`` being the word of each for the branches it has."""

    @abstractmethod
    def answers_for(self, params: Any, reader: StageReader, scope: str, days: Sequence[dt.date]) -> Answered:
        """Existing rows of some days that a run of the scope answers for."""

    @abstractmethod
    def holding(self, params: Any, scope: str, markets: Markets) -> Holding:
        """Rows that the lineage of a scope counts, within the space's partitions."""

    def market(self, scope: str, markets: Markets) -> str:
        """Market whose cut-offs a scope's days have."""
        return market_in_scope(scope, markets)

    def fingerprint(self, params: Any) -> Any:
        """What besides settings says which rows there are."""
        return None


def sessions_and_cutoffs(
    reader: StageReader, market_id: str, params: JointParams, days: Sequence[dt.date]
) -> tuple[NDArray[np.datetime64], NDArray[np.datetime64], Sessions]:
    """Days as an array, the cut-off of each, and the market's sessions."""
    sessions = reader.sessions(market_id)
    wanted = np.array(days, dtype="datetime64[D]")
    return wanted, cutoffs(sessions, params.cutoff)[sessions.positions(wanted)], sessions


def no_names(n: int) -> NDArray[np.str_]:
    """Names where rows have none."""
    return np.full(n, "", dtype=np.str_)
