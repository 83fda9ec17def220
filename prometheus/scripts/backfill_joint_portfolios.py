"""Encode numeric windows of target portfolios, and put them into PORTFOLIO_CORE_V0 rows."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus.cli.stage_command import script, stage_main
from prometheus.stages import stage
from prometheus.stages.portfolio.embeddings import PORTFOLIO_EMBEDDINGS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    stages = [PORTFOLIO_EMBEDDINGS, stage("joint_portfolio_core")]
    return stage_main("backfill_joint_portfolios", stages, str(__doc__), argv)


if __name__ == "__main__":
    script(main)
