"""Fit the principal components of numeric windows, for encoder=pca, once a year on what lay before."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus.cli.stage_command import script, stage_main
from prometheus.stages.numeric.encoder_fits import ENCODER_FITS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    return stage_main("backfill_encoder_fits", [ENCODER_FITS], str(__doc__), argv)


if __name__ == "__main__":
    script(main)
