"""What the universe and portfolio engines write: who may be held, how good each is, and what to hold."""

from __future__ import annotations

import pyarrow as pa

from prometheus.lake.contract import COUNT, DAY, REAL, TEXT, Column, TableContract

UNIVERSE_MEMBERS = TableContract(
    name="universe_members",
    doc="one name listed in a market on a session: its tier in a universe, its score, and every number behind both",
    columns=(
        Column("universe_id", TEXT, "market and name of the universe: US_EQ_CORE"),
        Column("instrument_id", TEXT, "the name; everyone listed on the session as known has a row"),
        Column("as_of_date", DAY, "the session; known at its cutoff"),
        Column("as_of_year", pa.int32(), "year of as_of_date"),
        Column("model_id", TEXT, "universe-basic-v1"),
        Column("variant", TEXT, "named settings; v0 is the default"),
        Column("market_id", TEXT, "market the name is known to be of"),
        Column("sector", TEXT, "its sector as known", nullable=True),
        Column("tier", TEXT, "CORE, SATELLITE or EXCLUDED"),
        Column("score", REAL, "weighted z-scores, lowered by the risk of a change of state", nullable=True),
        Column("rank", COUNT, "1 is the best score of those that passed every filter", nullable=True),
        Column("excluded_by", TEXT, "first filter that failed, else SECTOR_CAP or SIZE_CAP", nullable=True),
        Column("reasons", TEXT, "JSON with every number: the filters' and the score's, which it reproduces"),
        Column("backend", TEXT, "basic"),
        Column("reason", TEXT, "which of the score's inputs were missing", nullable=True),
    ),
    key=("universe_id", "instrument_id", "as_of_date", "model_id", "variant"),
    partition_by=("model_id", "variant", "as_of_year"),
    table_class="vintage",
    layer="engines",
)

TARGET_PORTFOLIOS = TableContract(
    name="target_portfolios",
    doc="one holding of a target portfolio on a session, cash included: decided at its close, to be traded after it",
    columns=(
        Column("portfolio_id", TEXT, "market and name of the portfolio: US_EQ_CORE"),
        Column("instrument_id", TEXT, "the name held; CASH for what is not invested"),
        Column("as_of_date", DAY, "the session; known at its cutoff"),
        Column("as_of_year", pa.int32(), "year of as_of_date"),
        Column("model_id", TEXT, "portfolio-score-proportional-v1, portfolio-inverse-volatility-v1, …"),
        Column("variant", TEXT, "named settings; v0 is the default"),
        Column("market_id", TEXT, "market of the names"),
        Column("universe_id", TEXT, "universe the names were taken from"),
        Column("sector", TEXT, "the name's sector as known; null for CASH", nullable=True),
        Column("weight", REAL, "fraction of the capital; the weights of a portfolio's session sum to 1"),
        Column("rebalanced_on", DAY, "session the weights were decided on: as_of_date, or the last one before"),
        Column("score", REAL, "the universe's score of the name", nullable=True),
        Column("expected_return", REAL, "over the horizon, in excess of the names' mean; null when not known", True),
        Column("volatility", REAL, "annualised, ex ante, of the name; null when not known", nullable=True),
        Column("backend", TEXT, "what decided: score_proportional, inverse_volatility or mean_variance"),
        Column("reason", TEXT, "why another backend stood in", nullable=True),
    ),
    key=("portfolio_id", "instrument_id", "as_of_date", "model_id", "variant"),
    partition_by=("model_id", "variant", "as_of_year"),
    table_class="vintage",
    layer="engines",
)

TABLES = (UNIVERSE_MEMBERS, TARGET_PORTFOLIOS)
