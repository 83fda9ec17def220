"""What the stability engine writes: how fragile each entity is, its class, and the heads that forecast it."""

from __future__ import annotations

import pyarrow as pa

from prometheus.lake.contract import COUNT, DAY, REAL, TEXT, VECTOR, Column, TableContract

_KEY = (
    Column("entity_type", TEXT, "INSTRUMENT, ISSUER, SECTOR or MARKET"),
    Column("entity_id", TEXT, "instrument, issuer, market and sector (US_EQ/Energy), or market"),
    Column("as_of_date", DAY, "the session; known at its cutoff"),
    Column("as_of_year", pa.int32(), "year of as_of_date"),
    Column("model_id", TEXT, "stability-embedding-v1 or stability-basic-v1"),
    Column("variant", TEXT, "named settings; v0 is the default"),
    Column("market_id", TEXT, "market the entity is known to be of"),
)
_SAYS = (
    Column("backend", TEXT, "what the scores are from: embedding, or basic where it had to stand in"),
    Column("reason", TEXT, "why basic stood in", nullable=True),
)

STABILITY_VECTORS = TableContract(
    name="stability_vectors",
    doc="one entity's stability on a session: what its window did, what is forecast, and the scores they come to",
    columns=(
        *_KEY,
        Column("volatility_score", REAL, "0..100: 50 times daily volatility over 2 %"),
        Column("drawdown_score", REAL, "0..100: 50 times drawdown over 20 %"),
        Column("trend_score", REAL, "0..100: 50 times the window's loss over 20 %; 0 after a gain"),
        Column("overall_score", REAL, "0.4 volatility + 0.4 drawdown + 0.2 trend; 100 is the most fragile"),
        Column("volatility", REAL, "daily standard deviation of the log returns of the last 63 sessions (ddof 1)"),
        Column("max_drawdown", REAL, "largest fall from a peak over them, start included, as a fraction"),
        Column("trend", REAL, "simple total return over them"),
        Column("num_returns", COUNT, "known returns among them"),
        Column("forecast_volatility", REAL, "daily volatility forecast for the next 21 sessions", nullable=True),
        Column("forecast_drawdown", REAL, "drawdown forecast for the next 21 sessions, a fraction", nullable=True),
        Column("fitted_on", DAY, "last session the forecasting head had seen", nullable=True),
        Column("member_score", REAL, "SECTOR, MARKET: mean overall score of the members' own windows", nullable=True),
        Column("num_members", COUNT, "SECTOR, MARKET: members that mean is over", nullable=True),
        Column("nearest_scenario", TEXT, "set/scenario of the severe scenarios known by then that is nearest", True),
        Column("scenario_cosine", REAL, "cosine to it over what both have", nullable=True),
        *_SAYS,
    ),
    key=("entity_type", "entity_id", "as_of_date", "model_id", "variant"),
    partition_by=("model_id", "variant", "as_of_year"),
    table_class="vintage",
    layer="engines",
)

SOFT_TARGET_CLASSES = TableContract(
    name="soft_target_classes",
    doc="one entity's soft-target class on a session",
    columns=(
        *_KEY,
        Column("soft_target_class", TEXT, "STABLE, WATCH, FRAGILE, TARGETABLE or BREAKER"),
        Column("soft_target_score", REAL, "overall_score of stability_vectors; classes begin at 0, 30, 45, 60, 75"),
        *_SAYS,
    ),
    key=("entity_type", "entity_id", "as_of_date", "model_id", "variant"),
    partition_by=("model_id", "variant", "as_of_year"),
    table_class="vintage",
    layer="engines",
)

STABILITY_FITS = TableContract(
    name="stability_fits",
    doc="one fitted forecast head of the stability engine",
    columns=(
        Column("market_id", TEXT, "market whose entities it was fitted on"),
        Column("entity_type", TEXT, "INSTRUMENT (serves ISSUER too), or SECTOR (fitted on MARKET and serves it too)"),
        Column("model_id", TEXT, "stability-embedding-v1"),
        Column("variant", TEXT, "named settings"),
        Column("year", pa.int32(), "the year the fit serves"),
        Column("target", TEXT, "log_variance or log_drawdown, of the next 21 sessions"),
        Column("as_of_date", DAY, "last session of the year before: nothing later was used, outcomes included"),
        Column("num_rows", COUNT, "windows fitted on"),
        Column("num_days", COUNT, "sessions they end on"),
        Column("penalty", REAL, "of the ridge, on standardised slots; the best on years not yet fitted on"),
        Column("intercept", REAL, "of the forecast"),
        Column("residual_variance", REAL, "mean squared error on years not yet fitted on"),
        Column("held_back_r2", REAL, "share of the variance forecast on them; null in the first year", nullable=True),
        Column("coefficients", VECTOR, "per slot of the embedding"),
    ),
    key=("model_id", "variant", "market_id", "entity_type", "year", "target"),
    partition_by=("model_id", "variant"),
    table_class="vintage",
    layer="engines",
)

TABLES = (STABILITY_FITS, STABILITY_VECTORS, SOFT_TARGET_CLASSES)
