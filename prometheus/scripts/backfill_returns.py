"""Make total returns and trailing volatilities of a market's instruments: returns_daily and volatility_daily."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus.cli.stage_command import script, stage_main
from prometheus.stages.derived import RETURNS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    return stage_main("backfill_returns", [RETURNS], str(__doc__), argv)


if __name__ == "__main__":
    script(main)
