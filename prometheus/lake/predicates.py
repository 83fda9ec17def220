"""Filters of the lake, as SQL text both Delta and DuckDB understand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

Scalar = str | int | float | bool | dt.date
Where = Mapping[str, Scalar | Collection[Scalar]]
"""Conjunction of conditions: a column equals a value, or is one of several."""

_LISTED = 20
"""Values of one IN list up to which files are told apart by it; beyond, only its bounds are."""
_MOST_LISTED = 4_000
"""Values of one IN list Delta is given at most: it walks a list by recursion, and some ten thousand end the process."""


def literal(value: Any) -> str:
    """SQL literal of one value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | np.integer | np.floating):
        return str(value)
    if isinstance(value, dt.datetime):
        return f"TIMESTAMPTZ '{value.astimezone(dt.UTC).isoformat()}'"
    if isinstance(value, dt.date):
        return f"'{value.isoformat()}'"
    return "'" + str(value).replace("'", "''") + "'"


def condition(where: Where, *, loosely: bool = False) -> str:
    """SQL of a conjunction; ``true`` when there is nothing to ask.

    Parameters
    ----------
    where : mapping
    loosely : bool
        Say only the bounds of a column with :func:`too_many` values, as Delta has to be asked.
    """
    parts = []
    for column, wanted in where.items():
        values = _values(wanted)
        if not values:
            return "false"
        if len(values) == 1:
            parts.append(f"{column} = {literal(values[0])}")
            continue
        bounds_alone = loosely and too_many(values)
        if not bounds_alone:
            parts.append(f"{column} IN ({', '.join(literal(v) for v in values)})")
        if bounds_alone or len(values) > _LISTED:
            # Without bounds two commits of different days would count as a conflict, and one be written twice.
            parts.append(f"{column} >= {literal(min(values))} AND {column} <= {literal(max(values))}")
    return " AND ".join(parts) or "true"


def too_many(wanted: Scalar | Collection[Scalar]) -> bool:
    """Whether a column is to have one of more values than Delta can be given in a list."""
    return len(_values(wanted)) > _MOST_LISTED


def _values(wanted: Scalar | Collection[Scalar]) -> list[Any]:
    return [wanted] if isinstance(wanted, str | bytes) or not isinstance(wanted, Collection) else list(wanted)


def date_condition(dates: tuple[dt.date, dt.date] | None, column: str = "as_of_date") -> str:
    """SQL of a closed date range; ``true`` when there is none."""
    if dates is None:
        return "true"
    return f"{column} >= '{dates[0].isoformat()}' AND {column} <= '{dates[1].isoformat()}'"
