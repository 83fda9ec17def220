"""What prices come to, for people and SQL. Windows are built from raw rows as known at t, not from these."""

from __future__ import annotations

import pyarrow as pa

from prometheus.lake.contract import COUNT, DAY, REAL, TEXT, Column, TableContract

_INSTRUMENT = Column("instrument_id", TEXT, "the instrument")
_SESSION = Column("as_of_date", DAY, "the session; known at its cutoff")
_YEAR = Column("as_of_year", pa.int32(), "year of as_of_date")
_MARKET = Column("market_id", TEXT, "market the instrument is known to be of")
_VARIANT = Column("variant", TEXT, "named settings; v0 is the default")

RETURNS_DAILY = TableContract(
    name="returns_daily",
    doc="one instrument's total return on a session, from rows known at its cutoff",
    columns=(
        _INSTRUMENT,
        _SESSION,
        _YEAR,
        _MARKET,
        _VARIANT,
        Column("simple_return", REAL, "total return since the last observed session, as a fraction"),
        Column("log_return", REAL, "its logarithm, log(1 + simple_return)"),
    ),
    key=("instrument_id", "as_of_date", "variant"),
    partition_by=("as_of_year",),
    table_class="vintage",
    layer="derived",
)

VOLATILITY_DAILY = TableContract(
    name="volatility_daily",
    doc="one instrument's trailing volatility on a session with a known return, annualised",
    columns=(
        _INSTRUMENT,
        _SESSION,
        _YEAR,
        _MARKET,
        _VARIANT,
        Column(
            "volatility_21",
            REAL,
            "standard deviation of log returns over 21 sessions (ddof 1), times sqrt(252); null below 14 returns",
            nullable=True,
        ),
        Column("volatility_63", REAL, "the same over 63 sessions; null below 42 returns", nullable=True),
        Column("num_returns_63", COUNT, "known returns in the last 63 sessions"),
    ),
    key=("instrument_id", "as_of_date", "variant"),
    partition_by=("as_of_year",),
    table_class="vintage",
    layer="derived",
)

INSTRUMENT_FACTORS_DAILY = TableContract(
    name="instrument_factors_daily",
    doc="one instrument's exposure to one factor on a session, from 252 sessions known at its cutoff",
    columns=(
        _INSTRUMENT,
        Column("factor_id", TEXT, "MARKET_BETA, SECTOR_BETA or RESIDUAL_VOLATILITY (annualised, of the market's fit)"),
        _SESSION,
        _YEAR,
        _MARKET,
        _VARIANT,
        Column("exposure", REAL, "slope of simple daily returns on the basket's without the name itself"),
        Column("num_returns", COUNT, "sessions on which both returns are known, at least 126"),
    ),
    key=("instrument_id", "factor_id", "as_of_date", "variant"),
    partition_by=("as_of_year",),
    table_class="vintage",
    layer="derived",
)

TABLES = (RETURNS_DAILY, VOLATILITY_DAILY, INSTRUMENT_FACTORS_DAILY)
