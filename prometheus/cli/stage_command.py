"""Running stages from a command line: flags over configuration over declared defaults."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prometheus.cli.command import (
    EXIT_INTERRUPTED,
    add_common_flags,
    add_range_flags,
    add_run_flags,
    add_stage_flags,
    guarded,
    range_of,
)
from prometheus.errors import RequestError
from prometheus.runtime.stage import Stage

CONFIG_GROUPS = ("calendar", "encoder", "engine", "executor", "space")
"""Configuration a stage is made from; the other keys of a job are its own."""


def stage_parser(
    prog: str, stages: Sequence[Stage[Any]], description: str, hide: Sequence[str] = ()
) -> argparse.ArgumentParser:
    """Parser of a command that runs some stages one after the other, each flag declared once."""
    parser = argparse.ArgumentParser(prog=f"python -m prometheus.scripts.{prog}", description=description)
    add_range_flags(parser)
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
    """
    args = stage_parser(prog, stages, description, hide).parse_args(argv)

    def run() -> int:
        from prometheus.cli.config import compose, markets_from, node_of, params_for
        from prometheus.lake import Lake
        from prometheus.runtime import RunOptions, progress_for, run_stage

        first, last = range_of(args)
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
        with progress_for(args.quiet, args.json_logs) as progress:
            for stage in stages:
                params = params_for(stage.params, node_of(config, stage.name), given)
                summary = run_stage(
                    lake, stage, params, first, last, options=options, markets=markets_from(config), progress=progress
                )
                progress.say(summary.line(), **summary.record())
                if summary.interrupted:
                    progress.say("stopped: what was committed is in the lake; run the same command again to go on")
                    return EXIT_INTERRUPTED
                if args.strict and summary.skipped:
                    code = 1
        return code

    return guarded(run)


def script(main: Callable[[], int]) -> None:
    """Exit with a command's code."""
    sys.exit(main())
