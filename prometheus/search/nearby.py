"""Where rows like one that is not there do lie: what a refusal says so that the next request can be right."""

from __future__ import annotations

import datetime as dt

from prometheus.lake import Lake
from prometheus.lake.predicates import literal
from prometheus.search.surface import Surface

_LISTED = 5


def where_else(lake: Lake, surface: Surface, as_of: dt.date) -> str:
    """Say where there are rows of a joint surface that has none on a date; empty where the lake has nothing alike.

    Parameters
    ----------
    lake : Lake
    surface : Surface
        Of ``joint_embeddings``, narrowed to the row sought.
    as_of : date

    Returns
    -------
    str
        A clause: the nearest dates before and after; else that no date has one; else the models and variants that the
        lake holds of the joint type.
    """
    rows = surface.source(lake, ["as_of_date"])
    dates = lake.query(
        f"SELECT max(as_of_date) FILTER (as_of_date < {literal(as_of)}) AS before, "
        f"min(as_of_date) FILTER (as_of_date > {literal(as_of)}) AS after FROM ({rows})"
    ).to_pylist()[0]
    said = [f"{words} of {dates[side]}" for side, words in _SIDES if dates[side]]
    if said:
        return ", ".join(said)
    of_type = Surface("joint_embeddings", {"joint_type": surface.where["joint_type"]})
    held = lake.query(
        f"SELECT DISTINCT model_id, variant FROM ({of_type.source(lake, ['model_id', 'variant'])}) ORDER BY ALL"
    ).to_pylist()
    names = [f"{r['model_id']} [{r['variant']}]" for r in held]
    if f"{surface.where['model_id']} [{surface.where['variant']}]" in names:
        return "no date of this surface has one"
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"there is {', '.join(names[:_LISTED])}{more}" if names else ""


_SIDES = (("before", "the last before is"), ("after", "the next is"))
