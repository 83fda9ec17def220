"""Score what each name is expected to do against its market's others: instrument_scores rows of 5, 21 and 63 sessions.

Heads are fitted once a year on the context vectors and returns of the years before; where none serves the year, or a
name has no vector, the row says backend basic and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prometheus.cli.stage_command import script, stage_main
from prometheus.errors import RequestError
from prometheus.stages.assessment.fits import ASSESSMENT_FITS
from prometheus.stages.assessment.scores import ASSESSMENT


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    return stage_main("backfill_assessment", [ASSESSMENT_FITS, ASSESSMENT], str(__doc__), argv, adjust=_named)


def _named(given: dict[str, Any]) -> Mapping[str, Any]:
    """Let rows go by the backend asked for, unless a name is given too; horizons are numbers."""
    if "backend" in given and "model_id" not in given:
        given = {**given, "model_id": f"assessment-{given['backend']}-v1"}
    if "horizon_days" in given:
        words = given["horizon_days"]
        if not all(str(word).isdecimal() for word in words):
            raise RequestError(f"--horizon-days must be whole numbers; got {', '.join(map(str, words))}")
        given = {**given, "horizon_days": tuple(int(word) for word in words)}
    return given


if __name__ == "__main__":
    script(main)
