"""What the risk engine writes: what a book holds after every limit, each change on the way there, and its risk."""

from __future__ import annotations

import pyarrow as pa

from prometheus.lake.contract import COUNT, DAY, REAL, TEXT, Column, TableContract

_BOOK = Column("book_id", TEXT, "the portfolio it follows: US_EQ_CORE; of another model US_EQ_CORE:MEAN_VARIANCE")
_NAME = Column("instrument_id", TEXT, "the name held; CASH for what is not invested")
_KEY = (
    Column("as_of_date", DAY, "the session; known at its cutoff, to be traded after it"),
    Column("as_of_year", pa.int32(), "year of as_of_date"),
    Column("model_id", TEXT, "risk-limits-v1"),
    Column("variant", TEXT, "named settings; v0 is the default"),
    Column("market_id", TEXT, "market of the portfolio"),
    Column("portfolio_id", TEXT, "portfolio whose weights came in"),
    Column("portfolio_model_id", TEXT, "model that decided them"),
)
_BACKEND = Column("backend", TEXT, "limits")

BOOK_TARGETS = TableContract(
    name="book_targets",
    doc="one holding of a book on a session, cash included, after every limit",
    columns=(
        _BOOK,
        _NAME,
        *_KEY,
        Column("sector", TEXT, "the name's sector as the portfolio has it; null for CASH", nullable=True),
        Column("weight_before", REAL, "fraction of the capital the portfolio asked for"),
        Column("weight", REAL, "fraction of the capital after every limit; a session's weights sum to 1"),
        _BACKEND,
        Column("reason", TEXT, "rules that could not be tried on the name, for want of what", nullable=True),
    ),
    key=("book_id", "instrument_id", "as_of_date", "model_id", "variant"),
    partition_by=("model_id", "variant", "as_of_year"),
    table_class="vintage",
    layer="engines",
)

RISK_ACTIONS = TableContract(
    name="risk_actions",
    doc="one change of one holding by one rule; replayed by step they lead from the portfolio to the book",
    columns=(
        _BOOK,
        _NAME,
        *_KEY,
        Column("step", COUNT, "which of the session's changes, from 1; every holding it moves has a row, CASH too"),
        Column("rule", TEXT, "BREAKER, NAME_CAP, SECTOR_CAP, GROSS, NET, BETA, VOLATILITY or EXPECTED_SHORTFALL"),
        Column("weight_before", REAL, "before the change"),
        Column("weight_after", REAL, "after it"),
        Column("limit_value", REAL, "the limit"),
        Column("value", REAL, "what exceeded it: the name's weight, its sector's, or the book's figure"),
        Column("why", TEXT, "the change as a sentence"),
        _BACKEND,
        Column("reason", TEXT, "always null: what could not be tried stands in the report", nullable=True),
    ),
    key=("book_id", "instrument_id", "as_of_date", "step", "model_id", "variant"),
    partition_by=("model_id", "variant", "as_of_year"),
    table_class="vintage",
    layer="engines",
)


def _twice(name: str, doc: str) -> tuple[Column, Column]:
    """A figure of the book, and of the portfolio as it came in."""
    before = Column(f"{name}_before", REAL, "the same of the portfolio that came in", nullable=True)
    return Column(name, REAL, doc, nullable=True), before


PORTFOLIO_RISK_REPORTS = TableContract(
    name="portfolio_risk_reports",
    doc="risk of one book on a session, ex ante, after every limit and (_before) of the portfolio that came in",
    columns=(
        _BOOK,
        *_KEY,
        Column("num_targets", COUNT, "rows of book_targets, cash and names cut to 0 among them"),
        Column("num_names", COUNT, "names held, cash apart"),
        Column("gross", REAL, "sum of absolute weights, cash apart"),
        Column("gross_before", REAL, "the same of the portfolio that came in"),
        Column("net", REAL, "sum of weights, cash apart"),
        Column("net_before", REAL, "the same of the portfolio that came in"),
        Column("cash", REAL, "1 - net"),
        Column("cash_before", REAL, "the same of the portfolio that came in"),
        Column("turnover", REAL, "half the sum of absolute changes of target weights, cash included", nullable=True),
        Column("effective_names", REAL, "gross squared over the sum of squared weights", nullable=True),
        Column("largest_name", TEXT, "name of the greatest absolute weight", nullable=True),
        Column("largest_weight", REAL, "that weight, absolute", nullable=True),
        Column("largest_sector", TEXT, "sector of the greatest sum of absolute weights", nullable=True),
        Column("largest_sector_weight", REAL, "that sum", nullable=True),
        *_twice("beta", "to the equal-weighted market, of returns of 252 sessions; cash counts 0"),
        *_twice("volatility", "ex ante, annualised, from B F B' + D"),
        Column("volatility_factors", REAL, "part of it from market and sectors alone", nullable=True),
        Column("volatility_residual", REAL, "part of it from the names alone; squares add up", nullable=True),
        *_twice("var_95", "95 % value at risk over the horizon: a loss, as a fraction of the capital"),
        *_twice("es_95", "mean loss of the worst 5 % of the scenarios"),
        Column("horizon_days", COUNT, "sessions of those scenarios", nullable=True),
        Column("num_scenarios", COUNT, "scenarios they are over", nullable=True),
        Column("scenarios_of", DAY, "latest session those scenarios were made on", nullable=True),
        Column("worst_scenario", TEXT, "set/scenario of the greatest loss, of every set known by then", nullable=True),
        *_twice("worst_loss", "that loss, as a fraction of the capital; of scenarios as they are"),
        Column("proxied_weight", REAL, "gross weight of names without a beta of their own: counted as beta 1"),
        Column("unclassified_weight", REAL, "gross weight of names without a soft-target class"),
        Column("num_actions", COUNT, "rows of risk_actions"),
        Column("rules", TEXT, "rules that changed weights, in order, joined by +", nullable=True),
        Column("factor_exposures", TEXT, "JSON: market and sector loadings, and mean standing of the holdings"),
        Column("factor_exposures_before", TEXT, "the same of the portfolio that came in"),
        Column("sector_weights", TEXT, "JSON: sum of absolute weights by sector"),
        _BACKEND,
        Column("reason", TEXT, "what was not known, and what stood in for it", nullable=True),
    ),
    key=("book_id", "as_of_date", "model_id", "variant"),
    partition_by=("model_id", "variant", "as_of_year"),
    table_class="vintage",
    layer="engines",
)

TABLES = (RISK_ACTIONS, BOOK_TARGETS, PORTFOLIO_RISK_REPORTS)
