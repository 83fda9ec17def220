"""List joint portfolio embeddings as CSV: one line a date and portfolio, with dimension and norm."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus.cli.listing import show
from prometheus.cli.stage_command import script


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    return show("show_joint_portfolios", argv)


if __name__ == "__main__":
    script(main)
