"""What the assessment engine writes: what each name is expected to do against its market, and the heads it reads."""

from __future__ import annotations

import pyarrow as pa

from prometheus.lake.contract import COUNT, DAY, REAL, TEXT, Column, TableContract

_NUMBERS = pa.list_(pa.field("element", pa.float64(), nullable=False))

INSTRUMENT_SCORES = TableContract(
    name="instrument_scores",
    doc="what one name is expected to do against its market's names over a horizon, as seen on a session",
    columns=(
        Column("instrument_id", TEXT, "the name"),
        Column("as_of_date", DAY, "the session; known at its cutoff"),
        Column("as_of_year", pa.int32(), "year of as_of_date"),
        Column("horizon_days", COUNT, "sessions ahead: 5, 21 or 63"),
        Column("model_id", TEXT, "assessment-context-v1 or assessment-basic-v1"),
        Column("variant", TEXT, "named settings; v0 is the default"),
        Column("market_id", TEXT, "market the name is known to be of"),
        Column("score", REAL, "standard normal score of the name's place among the market's names of the day"),
        Column("expected_return", REAL, "ic * volatility * score: simple return in excess of the names' mean"),
        Column("confidence", REAL, "probability, given ic, that the return lies on the score's side of the median"),
        Column("signal_label", TEXT, "STRONG_BUY, BUY, HOLD, SELL or STRONG_SELL, by the place among the names"),
        Column("volatility", REAL, "of the horizon: daily, over the 63 sessions before, times sqrt(horizon_days)"),
        Column("num_names", COUNT, "names of the day the score is a place among: those with the same backend"),
        Column("ic", REAL, "information coefficient used: the prior, or that of years not yet fitted on, at least 0"),
        Column("fitted_on", DAY, "last session the head had seen", nullable=True),
        Column("backend", TEXT, "what the score is from: context, or basic where it had to stand in"),
        Column("reason", TEXT, "why basic stood in, or what the score does without", nullable=True),
    ),
    key=("instrument_id", "as_of_date", "horizon_days", "model_id", "variant"),
    partition_by=("model_id", "variant", "as_of_year"),
    table_class="vintage",
    layer="engines",
)

ASSESSMENT_FITS = TableContract(
    name="assessment_fits",
    doc="one fitted head of the assessment engine",
    columns=(
        Column("market_id", TEXT, "market whose names it was fitted on"),
        Column("model_id", TEXT, "assessment-context-v1"),
        Column("variant", TEXT, "named settings"),
        Column("year", pa.int32(), "the year the fit serves"),
        Column("horizon_days", COUNT, "sessions ahead: 5, 21 or 63"),
        Column("as_of_date", DAY, "last session of the year before: nothing later was used, outcomes included"),
        Column("num_rows", COUNT, "names on days fitted on"),
        Column("num_days", COUNT, "days they are of"),
        Column("penalty", REAL, "of the ridge, on standardised slots; the best on years not yet fitted on"),
        Column("held_back_ic", REAL, "mean rank correlation on years not yet fitted on; null in the first", True),
        Column("held_back_days", COUNT, "days that mean is over"),
        Column("ic", REAL, "the information coefficient rows use: held_back_ic, at least 0"),
        Column("reason", TEXT, "why ic is 0", nullable=True),
        Column("coefficients", _NUMBERS, "per slot of what is read; float32 numbers"),
    ),
    key=("model_id", "variant", "market_id", "year", "horizon_days"),
    partition_by=("model_id", "variant"),
    table_class="vintage",
    layer="engines",
)

TABLES = (ASSESSMENT_FITS, INSTRUMENT_SCORES)
