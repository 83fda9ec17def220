"""Put every instrument's stability state into STAB_FRAGILITY_V0 rows, with its profile where one is known."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus.cli.stage_command import script, stage_main
from prometheus.stages import stage


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    return stage_main(
        "backfill_joint_stab_fragility_states", [stage("joint_stab_fragility_states")], str(__doc__), argv
    )


if __name__ == "__main__":
    script(main)
