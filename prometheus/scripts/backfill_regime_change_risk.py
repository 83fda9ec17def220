"""Forecast each region's regime some sessions ahead: state_change_risk rows and the same as CSV.

Reads the labels of table regimes. Probabilities are of the label at the horizon, from transitions known on the day.
"""

from __future__ import annotations

from collections.abc import Sequence

from prometheus.cli.change_risk import ChangeRiskCommand, change_risk_main, p_of
from prometheus.cli.stage_command import script
from prometheus.stages.regime.change_risk import ENGINE, REGIME_CHANGE_RISK

COMMAND = ChangeRiskCommand(
    name="backfill_regime_change_risk",
    columns={
        "as_of_date": "as_of_date",
        "region": "entity_id",
        "current_regime_label": "current_label",
        "horizon_steps": "horizon_steps",
        "p_change_any": "p_change_any",
        "p_to_crisis_or_risk_off": p_of("CRISIS", "RISK_OFF"),
        "p_to_carry": p_of("CARRY"),
        "regime_risk_score": "risk_score",
    },
    order="as_of_date, entity_id, horizon_steps",
    where=lambda p: {"engine": ENGINE, "model_id": p.model_id, "entity_id": list(p.region)},
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    return change_risk_main(COMMAND, REGIME_CHANGE_RISK, str(__doc__), argv)


if __name__ == "__main__":
    script(main)
