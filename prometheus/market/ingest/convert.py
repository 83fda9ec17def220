"""Source cells to the types of a contract: text, numbers, days, instants, flags.

Every conversion yields null for what it cannot read; the caller compares with what was given and counts.
"""

from __future__ import annotations

import datetime as dt
import re

import polars as pl
import pyarrow as pa

from prometheus.errors import BadDataError
from prometheus.lake.contract import COUNT, DAY, FLAG, REAL, TEXT, UTC
from prometheus.market.ingest.model import ColumnRule
from prometheus.market.ingest.needs import PLACEHOLDER, find_name
from prometheus.market.ingest.tally import FILE, STEM

NOTHING = (
    "", "nan", "null", "none", "na", "n/a", "#n/a", "nat", "-", "--", ".", "?", "<na>", "n.a.", "nil", "missing",
    "(null)", "\\n", "#value!", "#div/0!", "#ref!", "#name?", "#num!", "#null!",
)  # fmt: skip
"""What stands for an empty cell where a number, day or instant is expected, whatever its case."""

NO_TEXT = (
    "", "nan", "NaN", "null", "NULL", "None", "none", "NaT", "<NA>", "#N/A", "n/a", "N/A", "-", "--", "(null)", "\\N",
    "#VALUE!", "#DIV/0!", "#REF!", "#NAME?", "#NUM!", "#NULL!",
)  # fmt: skip
"""The same where text is expected, in the case programs write it: NA and NAN are tickers."""

UTC_MICROSECONDS = pl.Datetime("us", "UTC")
END_OF_DAY = pl.duration(hours=23, minutes=59, seconds=59)
"""A day without a time is over only at its end, so it never counts as known before."""

NAIVE, WHOLE_DAY = "naive", "whole day"
"""What an instant lacks: a zone, or a time of day as well."""

_POLARS: dict[pa.DataType, pl.DataType] = {
    TEXT: pl.String(),
    REAL: pl.Float64(),
    COUNT: pl.Int64(),
    FLAG: pl.Boolean(),
    DAY: pl.Date(),
    UTC: UTC_MICROSECONDS,
}
_THOUSANDS = {".": r"^[+-]?\d{1,3}(,\d{3})+(\.\d*)?$", ",": r"^[+-]?\d{1,3}(\.\d{3})+(,\d*)?$"}
_SPACED = r"^[+-]?\d{1,3}([ '\x{2019}\x{a0}\x{2009}\x{202f}]\d{3})+([.,]\d*)?$"
_EPOCH_LIMIT = {"s": 1e11, "ms": 1e14, "us": 1e17, "ns": 9e18}
_UPPER = ("language", "currency", "country")


def polars_type(arrow: pa.DataType) -> pl.DataType:
    """Polars type of a contract's Arrow type."""
    return _POLARS[arrow]


def find_column(frame: pl.DataFrame, name: str) -> str | None:
    """The frame's column of that name, else the only one that differs in case alone."""
    return find_name(frame.columns, name)


def number_of(column: str) -> str:
    """Name of the column that holds the numbers of a text column, where they were read already."""
    return f"__number {column}"


def dated_of(column: str) -> str:
    """Name of the column that holds a text column's dates written year first, where it writes them otherwise."""
    return f"__dated {column}"


def unsure_of(column: str) -> str:
    """Name of the flag of dates whose day and month cannot be told apart."""
    return f"__unsure {column}"


def as_read(frame: pl.DataFrame, column: str, rule: ColumnRule, arrow: pa.DataType) -> str:
    """Name of the column to convert: what :mod:`.notation` made of a text column, where the rule leaves that open."""
    plain = not (rule.renames or rule.otherwise is not None or rule.strip_suffix)
    if arrow in (REAL, COUNT) and rule.decimal is None and plain and number_of(column) in frame.columns:
        return number_of(column)
    if arrow in (DAY, UTC) and leaves_dates_open(rule) and plain and dated_of(column) in frame.columns:
        return dated_of(column)
    return column


def leaves_dates_open(rule: ColumnRule) -> bool:
    """Whether a rule does not say how its dates are written."""
    return not rule.formats and rule.unit is None


def mapped(frame: pl.DataFrame, rule: ColumnRule, arrow: pa.DataType, target: str) -> tuple[pl.Expr, pl.Expr] | None:
    """Value of a target column and whether the source gave any, or None when no source column is there.

    Parameters
    ----------
    frame : polars.DataFrame
        Source rows after the steps.
    rule : ColumnRule
    arrow : pyarrow.DataType
        Type of the contract's column.
    target : str
        Name of the contract's column.

    Returns
    -------
    value, given : polars.Expr
        ``given`` and a null value together mean: unreadable.
    """
    if rule.value is not None:
        return _constant(rule, arrow, target), pl.lit(True)
    if rule.template is not None:
        filled = _filled(frame, rule.template)
        return None if filled is None else (_shaped(filled, pl.String(), rule, arrow, target), filled.is_not_null())
    found = [c for c in (find_column(frame, name) for name in rule.columns) if c is not None]
    if not found:
        return None
    types = frame.schema
    read = [as_read(frame, c, rule, arrow) for c in found]
    values = [_shaped(pl.col(c), types[c], rule, arrow, target) for c in read]
    given = [_is_given(pl.col(c), types[c], arrow) for c in found]
    return pl.coalesce(values), pl.any_horizontal(given)


def _constant(rule: ColumnRule, arrow: pa.DataType, target: str) -> pl.Expr:
    value = rule.value
    if isinstance(value, str) and arrow in (DAY, UTC):
        read = to_day if arrow == DAY else to_instant
        series = pl.select(read(pl.lit(value), pl.String(), rule)).to_series()
        if series.null_count():
            raise BadDataError(f"the map gives {target} the constant {value!r}, which is no date; write YYYY-MM-DD")
        value = series[0]
    elif arrow == UTC and isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime.combine(value, dt.time(23, 59, 59), dt.UTC)
    return pl.lit(value).cast(_POLARS[arrow])


def _filled(frame: pl.DataFrame, template: str) -> pl.Expr | None:
    names = PLACEHOLDER.findall(template)
    own = {"stem": STEM, "file": FILE}
    columns = [own.get(name) or find_column(frame, name) for name in names]
    if any(c is None for c in columns):
        return None
    parts = [
        pl.col(str(c)) if c in (STEM, FILE) else to_text(pl.col(str(c)), frame.schema[str(c)], "") for c in columns
    ]
    return pl.format(PLACEHOLDER.sub("{}", template), *parts) if parts else pl.lit(template)


def _is_given(column: pl.Expr, dtype: pl.DataType, arrow: pa.DataType) -> pl.Expr:
    if dtype == pl.Null:
        return pl.lit(False)
    if dtype.is_float():
        return column.is_not_null() & column.is_not_nan()
    if dtype != pl.String:
        return column.is_not_null()
    text = column.str.strip_chars()
    return ~(text.is_in(NO_TEXT) if arrow == TEXT else text.str.to_lowercase().is_in(NOTHING)).fill_null(True)


def _shaped(
    column: pl.Expr, dtype: pl.DataType | type[pl.DataType], rule: ColumnRule, arrow: pa.DataType, target: str
) -> pl.Expr:
    kind = dtype() if isinstance(dtype, type) else dtype
    if isinstance(kind, (pl.Categorical, pl.Enum)):
        column, kind = column.cast(pl.String), pl.String()
    if is_plain(kind) and (rule.renames or rule.otherwise is not None or rule.strip_suffix):
        column, kind = column.cast(pl.String).str.strip_chars().str.strip_suffix(rule.strip_suffix), pl.String()
        if rule.otherwise is not None:
            other = pl.when(column.is_not_null()).then(pl.lit(rule.otherwise))
            column = column.replace_strict(dict(rule.renames), default=other, return_dtype=pl.String)
        else:
            column = column.replace(dict(rule.renames))
    if kind == pl.Null:
        return pl.lit(None, dtype=_POLARS[arrow])
    if arrow == TEXT:
        return to_text(column, kind, target)
    if arrow == DAY:
        return to_day(column, kind, rule)
    if arrow == UTC:
        return to_instant(column, kind, rule)
    if arrow == FLAG:
        return to_flag(column, kind)
    number = to_number(column, kind, rule) * rule.scale if rule.scale != 1.0 else to_number(column, kind, rule)
    return number.cast(_POLARS[arrow], strict=False)


def is_plain(dtype: pl.DataType) -> bool:
    """Whether values of a type can be written as text."""
    kinds = (pl.String, pl.Boolean, pl.Date, pl.Datetime, pl.Time, pl.Categorical, pl.Enum)
    return dtype.is_numeric() or isinstance(dtype, kinds)


def to_text(column: pl.Expr, dtype: pl.DataType, target: str) -> pl.Expr:
    """Text without blanks around it; what stands for nothing is null; codes are upper-case, a language bare."""
    if not is_plain(dtype):
        return pl.lit(None, dtype=pl.String)
    text = column.cast(pl.String).str.strip_chars()
    text = pl.when(~text.is_in(NO_TEXT)).then(text) if dtype == pl.String else text
    if target == "language":
        text = text.str.replace(r"[-_].*$", "")
    return text.str.to_uppercase() if target in _UPPER else text


def to_number(column: pl.Expr, dtype: pl.DataType, rule: ColumnRule) -> pl.Expr:
    """Float64; NaN is null, infinities stay for the caller to count."""
    if dtype == pl.String:
        text = column.str.strip_chars()
        text = pl.when(~text.str.to_lowercase().is_in(NOTHING)).then(text)
        text = without_spaces(text)
        decimal = rule.decimal or "."
        group, mark = (",", ".") if decimal == "." else (".", ",")
        grouped = text.str.contains(_THOUSANDS[decimal])
        text = pl.when(grouped).then(text.str.replace_all(group, "", literal=True)).otherwise(text)
        # A point that is left is no decimal mark here and groups nothing: not a number.
        text = text if mark == "." else pl.when(~text.str.contains(".", literal=True)).then(text)
        column = text if mark == "." else text.str.replace(mark, ".", literal=True)
    elif not (dtype.is_numeric() or dtype == pl.Boolean):
        return pl.lit(None, dtype=pl.Float64)
    return column.cast(pl.Float64, strict=False).fill_nan(None)


def without_spaces(text: pl.Expr) -> pl.Expr:
    """Text without the blanks or apostrophes that group the thousands of a number."""
    return pl.when(text.str.contains(_SPACED)).then(text.str.replace_all(r"[^0-9.,+-]", "")).otherwise(text)


def to_day(column: pl.Expr, dtype: pl.DataType, rule: ColumnRule) -> pl.Expr:
    """Date; of an instant, the date in the rule's zone, or as written where the rule names none.

    Text without a format must put the year first.
    """
    if dtype == pl.Date:
        return column
    if isinstance(dtype, pl.Datetime):
        return (column.dt.convert_time_zone(rule.zone) if dtype.time_zone and rule.timezone else column).dt.date()
    if rule.unit is not None and (dtype.is_numeric() or dtype == pl.String):
        return to_instant(column, dtype, rule).dt.convert_time_zone(rule.zone).dt.date()
    if dtype.is_numeric():
        column, dtype = column.cast(pl.Int64, strict=False).cast(pl.String), pl.String()
    elif dtype != pl.String:
        return pl.lit(None, dtype=pl.Date)
    text = column.str.strip_chars()
    if rule.formats:
        return pl.coalesce(text.str.to_date(written, strict=False) for written in rule.formats)
    instant = to_instant(text, dtype, rule)
    if rule.timezone is None:
        own = _plain_day(text.str.extract(r"^(\d{4}-\d{1,2}-\d{1,2})[T ] *\d", 1))
        local = pl.when(instant.is_not_null()).then(own)
    else:
        has_time = text.str.contains(r"^\d{4}-\d{1,2}-\d{1,2}[T ] *\d")
        local = pl.when(has_time).then(instant.dt.convert_time_zone(rule.zone).dt.date())
    return pl.coalesce(_plain_day(text), local)


def _plain_day(text: pl.Expr) -> pl.Expr:
    day = pl.coalesce(
        text.str.to_date("%Y-%m-%d", strict=False),
        pl.when(text.str.contains(r"^\d{8}$")).then(text).str.to_date("%Y%m%d", strict=False),
        text.str.to_date("%Y/%m/%d", strict=False),
    )
    # A year of two digits would be read as one of the first century.
    return pl.when(day.dt.year() >= 1000).then(day)


def to_instant(column: pl.Expr, dtype: pl.DataType, rule: ColumnRule) -> pl.Expr:
    """UTC in microseconds. A day without a time becomes 23:59:59 of that day in the rule's zone."""
    if isinstance(dtype, pl.Datetime):
        zoned = column if dtype.time_zone else _in_zone(column, rule.zone)
        return zoned.dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    if dtype == pl.Date:
        return _in_zone(column.cast(pl.Datetime("us")) + END_OF_DAY, rule.zone)
    if dtype.is_numeric():
        return _counted(column, rule)
    if dtype != pl.String:
        return pl.lit(None, dtype=UTC_MICROSECONDS)
    text = column.str.strip_chars()
    if rule.unit is not None:
        return pl.coalesce(_counted(text.cast(kind, strict=False), rule) for kind in (pl.Int64, pl.Float64))
    if rule.formats:
        return pl.coalesce(_formatted(text, written, rule) for written in rule.formats)
    iso = text.str.replace(r"^(\d{4}-\d{1,2}-\d{1,2}) +", "${1}T").str.replace(r" ?(Z|UTC|GMT)$", "+00:00")
    iso = iso.str.replace(r"^([^T]{8,10}T\d{1,2}:\d{2})($|[+-])", "${1}:00${2}")
    zoned = iso.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", strict=False).dt.convert_time_zone("UTC")
    naive = iso.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)
    whole_day = to_instant(_plain_day(text), pl.Date(), rule)
    return pl.coalesce(zoned, _in_zone(naive, rule.zone), whole_day)


def _formatted(text: pl.Expr, written: str, rule: ColumnRule) -> pl.Expr:
    if "%z" in written or "%#z" in written:
        return text.str.to_datetime(written, time_unit="us", strict=False).dt.convert_time_zone("UTC")
    if not re.search(r"%[HIcTRsX]", written):
        return to_instant(text.str.to_date(written, strict=False), pl.Date(), rule)
    return _in_zone(text.str.to_datetime(written, time_unit="us", strict=False), rule.zone)


def _counted(column: pl.Expr, rule: ColumnRule) -> pl.Expr:
    """Instants of an epoch count; a count out of reach of the unit is null instead of overflowing."""
    if rule.unit is None:
        return pl.lit(None, dtype=UTC_MICROSECONDS)
    column = pl.when(column.abs() < _EPOCH_LIMIT[rule.unit]).then(column)
    counted = (column * 1000 if rule.unit == "s" else column).cast(pl.Int64, strict=False)
    unit = "ms" if rule.unit == "s" else rule.unit
    return counted.cast(pl.Datetime(unit)).dt.replace_time_zone("UTC").dt.cast_time_unit("us")


def zone_of(frame: pl.DataFrame, column: str, rule: ColumnRule) -> pl.Expr | None:
    """Which instants of a column name no zone: NAIVE, WHOLE_DAY for days without a time, null for the others."""
    dtype = frame.schema[column]
    cell = pl.col(column)
    if isinstance(dtype, pl.Datetime):
        return None if dtype.time_zone else pl.when(cell.is_not_null()).then(pl.lit(NAIVE))
    if dtype == pl.Date:
        return pl.when(cell.is_not_null()).then(pl.lit(WHOLE_DAY))
    if dtype != pl.String:
        return None
    text = cell.str.strip_chars()
    if rule.formats:
        kinds = []
        for written in rule.formats:
            fits = text.str.to_datetime(written, strict=False).is_not_null()
            fits |= text.str.to_date(written, strict=False).is_not_null()
            timed = re.search(r"%[HIcTRsX]", written) is not None
            kinds.append(pl.when(fits).then(pl.lit("" if "z" in written else NAIVE if timed else WHOLE_DAY)))
        return pl.coalesce(kinds)
    zoned = text.str.contains(r"\d ?(Z|UTC|GMT|[+-]\d{2}:?(\d{2})?)$") & text.str.contains(":", literal=True)
    has_time = text.str.contains(":", literal=True)
    return pl.when(has_time & ~zoned).then(pl.lit(NAIVE)).when(~has_time).then(pl.lit(WHOLE_DAY))


def to_flag(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Boolean from true/false, yes/no, y/n, t/f and 1/0."""
    if dtype == pl.Boolean:
        return column
    if not is_plain(dtype):
        return pl.lit(None, dtype=pl.Boolean)
    words = {"true": True, "t": True, "yes": True, "y": True, "1": True, "1.0": True}
    words |= {"false": False, "f": False, "no": False, "n": False, "0": False, "0.0": False}
    text = column.cast(pl.String).str.strip_chars().str.to_lowercase()
    return text.replace_strict(words, default=None, return_dtype=pl.Boolean)


def _in_zone(naive: pl.Expr, zone: str) -> pl.Expr:
    local = naive.dt.replace_time_zone(zone, ambiguous="latest", non_existent="null")
    return local.dt.convert_time_zone("UTC").dt.cast_time_unit("us")
