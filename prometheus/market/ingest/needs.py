"""Which source columns a feed needs, and the refusal of a file that lacks one it cannot do without.

Judged file by file, so that one file among many is not filled up with the others' columns, and so that how files are
grouped makes no difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from prometheus.errors import BadDataError
from prometheus.lake.contracts import contract
from prometheus.market.ingest.model import (
    Adjustments,
    Collected,
    ColumnRule,
    Explode,
    Feed,
    FirstBy,
    Step,
    Unpivot,
    Where,
)

PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
OWN = frozenset(("stem", "file"))


def columns_of(rule: ColumnRule | None) -> tuple[str, ...]:
    """Source columns a rule reads: any one of ``columns``, every one of a template."""
    if rule is None:
        return ()
    named = PLACEHOLDER.findall(rule.template) if rule.template is not None else rule.columns
    return tuple(n for n in named if n not in OWN)


def columns_of_step(step: Step) -> tuple[str, ...]:
    """Source columns a step reads."""
    if isinstance(step, (Where, Explode)):
        return (step.column,)
    if isinstance(step, Unpivot):
        return tuple(column for column, _ in step.columns)
    if isinstance(step, FirstBy):
        order = () if step.order is None else (step.order,)
        return (*(k for k in step.keys if k not in OWN), *order)
    assert isinstance(step, Collected)
    return (step.instrument, step.date, step.close, step.adjusted_close, step.volume, step.collected_at)


def made_by(step: Step) -> tuple[str, ...]:
    """Columns a step makes."""
    if isinstance(step, Unpivot):
        return (step.name, step.value)
    return ("ex_date", "factor") if isinstance(step, Adjustments) else ()


def wanted(feed: Feed) -> frozenset[str]:
    """Lower-case names of every source column the feed speaks of."""
    rules = (*feed.columns.values(), feed.market, feed.known_at.rule)
    named = [c for rule in rules for c in columns_of(rule)]
    named += [c for step in feed.steps for c in columns_of_step(step)]
    return frozenset(c.lower() for c in named)


def find_name(columns: Sequence[str], name: str) -> str | None:
    """The column of that name, else the only one that differs in case alone."""
    if name in columns:
        return name
    alike = [c for c in columns if c.lower() == name.lower() and not c.startswith("__")]
    return alike[0] if len(alike) == 1 else None


def check_columns(feed: Feed, columns: Sequence[str], file: str, *, headless: bool = False) -> None:
    """Refuse a file without a column that the feed needs.

    Parameters
    ----------
    columns : sequence of str
        What the file has.
    headless : bool
        Whether the header looks like data.

    Raises
    ------
    BadDataError
        Naming the file, the columns and what it has.
    """
    has = [c for c in columns if not c.startswith("__")]
    lacking = list(_lacking(feed, columns))
    if not lacking:
        return
    if headless:
        raise BadDataError(
            f"{file} has no header line: it begins with {','.join(has)[:80]}. Name its columns in the map, for example "
            f"header: [{', '.join(sorted(wanted(feed)))}], or add the line"
        )
    raise BadDataError(
        f"{file} {'; it '.join(lacking)}; it has "
        f"{', '.join(' '.join(h.split()) for h in has)}. Correct the file or the columns of the feed "
        f"{feed.name!r} in the map; `prometheus ingest --inspect {file}` proposes one"
    )


def _lacking(feed: Feed, columns: Sequence[str]) -> Iterator[str]:
    there = list(columns)
    for step in feed.steps:
        missing = [n for n in columns_of_step(step) if find_name(there, n) is None]
        if missing:
            yield f"has no column {', '.join(missing)}, which the feed {feed.name!r} needs"
        there += made_by(step)

    def absent(rule: ColumnRule | None) -> bool:
        named = columns_of(rule)
        found = [find_name(there, n) is not None for n in named]
        every = rule is not None and rule.template is not None
        return bool(named) and not (all(found) if every else any(found))

    declared = contract(feed.table)
    needed = [n for n, rule in feed.columns.items() if not declared.column(n).nullable and absent(rule)]
    needed = [n for n in needed if n != "withdrawn"]
    if feed.table == "prices_daily":
        prices = [n for n in ("close", "adjusted_close") if n in feed.columns]
        needed += prices if all(absent(feed.columns[n]) for n in prices) else []
    if needed:
        sources = (f"{n} (from {', '.join(feed.columns[n].columns) or feed.columns[n].template})" for n in needed)
        yield f"has no column for {', '.join(sources)} of {feed.table}"
    for what, rule in (("market", feed.market), ("known_at", feed.known_at.rule)):
        if absent(rule):
            yield f"has no column {', '.join(columns_of(rule))}, which {what} of the feed {feed.name!r} comes from"
