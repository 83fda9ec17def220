"""Fuse regime embeddings with the day's mean NEWS vector into REGIME_CONTEXT_V0 rows."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus.cli.stage_command import script, stage_main
from prometheus.stages import stage


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    return stage_main("backfill_joint_regime_context", [stage("joint_regime_context")], str(__doc__), argv)


if __name__ == "__main__":
    script(main)
