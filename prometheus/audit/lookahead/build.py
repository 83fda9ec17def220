"""A fresh lake from raw rows alone, through every step of an audit."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from prometheus.audit.lookahead.chain import Step
from prometheus.audit.lookahead.compare import Partition, partitions_of
from prometheus.audit.lookahead.noise import Replaced
from prometheus.clock import Markets
from prometheus.errors import MissingInputError
from prometheus.lake import Lake, TableContract, contract
from prometheus.runtime import Chunk, Output, Progress, RunOptions, Stage, StageParams, StageReader, run_stage

Future = Callable[[TableContract, pa.Table], Replaced]
"""Raw rows of a table to the same with another future."""

CALENDAR = "calendar_sessions"


@dataclass(frozen=True)
class RunWith:
    """How steps are run; see :func:`prometheus.runtime.run_stage`."""

    markets: Markets
    options: RunOptions
    progress: Progress


@dataclass
class Built:
    """A lake and what each step wrote into it.

    Attributes
    ----------
    lake : Lake
    replaced : dict of str to int
        By raw table, the rows in which its future is another.
    wrote : list of dict
        By step, output table and the partitions its rows went to.
    refused : dict of int to str
        Steps that found no input, with their sentence.
    """

    lake: Lake
    replaced: dict[str, int] = field(default_factory=dict)
    wrote: list[dict[str, set[Partition]]] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)


def build(
    root: Path,
    source: Lake,
    tables: Sequence[str],
    steps: Sequence[Step],
    first: dt.date,
    last: dt.date,
    *,
    earliest: dt.date,
    future: Future | None = None,
    cache: Path,
    run: RunWith,
) -> Built:
    """Bring raw rows into a fresh lake and run every step on them, from nothing.

    Parameters
    ----------
    root : Path
        Where the lake is made.
    source : Lake
        Read, never written.
    tables : sequence of str
        Raw tables to bring.
    steps : sequence of Step
    first, last : date
        Output days, both included.
    earliest : date
        First day of the raw tables: stages of events, whose rows later ones may read as last known, begin there.
    future : callable, optional
        What each table's rows become; as they are when None.
    cache : Path
        Cache the lakes of an audit share: what is kept there is found by content alone, and a text encoded twice in
        other company need not come out the same to the last bit.
    run : RunWith
    """
    built = Built(Lake.open(root, create=True))
    cache.mkdir(exist_ok=True)
    (root / "cache").symlink_to(cache, target_is_directory=True)
    calendar = source.read(CALENDAR)
    if calendar.num_rows:
        built.lake.upsert(CALENDAR, calendar)
    for table in tables:
        _bring(built, source, table, future)
    for number, step in enumerate(steps):
        wrote: dict[str, set[Partition]] = {}
        built.wrote.append(wrote)
        recorded = _recorded(step.stage, wrote)
        try:
            events = all(contract(table).table_class == "event" for table in step.stage.outputs)
            begin = min(first, earliest) if events else first
            run_stage(built.lake, recorded, step.params, begin, last, **vars(run))
        except MissingInputError as refusal:
            built.refused[number] = str(refusal)
    return built


def _bring(built: Built, source: Lake, table: str, future: Future | None) -> None:
    declared = contract(table)
    rows = source.read(table, every_version=declared.is_versioned)
    if future is not None and declared.is_versioned:
        replaced = future(declared, rows)
        built.replaced[table] = replaced.total
        rows = replaced.rows
    if rows.num_rows:
        built.lake.upsert(table, rows)


def _recorded(stage: Stage[Any], wrote: dict[str, set[Partition]]) -> Stage[Any]:
    """The same stage, noting which partitions its rows go to: tables can have several writers."""

    def compute(params: StageParams, reader: StageReader, chunk: Chunk) -> Output:
        output: Output = stage.compute(params, reader, chunk)
        for table, rows in output.rows.items():
            wrote.setdefault(table, set()).update(partitions_of(rows, contract(table)))
        return output

    return dataclasses.replace(stage, compute=compute)
