"""Encode numeric windows of a market's entities into numeric_window_embeddings."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus.cli.stage_command import script, stage_main
from prometheus.stages.numeric.embeddings import NUMERIC_EMBEDDINGS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    return stage_main("backfill_numeric_embeddings", [NUMERIC_EMBEDDINGS], str(__doc__), argv)


if __name__ == "__main__":
    script(main)
