"""The daily run: the whole chain for one date, or for every date of a range, each step skipped where it is current."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from prometheus.cli.backfill import exit_code, names_of, options_from, range_from, space_params
from prometheus.cli.config import flag_of, markets_from, required
from prometheus.cli.steps import run_steps
from prometheus.errors import RequestError
from prometheus.lake import Lake
from prometheus.market.calendars import ensure_sessions
from prometheus.runtime import RunOptions, RunSummary, progress_for
from prometheus.runtime.progress import Progress
from prometheus.stages import STAGES
from prometheus.stages.joint.upstream import Request
from prometheus.stages.pipeline import NEEDED, daily_steps


def daily(
    lake: Lake,
    config: Any,
    *,
    regions: Sequence[str],
    first: dt.date,
    last: dt.date,
    variant: str = "v0",
    options: RunOptions | None = None,
    progress: Progress | None = None,
) -> list[RunSummary]:
    """Run the day's whole chain over a range of dates: embeddings, states, scores, universes, portfolios, risk.

    Heads are fitted on what the lake holds of the past: on a lake without history the rows say what stood in for them.

    Parameters
    ----------
    lake : Lake
    config : DictConfig
        As composed for the job; its nodes give each stage's settings.
    regions : sequence of str
        Whose markets are run.
    first, last : date
        Both included.
    variant : str
        Of the joint spaces, and of the engines that read them.
    options : RunOptions, optional
    progress : Progress, optional

    Returns
    -------
    list of RunSummary
        One a step, in the order run; none where no market has a session in the range.

    Raises
    ------
    MissingInputError
        When there are no prices of the range.
    """
    progress = progress or progress_for(quiet=True)
    known = markets_from(config)
    open_: dict[str, str] = {}
    for region in regions:
        market = known.of_region(region)
        if len(ensure_sessions(lake, market.calendar_id, first, last).between(first, last)):
            open_[region] = market.market_id
        else:
            progress.say(f"{market.market_id} has no session between {first} and {last}: nothing to do there")
    if not open_:
        return []
    request = Request(tuple(open_), tuple(open_.values()))
    steps = daily_steps(request, variant, lambda name, given: space_params(config, name, given))
    optional = set(STAGES) - NEEDED
    return run_steps(lake, config, steps, first, last, options=options, progress=progress, can_do_without=optional)


def daily_from_config(config: Any) -> int:
    """Run the job as its Hydra command does, and return the exit code."""
    first, last = _dates(config)
    regions = names_of(config, "region")
    variant = str(config.variant)
    lake = Lake.open(config.lake)
    options = options_from(config)
    with progress_for(flag_of(config, "quiet"), flag_of(config, "json_logs")) as progress:
        summaries = daily(
            lake,
            config,
            regions=regions,
            first=first,
            last=last,
            variant=variant,
            options=options,
            progress=progress,
        )
        return exit_code(summaries, options, progress)


def _dates(config: Any) -> tuple[dt.date, dt.date]:
    """One date, or a range of them.

    Raises
    ------
    RequestError
        When both or neither are given.
    """
    if config.as_of is None:
        return range_from(required(config, "range", "[2024-01-02,2024-12-31], or as_of=2024-12-31"))
    from omegaconf import OmegaConf

    if not OmegaConf.is_missing(config, "range"):
        raise RequestError("give as_of or range, not both")
    return range_from([config.as_of, config.as_of])
