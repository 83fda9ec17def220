"""Scenario sets and their paths: what could happen to a base entity from a date on."""

from __future__ import annotations

import pyarrow as pa

from prometheus.lake.contract import COUNT, DAY, FLAG, REAL, TEXT, Column, TableContract

_SET = Column("scenario_set_id", TEXT, "name, digest of what the set is, and date: the same request is the same set")
_DATE = Column("as_of_date", DAY, "the session it is made on; only what its cutoff knows goes in")
_YEAR = Column("as_of_year", pa.int32(), "year of as_of_date")
_VARIANT = Column("variant", TEXT, "named settings (block length, stress); v0 is the default")
_SERIES = Column("series_id", TEXT, "name and digest: the same set on other dates has the same")

SCENARIO_SETS = TableContract(
    name="scenario_sets",
    doc="one set of scenarios of a base entity",
    columns=(
        _SET,
        _DATE,
        _YEAR,
        _VARIANT,
        _SERIES,
        Column("name", TEXT, "as asked for"),
        Column("method", TEXT, "HISTORICAL, BOOTSTRAP, STRESSED or PARAMETRIC"),
        Column("market_id", TEXT, "market of the base entity"),
        Column("base_entity_type", TEXT, "MARKET or INSTRUMENT"),
        Column("base_entity_id", TEXT, "whose returns the paths are, for example US_EQ or AAPL.US"),
        Column("horizon_days", COUNT, "sessions of a path"),
        Column("num_paths", COUNT, "paths made; a short past has fewer windows than were asked for"),
        Column("seed", COUNT, "seed of the draws"),
        Column("replay", FLAG, "paths follow the history before them; else today's"),
        Column("num_returns", COUNT, "known returns of the base the paths were made from"),
        Column("first_session", DAY, "first of them"),
        Column("long_run_volatility", REAL, "daily root mean square of the last 504 sessions' log returns"),
        Column("source_digest", TEXT, "digest of the base's sessions and returns that went in"),
    ),
    key=("scenario_set_id", "as_of_date", "variant"),
    partition_by=("as_of_year",),
    table_class="vintage",
    layer="engines",
)

SCENARIO_PATHS = TableContract(
    name="scenario_paths",
    doc="one session of one scenario",
    columns=(
        _SET,
        Column("scenario_id", TEXT, "unique in the set: first and last session of a window, else a number"),
        Column("step", COUNT, "session of the path, from 1"),
        _DATE,
        _YEAR,
        _VARIANT,
        _SERIES,
        Column("log_return", REAL, "total log return of the base on this session"),
        Column("cumulative_return", REAL, "simple return from the start of the path through this session"),
        Column("shock_type", TEXT, "what the path is: HISTORICAL_WORST, BOOTSTRAP, STRESSED, CRASH_REBOUND and others"),
        Column("severity", TEXT, "LOW, MEDIUM or HIGH, from drawdown_quantile"),
        Column("total_return", REAL, "simple return of the whole path: its P&L"),
        Column("max_drawdown", REAL, "largest fall from a peak within the whole path, start included, as a fraction"),
        Column("drawdown_quantile", REAL, "share of the base's own past windows of this length that fell less"),
        Column("appended_after", DAY, "session of the base's history the path follows"),
    ),
    key=("scenario_set_id", "scenario_id", "step", "as_of_date", "variant"),
    partition_by=("as_of_year",),
    table_class="vintage",
    layer="engines",
)

TABLES = (SCENARIO_SETS, SCENARIO_PATHS)
