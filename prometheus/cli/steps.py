"""Running the steps of a chain one after the other, each over its own days, and saying what each came to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any

from prometheus.cli.config import markets_from, node_of, params_for
from prometheus.errors import MissingInputError
from prometheus.lake import Lake
from prometheus.runtime import RunOptions, RunSummary, StageParams, Upcoming, progress_for, run_stage
from prometheus.runtime.memory import release_memory
from prometheus.runtime.params import canonical_json, request_of
from prometheus.runtime.progress import Progress
from prometheus.runtime.stage import Stage
from prometheus.stages import stage
from prometheus.stages.joint.upstream import Step


def run_steps(
    lake: Lake,
    config: Any,
    steps: Sequence[Step],
    first: dt.date,
    last: dt.date,
    *,
    options: RunOptions | None = None,
    progress: Progress | None = None,
    can_do_without: Collection[str] = (),
) -> list[RunSummary]:
    """Run steps in their order, each once.

    Parameters
    ----------
    lake : Lake
    config : DictConfig
        Its nodes give each stage's settings.
    steps : sequence of Step
    first, last : date
        Both included; a step that is needed further back begins earlier.
    options : RunOptions, optional
    progress : Progress, optional
    can_do_without : collection of str
        Stages whose missing inputs are said and stepped over, unless the run is strict: the lake of a user without
        news has no news to encode.

    Returns
    -------
    list of RunSummary
        One a step, in the order run; the last is interrupted when a signal ended the job.

    Raises
    ------
    MissingInputError
        When a stage that cannot be done without misses its inputs. In a dry run they may be what an earlier step would
        make: that is said instead.
    """
    progress = progress or progress_for(quiet=True)
    options = options or RunOptions()
    markets = markets_from(config)
    summaries: list[RunSummary] = []
    upcoming = Upcoming()
    # Everything asked for is looked at before anything is run: a wrong request writes no row.
    for declared, params, begin in _resolved(config, steps, first):
        try:
            summary = run_stage(
                lake,
                declared,
                params,
                begin,
                last,
                options=options,
                markets=markets,
                progress=progress,
                upcoming=upcoming,
            )
        except MissingInputError as refusal:
            if options.dry_run and summaries:
                progress.say(f"{declared.name} [{params.variant}]: planned once what is upstream is built")
            elif declared.name in can_do_without and not options.strict:
                progress.say(f"{declared.name} [{params.variant}]: left out: {refusal}")
            else:
                raise
            continue
        progress.say(summary.line(), **summary.record())
        summaries.append(summary)
        if summary.interrupted:
            break
        if summary.done:
            release_memory(lake)
    return summaries


def _resolved(config: Any, steps: Sequence[Step], first: dt.date) -> list[tuple[Stage[Any], StageParams, dt.date]]:
    """Stage, parameters and first day of every step; of equal ones the first, as far back as any asks."""
    found: dict[str, tuple[Stage[Any], StageParams, dt.date]] = {}
    for step in steps:
        declared = stage(step.stage)
        params = params_for(declared.params, node_of(config, step.stage), step.given)
        key = f"{step.stage} {params.variant} {canonical_json(request_of(params))}"
        begin = first - dt.timedelta(days=step.back)
        if key in found:
            begin = min(begin, found[key][2])
        found[key] = declared, params, begin
    return list(found.values())
