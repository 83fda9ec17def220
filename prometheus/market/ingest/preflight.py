"""A look at every file of a source before the first row is delivered: half an ingest is worse than none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from prometheus.errors import BadDataError
from prometheus.market.ingest.content import opened, reading
from prometheus.market.ingest.files import find_files, format_of
from prometheus.market.ingest.layout import TICKER, find_layout
from prometheus.market.ingest.model import Feed, IngestMap
from prometheus.market.ingest.needs import check_columns, wanted
from prometheus.market.ingest.parquet_file import check_marks

DeltaColumns = Callable[[Path], Sequence[str]]
"""Names the columns of a Delta table given by its folder."""


def preflight(source: IngestMap, root: Path | str, *, delta: DeltaColumns | None = None) -> dict[str, list[Path]]:
    """Files of every feed, after a look at each: it is there, can be opened, and has the columns the feed needs.

    Headers are read, not rows: of JSON lines, where every line has its own keys, only that the file is text.

    Returns
    -------
    dict of str to list of Path
        By feed.

    Raises
    ------
    RequestError, BadDataError
        As reading the feed would, but before anything is delivered.
    """
    root = Path(root)
    found = {}
    for feed in source.feeds:
        files, _ = find_files(feed, root)
        named = wanted(feed)
        for path in files:
            _look_at(feed, path, path.relative_to(root).as_posix(), named, delta)
        found[feed.name] = files
    return found


def _look_at(feed: Feed, path: Path, name: str, named: frozenset[str], delta: DeltaColumns | None) -> None:
    kind = feed.format or format_of(path, name)
    if kind == "delta":
        if delta is not None:
            check_columns(feed, delta(path), name)
    elif kind == "parquet":
        with reading(path, name):
            if path.stat().st_size:
                check_columns(feed, _parquet_columns(path, name), name)
    else:
        with opened(path, name, feed.encoding) as content:
            if content.is_blank or kind == "jsonl":
                return
            layout = find_layout(content, named, feed.separator, feed.header)
        if layout is not None:
            made = (TICKER,) if layout.tickers else ()
            check_columns(feed, [*layout.names, *made], name, headless=layout.looks_headless)


def _parquet_columns(path: Path, name: str) -> list[str]:
    check_marks(path, name)
    try:
        return [column.strip() for column in pq.read_schema(path).names]
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # said by the operating system, not by the reader about the data
        reason = str(error).strip().split("\n")[0].rstrip(".")[:200]
        raise BadDataError(f"{name} cannot be read as parquet: {reason}; fetch or export it again") from None
