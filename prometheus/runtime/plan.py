"""The plan: which output days are missing or stale, why, and in which chunks they are made."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Sessions
from prometheus.errors import RequestError
from prometheus.lake import Lake
from prometheus.lake.row_hashes import row_hashes
from prometheus.runtime.done import DONE, FORCED, MISSING, PARTIAL, Book
from prometheus.runtime.params import StageParams, digest_of, narrows, settings_of
from prometheus.runtime.reader import SESSIONS_LOADED, StageReader
from prometheus.runtime.stage import Chunk, Stage
from prometheus.runtime.upcoming import Upcoming
from prometheus.runtime.variants import check_cutoffs, check_variant


@dataclass(frozen=True)
class Plan:
    """What a request comes to.

    Attributes
    ----------
    stage : str
    variant : str
    fingerprint : str
        Digest of settings, stage revision and encoder.
    reasons : Counter
        Output days by why they are (or are not) to be made.
    todo : dict of str to tuple of date
        Output days to make, per scope.
    inputs : dict of (scope, day) to str
        Digest of each day's inputs inside the declared history, as planned.
    before : frozenset of (scope, day)
        Output days that were complete once, whether or not they are stale.
    not_before : datetime, optional
        Instant that lineage of this run must not precede: another machine's clock may have run ahead.
    chunks : tuple of Chunk
    """

    stage: str
    variant: str
    fingerprint: str
    settings_digest: str
    reasons: Counter[str]
    todo: Mapping[str, tuple[dt.date, ...]]
    inputs: Mapping[tuple[str, dt.date], str]
    before: frozenset[tuple[str, dt.date]]
    not_before: dt.datetime | None
    chunks: tuple[Chunk, ...]

    @property
    def size(self) -> int:
        """Output days to make, counted once a scope."""
        return sum(len(days) for days in self.todo.values())

    def lines(self) -> list[str]:
        """The plan in words, for ``--dry-run``."""
        out = [f"{self.stage} [{self.variant}]: {self.size} output days in {len(self.chunks)} chunks"]
        out += [f"  {count} {reason}" for reason, count in sorted(self.reasons.items())]
        for scope, days in self.todo.items():
            if days:
                out.append(f"  {scope}: {days[0]} to {days[-1]}, {len(days)} days")
        return out


def make_plan(
    lake: Lake,
    stage: Stage[Any],
    params: StageParams,
    reader: StageReader,
    first: dt.date,
    last: dt.date,
    *,
    force: bool = False,
    chunk_days: int | None = None,
    upcoming: Upcoming | None = None,
) -> Plan:
    """Compare what a request asks for with what lineage says is done.

    A day is done when its latest complete lineage row carries today's fingerprint and the digest its inputs have now,
    and (in a dry run over several stages) no stage before this one is to write what it reads.

    Raises
    ------
    RequestError
        When the range is empty or the chunk size is no positive number.
    VariantConflictError
        When the variant already stands for other settings, or an input is made with what is known later.
    MissingInputError
        When a required input is absent for the whole request.
    """
    if last < first:
        raise RequestError(f"the range ends ({last}) before it begins ({first})")
    if chunk_days is not None and chunk_days < 1:
        raise RequestError(f"--chunk-days must be at least 1, got {chunk_days}")
    settings = settings_of(params)
    settings_digest = digest_of(settings)
    check_variant(lake, stage, params)
    check_cutoffs(lake, stage, params)
    fingerprint = digest_of(settings, stage.revision, stage.fingerprint(params) if stage.fingerprint else None)
    reader.span(first, last)
    asked = {scope: tuple(days) for scope, days in stage.days(params, reader, first, last).items()}
    inputs = input_digests(lake, stage, params, asked, reader)
    book = Book.of(lake, stage.name, params.variant, settings_digest, asked)
    done = book.status(fingerprint, inputs)
    partial = narrows(params)
    reasons: Counter[str] = Counter()
    todo: dict[str, tuple[dt.date, ...]] = {}
    for scope, days in asked.items():
        status = [FORCED if force else PARTIAL if partial else done.get((scope, day), MISSING) for day in days]
        if upcoming is not None:
            again = upcoming.reasons(stage, params, days)
            status = [why if s == DONE and why else s for s, why in zip(status, again, strict=True)]
        reasons.update(status)
        todo[scope] = tuple(day for day, s in zip(days, status, strict=True) if s != DONE)
    return Plan(
        stage=stage.name,
        variant=params.variant,
        fingerprint=fingerprint,
        settings_digest=settings_digest,
        reasons=reasons,
        todo=todo,
        inputs=inputs,
        before=frozenset(done),
        not_before=book.latest + dt.timedelta(microseconds=1) if book.latest is not None else None,
        chunks=_chunks(todo, stage, chunk_days or stage.chunk_days, (first, last)),
    )


def input_digests(
    lake: Lake, stage: Stage[Any], params: StageParams, asked: Mapping[str, tuple[dt.date, ...]], reader: StageReader
) -> dict[tuple[str, dt.date], str]:
    """One digest per output day: its inputs' days inside the declared history, as known at its cut-off, and sessions.

    Of the market's calendar the sessions of the last four years count, whatever a stage looks back: another calendar,
    or a corrected one, makes stale what was laid out on it.
    """
    states = [
        (declared.reach(params), lake.states(declared.table, declared.where(params) if declared.where else None))
        for declared in stage.inputs
        if declared.is_read(params)
    ]
    out: dict[tuple[str, dt.date], str] = {}
    for scope, days in asked.items():
        if not days:
            continue
        last = np.array(days, dtype="datetime64[D]")
        known_by = None
        if stage.market is not None:
            market_id = stage.market(scope, reader.markets)
            sessions = reader.sessions(market_id)
            known_by = reader.cutoffs(market_id, params.cutoff)[sessions.positions(last)]
        columns = [] if stage.market is None else [_sessions_before(sessions, last)]
        columns += [table.between(_reach_back(last, history), last, known_by) for history, table in states]
        joined = (
            ["-".join(f"{int(v):016x}" for v in row) for row in zip(*columns, strict=True)]
            if columns
            else [""] * len(days)
        )
        out.update(((scope, day), text) for day, text in zip(days, joined, strict=True))
    return out


def _sessions_before(sessions: Sessions, last: NDArray[np.datetime64]) -> NDArray[np.uint64]:
    """Sum of numbers that stand for the sessions of the last years up to each day."""
    told = pa.table({"date": sessions.dates, "opens_at": sessions.opens_at, "closes_at": sessions.closes_at})
    running = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(row_hashes(told), dtype=np.uint64)])
    first = np.searchsorted(sessions.dates, last - np.timedelta64(SESSIONS_LOADED.days, "D"))
    past: NDArray[np.uint64] = running[np.searchsorted(sessions.dates, last, side="right")] - running[first]
    return past


def _reach_back(last: NDArray[np.datetime64], history: int | None) -> NDArray[np.datetime64] | None:
    if history is None:
        return None
    first: NDArray[np.datetime64] = (last - np.timedelta64(history, "D")).astype("datetime64[D]")
    return first


def _chunks(
    todo: Mapping[str, tuple[dt.date, ...]], stage: Stage[Any], chunk_days: int, asked: tuple[dt.date, dt.date]
) -> tuple[Chunk, ...]:
    """Cut the union of days into runs of whole partitions, every scope's share in one chunk."""
    union = sorted(set(itertools.chain.from_iterable(todo.values())))
    if stage.chunk_by == "year":
        runs = [list(g) for _, g in itertools.groupby(union, key=lambda d: d.year)]
    else:
        runs = [union[i : i + chunk_days] for i in range(0, len(union), chunk_days)]
    chunks = []
    for number, run in enumerate(runs):
        wanted = set(run)
        days = {scope: tuple(d for d in own if d in wanted) for scope, own in todo.items()}
        chunks.append(Chunk(number, {s: d for s, d in days.items() if d}, asked))
    return tuple(chunks)
