"""From a path to a proposal, and from a proposal to what an ingest by it would do."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from prometheus.clock import DEFAULT_MARKETS, Markets
from prometheus.errors import BadDataError, RequestError
from prometheus.market.ingest.content import opened, reading
from prometheus.market.ingest.files import SUFFIXES, FileRows, format_of, read_file, stem_of
from prometheus.market.ingest.inspect.names import known_names, rank
from prometheus.market.ingest.inspect.pieces import TICKER
from prometheus.market.ingest.inspect.proposal import Proposal, propose
from prometheus.market.ingest.inspect.values import Look, look_at
from prometheus.market.ingest.inspect.writing import as_yaml
from prometheus.market.ingest.instants import Trading
from prometheus.market.ingest.model import Format
from prometheus.market.ingest.parse import load_map
from prometheus.market.ingest.read import read_source
from prometheus.market.ingest.tally import DROPPED, FILE, REFUSED, Intake

_DATED = ("day", "instant", "known", "valid_from", "valid_to", "delisted_on", "ex_date", "report_date", "period_end")
_SIBLINGS = 50
_KINDS: dict[bytes, Format] = {b"P": "parquet", b"{": "jsonl"}
"""Formats by the first byte, of files whose suffix says nothing."""


@dataclass(frozen=True)
class _Described:
    """What reading the file needs to be told."""

    format: Format | None = None
    separator: str | None = None
    encoding: str | None = None
    header: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inspection:
    """What was found out about a file.

    Attributes
    ----------
    path : pathlib.Path
    read : FileRows
    looks : dict of str to Look
        By column of the file.
    proposal : Proposal
    yaml : str
        The map, as it is to be saved.
    encoding : str
        The code page that was assumed, empty for UTF-8 or what a mark says.
    """

    path: Path
    read: FileRows
    looks: dict[str, Look]
    proposal: Proposal
    yaml: str
    encoding: str = ""
    markets: Markets = field(default=DEFAULT_MARKETS)

    def preview(self, trading: Trading | None = None) -> Iterator[Intake]:
        """Read the file by the proposed map, as an ingest would; nothing is written."""
        source = load_map({"name": self.path.stem, "feeds": list(self.proposal.feeds)})
        alone = glob.escape(self.path.name)
        feeds = tuple(replace(feed, files=alone) for feed in source.feeds)
        yield from read_source(replace(source, feeds=feeds), self.path.parent, trading=trading or Trading(self.markets))


def inspect_file(path: Path | str, markets: Markets = DEFAULT_MARKETS) -> Inspection:
    """Look at a file and propose the map that loads it.

    Raises
    ------
    RequestError
        When there is no such file.
    BadDataError
        When it cannot be read, is empty, or fits no table.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise RequestError(f"{path} is a folder; give one of its files, they may need maps of their own")
    if not path.exists():
        raise RequestError(f"there is no file {path} to inspect")
    described, encoding = _described(path)
    read = read_file(path, path.name, described, known_names())
    if read is None or read.rows.height == 0:
        raise BadDataError(f"{path.name} is empty, without a row; there is nothing to propose")
    options: dict[str, Any] = {}
    if path.suffix.lower() not in SUFFIXES and path.suffix.lower() != ".gz":
        options["format"] = read.kind
    if encoding:
        options["encoding"] = encoding
    if read.layout is not None and read.layout.looks_headless:
        header = _header(_named(read))
        described = replace(described, header=header)
        again = read_file(path, path.name, described, frozenset(h.lower() for h in header))
        assert again is not None
        read, options["header"] = again, list(header)
    rows = _sound(read.rows)
    looks = {c: look_at(rows, c, any(rank(role, c) is not None for role in _DATED)) for c in read.columns}
    checks = []
    if "header" in options:
        checks.append("the file has no header line; the names in header are taken from the values: check them")
    if encoding:
        checks.append(f"the file is not UTF-8; {encoding} is a guess: look whether letters with accents are right")
    proposal = propose(
        rows,
        looks,
        path.name,
        {"files": _pattern(path, read, described, looks), **options},
        markets=markets,
        stem=stem_of(path),
        checks=tuple(checks),
    )
    return Inspection(path, read, looks, proposal, as_yaml(proposal, path.name), encoding, markets)


def _described(path: Path) -> tuple[_Described, str]:
    """Format and encoding to read the file with; of text that is not UTF-8, the code page most files are then in."""
    try:
        kind = format_of(path, path.name)
    except BadDataError:
        with reading(path, path.name), path.open("rb") as file:
            kind = _KINDS.get(file.read(1), "csv")
    described = _Described(format=kind)
    if kind == "parquet":
        return described, ""
    with opened(path, path.name) as content:
        raw = bytes(content.raw)
    for encoding in ("utf-8", "windows-1252", "latin-1"):
        try:
            raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        said = "" if encoding == "utf-8" else encoding
        return replace(described, encoding=said or None), said
    raise AssertionError("latin-1 reads everything")


def _sound(rows: pl.DataFrame) -> pl.DataFrame:
    for column in (REFUSED, DROPPED):
        if column in rows.columns:
            rows = rows.filter(pl.col(column).is_null())
    return rows


def _named(read: FileRows) -> pl.DataFrame:
    """Rows of a file without a header line, the line taken for one included."""
    assert read.layout is not None
    first = pl.DataFrame({c: [n] for c, n in zip(read.layout.columns, read.layout.names, strict=True)})
    rows = _sound(read.rows)
    shared = [c for c in rows.columns if c in first.columns]
    return pl.concat([first.select(shared), rows.select(shared)])


def _header(rows: pl.DataFrame) -> tuple[str, ...]:
    """Names for the columns of a file without a header line, by what they hold."""
    rows = rows.with_columns(pl.lit("").alias(FILE))
    names: list[str] = []
    numbers: list[int] = []
    taken: set[str] = set()

    def name(kind: str, otherwise: str) -> str:
        chosen = kind if kind not in taken else otherwise
        taken.add(chosen)
        return chosen

    for i, column in enumerate(c for c in rows.columns if c != FILE):
        look = look_at(rows, column, dated=False)
        plain = f"column {i + 1}"
        if look.kind == "number":
            numbers.append(i)
            names.append(plain)
        elif look.kind in ("day", "instant"):
            names.append(name("date", plain))
        elif look.kind == "id":
            names.append(name("ticker", plain))
        elif look.kind == "text":
            names.append(name("headline", "body" if "body" not in taken else plain))
        else:
            names.append(plain)
    columns = [c for c in rows.columns if c != FILE]
    for i, field_name in zip(numbers, _price_fields(rows, [columns[i] for i in numbers]), strict=True):
        if field_name:
            names[i] = field_name
    return tuple(names)


def _price_fields(rows: pl.DataFrame, columns: list[str]) -> list[str]:
    """Names of the numbers of a price file: the largest is the volume, the rest open, high, low, close, adjusted."""
    values = rows.select(pl.col(c).str.replace_all(",", "").cast(pl.Float64, strict=False) for c in columns)
    middle = [values[c].median() or 0.0 for c in columns]
    prices = list(range(len(columns)))
    out = [""] * len(columns)
    if len(columns) in (2, 5, 6):
        volume = max(prices, key=lambda i: float(middle[i]))  # type: ignore[arg-type]
        out[volume] = "volume"
        prices.remove(volume)
    names = {1: ["close"], 4: ["open", "high", "low", "close"], 5: ["open", "high", "low", "close", "adj close"]}
    for i, said in zip(prices, names.get(len(prices), []), strict=False):
        out[i] = said
    return out


def _pattern(path: Path, read: FileRows, described: _Described, looks: dict[str, Look]) -> str:
    """Pattern of the files: every file of the suffix where the file's name is the ticker and its siblings are alike."""
    alone = glob.escape(path.name)
    instruments = [c for c in looks if rank("instrument", c) is not None and looks[c].kind != "empty"]
    closes = any(rank(role, c) is not None for role in ("close", "adjusted_close") for c in looks)
    ticker = TICKER.fullmatch(stem_of(path).removesuffix(".US"))
    if ticker is None or read.kind != "csv" or instruments or not closes or read.tickers:
        return alone
    suffix = path.name[len(stem_of(path)) :]
    siblings = sorted(p for p in path.parent.glob(f"*{glob.escape(suffix)}") if p.is_file() and p != path)
    for sibling in siblings[:_SIBLINGS]:
        try:
            other = read_file(sibling, sibling.name, described, known_names())
        except BadDataError:
            return alone
        if other is not None and other.columns != read.columns:
            return alone
    return f"*{suffix}"
