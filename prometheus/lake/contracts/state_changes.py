"""What the forecasters of state changes write: where a labelled entity will be some sessions from now."""

from __future__ import annotations

import pyarrow as pa

from prometheus.lake.contract import COUNT, DAY, REAL, TEXT, Column, TableContract
from prometheus.lake.contracts.engines import LABEL_PROBABILITIES

STATE_CHANGE_RISK = TableContract(
    name="state_change_risk",
    doc="where one labelled entity will be some sessions from now, as past transitions have it",
    columns=(
        Column("engine", TEXT, "whose labels they are: regime or stability"),
        Column("entity_type", TEXT, "REGION, or INSTRUMENT, ISSUER, SECTOR or MARKET"),
        Column("entity_id", TEXT, "region, or the entity's id"),
        Column("as_of_date", DAY, "the session; known at its cutoff"),
        Column("as_of_year", pa.int32(), "year of as_of_date"),
        Column("horizon_steps", COUNT, "sessions ahead"),
        Column("model_id", TEXT, "model the labels were made by"),
        Column("variant", TEXT, "named settings; v0 is the default"),
        Column("market_id", TEXT, "market whose sessions are counted"),
        Column("proxy", TEXT, "regime: whose window stood for the region; null for stability", nullable=True),
        Column("current_label", TEXT, "regime label or soft-target class on the session"),
        Column("probabilities", LABEL_PROBABILITIES, "of each label at the horizon, from the calmest to the worst"),
        Column("p_change_any", REAL, "probability of another label than now at the horizon"),
        Column("p_worsen_any", REAL, "probability of a worse one"),
        Column("p_improve_any", REAL, "probability of a better one"),
        Column("risk_score", REAL, "probability of CRISIS or RISK_OFF, or of TARGETABLE or BREAKER, at the horizon"),
        Column("num_transitions", COUNT, "pairs of past labels counted, those that stayed included"),
        Column("num_from_current", COUNT, "those among them that began with the current label"),
        Column("backend", TEXT, "markov: steps of one session each; direct: pairs as far apart as the horizon"),
        Column("reason", TEXT, "why past transitions say nothing and smoothing alone speaks", nullable=True),
    ),
    key=("engine", "entity_type", "entity_id", "as_of_date", "horizon_steps", "model_id", "variant"),
    partition_by=("engine", "model_id", "variant", "as_of_year"),
    table_class="vintage",
    layer="engines",
)

TABLES = (STATE_CHANGE_RISK,)
