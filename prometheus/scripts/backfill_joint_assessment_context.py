"""Fuse profile, regime context, stability state and recent news of every instrument into ASSESSMENT_CTX_V0 rows."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from prometheus.cli.stage_command import script, stage_main
from prometheus.spaces.joint import SPACES
from prometheus.stages import stage

_WEIGHTS = SPACES["assessment_context"].weights


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    return stage_main(
        "backfill_joint_assessment_context",
        [stage("joint_assessment_context")],
        str(__doc__),
        argv,
        add_flags=_weight_flags,
        adjust=_weights,
    )


def _weight_flags(parser: argparse.ArgumentParser) -> None:
    for name, weight in _WEIGHTS.items():
        said = f"weight of the branch {name} (default: {weight}); other weights need a --variant of their own"
        parser.add_argument(f"--w-{name}", type=float, metavar="W", help=said)


def _weights(given: dict[str, Any]) -> Mapping[str, Any]:
    """One mapping from the four flags; nothing when none was given, so that the configuration counts."""
    asked = {name: given.pop(f"w_{name}") for name in _WEIGHTS if f"w_{name}" in given}
    return {**given, "weights": {**_WEIGHTS, **asked}} if asked else given


if __name__ == "__main__":
    script(main)
