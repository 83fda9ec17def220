"""Run the day's whole chain: embeddings, states, scores, universe, portfolio, risk. What is current is skipped.

With --date-range it is run for every date of the range, in one pass. A stage whose raw rows the lake does not have
(news, profiles, macro texts) is left out and named.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from prometheus.cli.command import add_common_flags, add_range_flags, add_run_flags, guarded, range_of
from prometheus.cli.stage_command import script


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m prometheus.scripts.run_full_day_core_pipeline", description=str(__doc__)
    )
    add_range_flags(parser)
    parser.add_argument("--region", action="append", metavar="REGION", help="region; repeat for several (default: US)")
    parser.add_argument(
        "--variant", default="v0", help="of the joint spaces and of the engines that read them (default: v0)"
    )
    add_run_flags(parser)
    add_common_flags(parser)
    args = parser.parse_args(argv)

    def run() -> int:
        from prometheus.cli.backfill import exit_code
        from prometheus.cli.config import compose
        from prometheus.cli.daily import daily
        from prometheus.lake import Lake
        from prometheus.runtime import RunOptions, progress_for

        first, last = range_of(args)
        config = compose("daily", args.overrides)
        options = RunOptions(
            force=args.force,
            dry_run=args.dry_run,
            chunk_days=args.chunk_days,
            executor=args.executor or str(config.executor.executor),
            workers=args.workers or config.executor.workers,
            strict=args.strict,
        )
        with progress_for(args.quiet, args.json_logs) as progress:
            summaries = daily(
                Lake.open(args.lake),
                config,
                regions=args.region or ["US"],
                first=first,
                last=last,
                variant=args.variant,
                options=options,
                progress=progress,
            )
            return exit_code(summaries, options, progress)

    return guarded(run)


if __name__ == "__main__":
    script(main)
