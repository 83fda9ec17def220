"""Price files that were collected several times: volume as traded, and price factors out of the versions.

Such a source gives one session in several collections. ``close`` stays as traded; ``adjusted_close / close`` of a
session s in collection c is F(s, c) = the product of the price factors of every ex-date after s that c knew. A vendor
that shows an ex-date's factor before its open makes F(s, c) reach beyond the last session of c, so a single version
cannot tell *which* ex-date a factor belongs to. Two sessions s1 < s2 of **one** collection can: F(s1, c) / F(s2, c)
holds the ex-dates in (s1, s2] and nothing else, whatever c knew besides.
"""

from __future__ import annotations

import polars as pl

from prometheus.market.ingest.convert import find_column, to_day, to_instant, to_number
from prometheus.market.ingest.model import Adjustments, Collected, ColumnRule, VolumeAsTraded
from prometheus.market.ingest.tally import FILE, REFUSED, ROW, Tally

_PLAIN = ColumnRule()
_WHO, _DAY, _AT, _CLOSE, _FACTOR, _VOLUME = "__who", "__day", "__at", "__close", "__factor", "__volume"


def as_traded(frame: pl.DataFrame, step: VolumeAsTraded, tally: Tally) -> pl.DataFrame:
    """Volume of every version on the split base of its close.

    A vendor that back-adjusts volume for a split multiplies it in the versions collected after the split became
    known, sometimes and not always. So the rule does not divide: in a version whose factor differs from 1 by more
    than ``split_beyond`` (splits, and spin-offs, which are treated alike) volume is that of the earliest version not
    so adjusted, which is as traded by construction. Without one the base is unknown: volume is null, and counted.
    Dividends leave volume alone, so smaller factors leave it as it stands.
    """
    rows = _readable(frame, step).with_columns(((pl.col(_FACTOR) - 1).abs() > step.split_beyond).alias("__split"))
    key = [_WHO, _DAY]
    plain = rows.filter(~pl.col("__split").fill_null(False) & pl.col(_VOLUME).is_not_null())
    first = plain.sort(*key, _AT, FILE, ROW).unique(key, keep="first", maintain_order=True)
    first = first.select(*key, pl.col(_AT).alias("__first_at"), pl.col(_VOLUME).alias("__first"))
    rows = rows.join(first, on=key, how="left", nulls_equal=True, maintain_order="left")
    split = pl.col("__split").fill_null(False)
    base = pl.when(pl.col("__first_at") <= pl.col(_AT)).then(pl.col("__first"))
    who = find_column(frame, step.instrument) or ""
    moved = split & base.is_not_null() & (base != pl.col(_VOLUME))
    tally.note("noted", "volume rescaled at a split, taken from the first version", rows.filter(moved), who)
    lost = rows.filter(split & base.is_null() & pl.col(_VOLUME).is_not_null())
    tally.note("nulled", "volume on an unknown split base", lost, who)
    volume = pl.when(split).then(base).otherwise(pl.col(_VOLUME))
    return rows.with_columns(volume.alias(find_column(frame, step.volume) or step.volume)).select(frame.columns)


def adjustments(frame: pl.DataFrame, step: Adjustments, tally: Tally) -> pl.DataFrame:
    """Rows that reveal a price factor, with the columns ``ex_date`` and ``factor``.

    Sessions that follow each other in one collection are compared (module docstring): where their ratio is off 1 by
    more than ``tolerance``, the later session is the ex-date. The row is the earlier session's; it is known when
    collected. A factor beyond ``judge_beyond`` (in logs) under which the close-to-close move is larger than without
    it contradicts the prices and is refused, unless nothing traded on the ex-date (its close is then a stale one).

    Sessions of one instrument that follow each other and were never collected together are counted: an ex-date
    between them cannot be seen.
    """
    who = find_column(frame, step.instrument) or ""
    rows = _readable(frame, step).sort(_WHO, _AT, _DAY, FILE, ROW)
    last = rows.select(pl.struct(_WHO, _AT, _DAY).is_last_distinct()).to_series()
    tally.note("dropped", "same session twice in one collection", rows.filter(~last), who)
    rows = rows.filter(last)
    later = {name: pl.col(name).shift(-1).over(_WHO, _AT) for name in (_DAY, _FACTOR, _CLOSE, _VOLUME)}
    rows = rows.with_columns(expr.alias(f"{name}_next") for name, expr in later.items())
    alone = pl.col(f"{_DAY}_next").is_null()
    tally.note("dropped", "last session of its collection", rows.filter(alone), "")
    pairs = rows.filter(~alone)
    _note_gaps(rows, pairs, tally, who)

    factor = pl.col(_FACTOR) / pl.col(f"{_FACTOR}_next")
    real = ((factor - 1).abs() > step.tolerance).fill_null(False) & factor.is_finite() & (factor > 0)
    tally.note("dropped", "no adjustment", pairs.filter(~real), "")
    found = pairs.filter(real).with_columns(factor.alias("factor"), pl.col(f"{_DAY}_next").alias("ex_date"))
    move = (pl.col(f"{_CLOSE}_next") / pl.col(_CLOSE)).log()
    log_factor = pl.col("factor").log()
    against = (
        (log_factor.abs() > step.judge_beyond)
        & ((move - log_factor).abs() > move.abs())
        & (pl.col(f"{_VOLUME}_next") > 0)
    )
    contradicted = pl.when(against).then(pl.lit("factor contradicted by the prices"))
    return found.with_columns(contradicted.alias(REFUSED)).select(*frame.columns, "ex_date", "factor", REFUSED)


def _note_gaps(rows: pl.DataFrame, pairs: pl.DataFrame, tally: Tally, who: str) -> None:
    sessions = rows.unique([_WHO, _DAY], maintain_order=True).sort(_WHO, _DAY)
    following = sessions.with_columns(pl.col(_DAY).shift(-1).over(_WHO).alias(f"{_DAY}_next"))
    following = following.filter(pl.col(f"{_DAY}_next").is_not_null())
    unseen = following.join(pairs, on=[_WHO, _DAY, f"{_DAY}_next"], how="anti")
    tally.note("noted", "sessions never collected together, an ex-date between them is unseen", unseen, who)


def _readable(frame: pl.DataFrame, step: Collected) -> pl.DataFrame:
    def column(name: str) -> tuple[pl.Expr, pl.DataType]:
        found = find_column(frame, name) or name
        return pl.col(found), frame.schema[found]

    def number(name: str) -> pl.Expr:
        return to_number(*column(name), _PLAIN)

    close = pl.when(number(step.close) > 0).then(number(step.close))
    adjusted = pl.when(number(step.adjusted_close) > 0).then(number(step.adjusted_close))
    return frame.with_columns(
        column(step.instrument)[0].cast(pl.String).alias(_WHO),
        to_day(*column(step.date), _PLAIN).alias(_DAY),
        to_instant(*column(step.collected_at), _PLAIN).alias(_AT),
        close.alias(_CLOSE),
        (adjusted / close).alias(_FACTOR),
        number(step.volume).alias(_VOLUME),
    )
