"""Find the episodes nearest to a region's regime context on a date, as CSV."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus.cli.similar import find_similar
from prometheus.cli.stage_command import script


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    return find_similar("find_similar_episodes_to_regime", argv)


if __name__ == "__main__":
    script(main)
