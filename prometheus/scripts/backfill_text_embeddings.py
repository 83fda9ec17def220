"""Embed NEWS articles, each version of each text once, into text_embeddings."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus.cli.stage_command import script, stage_main
from prometheus.stages.text.embeddings import TEXT_EMBEDDINGS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    return stage_main("backfill_text_embeddings", [TEXT_EMBEDDINGS], str(__doc__), argv)


if __name__ == "__main__":
    script(main)
