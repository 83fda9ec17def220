"""Find the portfolios nearest to one by path of value, exposures and risk, as CSV."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus.cli.similar import find_similar
from prometheus.cli.stage_command import script


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    return find_similar("find_similar_portfolios", argv)


if __name__ == "__main__":
    script(main)
