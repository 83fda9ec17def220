"""What a row must keep to be taken: dates, sessions, prices, words a column may hold.

Two fates. A bad *optional* field is nulled and counted, the row stays. A bad key, date or required field, or a row
that says nothing, is refused: its reason goes to the column REASON and the row to quarantine. The first reason found
is the one kept.
"""

from __future__ import annotations

import datetime as dt

import polars as pl

from prometheus.lake.contract import TableContract
from prometheus.market.ingest.instants import CLOSES, MARKET, Trading
from prometheus.market.ingest.model import Feed
from prometheus.market.ingest.tally import REASON, Tally

EARLIEST = dt.date(1900, 1, 1)
"""Dates before are typing errors or placeholders in every source met so far."""

_PRINTING = 1e-9
"""Relative slack when prices of one session are compared: what printing and reading a number may move it."""

_WORDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "instruments": ("asset_class", ("EQUITY", "ETF", "INDEX")),
    "corporate_actions": ("kind", ("SPLIT", "DIVIDEND", "ADJUSTMENT")),
    "issuer_documents": ("kind", ("10-K", "10-Q", "8-K", "MD&A", "TRANSCRIPT")),
}
_SAYS_SOMETHING: dict[str, tuple[str, ...]] = {
    "prices_daily": ("close", "adjusted_close"),
    "corporate_actions": ("factor", "amount"),
    "fundamentals": ("value",),
    "factors_daily": ("value",),
    "news_articles": ("headline", "body"),
    "profiles": ("business_description", "risk_summary", "recent_events_summary", "employees", "risk_flag"),
}
_NEVER_KNOWN_AHEAD = frozenset(
    ("prices_daily", "factors_daily", "fundamentals", "news_articles", "news_links", "issuer_documents", "macro_texts")
)


def refuse(rows: pl.DataFrame, mask: pl.Expr, reason: str | pl.Expr) -> pl.DataFrame:
    """Rows with the reason written where the mask holds and no earlier reason stands."""
    words = pl.lit(reason) if isinstance(reason, str) else reason
    return rows.with_columns(pl.coalesce(pl.col(REASON), pl.when(mask).then(words)).alias(REASON))


def null_where(
    rows: pl.DataFrame, columns: tuple[str, ...], mask: pl.Expr, reason: str, tally: Tally, who: str
) -> pl.DataFrame:
    """Rows with the columns nulled where the mask holds; counted once per row, refused rows left out."""
    mask = (mask & pl.col(REASON).is_null()).fill_null(False)
    struck = rows.filter(mask)
    if struck.height == 0:
        return rows
    tally.note("nulled", reason, struck, who)
    return rows.with_columns(pl.when(~mask).then(pl.col(c)).alias(c) for c in columns)


def check_dates(rows: pl.DataFrame, today: dt.date) -> pl.DataFrame:
    """Refuse dates in the future (after ``today``) and before 1900."""
    day = pl.col("as_of_date")
    rows = refuse(rows, day > today, "date in the future")
    return refuse(rows, day < EARLIEST, f"date before {EARLIEST.year}")


def check_sessions(rows: pl.DataFrame, feed: Feed, trading: Trading) -> pl.DataFrame:
    """Add CLOSES by market and date; refuse unknown markets and, where the feed wants it, days that are no session."""
    if feed.market is None:
        return rows
    open_rows = pl.when(pl.col(REASON).is_null())
    dated = rows.with_columns(open_rows.then(pl.col("as_of_date")).alias("__dated"))
    keyed = dated.rename({"as_of_date": "__as_of", "__dated": "as_of_date"})
    rows = trading.with_closes(keyed).drop("as_of_date").rename({"__as_of": "as_of_date"})
    rows = refuse(rows, pl.col(MARKET).is_null(), "market is empty")
    markets = rows[MARKET].unique().drop_nulls().sort().to_list()
    calendars = {market: trading.calendar_of(market) for market in markets}
    strange = [market for market, calendar in calendars.items() if calendar is None]
    unknown = pl.format("no calendar is declared for market {}", MARKET)
    rows = refuse(rows, pl.col(MARKET).is_in(strange), unknown)
    if feed.off_session == "keep":
        return rows
    calendar = pl.col(MARKET).replace({m: c for m, c in calendars.items() if c is not None})
    return refuse(rows, pl.col(CLOSES).is_null(), pl.format("not a session of {}", calendar))


def check_known(rows: pl.DataFrame, feed: Feed) -> pl.DataFrame:
    """Refuse rows without a known instant, and those known before the day they tell of has begun."""
    rows = refuse(rows, pl.col("known_at").is_null(), "known_at is empty or unreadable")
    if feed.table in _NEVER_KNOWN_AHEAD and feed.known_at.kind == "column":
        return refuse(rows, pl.col("known_at").dt.date() < pl.col("as_of_date"), "known before its date")
    return rows


def check_table(rows: pl.DataFrame, declared: TableContract, tally: Tally) -> pl.DataFrame:
    """Apply the rules of one table; all columns of the contract are there, null where not mapped."""
    who = declared.natural_key[0]
    if declared.name == "prices_daily":
        rows = check_prices(rows, tally, who)
    if declared.name == "corporate_actions":
        rows = null_where(rows, ("factor",), pl.col("factor") <= 0, "factor zero or negative", tally, who)
    if declared.name == "fundamentals":
        early = pl.col("report_date") < pl.col("period_end")
        rows = refuse(rows, early, "report_date before period_end")
        late = pl.col("period_start") > pl.col("period_end")
        rows = null_where(rows, ("period_start",), late, "period_start after period_end", tally, who)
        strange = ~pl.col("frequency").is_in(("Q", "A"))
        rows = null_where(rows, ("frequency",), strange, "frequency is neither Q nor A", tally, who)
    if declared.name in ("instruments", "issuers"):
        ends_early = pl.col("valid_to") < pl.col("valid_from")
        rows = null_where(rows, ("valid_to",), ends_early, "valid_to before valid_from", tally, who)
    if declared.name == "news_links":
        outside = ~pl.col("relevance").is_between(0, 1)
        rows = null_where(rows, ("relevance",), outside, "relevance outside 0..1", tally, who)
    if declared.name in _WORDS:
        column, allowed = _WORDS[declared.name]
        rows = refuse(rows, ~pl.col(column).is_in(allowed), f"{column} is none of {', '.join(allowed)}")
    if declared.name in _SAYS_SOMETHING:
        columns = _SAYS_SOMETHING[declared.name]
        # What a row that is taken back used to say need not be said again.
        nothing = pl.all_horizontal(pl.col(c).is_null() for c in columns) & ~pl.col("withdrawn").fill_null(False)
        words = {1: f"{columns[0]} is empty or unreadable", 2: f"neither {' nor '.join(columns)}"}
        rows = refuse(rows, nothing, words.get(len(columns), "the row says nothing"))
    return rows


def check_prices(rows: pl.DataFrame, tally: Tally, who: str) -> pl.DataFrame:
    """Null prices that cannot be, in an order that keeps the close: it is what everything later is made from.

    Zero and negative prices and negative volumes go first. A high below the close and a low above it are then the
    high's and the low's fault; with no close to judge by, a high below the low costs both; an open outside the
    remaining range is the open's.
    """
    for column in ("open", "high", "low", "close", "adjusted_close"):
        rows = null_where(rows, (column,), pl.col(column) <= 0, f"{column} zero or negative", tally, who)
    rows = null_where(rows, ("volume",), pl.col("volume") < 0, "volume negative", tally, who)
    opened, high, low, close = (pl.col(c) for c in ("open", "high", "low", "close"))
    rows = null_where(rows, ("high",), high < close * (1 - _PRINTING), "high below close", tally, who)
    rows = null_where(rows, ("low",), low > close * (1 + _PRINTING), "low above close", tally, who)
    rows = null_where(rows, ("high", "low"), high < low * (1 - _PRINTING), "high below low", tally, who)
    above, below = opened > high * (1 + _PRINTING), opened < low * (1 - _PRINTING)
    outside = above.fill_null(False) | below.fill_null(False)
    return null_where(rows, ("open",), outside, "open outside high and low", tally, who)
