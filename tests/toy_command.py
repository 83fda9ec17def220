"""The toy stage as a command: ``python -m tests.toy_command LAKE [CHUNK_DAYS]``."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from pathlib import Path

from prometheus.cli.command import guarded
from prometheus.lake import Lake
from prometheus.market.calendars import ensure_sessions
from prometheus.runtime import RunOptions, run_stage
from tests.lake_rows import price_rows
from tests.toy_stage import TOY, ToyParams

FIRST, LAST = dt.date(2020, 1, 2), dt.date(2020, 1, 31)
LATE = dt.date(2020, 1, 16)


def make_prices(root: Path) -> Lake:
    """Make a lake with what the toy reads."""
    lake = Lake.open(root, create=True)
    sessions = ensure_sessions(lake, "XNYS", dt.date(2015, 1, 2), LAST)
    lake.deliver("prices_daily", price_rows(sessions.between(FIRST, LAST).dates.tolist(), ["A", "B"]))
    return lake


def deliver_late(root: Path) -> None:
    """Deliver prices of one more name on one day: rows of that day and the days after it come out different."""
    Lake.open(root).deliver("prices_daily", price_rows([LATE], ["C"], close=400.0))


def main(argv: Sequence[str] | None = None) -> int:
    root, *chunk_days = argv if argv is not None else sys.argv[1:]

    def run() -> int:
        options = RunOptions(chunk_days=int(chunk_days[0]) if chunk_days else None)
        run_stage(Lake.open(root), TOY, ToyParams(), FIRST, LAST, options=options)
        return 0

    return guarded(run)


if __name__ == "__main__":
    sys.exit(main())
