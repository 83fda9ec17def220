"""Forecast soft-target classes some sessions ahead: state_change_risk rows and the same as CSV.

Reads the classes of table soft_target_classes. Probabilities are of the class at the horizon, from the transitions of
all entities of the market and type that were known on the day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prometheus.cli.change_risk import ChangeRiskCommand, change_risk_main, p_of
from prometheus.cli.stage_command import script
from prometheus.stages.stability.change_risk import ENGINE, STABILITY_CHANGE_RISK, StabilityChangeRiskParams


def _where(params: StabilityChangeRiskParams) -> Mapping[str, Any]:
    named = {"market_id": list(params.market_id)} if params.market_id else {}
    return {"engine": ENGINE, "model_id": params.model_id, "entity_type": list(params.entity_type), **named}


COMMAND = ChangeRiskCommand(
    name="backfill_stability_change_risk",
    columns={
        "as_of_date": "as_of_date",
        "entity_type": "entity_type",
        "entity_id": "entity_id",
        "current_soft_target_class": "current_label",
        "horizon_steps": "horizon_steps",
        "p_worsen_any": "p_worsen_any",
        "p_improve_any": "p_improve_any",
        "p_to_targetable_or_breaker": p_of("TARGETABLE", "BREAKER"),
        "p_to_breaker": p_of("BREAKER"),
        "stability_risk_score": "risk_score",
    },
    order="as_of_date, entity_type, entity_id, horizon_steps",
    where=_where,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    return change_risk_main(COMMAND, STABILITY_CHANGE_RISK, str(__doc__), argv)


if __name__ == "__main__":
    script(main)
