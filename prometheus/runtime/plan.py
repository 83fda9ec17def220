"""The plan: which output days are missing or stale, why, and in which chunks they are made."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prometheus.errors import RequestError, VariantConflictError
from prometheus.lake import Lake
from prometheus.runtime.params import P_NARROWED, StageParams, canonical_json, digest_of, narrows, settings_of
from prometheus.runtime.reader import StageReader
from prometheus.runtime.stage import Chunk, Stage
from prometheus.runtime.upcoming import Upcoming
from prometheus.runtime.withdrawal import WITHDRAWN

MISSING, STALE_SETTINGS, STALE_INPUTS, TAKEN_BACK, FORCED, PARTIAL, DONE = (
    "missing",
    "stale: stage or encoder changed",
    "stale: inputs changed",
    "marked as not done",
    "forced",
    P_NARROWED,
    "done",
)


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
    chunks : tuple of Chunk
    """

    stage: str
    variant: str
    fingerprint: str
    settings_digest: str
    reasons: Counter[str]
    todo: Mapping[str, tuple[dt.date, ...]]
    inputs: Mapping[tuple[str, dt.date], str]
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
        When the variant already stands for other settings.
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
    fingerprint = digest_of(settings, stage.revision, stage.fingerprint(params) if stage.fingerprint else None)
    reader.span(first, last)
    asked = {scope: tuple(days) for scope, days in stage.days(params, reader, first, last).items()}
    inputs = input_digests(lake, stage, params, asked, reader)
    done = _done(lake, stage.name, params.variant, settings_digest, asked, fingerprint, inputs)
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
        chunks=_chunks(todo, stage, chunk_days or stage.chunk_days, (first, last)),
    )


def check_variant(lake: Lake, stage: Stage[Any], params: StageParams) -> None:
    """Refuse settings under a variant that stands for others: v0 for the defaults, any other for what it began with.

    Raises
    ------
    VariantConflictError
        Naming the settings that differ.
    """
    surface = stage.surface(params)
    now = json.loads(canonical_json(settings_of(params)))
    # Model ids say which surface it is; each surface has a v0 of its own, and defaults that follow from its model.
    models = {k: v for k, v in settings_of(params).items() if k.endswith("model_id")}
    default = json.loads(canonical_json(settings_of(stage.params(**models))))
    if params.variant == DEFAULT_VARIANT:
        _refuse_other(default, now, f"variant {params.variant!r} stands for the default settings of {stage.name}", "is")
    held = lake.read("variants", where={"stage": stage.name, "surface": surface, "variant": params.variant})
    if held.num_rows:
        # A setting that came later stood for its default before.
        before = default | json.loads(held["settings"][0].as_py())
        whose = f"variant {params.variant!r} of {surface} ({stage.name}) already stands for other settings"
        _refuse_other(before, now, whose, "was")


DEFAULT_VARIANT = "v0"


def _refuse_other(wanted: Mapping[str, Any], now: Mapping[str, Any], whose: str, verb: str) -> None:
    different = sorted(k for k in wanted.keys() | now.keys() if wanted.get(k) != now.get(k))
    if different:
        said = "; ".join(f"{k} {verb} {wanted.get(k)!r}, now {now.get(k)!r}" for k in different)
        raise VariantConflictError(f"{whose}: {said}. Name these settings with another --variant")


def input_digests(
    lake: Lake, stage: Stage[Any], params: StageParams, asked: Mapping[str, tuple[dt.date, ...]], reader: StageReader
) -> dict[tuple[str, dt.date], str]:
    """One digest per output day over its inputs' days inside the declared history, as known at the day's cut-off."""
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
            known_by = reader.cutoffs(market_id, params.cutoff)[reader.sessions(market_id).positions(last)]
        columns = [table.between(_reach_back(last, history), last, known_by) for history, table in states]
        joined = (
            ["-".join(f"{int(v):016x}" for v in row) for row in zip(*columns, strict=True)]
            if columns
            else [""] * len(days)
        )
        out.update(((scope, day), text) for day, text in zip(days, joined, strict=True))
    return out


def _reach_back(last: NDArray[np.datetime64], history: int | None) -> NDArray[np.datetime64] | None:
    if history is None:
        return None
    first: NDArray[np.datetime64] = (last - np.timedelta64(history, "D")).astype("datetime64[D]")
    return first


def _done(
    lake: Lake,
    stage: str,
    variant: str,
    settings_digest: str,
    asked: Mapping[str, tuple[dt.date, ...]],
    fingerprint: str,
    inputs: Mapping[tuple[str, dt.date], str],
) -> dict[tuple[str, dt.date], str]:
    """Status of every output day that has complete lineage.

    One variant name can stand for other settings on another surface of the stage, whose rows say nothing here.
    """
    scopes = [s for s, days in asked.items() if days]
    if not scopes:
        return {}
    rows = lake.read(
        "lineage",
        columns=["scope", "as_of_date", "recorded_at", "fingerprint", "input_digest"],
        where={
            "stage": stage,
            "variant": variant,
            "settings_digest": settings_digest,
            "complete": True,
            "scope": scopes,
        },
    )
    latest = (
        pl.DataFrame(pl.from_arrow(rows))
        .sort("recorded_at", maintain_order=True)
        .unique(subset=["scope", "as_of_date"], keep="last")
    )
    status = {}
    for scope, day, _, made_with, made_from in latest.iter_rows():
        if made_with == WITHDRAWN:
            status[scope, day] = TAKEN_BACK
        elif made_with != fingerprint:
            status[scope, day] = STALE_SETTINGS
        elif made_from != inputs.get((scope, day)):
            status[scope, day] = STALE_INPUTS
        else:
            status[scope, day] = DONE
    return status


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
