"""How a CSV is laid out: its separator, where its header stands and what it says.

Known is which columns the map wants, and that decides: the header is the line that holds them, the separator the one
under which a line does. Without a header line nothing is guessed; the map must name the columns.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from prometheus.market.ingest.content import Content
from prometheus.market.ingest.records import Record, head_records

SEPARATORS = (",", ";", "\t", "|")
TICKER = "Ticker"
"""What the column is called that names the instrument of a line, where a header of several rows names tickers."""

_SEARCHED = 20
_PRICE_FIELDS = frozenset(
    ("open", "high", "low", "close", "adj close", "adj_close", "adjclose", "adjusted close", "adjusted_close", "volume",
     "dividends", "stock splits", "capital gains")
)  # fmt: skip
_MARKS = re.compile(r"[^a-z0-9]+")
_LEVEL_NAMES = frozenset(
    ("", "price", "prices", "attributes", "field", "fields", "ticker", "tickers", "symbol", "symbols")
)
_DATA = re.compile(
    r"[-+]?[$€£]?\d[\d,.' :/TZ+-]*%?|\d{1,2}[-/. ][A-Za-z]{3,9}[-/. ]\d{2,4}|[-+]?(nan|inf|null|n/a)", re.IGNORECASE
)


@dataclass(frozen=True)
class Layout:
    """Where the cells of a CSV are.

    Attributes
    ----------
    separator : str
    names : tuple of str
        One per cell of a full line; ``column N`` where the header says nothing.
    start : int
        Byte of the first line of data.
    skipped : int
        Lines above the header that are none of the table.
    headed : bool
        Whether the names stand in the file.
    tickers : tuple of str
        Per cell, the instrument a header of several rows names; empty for the index column and without such a header.
    on_top : bool
        Whether the header is one line, the first of the file that is not blank.
    """

    separator: str
    names: tuple[str, ...]
    start: int
    skipped: int = 0
    headed: bool = True
    tickers: tuple[str, ...] = ()
    on_top: bool = True

    @property
    def columns(self) -> tuple[str, ...]:
        """The names, told apart where the header has one twice."""
        seen: Counter[str] = Counter()
        out = []
        for name in self.names:
            seen[name] += 1
            out.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
        return tuple(out)

    @property
    def unnamed(self) -> frozenset[str]:
        """Columns the header has no name for."""
        return frozenset(n for i, n in enumerate(self.names) if n == f"column {i + 1}")

    @property
    def looks_headless(self) -> bool:
        """Whether the names look like data: the file has no header line, and its first line was taken for one."""
        said = [n for n in self.names if n not in self.unnamed]
        return self.headed and bool(said) and sum(is_data(n) for n in said) * 2 >= len(said)


def is_data(cell: str) -> bool:
    """Whether a cell is a number or a date rather than a name."""
    return _DATA.fullmatch(cell) is not None


def find_layout(
    content: Content, wanted: Collection[str], separator: str | None = None, header: Sequence[str] = ()
) -> Layout | None:
    """Layout of a CSV, or None when there is nothing in it.

    Parameters
    ----------
    content : Content
    wanted : collection of str
        Lower-case names of the columns looked for.
    separator : str, optional
        As the map says.
    header : sequence of str
        Names the map gives for files without a header line.
    """
    name = content.path.name.lower().removesuffix(".gz")
    tried = (separator,) if separator else ("\t",) if name.endswith(".tsv") else SEPARATORS
    read = {mark: _filled(head_records(content, mark)) for mark in tried}
    wanted = {*wanted, *(h.lower() for h in header)}
    best = max(tried, key=lambda mark: (*_fit(read[mark], wanted), -tried.index(mark)))
    records = read[best]
    if not records:
        return None
    levels = _levels(records)
    if levels is not None:
        names, tickers, rows = levels
        return Layout(best, names, records[rows - 1].end, tickers=tickers, on_top=False)
    hits = [_hits(r, wanted) for r in records[:_SEARCHED]]
    if header and max(hits) < min(2, len(header)):
        return Layout(best, tuple(header), 0, headed=False, on_top=False)
    at = hits.index(max(hits)) if max(hits) >= 2 else 0
    before = content.raw[: records[at].start].removeprefix(codecs.BOM_UTF8)
    on_top = at == 0 and not before.strip(b"\r\n")
    return Layout(best, _named(records[at].cells), records[at].end, skipped=at, on_top=on_top)


def _filled(records: list[Record]) -> list[Record]:
    return [r for r in records if any(r.cells)]


def _hits(record: Record, wanted: Collection[str]) -> int:
    """Columns looked for that a line names; blanks and marks in a name make no difference here."""
    return sum(c.lower() in wanted or _MARKS.sub("", c.lower()) in wanted for c in set(record.cells))


def _fit(records: list[Record], wanted: Collection[str]) -> tuple[int, float, int]:
    """How well a separator fits: columns found, share of lines with the most frequent number of cells, that number."""
    if not records:
        return 0, 0.0, 0
    widths = Counter(len(r.cells) for r in records)
    width, often = max(widths.items(), key=lambda item: (item[1], item[0]))
    hits = max(_hits(r, wanted) for r in records[:_SEARCHED])
    return hits, often / len(records) if width > 1 else 0.0, width


def _named(cells: Sequence[str]) -> tuple[str, ...]:
    return tuple(cell or f"column {i + 1}" for i, cell in enumerate(cells))


def _levels(records: list[Record]) -> tuple[tuple[str, ...], tuple[str, ...], int] | None:
    """Names, tickers and number of rows of a header in levels (price field and ticker), as pandas writes one.

    The rows are the two levels and, where the index has a name, one with that name alone.
    """
    if len(records) < 3:
        return None
    first, second, third = (r.cells for r in records[:3])
    if len(first) < 2 or len(first) != len(second) or not all(first[1:]) or not all(second[1:]):
        return None
    if not {first[0].lower(), second[0].lower()} <= _LEVEL_NAMES:
        return None
    named = bool(third[0]) and not any(third[1:])
    if not (named or is_data(third[0])):
        return None
    for fields, tickers in ((first, second), (second, first)):
        if all(f.lower() in _PRICE_FIELDS for f in fields[1:]) and not any(is_data(t) for t in tickers[1:]):
            index = third[0] if named else "Date"
            return (index, *fields[1:]), ("", *tickers[1:]), 3 if named else 2
    return None
