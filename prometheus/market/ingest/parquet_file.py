"""One Parquet file, decoded by a reader that refuses: the fast one panics, or ends the process, over a broken page."""

from __future__ import annotations

import datetime as dt
import itertools
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from prometheus.errors import BadDataError

_MARK = b"PAR1"
_EPOCH = dt.date(1970, 1, 1)
_DAYS = ((dt.date.min - _EPOCH).days, (dt.date.max - _EPOCH).days)
_PER_DAY = {"ms": 86_400_000, "us": 86_400_000_000}  # 64 bits of nanoseconds lie within three centuries of the epoch


def read_parquet(path: Path, name: str) -> pl.DataFrame:
    """Read a Parquet file with its types.

    Raises
    ------
    BadDataError
        When it is none, is cut short, or holds what cannot be read.
    """
    check_marks(path, name)
    try:
        return legible(pl.DataFrame(pl.from_arrow(_decoded(path))))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, pa.ArrowException, OSError, ValueError) as error:
        said = str(error).strip().split("\n")[0].rstrip(".")[:200]
        raise BadDataError(f"{name} cannot be read as parquet: {said}; fetch or export it again") from None


def check_marks(path: Path, name: str) -> None:
    """Refuse a file that does not begin and end as Parquet does.

    Raises
    ------
    BadDataError
    """
    with path.open("rb") as file:
        head = file.read(len(_MARK))
        file.seek(-len(head), 2)
        tail = file.read(len(_MARK))
    if head != _MARK:
        raise BadDataError(
            f"{name} is no Parquet file, it begins otherwise; fetch it again, or say its format in the map"
        )
    if tail != _MARK:
        raise BadDataError(f"{name} is cut short: the end mark of Parquet is missing; fetch it again")


def _decoded(path: Path) -> pa.Table:
    """Decode every page and check what came out, texts and list offsets too: what goes on from here is sound.

    Instants kept in 96 bits come in microseconds; in nanoseconds those of the year 2262 and later would wrap.
    """
    with path.open("rb") as raw, pq.ParquetFile(raw, coerce_int96_timestamp_unit="us") as file:
        rows: pa.Table = file.read()
    rows.validate(full=True)
    for column in rows.schema:
        _check_words(column)
    wide = [f.name for f in rows.schema if pa.types.is_decimal256(f.type)]
    if wide:
        raise pa.ArrowInvalid(f"the column {wide[0]} holds decimals of more than 38 digits")
    # What writers note beside names says nothing a cell needs, and a broken note panics as a broken page does.
    return rows.cast(pa.schema([f.remove_metadata() for f in rows.schema]))


def _check_words(column: pa.Field) -> None:
    """Read every name a column carries, nested ones too: one that is no text raises here and would panic later."""
    _ = column.name, getattr(column.type, "tz", None)
    for word in itertools.chain.from_iterable((column.metadata or {}).items()):
        word.decode()
    kind = pa.field("", column.type.value_type) if pa.types.is_dictionary(column.type) else None
    for inner in [kind] if kind is not None else [column.type.field(i) for i in range(column.type.num_fields)]:
        _check_words(inner)


def legible(rows: pl.DataFrame) -> pl.DataFrame:
    """Write columns with a date or an instant that no calendar has as text: as such it is refused where it is needed.

    A broken or wrongly scaled file has them (nanoseconds taken for microseconds), and formatting one panics.
    """
    for name, kind in rows.schema.items():
        if kind == pl.Date:
            unit, ends = "days", _DAYS
        elif isinstance(kind, pl.Datetime) and kind.time_unit in _PER_DAY:
            unit, a_day = kind.time_unit, _PER_DAY[kind.time_unit]
            ends = (_DAYS[0] * a_day, (_DAYS[1] + 1) * a_day - 1)
        else:
            continue
        numbers = rows[name].to_physical()
        within = numbers.is_between(*ends)
        if not within.all():
            odd = numbers.cast(pl.String) + f" {unit} since 1970-01-01"
            text = pl.when(within).then(pl.col(name)).cast(pl.String)
            rows = rows.with_columns(pl.when(within).then(text).otherwise(odd).alias(name))
    return rows
