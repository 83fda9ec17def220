"""The books: what ran, when, and what it came to. Instants live here and nowhere in the data."""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from prometheus import __version__
from prometheus.lake import Lake, contract
from prometheus.runtime.params import StageParams, canonical_json, digest_of, request_of

if TYPE_CHECKING:
    from prometheus.runtime.plan import Plan
    from prometheus.runtime.stage import Chunk
    from prometheus.runtime.summary import RunSummary


class Ledger:
    """The books of one run of a stage."""

    def __init__(self, lake: Lake, run_id: str, stage: str, params: StageParams, plan: Plan) -> None:
        self._lake, self._run_id, self._stage, self._params, self._plan = lake, run_id, stage, params, plan
        self._began = time.monotonic()

    def event(self, event: str, summary: RunSummary, error: str | None = None) -> None:
        """Write down that the run started, finished, was interrupted or failed."""
        _append_run(
            self._lake,
            run_id=self._run_id,
            event=event,
            stage=self._stage,
            variant=self._params.variant,
            request=canonical_json(request_of(self._params)),
            planned=self._plan.size,
            done=summary.done,
            rows=summary.rows,
            skipped=summary.skipped,
            seconds=time.monotonic() - self._began,
            error=error,
        )

    def chunk(self, chunk: Chunk, rows: int, seconds: float) -> None:
        """Write down a committed chunk."""
        row = {
            "run_id": self._run_id,
            "chunk": chunk.number,
            "first_date": chunk.first,
            "last_date": chunk.last,
            "rows": rows,
            "seconds": seconds,
        }
        self._lake.append("job_chunks", pa.Table.from_pylist([row], schema=contract("job_chunks").schema))


def record_ingest(lake: Lake, source: str, folder: str, rows: int, skipped: Mapping[str, int], seconds: float) -> None:
    """Write down a finished ingest."""
    now = dt.datetime.now(dt.UTC)
    _append_run(
        lake,
        run_id=digest_of("ingest", source, folder, now.isoformat(), os.getpid()),
        event="finished",
        stage="ingest",
        variant="",
        request=canonical_json({"source": source, "folder": folder}),
        planned=0,
        done=0,
        rows=rows,
        skipped=skipped,
        seconds=seconds,
        error=None,
    )


def _append_run(lake: Lake, *, skipped: Mapping[str, int], **fields: object) -> None:
    row = {
        **fields,
        "recorded_at": dt.datetime.now(dt.UTC),
        "code_version": __version__,
        "skipped": canonical_json(dict(skipped)),
    }
    lake.append("job_runs", pa.Table.from_pylist([row], schema=contract("job_runs").schema))
