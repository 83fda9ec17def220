"""Encode a region's regime window and label it: numeric_window_embeddings and regimes rows.

The window is that of the region's market, or of the instrument named by --instrument-id. The label comes from
prototypes fitted on the windows of earlier years; where too few are known, it is null with a reason.
"""

from __future__ import annotations

from collections.abc import Sequence

from prometheus.cli.stage_command import script, stage_main
from prometheus.stages.regime.fits import REGIME_PROTOTYPES
from prometheus.stages.regime.regimes import REGIMES


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    return stage_main("run_numeric_regime", [REGIME_PROTOTYPES, REGIMES], str(__doc__), argv)


if __name__ == "__main__":
    script(main)
