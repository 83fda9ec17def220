"""Rows that fall onto one key: repeats, contradictions, and versions that say nothing new."""

from __future__ import annotations

import polars as pl

from prometheus.lake.contract import TableContract
from prometheus.market.ingest.tally import ID, REASON, Tally


def settle(rows: pl.DataFrame, declared: TableContract, tally: Tally) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return one row per key, and the rows that contradict it.

    Exact repeats are dropped. Of several different rows under one key (``known_at`` included) the most complete
    stays, the last in the file among equals; the others are refused. A version equal to the one before it, known
    later, is dropped: it is no correction.

    Returns
    -------
    kept, contradicting : polars.DataFrame
        ``contradicting`` has its reason in REASON.
    """
    key, columns = list(declared.key), [c.name for c in declared.columns]
    natural = list(declared.natural_key)
    nothing = rows.clear()
    if rows.select(pl.struct(natural).n_unique()).item() == rows.height:
        return rows, nothing
    who = natural[0]
    repeated = ~rows.select(pl.struct(columns).is_first_distinct()).to_series()
    tally.note("dropped", "exact duplicate", rows.filter(repeated), who)
    rows = rows.filter(~repeated)

    filled = pl.sum_horizontal(pl.col(c).is_not_null() for c in columns)
    ranked = rows.with_columns(filled.alias("__filled"))
    ranked = ranked.sort([*key, "__filled", ID], descending=[False] * len(key) + [True, True]).drop("__filled")
    best = ranked.select(pl.struct(key).is_first_distinct()).to_series()
    reason = "contradicts another row of the same key"
    contradicting = ranked.filter(~best).with_columns(pl.lit(reason).alias(REASON))
    rows = ranked.filter(best)

    rows = rows.sort([*natural, "known_at"])
    values = [c for c in columns if c not in natural and c != "known_at"]
    same = pl.all_horizontal(pl.col(c).eq_missing(pl.col(c).shift(1)) for c in [*natural, *values])
    unchanged = rows.select(same.fill_null(False)).to_series()
    if rows.height:
        unchanged[0] = False
    tally.note("dropped", "unchanged later version", rows.filter(unchanged), who)
    return rows.filter(~unchanged), contradicting
