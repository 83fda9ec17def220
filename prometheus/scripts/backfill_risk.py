"""Apply limits to target portfolios: book_targets, risk_actions and portfolio_risk_reports rows.

Rules are tried in a fixed order (BREAKER names, name, sector, gross, net, beta, volatility, expected shortfall); every
change of a weight is a row of risk_actions.
"""

from __future__ import annotations

from collections.abc import Sequence

from prometheus.cli.stage_command import script, stage_main
from prometheus.stages.risk.books import RISK


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    return stage_main("backfill_risk", [RISK], str(__doc__), argv)


if __name__ == "__main__":
    script(main)
