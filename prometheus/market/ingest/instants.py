"""Sessions of a row's market, and the instant from which a row counts as known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from prometheus.clock import DEFAULT_MARKETS, Markets, Sessions, exchange_sessions
from prometheus.market.ingest.convert import END_OF_DAY, UTC_MICROSECONDS
from prometheus.market.ingest.model import ALWAYS, KnownAt

SessionSource = Callable[[str, dt.date, dt.date], Sessions]
"""Gives the sessions of a calendar between two dates; the lake's stored list where there is a lake."""

MARKET, CLOSES, OWN_INSTANT = "__market", "__closes_at", "__known_at"


@dataclass
class Trading:
    """Closing instants by market, asked of the session source once per market and span of years.

    Attributes
    ----------
    markets : Markets
        Which calendar a market has.
    source : callable
        ``(calendar_id, first, last) -> Sessions``.
    """

    markets: Markets = DEFAULT_MARKETS
    source: SessionSource = exchange_sessions
    _held: dict[str, Sessions] = field(default_factory=dict)
    _span: dict[str, tuple[dt.date, dt.date]] = field(default_factory=dict)

    def closes(self, market_id: str, first: dt.date, last: dt.date) -> pl.DataFrame:
        """Columns MARKET, ``as_of_date`` and CLOSES: one row per session between the dates."""
        calendar_id = self.markets.market(market_id).calendar_id
        held = self._span.get(calendar_id, (first, last))
        wanted = min(held[0], first.replace(month=1, day=1)), max(held[1], last)
        if calendar_id not in self._held or self._span[calendar_id] != wanted:
            self._held[calendar_id] = self.source(calendar_id, *wanted)
            self._span[calendar_id] = wanted
        sessions = self._held[calendar_id].between(first, last)
        return pl.DataFrame(
            {
                MARKET: pl.repeat(market_id, len(sessions), eager=True, dtype=pl.String),
                "as_of_date": pl.Series(sessions.dates, dtype=pl.Date),
                CLOSES: pl.Series(sessions.closes_at).dt.replace_time_zone("UTC").cast(UTC_MICROSECONDS),
            }
        )

    def calendar_of(self, market_id: str) -> str | None:
        """Calendar of a market, or None where no such market is declared."""
        market = self.markets.by_id.get(market_id)
        return None if market is None else market.calendar_id

    def with_closes(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows with the column CLOSES by MARKET and ``as_of_date``: null where that is no session."""
        spans = rows.group_by(MARKET).agg(
            pl.col("as_of_date").min().alias("first"), pl.col("as_of_date").max().alias("last")
        )
        known = spans.drop_nulls().sort(MARKET).iter_rows()
        tables = [self.closes(market, first, last) for market, first, last in known if self.calendar_of(market)]
        if not tables:
            return rows.with_columns(pl.lit(None, dtype=UTC_MICROSECONDS).alias(CLOSES))
        return rows.join(pl.concat(tables), on=[MARKET, "as_of_date"], how="left", maintain_order="left")


def known_at(rule: KnownAt) -> pl.Expr:
    """Instant from which each mapped row counts as known, UTC microseconds.

    A row whose day is no session (of a table that may hold such rows) is known at the end of its UTC day plus the
    lag, where others follow their session's close.
    """
    lag = pl.lit(rule.lag, dtype=pl.Duration("us"))
    if rule.kind == "column":
        return pl.col(OWN_INSTANT)
    if rule.kind == "target":
        return pl.col(rule.target)
    if rule.kind == "assumed":
        return pl.lit(rule.instant).cast(UTC_MICROSECONDS)
    if rule.kind == "session_close":
        return pl.coalesce(pl.col(CLOSES), _day_over("as_of_date")) + lag
    return _day_over(rule.target) + lag


def dates_versions(rule: KnownAt, dated_by: str) -> bool:
    """Whether ``known_at`` is the instant of the very version a file holds, as when the source says when it collected.

    Where it follows from what dates the row (its session, its publication), or stands for always, it is the same for
    every version of the row, and a file that contradicts what is held cannot tell since when.
    """
    follows = rule.kind in ("target", "end_of_day") and rule.target in (dated_by, "as_of_date")
    always = rule.kind == "assumed" and rule.instant == ALWAYS
    return not (follows or always or rule.kind == "session_close")


def _day_over(column: str) -> pl.Expr:
    midnight = pl.col(column).cast(pl.Date).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return (midnight + END_OF_DAY).cast(UTC_MICROSECONDS)
