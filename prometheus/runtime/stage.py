"""The stage: one step of the chain as a declaration.

From the declaration alone follow the plan of what is missing or stale, the chunks, resuming, lineage, the flags of
the command and the picture of the data flow. A new engine or space is a new declaration and a pure function; nobody
touches the runtime for it.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import pyarrow as pa

from prometheus.clock import Markets
from prometheus.lake import Replacing
from prometheus.lake.predicates import Scalar
from prometheus.runtime.params import StageParams

if TYPE_CHECKING:
    from prometheus.runtime.reader import StageReader

P = TypeVar("P", bound=StageParams)
Days = Sequence[dt.date]


@dataclass(frozen=True)
class Input:
    """A table a stage reads.

    Attributes
    ----------
    table : str
    history : int or None, or callable
        Calendar days before the output day that can matter; 0 is the day itself, None everything up to it. A callable
        says it from the parameters.
    where : callable, optional
        Conditions on partition columns that follow from the parameters.
    optional : bool
        The stage makes rows without it.
    when : callable, optional
        Whether it is read at all under some parameters; always without one.
    """

    table: str
    history: int | Callable[[Any], int | None] | None = 0
    where: Callable[[Any], Mapping[str, Any]] | None = None
    optional: bool = False
    when: Callable[[Any], bool] | None = None

    def is_read(self, params: Any) -> bool:
        """Whether it is read under some parameters."""
        return self.when is None or self.when(params)

    def reach(self, params: Any) -> int | None:
        """Calendar days before the output day that can matter under some parameters."""
        return self.history(params) if callable(self.history) else self.history

    def admits(self, params: Any, carried: Mapping[str, Any]) -> bool:
        """Whether its conditions let through rows that carry some column values; what is not said is let through."""
        conditions = self.where(params) if self.where is not None else {}
        fits = all(carried[c] in _values(wanted) for c, wanted in conditions.items() if c in carried)
        return fits and self.is_read(params)

    def over_all_history(self) -> Input:
        """The same table, of which everything up to the output day matters."""
        return replace(self, history=None)


def _values(wanted: Any) -> Collection[Any]:
    return wanted if isinstance(wanted, Collection) and not isinstance(wanted, str | bytes) else (wanted,)


@dataclass(frozen=True)
class Chunk:
    """What one worker does: output days of every scope. Chunks of one run never share a partition.

    Attributes
    ----------
    number : int
        Place in the plan, from 0.
    days : mapping of str to tuple of date
        Output days by scope.
    asked : (date, date)
        The whole request's range.
    """

    number: int
    days: Mapping[str, tuple[dt.date, ...]]
    asked: tuple[dt.date, dt.date]

    @property
    def first(self) -> dt.date:
        """First output day over all scopes."""
        return min(d[0] for d in self.days.values())

    @property
    def last(self) -> dt.date:
        """Last output day over all scopes."""
        return max(d[-1] for d in self.days.values())

    @property
    def size(self) -> int:
        """Output days, counted once a scope."""
        return sum(len(d) for d in self.days.values())


@dataclass
class Output:
    """What a stage made of a chunk.

    Attributes
    ----------
    rows : dict of str to pyarrow.Table
        Rows per output table.
    replacing : dict of str to list of Replacing
        Which existing rows these answer for, beyond their own keys: one entry a scope, because scopes of one chunk
        need not have the same days.
    made, skipped : dict of (scope, day) to int
        Keys written and keys that could not be made, per output day.
    reasons : Counter
        Skips by reason.
    notes : Counter
        Facts worth a word in the summary that are not skipped keys.
    """

    rows: dict[str, pa.Table] = field(default_factory=dict)
    replacing: dict[str, list[Replacing]] = field(default_factory=dict)
    made: dict[tuple[str, dt.date], int] = field(default_factory=dict)
    skipped: dict[tuple[str, dt.date], int] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    def skip(self, scope: str, day: dt.date, reason: str, count: int = 1) -> None:
        """Count keys that could not be made."""
        if count:
            self.skipped[scope, day] = self.skipped.get((scope, day), 0) + count
            self.reasons[reason] += count

    def replace(
        self,
        table: str,
        partitions: Mapping[str, Collection[Scalar]],
        keys: Mapping[str, Collection[Scalar]],
        like: Mapping[str, str] | None = None,
    ) -> None:
        """Answer for the rows of some partitions that match every key column: those not made again go."""
        self.replacing.setdefault(table, []).append(Replacing(partitions, keys, like or {}))

    def make(self, scope: str, day: dt.date, count: int = 1) -> None:
        """Count keys that were made."""
        self.made[scope, day] = self.made.get((scope, day), 0) + count


UNCOUNTED = "0"
"""What a row stands for that lineage does not count."""


@dataclass(frozen=True)
class Holding:
    """Rows of one output table that a scope's lineage counts.

    Attributes
    ----------
    where : mapping of str to scalar
        Column to value.
    surely : str
        Further SQL condition on the row; it may ask raw tables that keep versions, by the name ``<table>__versions``.
    perhaps : str
        SQL condition of rows that may or may not be the scope's; which, the lake alone cannot say.
    counts : str
        SQL of how many keys of lineage a row stands for, where one row heads several of another table; ``UNCOUNTED``
        of a table whose rows lineage tells the days of but not the number.
    """

    where: Mapping[str, Scalar]
    surely: str = "true"
    perhaps: str = "false"
    counts: str = "1"


Holds = Callable[[Any, str, Markets], Mapping[str, Holding]]
"""``holds(params, scope, markets)``: by output table, the rows that ``num_keys`` of the scope's lineage counts."""


def market_in_scope(scope: str, markets: Markets) -> str:
    """Market of a scope that begins with its id, ``US_EQ/...``."""
    return markets.market(scope.partition("/")[0]).market_id


def market_of_region_in_scope(scope: str, markets: Markets) -> str:
    """Market of a scope that begins with a region, ``US`` or ``US/...``."""
    return markets.of_region(scope.partition("/")[0]).market_id


@dataclass(frozen=True)
class Stage(Generic[P]):
    """One step of the chain.

    Attributes
    ----------
    name : str
    revision : int
        Bumped when the formula changes: everything made under an older one is stale.
    summary : str
        One line for help texts.
    params : type
        Frozen dataclass of parameters (see :mod:`prometheus.runtime.params`).
    inputs : tuple of Input
    outputs : tuple of str
        Tables written; the last one is committed last.
    surface : callable
        Parameters to the model id or joint type whose variants the settings are guarded under.
    days : callable
        ``days(params, reader, first, last)`` gives, per scope, the output days there can be in the range. Raises
        :class:`~prometheus.errors.MissingInputError` when a required input is absent for the whole request.
    compute : callable
        ``compute(params, reader, chunk)`` gives the rows. Pure between its reads and its return.
    market : callable, optional
        ``market(scope, markets)`` gives the id of the market whose cut-offs say what an output day of the scope knows:
        input rows known later leave the day as it is. Without it output does not depend on a cut-off, as in tables of
        events.
    fingerprint : callable, optional
        What besides settings and revision decides values, for example an encoder's weights.
    chunk_by : {'day', 'year'}
        The partition unit of the outputs: chunks are cut along it.
    chunk_days : int
        Output days in a chunk unless asked otherwise.
    order : {'independent', 'sequential'}
        Whether chunks may run side by side.
    command : str
        The command that runs this step, named in refusals of later steps.
    holds : callable, optional
        Which rows a scope's lineage counts, so that ``prometheus lake doctor`` can compare the two.
    writes : callable, optional
        ``writes(params)`` gives, by output table, column values that every row written carries. Of two stages that
        write one table, a reader of it depends on those whose values are among what it reads.
    shares : mapping of str to tuple of str
        Stages that make rows of the same model and variant in one table, and the settings both must have in common.
    surfaces : tuple of mapping
        Settings under which the stage makes its several surfaces, where its defaults make one of them; the look-ahead
        audit runs each.
    """

    name: str
    revision: int
    summary: str
    params: type[P]
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    surface: Callable[[P], str]
    days: Callable[[P, StageReader, dt.date, dt.date], Mapping[str, Days]]
    compute: Callable[[P, StageReader, Chunk], Output]
    market: Callable[[str, Markets], str] | None = None
    fingerprint: Callable[[P], Any] | None = None
    chunk_by: Literal["day", "year"] = "day"
    chunk_days: int = 126
    order: Literal["independent", "sequential"] = "independent"
    command: str = ""
    holds: Holds | None = None
    writes: Callable[[P], Mapping[str, Mapping[str, Any]]] | None = None
    shares: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    surfaces: tuple[Mapping[str, Any], ...] = ({},)

    def carried(self, params: P) -> dict[str, dict[str, Any]]:
        """Column values that every row written carries, by output table; the variant apart."""
        said = self.writes(params) if self.writes is not None else {}
        return {table: dict(said.get(table, {})) for table in self.outputs}
