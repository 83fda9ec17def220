"""From files to frames of what stands in them; nothing is interpreted here but the file format."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import polars as pl
import pyarrow as pa

from prometheus.errors import BadDataError, RequestError
from prometheus.market.ingest.content import Content, opened, reading, refuse_encoding
from prometheus.market.ingest.csv_file import OPEN_END, read_csv
from prometheus.market.ingest.json_lines import read_json_lines
from prometheus.market.ingest.layout import TICKER, Layout, find_layout
from prometheus.market.ingest.model import Feed, Format
from prometheus.market.ingest.needs import check_columns, wanted
from prometheus.market.ingest.parquet_file import legible, read_parquet
from prometheus.market.ingest.tally import CELL, FILE, INTERNAL, REFUSED, ROW, STEM, Tally

DeltaReader = Callable[[Path], pa.Table]
"""Reads a Delta table given by its folder. Handed in, because only the lake knows Delta."""

SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
CHUNK_BYTES = 256 * 2**20
EMPTY = "the file is empty, nothing is taken from it"
FOLDER = "a folder where a file should be, nothing is taken from it"


@dataclass(frozen=True)
class FileRows:
    """What stands in one file.

    Attributes
    ----------
    rows : polars.DataFrame
        With FILE, ROW and STEM, and REFUSED, DROPPED and CELL where some line is out of the ordinary.
    kind : str
    remarks : tuple of str
        What is to be noted about the file.
    layout : Layout, optional
        Of a CSV.
    compression, encoding : str
        Empty where there is nothing to say.
    """

    rows: pl.DataFrame
    kind: Format
    remarks: tuple[str, ...] = ()
    layout: Layout | None = None
    compression: str = ""
    encoding: str = ""

    @property
    def twice(self) -> tuple[str, ...]:
        """Names the header has more than once."""
        if self.layout is None or self.layout.tickers:
            return ()
        return tuple(n for n, times in Counter(self.layout.names).items() if times > 1)

    @property
    def tickers(self) -> tuple[str, ...]:
        """Instruments a header of several rows names."""
        return () if self.layout is None else tuple(dict.fromkeys(self.layout.tickers[1:]))

    @property
    def columns(self) -> list[str]:
        """Names of the file's own columns."""
        return [c for c in self.rows.columns if c not in INTERNAL]


class _Describes(Protocol):
    """What reading a file needs to know; a feed knows it."""

    @property
    def format(self) -> Format | None: ...

    @property
    def separator(self) -> str | None: ...

    @property
    def encoding(self) -> str | None: ...

    @property
    def header(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Source:
    """Rows of some files, one after the other.

    Attributes
    ----------
    rows : polars.DataFrame
        Without columns when every file is empty.
    tally : Tally
        What the files say of themselves: lines read, rows made out of one, remarks.
    columns : dict of str to frozenset of str
        Lower-case names of the columns each file has.
    """

    rows: pl.DataFrame
    tally: Tally
    columns: dict[str, frozenset[str]]

    @property
    def is_empty(self) -> bool:
        """Whether no file holds a row."""
        return not self.columns


def find_files(feed: Feed, root: Path) -> tuple[list[Path], list[Path]]:
    """Files of a feed under the source root, sorted by path, and folders that are called like one.

    Raises
    ------
    RequestError
        When the root is no folder, or the pattern is none.
    BadDataError
        When nothing is found and the feed is not optional.
    """
    with reading(root, str(root)):
        if not root.is_dir():
            raise RequestError(f"the source root {root} is not a folder; give the folder that holds the source's files")
    try:
        found = sorted(root.glob(feed.files.lstrip("/")))
    except (ValueError, NotImplementedError, IndexError) as error:
        raise RequestError(f"the feed {feed.name!r}: files {feed.files!r} is no file pattern ({error})") from None
    folders: list[Path] = []
    if feed.format != "delta":
        folders = [p for p in found if p.is_dir() and _suffix(p) in SUFFIXES]
        found = [p for p in found if p.is_file() or (p.is_symlink() and not p.exists())]
    if not found and not feed.optional:
        if folders:
            name = name_of(folders[0], root)
            raise BadDataError(
                f'{name} is a folder where a file should be; for the files in it say files: "{name}/*" in the feed '
                f"{feed.name!r}"
            )
        raise BadDataError(
            f"{root} holds no file {feed.files} for the feed {feed.name!r}; correct the source root or files in the map"
        )
    return found, folders


def chunks(feed: Feed, files: list[Path], chunk_bytes: int = CHUNK_BYTES) -> Iterator[list[Path]]:
    """Files in groups of about ``chunk_bytes``; all in one group when a step of the feed looks across files."""
    if feed.needs_all_files:
        if files:
            yield files
        return
    group: list[Path] = []
    size = 0
    for path in files:
        with reading(path, path.name):
            weight = path.stat().st_size
        if group and size + weight > chunk_bytes:
            yield group
            group, size = [], 0
        group.append(path)
        size += weight
    if group:
        yield group


def read_files(feed: Feed, files: list[Path], root: Path, delta: DeltaReader | None = None) -> Source:
    """Read the files of a feed.

    Cells of a CSV are text as they stand; Parquet, JSON lines and Delta keep their types. Files of one feed may
    differ in the columns they have, as long as each has what the feed cannot do without. Empty files are noted.

    Raises
    ------
    BadDataError
        When a file cannot be read, or lacks a column the feed needs.
    """
    tally = Tally()
    frames: list[pl.DataFrame] = []
    columns: dict[str, frozenset[str]] = {}
    named = wanted(feed)
    for path in files:
        name = name_of(path, root)
        read = _read_delta(path, name, delta, feed) if feed.format == "delta" else read_file(path, name, feed, named)
        if read is None:
            tally.remark(EMPTY, name)
            continue
        twice = [n for n in read.twice if n.lower() in named]
        if twice:
            raise BadDataError(f"{name} has two columns named {', '.join(twice)}; rename or remove one of them")
        headless = read.layout is not None and read.layout.looks_headless
        check_columns(feed, read.columns, name, headless=headless)
        _check_tickers(feed, read, name, tally)
        if read.rows.height == 0:
            tally.remark(EMPTY, name)
            continue
        for remark in read.remarks:
            tally.remark(remark, name)
        lines = read.rows[ROW].n_unique() if CELL in read.rows.columns else read.rows.height
        tally.read += lines
        tally.added += read.rows.height - lines
        frames.append(read.rows)
        columns[name] = frozenset(c.lower() for c in read.columns)
    if not frames:
        return Source(pl.DataFrame(), tally, columns)
    try:
        rows = pl.concat(_alike(frames), how="diagonal_relaxed") if len(frames) > 1 else frames[0]
    except pl.exceptions.PolarsError as error:
        raise BadDataError(
            f"the files {feed.files} under {root} hold one column in types that do not go together: {_short(error)}; "
            "export them alike, or give each kind a feed of its own"
        ) from None
    return Source(rows, tally, columns)


def read_file(path: Path, name: str, described: _Describes, named: frozenset[str]) -> FileRows | None:
    """Read one file, or return None when it is empty.

    Parameters
    ----------
    path : pathlib.Path
    name : str
        What rows and refusals call it.
    described : object
        Says format, separator, encoding and header where they are known.
    named : frozenset of str
        Lower-case names of the columns looked for.
    """
    kind = described.format or format_of(path, name)
    if kind == "parquet":
        with reading(path, name):
            if not path.stat().st_size:
                return None
            return FileRows(_numbered(read_parquet(path, name), name, stem_of(path)), "parquet")
    with opened(path, name, described.encoding) as content:
        if content.is_blank:
            return None
        layout = None
        if kind == "jsonl":
            rows = read_json_lines(content)
        else:
            layout = find_layout(content, named, described.separator, described.header)
            if layout is None:
                return None
            if any("\ufffd" in n for n in layout.names):
                refuse_encoding(content)
            refuse_internal(layout.names, name)
            rows = read_csv(content, layout)
        remarks = _remarks(content, layout, rows)
    rows = _labelled(rows, name, stem_of(path))
    return FileRows(rows, kind, tuple(remarks), layout, content.compression, content.encoding)


def format_of(path: Path, name: str) -> Format:
    """Format of a file by its suffix.

    Raises
    ------
    BadDataError
        When the suffix is none that ingest knows.
    """
    suffix = _suffix(path)
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    raise BadDataError(
        f"{name}: {suffix or 'no suffix'} is no format ingest reads ({', '.join(SUFFIXES)}, also .gz); export it as "
        "one of these, or say format: csv|parquet|jsonl in the map"
    )


def name_of(path: Path, root: Path) -> str:
    """Path under the source root; bytes of a file's name that are no text are replaced."""
    return os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "replace")


def stem_of(path: Path) -> str:
    """Name of a file without its suffix."""
    return os.fsencode(_without_gz(path).rsplit(".", 1)[0]).decode("utf-8", "replace")


def _suffix(path: Path) -> str:
    return Path(_without_gz(path)).suffix.lower()


def _without_gz(path: Path) -> str:
    return path.name[:-3] if path.name.lower().endswith(".gz") else path.name


def _read_delta(path: Path, name: str, delta: DeltaReader | None, feed: Feed) -> FileRows:
    if delta is None:
        raise RequestError(f"the feed {feed.name!r} reads a Delta table; hand in a reader for it")
    return FileRows(_numbered(legible(pl.DataFrame(pl.from_arrow(delta(path)))), name, path.name), "delta")


def _numbered(frame: pl.DataFrame, name: str, stem: str) -> pl.DataFrame:
    refuse_internal(frame.columns, name)
    return _labelled(frame.with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias(ROW)), name, stem)


def _labelled(frame: pl.DataFrame, name: str, stem: str) -> pl.DataFrame:
    """Rows with clean column names, FILE and STEM."""
    cleaned = [c.removeprefix("\ufeff").strip() for c in frame.columns]
    if len(set(cleaned)) < len(cleaned):
        twice = sorted({c for c in cleaned if cleaned.count(c) > 1})
        raise BadDataError(f"{name} has two columns named {', '.join(twice)}; rename or remove one of them")
    frame.columns = cleaned
    return frame.with_columns(pl.lit(name).alias(FILE), pl.lit(stem).alias(STEM))


def refuse_internal(columns: Sequence[str], name: str) -> None:
    """Refuse a file with a column whose name ingest uses itself.

    Raises
    ------
    BadDataError
        Naming the file and the columns.
    """
    clash = sorted(INTERNAL.intersection(columns))
    if clash:
        raise BadDataError(f"{name} has a column {', '.join(clash)}, a name that ingest uses itself; rename it")


def _alike(frames: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    """Frames whose columns are spelt alike: a name that differs in case alone from an earlier file's takes its form."""
    spelt: dict[str, str] = {}
    out = []
    for frame in frames:
        lower = Counter(c.lower() for c in frame.columns)
        renames = {}
        for column in frame.columns:
            form = spelt.setdefault(column.lower(), column)
            if form != column and lower[column.lower()] == 1:
                renames[column] = form
        out.append(frame.rename(renames))
    return out


def _remarks(content: Content, layout: Layout | None, rows: pl.DataFrame) -> list[str]:
    remarks = []
    if content.encoding:
        remarks.append(f"the file is written in {content.encoding}")
    if layout is not None and layout.skipped:
        remarks.append("lines above the header, passed over")
    refused = REFUSED in rows.columns and rows.height and rows[REFUSED][-1] is not None
    if layout is not None and not refused and content.raw[len(content.raw) - 1 :] not in (b"\n", b"\r"):
        remarks.append(OPEN_END)
    return remarks


def _check_tickers(feed: Feed, read: FileRows, name: str, tally: Tally) -> None:
    """Compare the instruments a header of several rows names with where the map takes them from."""
    tickers = read.tickers
    if not tickers or TICKER.lower() in wanted(feed):
        return
    if len(tickers) > 1:
        raise BadDataError(
            f"{name} holds {len(tickers)} instruments side by side ({', '.join(tickers[:5])}); take them from the "
            f'column {TICKER} in the map, for example instrument_id: {{ template: "{{{TICKER}}}.US" }}'
        )
    if tickers[0].upper() != stem_of(Path(name)).upper():
        tally.remark(f"the header names {tickers[0]}, which the map leaves aside", name)


def _short(error: BaseException) -> str:
    return str(error).strip().split("\n")[0].rstrip(".")[:200]
