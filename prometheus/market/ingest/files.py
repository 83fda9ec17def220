"""From files to frames of what stands in them; nothing is interpreted here but the file format."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa

from prometheus.errors import BadDataError, RequestError
from prometheus.market.ingest.model import Feed, Format
from prometheus.market.ingest.tally import FILE, ROW, STEM

DeltaReader = Callable[[Path], pa.Table]
"""Reads a Delta table given by its folder. Handed in, because only the lake knows Delta."""

_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
CHUNK_BYTES = 256 * 2**20


def find_files(feed: Feed, root: Path) -> list[Path]:
    """Files of a feed under the source root, sorted by path.

    Raises
    ------
    RequestError
        When the root is no folder.
    BadDataError
        When nothing is found and the feed is not optional.
    """
    if not root.is_dir():
        raise RequestError(f"the source root {root} is not a folder; give the folder that holds the source's files")
    pattern = feed.files.lstrip("/")
    found = sorted(root.glob(pattern))
    if feed.format != "delta":
        found = [p for p in found if p.is_file()]
    if not found and not feed.optional:
        raise BadDataError(
            f"{root} holds no file {feed.files} for the feed {feed.name!r}; correct the source root or files in the map"
        )
    return found


def chunks(feed: Feed, files: list[Path], chunk_bytes: int = CHUNK_BYTES) -> Iterator[list[Path]]:
    """Files in groups of about ``chunk_bytes``; all in one group when a step of the feed looks across files."""
    if feed.needs_all_files:
        if files:
            yield files
        return
    group: list[Path] = []
    size = 0
    for path in files:
        weight = path.stat().st_size
        if group and size + weight > chunk_bytes:
            yield group
            group, size = [], 0
        group.append(path)
        size += weight
    if group:
        yield group


def read_files(feed: Feed, files: list[Path], root: Path, delta: DeltaReader | None = None) -> pl.DataFrame:
    """Rows of the files, one after the other, with the columns FILE, ROW and STEM.

    Cells of a CSV are text as they stand; Parquet, JSON lines and Delta keep their types. Files of one feed may
    differ in the columns they have.
    """
    frames = [_read_file(feed, path, root, delta) for path in files]
    try:
        return pl.concat(frames, how="diagonal_relaxed") if len(frames) > 1 else frames[0]
    except pl.exceptions.PolarsError as error:
        raise BadDataError(
            f"the files {feed.files} under {root} hold one column in types that do not go together: {_short(error)}; "
            "export them alike, or give each kind a feed of its own"
        ) from None


def _read_file(feed: Feed, path: Path, root: Path, delta: DeltaReader | None) -> pl.DataFrame:
    name = path.relative_to(root).as_posix()
    kind = feed.format or _format_of(path, name)
    if kind == "delta":
        if delta is None:
            raise RequestError(f"the feed {feed.name!r} reads a Delta table; hand in a reader for it")
        frame = pl.DataFrame(pl.from_arrow(delta(path)))
    else:
        if path.stat().st_size == 0:
            raise BadDataError(f"{name} is empty (0 bytes); fetch it again or take it out of the folder")
        frame = _parse(kind, path, name, feed.separator)
    if frame.height == 0:
        raise BadDataError(f"{name} holds no rows; fetch it again or take it out of the folder")
    cleaned = [_clean(c) for c in frame.columns]
    if len(set(cleaned)) < len(cleaned):
        twice = sorted({c for c in cleaned if cleaned.count(c) > 1})
        raise BadDataError(f"{name} has two columns named {', '.join(twice)}; rename or remove one of them")
    frame.columns = cleaned
    stem = path.name.removesuffix(".gz").rsplit(".", 1)[0] if kind != "delta" else path.name
    return frame.with_columns(
        pl.lit(name).alias(FILE),
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias(ROW),
        pl.lit(stem).alias(STEM),
    )


def _format_of(path: Path, name: str) -> Format:
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    raise BadDataError(
        f"{name}: {suffix or 'no suffix'} is no format ingest reads ({', '.join(_SUFFIXES)}, also .gz); export it as "
        "one of these, or say format: csv|parquet|jsonl in the map"
    )


def _parse(kind: Format, path: Path, name: str, separator: str) -> pl.DataFrame:
    try:
        if kind == "parquet":
            return pl.read_parquet(path, glob=False)
        content: bytes | Path = path
        if path.name.endswith(".gz"):
            content = gzip.decompress(path.read_bytes())
        if kind == "csv":
            tabs = path.name.removesuffix(".gz").endswith(".tsv")
            return pl.read_csv(content, infer_schema=False, separator="\t" if tabs else separator, glob=False)
        return pl.read_ndjson(io.BytesIO(_without_bom(content)), infer_schema_length=None)
    except pl.exceptions.NoDataError:
        raise BadDataError(f"{name} holds no rows; fetch it again or take it out of the folder") from None
    except (pl.exceptions.PolarsError, OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        broken = _first_bad_line(path) if kind == "jsonl" else None
        at = f", line {broken}" if broken else ""
        hint = " Text must be UTF-8." if "utf-8" in str(error).lower() else ""
        raise BadDataError(
            f"{name}{at} cannot be read as {kind}: {_short(error)}.{hint} Fetch or export it again, or say another "
            "format or separator in the map"
        ) from None


def _without_bom(content: bytes | Path) -> bytes:
    raw = content if isinstance(content, bytes) else content.read_bytes()
    return raw.removeprefix(b"\xef\xbb\xbf")


def _first_bad_line(path: Path) -> int | None:
    """Number of the first line that is no JSON object; runs only once a file has been refused."""
    try:
        raw = gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()
    except (OSError, EOFError, zlib.error):
        return None
    for number, line in enumerate(_without_bom(raw).splitlines(), start=1):
        try:
            if line.strip() and not isinstance(json.loads(line), dict):
                return number
        except ValueError:
            return number
    return None


def _clean(header: str) -> str:
    return header.removeprefix("\ufeff").strip()


def _short(error: BaseException) -> str:
    return str(error).strip().split("\n")[0].rstrip(".")[:200]
