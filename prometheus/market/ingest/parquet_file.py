"""One Parquet file, looked at before the fast reader is let loose on it: that one panics where others refuse."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from prometheus.errors import BadDataError
from prometheus.market.ingest.content import fast_source

_MARK = b"PAR1"


def read_parquet(path: Path, name: str) -> pl.DataFrame:
    """Read a Parquet file with its types.

    Raises
    ------
    BadDataError
        When it is none, is cut short, or holds what cannot be read.
    """
    check_marks(path, name)
    try:
        _check_extents(path)
        return pl.read_parquet(fast_source(path), glob=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, pa.ArrowException, OSError) as error:
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


def _check_extents(path: Path) -> None:
    """Refuse column chunks that lie outside the file."""
    with path.open("rb") as raw, pq.ParquetFile(raw) as file:
        groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    size = path.stat().st_size
    for chunk in (group.column(i) for group in groups for i in range(group.num_columns)):
        begin = chunk.dictionary_page_offset or chunk.data_page_offset
        if not len(_MARK) <= begin <= begin + chunk.total_compressed_size <= size:
            raise pa.ArrowInvalid("a column lies outside the file")
