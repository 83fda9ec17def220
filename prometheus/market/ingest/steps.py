"""What reshapes source rows before their columns are mapped: choosing, exploding, unpivoting, first of a group."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import polars as pl

from prometheus.errors import BadDataError
from prometheus.market.ingest.convert import NOTHING, find_column, is_plain
from prometheus.market.ingest.model import (
    Adjustments,
    Explode,
    Feed,
    FirstBy,
    Step,
    Unpivot,
    VolumeAsTraded,
    Where,
)
from prometheus.market.ingest.notation import days_of
from prometheus.market.ingest.tally import FILE, STEM, Tally
from prometheus.market.ingest.versions import adjustments, as_traded


def apply_steps(frame: pl.DataFrame, feed: Feed, tally: Tally) -> pl.DataFrame:
    """Source rows after the feed's steps; rows dropped and added on the way are counted.

    Raises
    ------
    BadDataError
        When a step names a column the files do not have.
    """
    return reduce(lambda rows, step: _apply(rows, step, feed, tally), feed.steps, frame)


def _apply(frame: pl.DataFrame, step: Step, feed: Feed, tally: Tally) -> pl.DataFrame:
    if isinstance(step, Where):
        return _where(frame, step, feed, tally)
    if isinstance(step, Explode):
        return _explode(frame, step, feed, tally)
    if isinstance(step, Unpivot):
        return _unpivot(frame, step, feed, tally)
    if isinstance(step, FirstBy):
        return _first_by(frame, step, feed, tally)
    names = (step.instrument, step.date, step.close, step.adjusted_close, step.volume, step.collected_at)
    _columns(frame, names, feed)
    if isinstance(step, VolumeAsTraded):
        return as_traded(frame, step, tally)
    assert isinstance(step, Adjustments)
    return adjustments(frame, step, tally)


def _where(frame: pl.DataFrame, step: Where, feed: Feed, tally: Tally) -> pl.DataFrame:
    (column,) = _columns(frame, (step.column,), feed)
    cell = pl.col(column)
    if step.values and not is_plain(frame.schema[column]):
        raise BadDataError(f"{feed.name}: {column} holds lists or objects, so its values cannot be chosen by where")
    if step.values:
        wanted = cell.cast(pl.String).str.strip_chars().is_in(step.values).fill_null(False)
        reason = f"{step.column} is not {' or '.join(step.values)}"
    else:
        wanted = cell.is_not_null()
        if frame.schema[column] == pl.String:
            wanted &= ~cell.str.strip_chars().str.to_lowercase().is_in(NOTHING).fill_null(True)
        reason = f"{step.column} is empty"
    tally.note("dropped", reason, frame.filter(~wanted), "")
    return frame.filter(wanted)


def _explode(frame: pl.DataFrame, step: Explode, feed: Feed, tally: Tally) -> pl.DataFrame:
    (column,) = _columns(frame, (step.column,), feed)
    if frame.schema[column] == pl.String:
        if step.separator is None:
            raise BadDataError(f"{feed.name}: {column} holds text; give explode a separator to cut it at")
        cut = pl.col(column).str.split(step.separator).list.eval(pl.element().str.strip_chars())
        frame = frame.with_columns(cut.list.eval(pl.element().filter(pl.element() != "")))
    elif not isinstance(frame.schema[column], pl.List):
        raise BadDataError(f"{feed.name}: {column} holds neither lists nor text, so it cannot be exploded")
    some = pl.col(column).list.drop_nulls().list.len().fill_null(0) > 0
    tally.note("dropped", f"no entry in {step.column}", frame.filter(~some), "")
    kept = frame.filter(some)
    out = kept.with_columns(pl.col(column).list.drop_nulls().list.unique(maintain_order=True)).explode(column)
    tally.added += out.height - kept.height
    return out


def _unpivot(frame: pl.DataFrame, step: Unpivot, feed: Feed, tally: Tally) -> pl.DataFrame:
    columns = _columns(frame, tuple(c for c, _ in step.columns), feed)
    labels = {column: label for column, (_, label) in zip(columns, step.columns, strict=True)}
    kept = [c for c in frame.columns if c not in labels]
    try:
        out = frame.unpivot(on=columns, index=kept, variable_name=step.name, value_name=step.value)
    except pl.exceptions.PolarsError:
        kinds = ", ".join(f"{c} {frame.schema[c]}" for c in columns)
        raise BadDataError(
            f"{feed.name}: unpivot cannot put these into one column: {kinds}; give each kind a feed"
        ) from None
    out = out.with_columns(pl.col(step.name).replace(labels))
    tally.added += out.height - frame.height
    empty = pl.col(step.value).is_null()
    if out.schema[step.value] == pl.String:
        empty |= pl.col(step.value).str.strip_chars().str.to_lowercase().is_in(NOTHING)
    elif out.schema[step.value].is_float():
        empty |= pl.col(step.value).is_nan()
    for label in labels.values():
        tally.note("dropped", f"{label} is empty", out.filter(empty & (pl.col(step.name) == label)), "")
    return out.filter(~empty)


def _first_by(frame: pl.DataFrame, step: FirstBy, feed: Feed, tally: Tally) -> pl.DataFrame:
    own = {"stem": STEM, "file": FILE}
    keys = [own[k] if k in own else _columns(frame, (k,), feed)[0] for k in step.keys]
    ordered = frame
    if step.order is not None:
        (order,) = _columns(frame, (step.order,), feed)
        ordered = frame.sort(days_of(frame, order, step.format), nulls_last=True, maintain_order=True)
    first = ordered.select(pl.struct(keys).is_first_distinct()).to_series()
    reason = f"another row of the same {', '.join(step.keys)}"
    tally.note("dropped", reason, ordered.filter(~first), keys[0])
    return ordered.filter(first)


def _columns(frame: pl.DataFrame, names: Sequence[str], feed: Feed) -> list[str]:
    found = [find_column(frame, name) for name in names]
    missing = [name for name, column in zip(names, found, strict=True) if column is None]
    if missing:
        has = ", ".join(c for c in frame.columns if not c.startswith("__"))
        raise BadDataError(
            f"{frame[FILE][0] if frame.height else feed.files} has no column {', '.join(missing)}, which the feed "
            f"{feed.name!r} needs (it has {has}); correct the file or the map"
        )
    return [c for c in found if c is not None]
