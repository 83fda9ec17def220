"""Running a stage: plan, chunks, threads, commit, lineage, resume.

1. The plan compares the request with lineage; what is done is left alone.
2. Each chunk is read, computed and committed by one worker; chunks of one run never share a partition.
3. Data is committed first, then the lineage row: no lineage row means not done, so a run killed anywhere is
   continued by running it again, and loses at most the chunks in flight. Of days that were complete once, a row that
   they are begun again goes before.
4. An interrupt lets the chunks in flight end and starts no more.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from prometheus.clock import DEFAULT_MARKETS, Markets
from prometheus.errors import RequestError
from prometheus.lake import Lake, contract
from prometheus.runtime.ledger import Ledger, assumptions
from prometheus.runtime.lineage import Lineage
from prometheus.runtime.params import StageParams, digest_of, request_of
from prometheus.runtime.plan import Plan, make_plan
from prometheus.runtime.progress import PlainProgress, Progress
from prometheus.runtime.reader import StageReader
from prometheus.runtime.stage import Chunk, Output, Stage
from prometheus.runtime.summary import RunOptions, RunSummary
from prometheus.runtime.upcoming import Upcoming
from prometheus.runtime.variants import register_variant


@dataclass(frozen=True)
class _Finished:
    chunk: Chunk
    rows: int
    seconds: float
    reasons: Counter[str]
    notes: Counter[str]


def run_stage(
    lake: Lake,
    stage: Stage[Any],
    params: StageParams,
    first: dt.date,
    last: dt.date,
    *,
    options: RunOptions | None = None,
    markets: Markets = DEFAULT_MARKETS,
    progress: Progress | None = None,
    upcoming: Upcoming | None = None,
) -> RunSummary:
    """Make every output day of a range that is missing or stale.

    Parameters
    ----------
    lake : Lake
    stage : Stage
    params : StageParams
        An instance of the stage's own parameter class.
    first, last : date
        Both included.
    options : RunOptions, optional
    markets : Markets, optional
    progress : Progress, optional
    upcoming : Upcoming, optional
        What the stages before this one will write, in a dry run over several: one for all of them, in order.

    Returns
    -------
    RunSummary
        ``interrupted`` is set when a signal ended the run early; what was done by then is in the lake.

    Raises
    ------
    PrometheusError
        Refusals of the plan or of a chunk; other chunks in flight are finished first.
    """
    options = options or RunOptions()
    progress = progress or PlainProgress(quiet=True)
    started = time.monotonic()
    reader = StageReader(lake, markets, [i.table for i in stage.inputs], store_sessions=not options.dry_run)
    plan = make_plan(
        lake,
        stage,
        params,
        reader,
        first,
        last,
        force=options.force,
        chunk_days=options.chunk_days,
        upcoming=upcoming if options.dry_run else None,
    )
    summary = RunSummary(stage.name, params.variant, planned=sum(plan.reasons.values()), dry_run=options.dry_run)
    summary.already = summary.planned - plan.size
    read = {i.table for i in stage.inputs if i.is_read(params)}
    summary.assumed = {table: words for table, words in assumptions(lake).items() if table in read}
    if options.dry_run:
        if upcoming is not None:
            upcoming.add(stage, params, plan.todo)
        for line in plan.lines():
            progress.say(line)
        return summary
    if plan.chunks:
        register_variant(lake, stage, params)
        _run_chunks(lake, stage, params, reader, plan, options, progress, summary)
    summary.seconds = time.monotonic() - started
    return summary


def _run_chunks(
    lake: Lake,
    stage: Stage[Any],
    params: StageParams,
    reader: StageReader,
    plan: Plan,
    options: RunOptions,
    progress: Progress,
    summary: RunSummary,
) -> None:
    began = dt.datetime.now(dt.UTC)
    run_id = digest_of(stage.name, request_of(params), plan.fingerprint, began.isoformat(), os.getpid())
    book = Ledger(lake, run_id, stage.name, params, plan)
    lineage = Lineage(lake, run_id, stage, params, plan)
    book.event("started", summary)
    progress.start(stage.name, plan.size)

    def work(chunk: Chunk) -> _Finished:
        t0 = time.monotonic()
        output = stage.compute(params, reader, chunk)
        pairs = [(scope, day) for scope, days in chunk.days.items() for day in days]
        lineage.before(pairs)
        rows = _commit(lake, stage, output, run_id)
        seconds = time.monotonic() - t0
        lineage.after(pairs, output)
        book.chunk(chunk, rows, seconds)
        return _Finished(chunk, rows, seconds, output.reasons, output.notes)

    def finished(result: _Finished) -> None:
        summary.done += result.chunk.size
        summary.rows += result.rows
        summary.skipped.update(result.reasons)
        summary.notes.update(result.notes)
        progress.advance(result.chunk.size, result.rows)

    try:
        with _interruptible() as stopping:
            _dispatch(plan.chunks, work, finished, stopping, _workers(stage, options))
            summary.interrupted = stopping.is_set() and summary.done < plan.size
    except BaseException as error:
        book.event("failed", summary, error=f"{type(error).__name__}: {error}")
        lineage.settle()
        raise
    lineage.settle()
    book.event("interrupted" if summary.interrupted else "finished", summary)


def _workers(stage: Stage[Any], options: RunOptions) -> int:
    if options.executor not in {"threads", "serial"}:
        raise RequestError(f"there is no executor {options.executor!r}; use threads or serial")
    if options.executor == "serial" or stage.order == "sequential":
        return 1
    return max(1, options.workers or os.cpu_count() or 1)


def _dispatch(
    chunks: tuple[Chunk, ...],
    work: Callable[[Chunk], _Finished],
    finished: Callable[[_Finished], None],
    stopping: threading.Event,
    workers: int,
) -> None:
    """Keep ``workers`` chunks in flight until all are done, one fails, or an interrupt asks to stop."""
    if workers == 1:
        for chunk in chunks:
            if stopping.is_set():
                return
            finished(work(chunk))
        return
    waiting = iter(chunks)
    failure: BaseException | None = None
    with ThreadPoolExecutor(workers, thread_name_prefix="chunk") as pool:
        flying: set[Future[_Finished]] = set()
        while True:
            while len(flying) < workers and failure is None and not stopping.is_set():
                upcoming = next(waiting, None)
                if upcoming is None:
                    break
                flying.add(pool.submit(work, upcoming))
            if not flying:
                break
            landed, flying = wait(flying, return_when=FIRST_COMPLETED)
            for future in landed:
                error = future.exception()
                if error is not None:
                    failure = failure or error
                else:
                    finished(future.result())
    if failure is not None:
        raise failure


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Turn the first SIGINT into a request to stop; a second one interrupts at once."""
    stopping = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    before = signal.getsignal(signal.SIGINT)

    def on_interrupt(number: int, frame: Any) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()

    signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield stopping
    finally:
        signal.signal(signal.SIGINT, before)


def _commit(lake: Lake, stage: Stage[Any], output: Output, run_id: str) -> int:
    total = 0
    for table in stage.outputs:
        rows = output.rows.get(table)
        replacing = output.replacing.get(table)
        if rows is None and replacing is None:
            continue
        rows = rows if rows is not None else contract(table).empty()
        lake.upsert(table, rows, replacing=replacing or (), metadata={"stage": stage.name, "run_id": run_id})
        total += rows.num_rows
    return total
