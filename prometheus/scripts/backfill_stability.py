"""Score the stability of instruments, companies, sectors or markets: stability_vectors and soft_target_classes rows.

Heads are fitted once a year on the embeddings and outcomes of the years before; where none serves the year, or there is
no embedding, the row says backend basic and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prometheus.cli.stage_command import script, stage_main
from prometheus.stages.stability.fits import STABILITY_FITS
from prometheus.stages.stability.states import STABILITY


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    return stage_main("backfill_stability", [STABILITY_FITS, STABILITY], str(__doc__), argv, adjust=_named)


def _named(given: dict[str, Any]) -> Mapping[str, Any]:
    """Let rows go by the backend asked for, unless a name is given too."""
    if "backend" in given and "model_id" not in given:
        return {**given, "model_id": f"stability-{given['backend']}-v1"}
    return given


if __name__ == "__main__":
    script(main)
