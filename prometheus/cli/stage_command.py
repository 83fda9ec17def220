"""Running stages from a command line: flags over configuration over declared defaults."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prometheus.cli.command import (
    EXIT_INTERRUPTED,
    add_common_flags,
    add_range_flags,
    add_run_flags,
    add_stage_flags,
    guarded,
    range_of,
)
from prometheus.errors import MissingInputError, RequestError
from prometheus.runtime.stage import Stage

if TYPE_CHECKING:
    from prometheus.lake import Lake

CONFIG_GROUPS = ("calendar", "encoder", "engine", "executor", "portfolio", "space", "universe")
"""Configuration a stage is made from; the other keys of a job are its own."""


@dataclass(frozen=True)
class StageChoice:
    """A flag that says which of a command's stages are run.

    Attributes
    ----------
    flag : str
        ``--source``
    help : str
    options : mapping of str to sequence of str
        What may be written, and the names of the stages it stands for. Where these are several, it is enough that one
        of them finds its inputs.
    default : str
    """

    flag: str
    help: str
    options: Mapping[str, Sequence[str]]
    default: str

    @property
    def dest(self) -> str:
        """Where argparse puts it."""
        return self.flag.lstrip("-").replace("-", "_")


def stage_parser(
    prog: str,
    stages: Sequence[Stage[Any]],
    description: str,
    hide: Sequence[str] = (),
    *,
    range_required: bool = True,
) -> argparse.ArgumentParser:
    """Parser of a command that runs some stages one after the other, each flag declared once."""
    parser = argparse.ArgumentParser(prog=f"python -m prometheus.scripts.{prog}", description=description)
    add_range_flags(parser, required=range_required)
    for stage in stages:
        add_stage_flags(parser, stage.params, hide=hide)
    add_run_flags(parser)
    add_common_flags(parser)
    return parser


def stage_main(
    prog: str,
    stages: Sequence[Stage[Any]],
    description: str,
    argv: Sequence[str] | None = None,
    *,
    hide: Sequence[str] = (),
    adjust: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
    choice: StageChoice | None = None,
    add_flags: Callable[[argparse.ArgumentParser], None] | None = None,
    without_range: Callable[[argparse.Namespace], tuple[dt.date, dt.date]] | None = None,
    then: Callable[[argparse.Namespace, Lake, Any, dt.date, dt.date], None] | None = None,
) -> int:
    """Parse, run, print one summary line a stage on stderr, and return the exit code.

    Parameters
    ----------
    prog : str
        Name of the script.
    stages : sequence of Stage
        Run in this order; a later one reads what an earlier one wrote.
    description : str
    argv : sequence of str, optional
    hide : sequence of str
        Parameters that get no flag.
    adjust : callable, optional
        Turns the given flags into parameter values where a command's wording differs from the declaration.
    choice : StageChoice, optional
        Which of the stages are run; all of them without one.
    add_flags : callable, optional
        Adds flags that ``adjust`` turns into parameter values.
    without_range : callable, optional
        First and last date where neither --as-of nor --date-range is given; one of them is required without it.
    then : callable, optional
        ``then(args, lake, params, first, last)`` follows the last stage, whose parameters it is given; not a dry run.
    """
    parser = stage_parser(prog, stages, description, hide, range_required=without_range is None)
    if add_flags is not None:
        add_flags(parser)
    if choice is not None:
        shown = f"{choice.help} (default: {choice.default})"
        parser.add_argument(choice.flag, choices=tuple(choice.options), default=choice.default, help=shown)
    args = parser.parse_args(argv)
    chosen = stages
    if choice is not None:
        names = choice.options[getattr(args, choice.dest)]
        chosen = [s for s in stages if s.name in names]

    def run() -> int:
        from prometheus.cli.config import compose, markets_from, node_of, params_for
        from prometheus.lake import Lake
        from prometheus.runtime import RunOptions, Upcoming, progress_for, run_stage

        asked = args.as_of is not None or args.date_range is not None
        first, last = range_of(args) if asked or without_range is None else without_range(args)
        given = {k: v for k, v in vars(args).items() if v is not None}
        overrides = list(args.overrides)
        job_keys = [o for o in overrides if o.split("=")[0].split(".")[0].split("/")[0] not in CONFIG_GROUPS]
        if job_keys:
            raise RequestError(
                f"--overrides {' '.join(job_keys)}: here it takes keys of {', '.join(CONFIG_GROUPS)}; "
                "for the rest there are flags"
            )
        if "encoder" in given:  # what an encoder takes comes with it
            overrides.append(f"encoder/numeric={given.pop('encoder')}")
        config = compose("backfill", overrides)
        if adjust is not None:
            given = dict(adjust(given))
        lake = Lake.open(args.lake)
        options = RunOptions(
            force=args.force,
            dry_run=args.dry_run,
            chunk_days=args.chunk_days,
            executor=args.executor or str(config.executor.executor),
            workers=args.workers or config.executor.workers,
            strict=args.strict,
        )
        code = 0
        without: list[str] = []
        upcoming = Upcoming()
        with progress_for(args.quiet, args.json_logs) as progress:
            for stage in chosen:
                params = params_for(stage.params, node_of(config, stage.name), given)
                try:
                    summary = run_stage(
                        lake,
                        stage,
                        params,
                        first,
                        last,
                        options=options,
                        markets=markets_from(config),
                        progress=progress,
                        upcoming=upcoming,
                    )
                except MissingInputError as refusal:
                    if choice is None:
                        raise
                    without.append(str(refusal))
                    continue
                progress.say(summary.line(), **summary.record())
                if summary.interrupted:
                    progress.say("stopped: what was committed is in the lake; run the same command again to go on")
                    return EXIT_INTERRUPTED
                if args.strict and summary.skipped:
                    code = 1
            if without and len(without) == len(chosen):
                raise MissingInputError("; ".join(without))
            for sentence in without:
                progress.say(sentence)
        if then is not None and not args.dry_run:
            then(args, lake, params, first, last)
        return code

    return guarded(run)


def script(main: Callable[[], int]) -> None:
    """Exit with a command's code."""
    sys.exit(main())
