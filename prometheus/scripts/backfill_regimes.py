"""Label regions over a range: fits, regimes and regime_transitions, whatever of them is missing or stale.

The windows that are labelled are those of num-regime; with --embedding REGIME_CONTEXT_V0 the stored fusions of window
and news, whose rows carry the joint model's id. Another head than prototypes is another variant:
--variant jump, hmm, volatility or scales (prototypes on the block scales).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prometheus.cli.stage_command import StageChoice, script, stage_main
from prometheus.spaces.joint import SPACES
from prometheus.stages import stage

NUMERIC, CONTEXT = "num-regime", SPACES["regime_context"].joint_type

STAGES = {
    NUMERIC: ("regime_prototypes", "regimes"),
    CONTEXT: ("context_regime_fits", "context_regimes"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    names = dict.fromkeys([*STAGES[NUMERIC], *STAGES[CONTEXT], "regime_transitions"])
    return stage_main(
        "backfill_regimes",
        [stage(name) for name in names],
        str(__doc__),
        argv,
        hide=("regime_variant", "regime_model_id"),
        adjust=_adjusted,
        choice=StageChoice(
            "--embedding",
            "what is labelled",
            {which: (*stages, "regime_transitions") for which, stages in STAGES.items()},
            NUMERIC,
        ),
    )


def _adjusted(given: dict[str, Any]) -> Mapping[str, Any]:
    """Transitions are of the variant and the model that the same request labels."""
    joint, numeric = (s.params() for s in (stage("context_regimes"), stage("regimes")))
    labelled = joint.joint_model_id if given["embedding"] == CONTEXT else numeric.model_id
    flag = "joint_model_id" if given["embedding"] == CONTEXT else "model_id"
    return given | {"regime_variant": given.get("variant", "v0"), "regime_model_id": given.get(flag, labelled)}


if __name__ == "__main__":
    script(main)
