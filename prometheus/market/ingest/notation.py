"""How a file writes numbers and dates, found out where the map does not say.

1,234 and 03/04/2024 mean two things each. What they mean is known when other cells of the same file prove it: 1.234,5
has a decimal comma, 23/04/2024 puts the day first. Proof is taken from the file a cell stands in and never from
another, so that a cell means the same whatever is read beside it. What nothing proves is left unread, except that a
number without any proof has a decimal point, as everywhere else in computing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

import polars as pl

from prometheus.lake.contract import COUNT, DAY, REAL, UTC, TableContract
from prometheus.market.ingest.convert import (
    NOTHING,
    as_read,
    dated_of,
    find_column,
    leaves_dates_open,
    number_of,
    to_day,
    unsure_of,
    without_spaces,
)
from prometheus.market.ingest.model import ColumnRule, Feed, FirstBy
from prometheus.market.ingest.tally import FILE, Tally

_COMMA_PROOF = r"^[+-]?(\d{1,3}(\.\d{3})+,\d*|\d*,\d{1,2}|\d*,\d{4,}|\d{4,},\d*|0\d*,\d+|\d{1,3}(\.\d{3}){2,})$"
_POINT_PROOF = (
    r"^[+-]?(\d{1,3}(,\d{3})+\.\d*|\d*\.\d{1,2}|\d*\.\d{4,}|\d{4,}\.\d*|0\d*\.\d+|\d{1,3}(,\d{3}){2,})([eE][+-]?\d+)?$"
)
_WITH_COMMA = r"^[+-]?(\d{1,3}(\.\d{3})+|\d*)(,\d*)?$"
_WITH_POINT = r"^[+-]?\d{1,3}(,\d{3})+(\.\d*)?$"
_SHAPE, _COMMA, _POINT, _BOTH = "__shape", ",", ".", "both"

_YEAR_FIRST = r"^\d{4}-\d{1,2}-\d{1,2}([T ]|$)|^\d{8}$|^\d{4}/\d{1,2}/\d{1,2}$"
_TIME = (
    r"(?:(?:[T ]|, ?)+(?P<h>\d{1,2}):(?P<m>\d{2})(?::(?P<s>\d{2})(?P<f>\.\d+)?)?"
    r" ?(?:(?P<half>[aApP])\.?[mM]\.?)? ?(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?$"
)
_WEEKDAY = r"(?i)^(mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur|sun)(day)?\.?,? +"
_NUMERIC = r"^(?P<a>\d{1,2})[-/. ](?P<b>\d{1,2})[-/. ](?P<y>\d{4})" + _TIME
_DAY_NAME = r"^(?P<d>\d{1,2})(?:st|nd|rd|th)?[-/. ]?(?P<n>[A-Za-z]{3,9})\.?,?[-/. ]?(?P<y>\d{4})" + _TIME
_NAME_DAY = r"^(?P<n>[A-Za-z]{3,9})\.?[-/. ]?(?P<d>\d{1,2})(?:st|nd|rd|th)?(?:, ?|[-/. ])(?P<y>\d{4})" + _TIME
_YEAR_NAME = r"^(?P<y>\d{4})[-/. ](?P<n>[A-Za-z]{3,9})[-/. ](?P<d>\d{1,2})" + _TIME
_YEAR_SLASH = r"^(?P<y>\d{4})[/.](?P<n>\d{1,2})[/.](?P<d>\d{1,2})" + _TIME
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_MONTH_OF = {name[:n]: f"{i:02d}" for i, name in enumerate(_MONTHS, start=1) for n in (3, len(name))}
_MONTH_OF |= (
    {"sept": "09"} | {str(i): f"{i:02d}" for i in range(1, 13)} | {f"{i:02d}": f"{i:02d}" for i in range(1, 10)}
)


def settle_notation(
    rows: pl.DataFrame, feed: Feed, declared: TableContract, tally: Tally, among: Collection[str]
) -> pl.DataFrame:
    """Rows with the columns ``convert.as_read`` looks for beside the text columns in ``among`` that rules read.

    Numbers come out as numbers, dates as text that puts the year first.
    """
    numbers = _text_columns(rows, feed, declared, (REAL, COUNT))
    rows = read_numbers(rows, [c for c in numbers if c in among], tally)
    for column in _text_columns(rows, feed, declared, (DAY, UTC)):
        if column in among:
            rows = read_dates(rows, column, tally)
    return rows


def _text_columns(rows: pl.DataFrame, feed: Feed, declared: TableContract, kinds: Iterable[object]) -> list[str]:
    """Text columns whose notation a rule of one of the types leaves open."""
    dates = DAY in kinds
    rules = [rule for name, rule in feed.columns.items() if declared.column(name).type in kinds]
    names = [c for rule in rules if (leaves_dates_open(rule) if dates else rule.decimal is None) for c in rule.columns]
    if dates:
        instant = feed.known_at.rule
        names += instant.columns if instant is not None and leaves_dates_open(instant) else ()
        names += [s.order for s in feed.steps if isinstance(s, FirstBy) and s.order is not None and s.format is None]
    found = (find_column(rows, name) for name in names)
    return [c for c in dict.fromkeys(found) if c is not None and rows.schema[c] == pl.String]


def read_numbers(rows: pl.DataFrame, columns: list[str], tally: Tally) -> pl.DataFrame:
    """Rows with a column of numbers beside each text column."""
    if not columns:
        return rows
    plain = rows.select(
        pl.col(c).str.strip_chars().cast(pl.Float64, strict=False).fill_nan(None).alias(number_of(c)) for c in columns
    )
    odd = {c: cells for c in columns if (cells := _odd_numbers(rows, plain, c)).height}
    rows = rows.hstack(plain.get_columns())
    if not odd:
        return rows
    styles = _styles(rows, columns, odd)
    for column in columns:
        if column in odd or any(style != _POINT for style in styles[column].values()):
            rows = _restyled(rows, column, styles[column], tally)
    return rows


def _odd_numbers(rows: pl.DataFrame, plain: pl.DataFrame, column: str) -> pl.DataFrame:
    """Cells that hold something and are no plain number: FILE and the text."""
    numbers = plain[number_of(column)]
    if numbers.null_count() == rows[column].null_count():
        return pl.DataFrame()
    cells = rows.select(FILE, column).filter(numbers.is_null() & rows[column].is_not_null())
    cells = cells.select(FILE, without_spaces(pl.col(column).str.strip_chars()).alias(column))
    return cells.filter(~pl.col(column).str.to_lowercase().is_in(NOTHING))


def _styles(rows: pl.DataFrame, columns: list[str], odd: dict[str, pl.DataFrame]) -> dict[str, dict[str, str]]:
    """Decimal mark by column and file, of files that prove a decimal comma somewhere.

    Where other cells of the file prove a decimal point, only a column that proves nothing else is read with one; the
    rest is read cell by cell, because a single typing error must not turn 12,345 into 12.345.
    """
    commas = {c: _files(cells, c, _COMMA_PROOF) for c, cells in odd.items()}
    suspects = set().union(*commas.values())
    styles: dict[str, dict[str, str]] = {c: {} for c in columns}
    if not suspects:
        return styles
    some = rows.filter(pl.col(FILE).is_in(sorted(suspects)))
    points = {c: _files(some.select(FILE, pl.col(c).str.strip_chars()), c, _POINT_PROOF) for c in columns}
    for file in sorted(suspects):
        own = {c: {m for m, by in ((_COMMA, commas.get(c, set())), (_POINT, points[c])) if file in by} for c in columns}
        alone = not any(_POINT in proved for proved in own.values())
        for column in columns:
            styles[column][file] = _COMMA if alone else _POINT if own[column] == {_POINT} else _BOTH
    return styles


def _files(cells: pl.DataFrame, column: str, shape: str) -> set[str]:
    return set(cells.filter(pl.col(column).str.contains(shape))[FILE].unique().to_list())


def _restyled(rows: pl.DataFrame, column: str, styles: dict[str, str], tally: Tally) -> pl.DataFrame:
    text = without_spaces(pl.col(column).str.strip_chars())
    plain = pl.col(number_of(column))
    with_comma = pl.when(text.str.contains(_WITH_COMMA)).then(
        text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    )
    with_point = pl.when(text.str.contains(_WITH_POINT)).then(text.str.replace_all(",", "", literal=True))
    pointed = pl.coalesce(plain, with_point.cast(pl.Float64, strict=False), text.cast(pl.Float64, strict=False))
    pointed = pointed.fill_nan(None)
    if not styles:
        return rows.with_columns(pointed.alias(number_of(column)))
    commaed = pl.coalesce(
        with_comma.cast(pl.Float64, strict=False), pl.when(~text.str.contains(".", literal=True)).then(plain)
    )
    marked = text.str.contains(r"[.,]") & ~text.str.to_lowercase().is_in(NOTHING)
    by_shape = (
        pl.when(~marked).then(plain).when(text.str.contains(_COMMA_PROOF)).then(commaed)
        .when(text.str.contains(_POINT_PROOF)).then(pointed)
    )  # fmt: skip
    style = pl.col(FILE).replace_strict(styles, default=_POINT, return_dtype=pl.String)
    value = pl.when(style == _COMMA).then(commaed).when(style == _BOTH).then(by_shape).otherwise(pointed)
    rows = rows.with_columns(value.alias(number_of(column)), style.alias(_SHAPE))
    for mark, reason in (
        (_COMMA, f"{column} has a decimal comma, as the file proves"),
        (_BOTH, f"{column} has decimal commas and points, each number read by itself"),
    ):
        tally.note("noted", reason, rows.filter((pl.col(_SHAPE) == mark) & marked), "")
    return rows.drop(_SHAPE)


def read_dates(rows: pl.DataFrame, column: str, tally: Tally) -> pl.DataFrame:
    """Rows with the column's dates written year first beside it, where it writes some otherwise.

    A flag says of which dates day and month cannot be told apart.
    """
    text = pl.col(column).str.strip_chars()
    odd = rows.select(text.is_not_null() & ~text.str.contains(_YEAR_FIRST)).to_series().fill_null(False)
    if not odd.any():
        return rows
    cells = rows.select(FILE, text.alias("t")).with_row_index("i").filter(odd)
    cells = cells.filter(~pl.col("t").str.to_lowercase().is_in(NOTHING))
    if not cells.height:
        return rows
    cells = _year_first(cells.with_columns(pl.col("t").str.replace(_WEEKDAY, "")))
    for order in ("day", "month"):
        read = rows[cells.filter(pl.col("by") == order)["i"]]
        other = "month" if order == "day" else "day"
        tally.note("noted", f"{column} puts the {order} before the {other}, as the file proves", read, "")
    found = cells.select("i", pl.col("written").alias(dated_of(column)), pl.col("unsure").alias(unsure_of(column)))
    joined = rows.with_row_index("i").join(found, on="i", how="left", maintain_order="left").drop("i")
    return joined.with_columns(
        pl.coalesce(pl.col(dated_of(column)), pl.col(column)).alias(dated_of(column)),
        pl.col(unsure_of(column)).fill_null(False),
    )


def _year_first(cells: pl.DataFrame) -> pl.DataFrame:
    """Cells (i, FILE, t) with ``written`` (ISO text or null), ``unsure``, and ``by``, the order that was proved."""
    numeric = pl.col("t").str.extract_groups(_NUMERIC)
    parts = cells.with_columns(numeric.alias("g"))
    parts = parts.with_columns(
        pl.col("g").struct.field("a").cast(pl.Int64, strict=False).alias("a"),
        pl.col("g").struct.field("b").cast(pl.Int64, strict=False).alias("b"),
    )
    a, b = pl.col("a"), pl.col("b")
    parts = parts.with_columns(
        ((a > 12) & b.is_between(1, 12)).fill_null(False).alias("day_first"),
        ((b > 12) & a.is_between(1, 12)).fill_null(False).alias("month_first"),
    )
    proof = pl.col("day_first").any().over(FILE), pl.col("month_first").any().over(FILE)
    day = pl.col("day_first") | (proof[0] & ~proof[1])
    month = pl.col("month_first") | (proof[1] & ~proof[0])
    same = (a == b).fill_null(False)
    parts = parts.with_columns(
        pl.when(day | same).then(a).when(month).then(b).alias("d"),
        pl.when(day | same).then(b).when(month).then(a).alias("m"),
        (a.is_between(1, 12) & b.is_between(1, 12) & ~same & ~day & ~month).fill_null(False).alias("unsure"),
        pl.when(a.is_not_null() & ~same)
        .then(pl.when(day).then(pl.lit("day")).when(month).then(pl.lit("month")))
        .alias("by"),
    )
    clock = _clock(lambda name: pl.col("g").struct.field(name))
    ordered = pl.format(
        "{}-{}-{}{}",
        pl.col("g").struct.field("y"),
        pl.col("m").cast(pl.String).str.zfill(2),
        pl.col("d").cast(pl.String).str.zfill(2),
        clock,
    )
    written = [pl.when(pl.col("d").is_not_null()).then(ordered), *_named_months()]
    return parts.with_columns(pl.coalesce(written).alias("written")).with_columns(
        pl.when(pl.col("written").is_not_null()).then(pl.col("by")).alias("by")
    )


def _named_months() -> Iterator[pl.Expr]:
    for pattern in (_DAY_NAME, _NAME_DAY, _YEAR_NAME, _YEAR_SLASH):
        group = pl.col("t").str.extract_groups(pattern)

        def field(name: str, group: pl.Expr = group) -> pl.Expr:
            return group.struct.field(name)

        month = field("n").str.to_lowercase().replace_strict(_MONTH_OF, default=None, return_dtype=pl.String)
        yield pl.format("{}-{}-{}{}", field("y"), month, field("d").str.zfill(2), _clock(field))


def _clock(field: Callable[[str], pl.Expr]) -> pl.Expr:
    """The time of day as ISO writes it, empty where there is none, null where it cannot be."""
    hour = field("h").cast(pl.Int64, strict=False)
    half = field("half").str.to_lowercase()
    hour = pl.when(half.is_null()).then(hour).when(hour.is_between(1, 12)).then(hour % 12 + 12 * (half == "p"))
    time = pl.format(
        "T{}:{}:{}{}{}",
        hour.cast(pl.String).str.zfill(2),
        field("m"),
        field("s").fill_null("00"),
        field("f").fill_null(""),
        field("zone").fill_null(""),
    )
    return pl.when(field("h").is_null()).then(pl.lit("")).otherwise(time)


def days_of(rows: pl.DataFrame, column: str, written: str | None) -> pl.Expr:
    """Days of a column of the source, for steps: by the format where one is given, else as the rules' columns are."""
    rule = ColumnRule(columns=(column,), formats=() if written is None else (written,))
    read = as_read(rows, column, rule, DAY)
    return to_day(pl.col(read), rows.schema[read], rule)
