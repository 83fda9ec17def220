"""What the values of a column look like, whatever its name says."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

import polars as pl

from prometheus.lake.contract import UTC
from prometheus.market.ingest.convert import (
    NO_TEXT,
    NOTHING,
    as_read,
    number_of,
    to_day,
    to_instant,
    unsure_of,
)
from prometheus.market.ingest.model import ColumnRule, EpochUnit
from prometheus.market.ingest.notation import read_dates, read_numbers
from prometheus.market.ingest.tally import FILE, Tally

Kind = Literal["empty", "day", "instant", "number", "flag", "id", "word", "text", "list", "other"]

SAMPLE = 20_000
"""Rows a column is judged by; dates of text are judged by all of them."""

_MOST = 0.9
"""Share of the filled cells that must be of a kind."""
_FIRST, _LAST = dt.date(1900, 1, 1), dt.date(2100, 1, 1)
_EPOCHS: tuple[tuple[EpochUnit, float, float], ...] = (
    ("s", 1.5e8, 4.2e9), ("ms", 1.5e11, 4.2e12), ("us", 1.5e14, 4.2e15), ("ns", 1.5e17, 4.2e18),
)  # fmt: skip
_FORMATS = (
    "%d-%b-%y", "%d%b%Y", "%d%b%y", "%b-%d-%y", "%d/%m/%y", "%m/%d/%y", "%y/%m/%d", "%d.%m.%y", "%m-%d-%y", "%d-%m-%y",
    "%y-%m-%d",
    "%Y%m%d%H%M%S", "%Y%m%dT%H%M%S", "%Y%m%dT%H%M%SZ", "%Y%m%d %H:%M:%S", "%d/%m/%y %H:%M", "%m/%d/%y %H:%M",
)  # fmt: skip
_TICKER = r"^[\^$]?[A-Z0-9]{1,6}([.\-/=][A-Z0-9]{1,4})?$"


@dataclass(frozen=True)
class Look:
    """What a column looks like.

    Attributes
    ----------
    kind : str
        ``id`` is a short word without blanks in upper case or digits, ``word`` a short text that repeats, ``text`` any
        other text.
    filled : int
        Cells that hold something.
    different : int
        Different values among the rows looked at.
    format : str
        Of dates that need one.
    unit : str
        Of instants that count from 1970.
    unsure : bool
        Whether day and month cannot be told apart.
    zoned : bool
        Whether every instant names its offset.
    timed : bool
        Whether instants have a time of day.
    example : str
    """

    kind: Kind
    filled: int = 0
    different: int = 0
    format: str = ""
    unit: EpochUnit | None = None
    unsure: bool = False
    zoned: bool = False
    timed: bool = False
    example: str = ""


def look_at(rows: pl.DataFrame, column: str, dated: bool) -> Look:
    """Judge a column.

    Parameters
    ----------
    rows : polars.DataFrame
        With FILE.
    column : str
    dated : bool
        Whether its name is one of a date: numbers are then tried as dates first.
    """
    series = rows[column]
    dtype = series.dtype
    if isinstance(dtype, (pl.Categorical, pl.Enum)):
        rows, dtype = rows.with_columns(pl.col(column).cast(pl.String)), pl.String()
        series = rows[column]
    filled, sample, example = _filled(series)
    if not filled:
        return Look("empty")
    different = sample.n_unique() if not dtype.is_nested() else 0
    if dtype == pl.Date:
        return Look("day", filled, different, example=example)
    if isinstance(dtype, pl.Datetime):
        timed = bool((sample.dt.time() != dt.time(0)).any())
        return Look("instant", filled, different, zoned=dtype.time_zone is not None, timed=timed, example=example)
    if dtype == pl.Boolean:
        return Look("flag", filled, different, example=example)
    if isinstance(dtype, pl.List):
        return Look("list", filled, different, example=example)
    if dtype.is_numeric():
        kind, unit = _number_as_date(sample, dated)
        return Look(kind, filled, different, unit=unit, timed=unit is not None, zoned=True, example=example)
    if dtype != pl.String:
        return Look("other", filled, different, example=example)
    return _look_at_text(rows, column, sample, filled, different, dated, example)


def _filled(series: pl.Series) -> tuple[int, pl.Series, str]:
    kept = series.drop_nulls()
    if kept.dtype == pl.String:
        kept = kept.filter(~kept.str.strip_chars().is_in(list(NO_TEXT)))
    if kept.dtype.is_float():
        kept = kept.drop_nans()
    count = len(kept)
    sample = kept.gather_every(max(1, count // SAMPLE)) if count else kept
    return count, sample, "" if not count else str(sample[0])[:60]


def _number_as_date(sample: pl.Series, dated: bool) -> tuple[Kind, EpochUnit | None]:
    """Numbers that are days (20240102), or count from 1970; only a name that is one of a date makes them one."""
    if not dated:
        return "number", None
    whole = sample.cast(pl.Float64)
    days = pl.select(to_day(pl.lit(sample), sample.dtype, ColumnRule())).to_series()
    if _share(days.is_between(_FIRST, _LAST)) >= _MOST:
        return "day", None
    for unit, low, high in _EPOCHS:
        if _share(whole.is_between(low, high)) >= _MOST:
            return "instant", unit
    return "number", None


def _share(mask: pl.Series) -> float:
    return float(mask.sum() or 0) / max(1, len(mask))


def _look_at_text(
    rows: pl.DataFrame, column: str, sample: pl.Series, filled: int, different: int, dated: bool, example: str
) -> Look:
    text = sample.str.strip_chars()
    if _share(text.str.contains(r"\d")) >= _MOST and (dated or _share(text.str.contains(r"\d[-/.: ]\w")) >= _MOST):
        found = _dates(rows, column, filled, different, dated, example)
        if found is not None:
            return found
    frame = pl.DataFrame({FILE: pl.repeat("", len(text), eager=True), column: text})
    numbers = read_numbers(frame, [column], Tally())[number_of(column)]
    nothing = text.str.to_lowercase().is_in(list(NOTHING))
    if _share((numbers.is_not_null() | nothing) & text.is_not_null()) >= _MOST and not nothing.all():
        if dated and (unit := _number_as_date(numbers.drop_nulls(), True)[1]) is not None:
            return Look("instant", filled, different, unit=unit, zoned=True, timed=True, example=example)
        return Look("number", filled, different, example=example)
    if _share(text.str.contains(_TICKER)) >= _MOST:
        return Look("id", filled, different, example=example)
    blanks = text.str.contains(" ", literal=True)
    if _share(text.str.len_chars() > 60) > 0.5 or (_share(blanks) > 0.5 and different > len(sample) / 2):
        return Look("text", filled, different, example=example)
    return Look("word", filled, different, example=example)


def _dates(rows: pl.DataFrame, column: str, filled: int, different: int, dated: bool, example: str) -> Look | None:
    """Look of a text column of dates, or None where it holds none."""
    cells = rows.select(FILE, column).filter(pl.col(column).is_not_null()).unique(maintain_order=True)
    read = read_dates(cells, column, Tally())
    rule = ColumnRule(columns=(column,))
    source = as_read(read, column, rule, UTC)
    text = pl.col(source).str.strip_chars()
    got = read.select(
        day=to_day(text, pl.String(), rule),
        instant=to_instant(text, pl.String(), rule),
        timed=text.str.contains(":", literal=True),
        zoned=text.str.contains(r":\d{2}(\.\d+)? ?(Z|UTC|GMT|[+-]\d{2}:?(\d{2})?)$"),
    )
    unsure = _share(read[unsure_of(column)]) if unsure_of(column) in read.columns else 0.0
    good = _share(got["day"].is_between(_FIRST, _LAST) & got["instant"].is_not_null())
    if good + unsure >= _MOST:
        if _share(got["timed"]) > 0.5:
            zoned = _share(got["zoned"]) == 1.0
            return Look("instant", filled, different, unsure=unsure > 0, zoned=zoned, timed=True, example=example)
        return Look("day", filled, different, unsure=unsure > 0, example=example)
    if not dated:
        return None
    words = cells[column].str.strip_chars()
    fits = []
    for written in _FORMATS:
        parsed = (
            words.str.to_datetime(written, strict=False)
            if "%H" in written
            else words.str.to_date(written, strict=False)
        )
        if _share(parsed.cast(pl.Date).is_between(_FIRST, _LAST)) >= _MOST:
            fits.append(written)
    if not fits:
        return None
    timed = "%H" in fits[0]
    return Look(
        "instant" if timed else "day",
        filled,
        different,
        format=fits[0] if len(fits) == 1 else "",
        unsure=len(fits) > 1,
        timed=timed,
        zoned=fits[0].endswith("Z"),
        example=example,
    )
