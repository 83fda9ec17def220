"""The skeleton of a CSV: how many cells each record has, and whether its quotes are well formed.

A CSV reader that is fast takes what it is given: lines with too few cells are filled up, and a quote that is never
closed can swallow what follows. So the skeleton is looked at on its own, in blocks of bytes.
"""

from __future__ import annotations

import codecs
import csv
import io
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.errors import BadDataError
from prometheus.market.ingest.content import Content

BLOCK_BYTES = 8 * 2**20
_QUOTE, _LINE, _RETURN = 34, 10, 13


@dataclass(frozen=True)
class Record:
    """One record: its cells, the byte at which it begins, and the one at which the next does."""

    cells: tuple[str, ...]
    start: int
    end: int


def quotes_are_sound(raw: bytes | mmap.mmap, separator: str, start: int = 0) -> bool:
    """Whether every quote opens a cell, closes one, or is one of a doubled pair inside one.

    Only then does every CSV reader see the same cells. A lone quote inside a bare cell is no error, but not sound.
    """
    if raw.find(b'"', start) < 0:
        return True
    near = (ord(separator), _LINE, _RETURN)
    inside = False
    before = _LINE
    for at in range(start, len(raw), BLOCK_BYTES):
        # One byte more, so that what follows the block's last quote is seen.
        block = np.frombuffer(raw[at : at + BLOCK_BYTES + 1], dtype=np.uint8)
        last = at + BLOCK_BYTES >= len(raw)
        size = len(block) if last else len(block) - 1
        found = np.flatnonzero(block[:size] == _QUOTE)
        previous = np.where(found > 0, block[found - 1], before)
        following = np.append(block, _LINE)[found + 1]
        opening = (np.arange(len(found)) % 2 == 0) ^ inside
        # Closed and opened again without a byte between: a doubled quote, which stands for itself.
        opens = opening & (np.isin(previous, near) | (previous == _QUOTE))
        closes = ~opening & (np.isin(following, near) | (following == _QUOTE))
        if not (opens | closes).all():
            return False
        inside ^= bool(len(found) % 2)
        before = int(block[size - 1])
    return not inside


def cell_counts(raw: bytes | mmap.mmap, separator: str, start: int = 0) -> NDArray[np.int64]:
    """Cells of every record from a byte on, shape (records,); right where the quotes are sound."""
    counts: list[NDArray[np.int64]] = []
    inside, carried = False, 0
    for at in range(start, len(raw), BLOCK_BYTES):
        block = np.frombuffer(raw[at : at + BLOCK_BYTES], dtype=np.uint8)
        quotes = block == _QUOTE
        bare = None
        if inside or quotes.any():
            bare = ~(np.bitwise_xor.accumulate(quotes) ^ inside)
            inside = not bool(bare[-1])
        ends = _places(block, _LINE, bare)
        marks = _places(block, ord(separator), bare)
        upto = np.searchsorted(marks, ends)
        within = np.diff(upto, prepend=0)
        if len(within):
            within[0] += carried
            carried = 0
        counts.append(within + 1)
        carried += len(marks) - (int(upto[-1]) if len(upto) else 0)
    if len(raw) > start and raw[len(raw) - 1] != _LINE:
        counts.append(np.array([carried + 1]))
    return np.concatenate(counts) if counts else np.empty(0, dtype=np.int64)


def _places(block: NDArray[np.uint8], byte: int, bare: NDArray[np.bool_] | None) -> NDArray[np.int64]:
    hit = block == byte
    return np.flatnonzero(hit if bare is None else hit & bare)


def every_record(content: Content, separator: str, start: int) -> list[list[str]]:
    """Records read one by one, for files whose quotes are not sound.

    Raises
    ------
    BadDataError
        When a quote is never closed, or something stands between a closed quote and the next separator.
    """
    text = bytes(content.raw[start:]).decode("utf-8")
    rows, broken = _each(text, separator, escape=None)
    if broken and '\\"' in text:
        # Some databases write \" inside a quoted cell. It cannot be mistaken: as doubled quotes it does not read.
        escaped, still = _each(text, separator, escape="\\")
        rows, broken = (escaped, 0) if not still else (rows, broken)
    if broken:
        line = content.raw[:start].count(b"\n") + broken
        raise BadDataError(
            f"{content.name}, line {line}: a quote is opened and not closed, or text follows a closing quote; correct "
            "the line, or export the file again"
        )
    return rows


def _each(text: str, separator: str, escape: str | None) -> tuple[list[list[str]], int]:
    """Records of a text, and the line, from 1, on which one begins that cannot be read; 0 where all can."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, escapechar=escape, strict=True)
    rows: list[list[str]] = []
    began = 0
    try:
        with _long_cells():
            for row in reader:
                rows.append(row)
                began = reader.line_num
    except csv.Error:
        return rows, began + 1
    return rows, 0


def head_records(content: Content, separator: str, most: int = 60) -> list[Record]:
    """Read the first records of a file; one that the head does not hold to its end is left out."""
    head = content.head
    whole = len(head) == len(content.raw)
    return list(_records(head, whole, separator, most))


def _records(head: bytes, whole: bool, separator: str, most: int) -> Iterator[Record]:
    position, given = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0, 0
    while position < len(head) and given < most:
        end = position
        cells: list[str] | None = None
        for _ in range(200):
            line_end = head.find(b"\n", end)
            if line_end < 0 and not whole:
                return
            end = len(head) if line_end < 0 else line_end + 1
            cells = _cells(head[position:end].decode("utf-8", "replace"), separator)
            if cells is not None or end == len(head):
                break
        if cells is None:
            # An unclosed quote: the lines are taken as they stand; reading the whole file names the line.
            line_end = head.find(b"\n", position)
            end = len(head) if line_end < 0 else line_end + 1
            cells = head[position:end].decode("utf-8", "replace").rstrip("\r\n").split(separator)
        yield Record(tuple(c.strip() for c in cells), position, end)
        position, given = end, given + 1


def _cells(text: str, separator: str) -> list[str] | None:
    """Cells of one record, or None while a quote in it is open."""
    try:
        with _long_cells():
            return next(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True), [])
    except csv.Error:
        return None


@contextmanager
def _long_cells() -> Iterator[None]:
    """Filings are longer than what the csv module takes for a cell by default."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)
