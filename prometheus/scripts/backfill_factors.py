"""Fit instruments on their market and sector over the trailing year into instrument_factors_daily."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus.cli.stage_command import script, stage_main
from prometheus.stages.derived import FACTORS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    return stage_main("backfill_factors", [FACTORS], str(__doc__), argv)


if __name__ == "__main__":
    script(main)
