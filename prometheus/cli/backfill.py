"""The backfill job: a joint space and everything upstream of it, over a range."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from prometheus.cli.command import EXIT_INTERRUPTED
from prometheus.cli.config import flag_of, markets_from, node_of, params_for, required
from prometheus.cli.steps import run_steps
from prometheus.errors import RequestError
from prometheus.lake import Lake
from prometheus.runtime import RunOptions, RunSummary, progress_for
from prometheus.runtime.progress import Progress
from prometheus.spaces.joint import SPACES
from prometheus.stages import stage
from prometheus.stages.joint.episodes import read_episodes
from prometheus.stages.joint.params import check_settings
from prometheus.stages.joint.upstream import Request, steps_to


def backfill(
    lake: Lake,
    config: Any,
    *,
    regions: Sequence[str],
    first: dt.date,
    last: dt.date,
    variants: Sequence[str] = ("v0",),
    space: str | None = None,
    options: RunOptions | None = None,
    progress: Progress | None = None,
) -> list[RunSummary]:
    """Build a joint space over a range, and everything upstream of it: windows, regimes, texts, other spaces.

    Parameters
    ----------
    lake : Lake
    config : DictConfig
        As composed for the job; its nodes give each stage's settings.
    regions : sequence of str
    first, last : date
        Both included; texts that are joined as last known are built as far back as they may be old.
    variants : sequence of str
        Variants of the space to build; a calibrated one brings the statistics it needs.
    space : str, optional
        Name of the space; the configured one when None.
    options : RunOptions, optional
    progress : Progress, optional

    Returns
    -------
    list of RunSummary
        One a stage and variant, in the order run; the last is interrupted when a signal ended the job.
    """

    def resolve(name: str, given: Mapping[str, Any]) -> Any:
        return space_params(config, name, given)

    markets = markets_from(config)
    request = Request(tuple(regions), tuple(markets.of_region(r).market_id for r in regions))
    steps = steps_to(SPACES[space or str(config.space.name)], variants, request, resolve)
    return run_steps(lake, config, steps, first, last, options=options, progress=progress)


def space_params(config: Any, name: str, given: Mapping[str, Any]) -> Any:
    """Parameters of a joint space as configured, with some values given; what no space can be is refused."""
    asked = SPACES[name]
    node = node_of(config, asked.stage)
    params: Any = params_for(stage(asked.stage).params, node, given)
    _check_base(node, params.calibrate)
    check_settings(asked, params)
    if asked.entity == "episode":
        read_episodes(params.episodes_file)
    return params


def _check_base(node: Mapping[str, Any], base: str) -> None:
    """Refuse statistics of a variant that nobody declared.

    Raises
    ------
    RequestError
        Listing those there are.
    """
    declared = sorted(node.get("variants") or {})
    if base and base not in declared:
        raise RequestError(f"calibrate={base!r} names no variant of conf/space; there are {', '.join(declared)}")


def backfill_from_config(config: Any) -> int:
    """Run the job as its Hydra command does, and return the exit code."""
    first, last = range_from(required(config, "range", "[2015-01-01,2015-03-31]"))
    regions = names_of(config, "region")
    lake = Lake.open(config.lake)
    options = options_from(config)
    with progress_for(flag_of(config, "quiet"), flag_of(config, "json_logs")) as progress:
        summaries = backfill(
            lake,
            config,
            regions=regions,
            first=first,
            last=last,
            variants=names_of(config, "variants"),
            options=options,
            progress=progress,
        )
        return exit_code(summaries, options, progress)


def options_from(config: Any) -> RunOptions:
    """How a job's stages are run, as its configuration says."""
    return RunOptions(
        force=flag_of(config, "force"),
        dry_run=flag_of(config, "dry_run"),
        executor=str(config.executor.executor),
        workers=_workers(config.executor.workers),
        strict=flag_of(config, "strict"),
    )


def exit_code(summaries: Sequence[RunSummary], options: RunOptions, progress: Progress) -> int:
    """Exit code of a job of several stages; says so when it was stopped."""
    if summaries and summaries[-1].interrupted:
        progress.say("stopped: what was committed is in the lake; run the same command again to go on")
        return EXIT_INTERRUPTED
    return 1 if options.strict and any(s.skipped for s in summaries) else 0


def names_of(config: Any, key: str) -> list[str]:
    """Return one name or a list of names of the configuration as a list.

    Raises
    ------
    RequestError
        When there is none.
    """
    value = config[key]
    names = [value] if isinstance(value, str) else [str(v) for v in value or ()]
    if not names or not all(names):
        raise RequestError(f"{key} must name at least one, for example {key}=[...]; got {value!r}")
    return names


def _workers(value: Any) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise RequestError(f"executor.workers must be a whole number of at least 1, or null; got {value!r}")


def range_from(value: Any) -> tuple[dt.date, dt.date]:
    """Parse ``[first, last]``.

    Raises
    ------
    RequestError
        When it is not two dates in order.
    """
    try:
        first, last = (v if isinstance(v, dt.date) else dt.date.fromisoformat(str(v)) for v in value)
    except (TypeError, ValueError):
        raise RequestError(f"range must be two dates, for example range=[2015-01-01,2015-03-31]; got {value}") from None
    if last < first:
        raise RequestError(f"the range ends ({last}) before it begins ({first})")
    return first, last
