"""One CSV: its lines as rows of text cells, and what is wrong with the lines that are none.

The fast reader does the work; the skeleton of the file (:mod:`.records`) says which lines it filled up or must not
be trusted with. A line is dropped when it holds nothing or is the header again, and refused when it has other cells
than the header: which cell is missing or too many, nobody can say.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prometheus.errors import BadDataError
from prometheus.market.ingest.content import Content, fast_source, refuse_encoding
from prometheus.market.ingest.layout import TICKER, Layout
from prometheus.market.ingest.records import cell_counts, every_record, quotes_are_sound
from prometheus.market.ingest.tally import CELL, DROPPED, REFUSED, ROW

TOO_SHORT, TOO_LONG = "the line has fewer cells than the header", "the line has more cells than the header"
CUT, NUL = "the last line is cut short", "the line holds NUL bytes"
BLANK, AGAIN, NO_VALUE = "the line is blank", "the line is the header again", "no value for the ticker on this line"
OPEN_END = "last line without a line end, taken as it stands; the file may be cut short"


def read_csv(content: Content, layout: Layout) -> pl.DataFrame:
    """Rows of a CSV: text cells, ROW, and where needed REFUSED, DROPPED and CELL.

    Raises
    ------
    BadDataError
        When the text is not UTF-8, a quote is never closed, or no line has the header's number of cells.
    """
    width = len(layout.names)
    sound = quotes_are_sound(content.raw, layout.separator, layout.start)
    frame = _fast(content, layout) if sound else None
    counts: NDArray[np.int64] | None = None
    if frame is None:
        frame, counts = _mended(content, layout, sound)
    elif frame.height and frame[:, -1].null_count():
        counts = cell_counts(content.raw, layout.separator, layout.start)
        if len(counts) != frame.height:
            frame, counts = _mended(content, layout, sound=False)
    frame = frame.with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias(ROW))
    frame = _judged(frame, layout, counts, content)
    if layout.tickers:
        return _long(frame, layout)
    made = [n for n in frame.columns if n in layout.unnamed or (n in frame.columns[width:] and n.startswith("cell "))]
    return frame.drop([n for n in made if frame[n].null_count() == frame.height])


def _fast(content: Content, layout: Layout) -> pl.DataFrame | None:
    """Read the file as it lies there, or None when its lines have too many cells or are otherwise odd."""
    try:
        if content.as_stored and layout.on_top:
            frame = pl.read_csv(fast_source(content.path), infer_schema=False, separator=layout.separator, glob=False)
        else:
            body = _under_a_header(content, layout, len(layout.names))
            frame = pl.read_csv(body, infer_schema=False, separator=layout.separator)
    except pl.exceptions.NoDataError:
        return pl.DataFrame(schema=dict.fromkeys(layout.columns, pl.String))
    except pl.exceptions.PolarsError:
        return None
    if frame.width != len(layout.names):
        return None
    frame.columns = list(layout.columns)
    return frame


def _under_a_header(content: Content, layout: Layout, width: int) -> bytes:
    header = layout.separator.join(f"c{i}" for i in range(width))
    return header.encode() + b"\n" + content.raw[layout.start :].removeprefix(codecs.BOM_UTF8)


def _mended(content: Content, layout: Layout, sound: bool) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    """Read a file whose lines have too many cells, or whose quotes need a patient reader, into as many columns."""
    refuse_encoding(content)
    counts = cell_counts(content.raw, layout.separator, layout.start)
    width = max(len(layout.names), int(counts.max(initial=0)))
    names = _widened(layout.columns, width)
    if sound:
        try:
            body = _under_a_header(content, layout, width)
            frame = pl.read_csv(body, infer_schema=False, separator=layout.separator)
        except pl.exceptions.PolarsError:
            frame = pl.DataFrame()
        if frame.shape == (len(counts), width):
            frame.columns = names
            return frame, counts
    rows = every_record(content, layout.separator, layout.start)
    counts = np.array([max(len(row), 1) for row in rows], dtype=np.int64)
    width = max(len(layout.names), int(counts.max(initial=0)))
    columns = ([row[i] or None if i < len(row) else None for row in rows] for i in range(width))
    series = [pl.Series(n, c, dtype=pl.String) for n, c in zip(_widened(layout.columns, width), columns, strict=True)]
    return pl.DataFrame(series), counts


def _widened(names: Sequence[str], width: int) -> list[str]:
    return [*names, *(f"cell {i + 1}" for i in range(len(names), width))]


def _judged(frame: pl.DataFrame, layout: Layout, counts: NDArray[np.int64] | None, content: Content) -> pl.DataFrame:
    """Rows with DROPPED and REFUSED where some line is blank, the header again, or has the wrong number of cells."""
    names = [n for n in frame.columns if n != ROW]
    why_dropped: list[pl.Expr] = []
    why_refused: list[pl.Expr] = []
    rest_is_empty = pl.all_horizontal(pl.col(n).is_null() for n in names[1:]) if len(names) > 1 else pl.lit(True)
    blank = rest_is_empty & (pl.col(names[0]).str.strip_chars().fill_null("") == "")
    if frame.select(rest_is_empty.any()).item() and frame.select(blank.any()).item():
        why_dropped.append(pl.when(blank).then(pl.lit(BLANK)))
    if layout.headed and not layout.tickers:
        said = [(c, n) for c, n in zip(names, layout.names, strict=False) if n not in layout.unnamed]
        same = [pl.col(column).str.strip_chars() == name for column, name in said]
        if same and frame.select(same[0].any()).item():
            why_dropped.append(pl.when(pl.all_horizontal(same)).then(pl.lit(AGAIN)))
    if content.raw.find(b"\x00") >= 0:
        holds = pl.any_horizontal(pl.col(n).str.contains("\x00", literal=True) for n in names)
        why_refused.append(pl.when(holds).then(pl.lit(NUL)))
    if counts is not None and len(counts):
        why_refused += _by_cells(frame, layout, counts, content)
    if why_dropped:
        frame = frame.with_columns(pl.coalesce(why_dropped).alias(DROPPED))
    if why_refused:
        kept = pl.col(DROPPED).is_null() if why_dropped else pl.lit(True)
        frame = frame.with_columns(pl.when(kept).then(pl.coalesce(why_refused)).alias(REFUSED))
    return frame


def _by_cells(frame: pl.DataFrame, layout: Layout, counts: NDArray[np.int64], content: Content) -> list[pl.Expr]:
    """Refusals of lines that have other cells than the header; cells too many that are empty do no harm."""
    width = len(layout.names)
    extra = [n for n in frame.columns[width:] if n != ROW]
    long = pl.repeat(False, frame.height, eager=True)
    if extra:
        long = frame.select(pl.any_horizontal(pl.col(n).is_not_null() for n in extra)).to_series()
    named = max((i + 1 for i, n in enumerate(layout.names) if n not in layout.unnamed), default=width)
    short = pl.Series(counts) < named
    if frame.height and bool(long.all()):
        raise BadDataError(
            f"{content.name}: every line has more cells than the header ({', '.join(layout.names)}); correct the "
            "header, or name every column with header: [...] in the map"
        )
    reasons: list[pl.Expr] = []
    if short.any():
        open_end = content.raw[len(content.raw) - 1 :] not in (b"\n", b"\r")
        last = pl.int_range(pl.len()) == frame.height - 1
        cut = pl.when(last & pl.lit(open_end)).then(pl.lit(CUT)).otherwise(pl.lit(TOO_SHORT))
        reasons.append(pl.when(pl.lit(short)).then(cut))
    if long.any():
        reasons.append(pl.when(pl.lit(long)).then(pl.lit(TOO_LONG)))
    return reasons


def _long(frame: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """One row per line and ticker, of a file with a column per price field and ticker."""
    index = layout.names[0]
    carried = [index, ROW, *(c for c in (DROPPED, REFUSED) if c in frame.columns)]
    parts = []
    for ticker in dict.fromkeys(layout.tickers[1:]):
        places = [i for i, t in enumerate(layout.tickers) if t == ticker]
        fields = [pl.nth(i).alias(layout.names[i]) for i in places]
        parts.append(frame.select(*carried, pl.lit(ticker).alias(TICKER), *fields))
    rows = pl.concat(parts, how="diagonal")
    if len(parts) == 1:
        return rows
    values = [c for c in rows.columns if c not in (*carried, TICKER)]
    nothing = pl.all_horizontal(pl.col(c).is_null() for c in values) & pl.col(index).is_not_null()
    before = pl.col(DROPPED) if DROPPED in rows.columns else pl.lit(None, dtype=pl.String)
    dropped = pl.coalesce(before, pl.when(nothing).then(pl.lit(NO_VALUE)))
    return rows.with_columns(dropped.alias(DROPPED), pl.col(TICKER).alias(CELL)).sort(ROW, maintain_order=True)
