"""The books: what ran, when, and what it came to. Instants live here and nowhere in the data."""

from __future__ import annotations

import datetime as dt
import json
import os
import threading
import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from prometheus import __version__
from prometheus.lake import Lake, contract
from prometheus.runtime.params import StageParams, canonical_json, digest_of, request_of

if TYPE_CHECKING:
    from prometheus.runtime.plan import Plan
    from prometheus.runtime.stage import Chunk
    from prometheus.runtime.summary import RunSummary


INGEST = "ingest"
"""What the column ``stage`` says of an ingest."""

_ASSUMED = "assumed"

_SECONDS_BETWEEN_CHUNKS = 2.0
"""Rows of chunks are committed together, at least so far apart: they are for people, and a commit has its price."""


class Ledger:
    """The books of one run of a stage."""

    def __init__(self, lake: Lake, run_id: str, stage: str, params: StageParams, plan: Plan) -> None:
        self._lake, self._run_id, self._stage, self._params, self._plan = lake, run_id, stage, params, plan
        self._began = self._written = time.monotonic()
        self._chunks: list[dict[str, object]] = []
        self._lock = threading.Lock()

    def event(self, event: str, summary: RunSummary, error: str | None = None) -> None:
        """Write down that the run started, finished, was interrupted or failed; with what its inputs assume."""
        self._write_chunks(at_once=True)
        request = request_of(self._params)
        if summary.assumed:
            request[_ASSUMED] = summary.assumed
        _append_run(
            self._lake,
            run_id=self._run_id,
            event=event,
            stage=self._stage,
            variant=self._params.variant,
            request=canonical_json(request),
            planned=self._plan.size,
            done=summary.done,
            rows=summary.rows,
            skipped=summary.skipped,
            seconds=time.monotonic() - self._began,
            error=error,
        )

    def chunk(self, chunk: Chunk, rows: int, seconds: float) -> None:
        """Write down a committed chunk, now or with those that follow; the run's next event writes what is left."""
        row: dict[str, object] = {
            "run_id": self._run_id,
            "chunk": chunk.number,
            "first_date": chunk.first,
            "last_date": chunk.last,
            "rows": rows,
            "seconds": seconds,
        }
        with self._lock:
            self._chunks.append(row)
        self._write_chunks()

    def _write_chunks(self, at_once: bool = False) -> None:
        with self._lock:
            if not self._chunks or not (at_once or time.monotonic() - self._written > _SECONDS_BETWEEN_CHUNKS):
                return
            rows, self._chunks, self._written = self._chunks, [], time.monotonic()
        self._lake.append("job_chunks", pa.Table.from_pylist(rows, schema=contract("job_chunks").schema))


class IngestBook:
    """The books of one ingest.

    Parameters
    ----------
    lake : Lake
    source, folder : str
        Name of the ingest map, and of the folder it reads.
    feeds : int
        Feeds to read.
    assumed : mapping of str to collection of str
        By table, what its rows' ``known_at`` (or another date) assumes; kept with the request, see
        :func:`assumptions`.
    """

    def __init__(
        self,
        lake: Lake,
        source: str,
        folder: str,
        *,
        feeds: int = 0,
        assumed: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self._lake, self._feeds = lake, feeds
        named = {table: sorted(words) for table, words in sorted((assumed or {}).items())}
        self._request = canonical_json({"source": source, "folder": folder, _ASSUMED: named})
        self._began = time.monotonic()
        instant = dt.datetime.now(dt.UTC).isoformat()
        self.run_id = digest_of("ingest", source, folder, instant, os.getpid())

    def event(
        self, event: str, *, feeds: int = 0, rows: int = 0, skipped: Mapping[str, int] | None = None, error: str = ""
    ) -> None:
        """Write down that the ingest started, finished, was interrupted or failed, and how far it came."""
        _append_run(
            self._lake,
            run_id=self.run_id,
            event=event,
            stage=INGEST,
            variant="",
            request=self._request,
            planned=self._feeds,
            done=feeds,
            rows=rows,
            skipped=skipped or {},
            seconds=time.monotonic() - self._began,
            error=error or None,
        )


def assumptions(lake: Lake) -> dict[str, tuple[str, ...]]:
    """By raw table, what ingests have assumed of when its rows were known; tables without assumptions are left out."""
    rows = lake.read("job_runs", columns=["request"], where={"stage": INGEST})
    found: dict[str, set[str]] = {}
    for request in set(rows["request"].to_pylist()):
        for table, words in json.loads(request).get(_ASSUMED, {}).items():
            found.setdefault(table, set()).update(words)
    return {table: tuple(sorted(found[table])) for table in sorted(found)}


def close_run(lake: Lake, run_id: str) -> None:
    """Write down that a run which started is over, though it could not say so itself."""
    started = lake.read("job_runs", where={"run_id": run_id, "event": "started"})
    row = started.to_pylist()[0]
    del row["recorded_at"], row["code_version"]
    row |= {"event": "failed", "skipped": {}, "error": "the process ended without a word: killed, or out of power"}
    _append_run(lake, **row)


def _append_run(lake: Lake, *, skipped: Mapping[str, int], **fields: object) -> None:
    row = {
        **fields,
        "recorded_at": dt.datetime.now(dt.UTC),
        "code_version": __version__,
        "skipped": canonical_json(dict(skipped)),
    }
    lake.append("job_runs", pa.Table.from_pylist([row], schema=contract("job_runs").schema))
