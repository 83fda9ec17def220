"""Say who may be held on each session, in which tier and why: universe_members rows.

They read assessment scores, soft-target classes, the risk of state changes where there is some, and predictions of
opportunity density where a file of them is given (--lambda-predictions F.csv --lambda-weight 0.5 --variant NAME).
"""

from __future__ import annotations

from collections.abc import Sequence

from prometheus.cli.stage_command import script, stage_main
from prometheus.stages.portfolio.universes import UNIVERSES


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    return stage_main("backfill_universes", [UNIVERSES], str(__doc__), argv)


if __name__ == "__main__":
    script(main)
