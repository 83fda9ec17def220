"""What a summary says of a feed beside the fate of its rows: absent columns, instants without a zone, unsure dates."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from prometheus.lake.contract import UTC, TableContract
from prometheus.market.ingest.convert import (
    NAIVE,
    WHOLE_DAY,
    as_read,
    find_column,
    leaves_dates_open,
    unsure_of,
    zone_of,
)
from prometheus.market.ingest.instants import OWN_INSTANT
from prometheus.market.ingest.model import ColumnRule, Feed
from prometheus.market.ingest.needs import columns_of, made_by
from prometheus.market.ingest.tally import FILE, REASON, Tally

UNSURE = ": which is the day and which the month is not known; say the format in the map"
"""Ends the reason of a date whose day and month cannot be told apart."""

_SAY = "; the map can say timezone: America/New_York"


def unsure_flags(source: pl.DataFrame, rule: ColumnRule) -> list[str]:
    """Flags of the dates a rule reads whose day and month cannot be told apart."""
    found = (find_column(source, name) for name in rule.columns if leaves_dates_open(rule))
    return [unsure_of(c) for c in found if c is not None and unsure_of(c) in source.columns]


def note_absent(
    rows: pl.DataFrame,
    feed: Feed,
    absent: Collection[str],
    columns: Mapping[str, Collection[str]],
    tally: Tally,
    who: str,
) -> None:
    """Count the rows of files that lack an optional column: all of them, or those that differ from the others.

    Parameters
    ----------
    rows : polars.DataFrame
        Mapped rows.
    absent : collection of str
        Columns of the table that no file has a source for.
    columns : mapping of str to collection of str
        Lower-case names of the columns each file has.
    """
    made = {c.lower() for step in feed.steps for c in made_by(step)}
    for name, rule in feed.columns.items():
        sources = {c.lower() for c in columns_of(rule)}
        if not sources or (name not in absent and sources & made):
            continue
        # Of several columns one is enough, of a template every one is needed.
        least = len(sources) if rule.template is not None else 1
        without = [file for file, there in columns.items() if len(sources & {*there, *made}) < least]
        if name in absent or without:
            struck = rows if name in absent else rows.filter(pl.col(FILE).is_in(without))
            missing = ", ".join(rule.columns) or rule.template
            tally.note("nulled", f"{name}: no column {missing} in the file", struck, who)


def note_naive(
    source: pl.DataFrame, rows: pl.DataFrame, feed: Feed, declared: TableContract, tally: Tally, who: str
) -> None:
    """Count the instants that name no zone and whose rule names none either: they count as UTC."""
    rules = {n: r for n, r in feed.columns.items() if declared.column(n).type == UTC}
    if feed.known_at.rule is not None:
        rules[OWN_INSTANT] = feed.known_at.rule
    for name, rule in rules.items():
        if rule.timezone is not None or rule.unit is not None:
            continue
        said = "known_at" if name == OWN_INSTANT else name
        found = [c for c in (find_column(source, n) for n in rule.columns) if c is not None]
        kinds = [k for c in found if (k := zone_of(source, as_read(source, c, rule, UTC), rule)) is not None]
        if not kinds:
            continue
        kind = source.select(pl.coalesce(kinds).alias("k"))["k"]
        read = rows[name].is_not_null() & rows[REASON].is_null()
        for lacks, reason in (
            (NAIVE, f"{said} names no time zone and counts as UTC{_SAY}"),
            (WHOLE_DAY, f"{said} is a day without a time and counts as its last second in UTC{_SAY}"),
        ):
            tally.note("noted", reason, rows.filter(read & (kind == lacks)), who)
