"""Files nobody would write: dialects of CSV, JSON lines and Parquet, whole or broken, packed or not."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
from dataclasses import dataclass
from typing import Any

import polars as pl
from hypothesis import strategies as st

from prometheus.market.ingest import IngestMap, load_map

COLUMNS = ("id", "date", "open", "high", "low", "close", "adjusted_close", "volume")
PRICES: dict[str, Any] = {
    "table": "prices_daily",
    "columns": {"instrument_id": "id", "as_of_date": "date"} | {c: c for c in COLUMNS[2:]},
    "market": "US_EQ",
    "known_at": {"session_close": True, "lag_minutes": 60},
}
NEWS: dict[str, Any] = {
    "table": "news_articles",
    "columns": {"article_id": "id", "published_at": "date", "headline": "open", "body": "high", "language": "low"},
    "known_at": "published_at",
}

DAYS = st.sampled_from(
    [
        "2024-01-02",
        "2024-01-03",
        "2024-01-04",
        "2024-01-05",
        "20240108",
        "2024/1/9",
        "03/04/2024",
        "23/01/2024",
        "01/24/2024",
        "2024-02-30",
        "soon",
        "1704153600",
        "2034-01-02",
        "0001-01-01",
        "9999-12-31",
        "2024-01-02T10:00:00Z",
        "2024-01-06",
        "",
        "5 Jan 2024",
        "Jan 8, 2024",
        "2024-01-03 00:00:00-05:00",
        "99999-01-01",
    ]
)
NUMBERS = st.one_of(
    st.floats(1, 500, allow_nan=False).map(lambda x: f"{x:.2f}"),
    st.sampled_from(
        [
            "0",
            "-1",
            "nan",
            "inf",
            "1e400",
            "1,234.5",
            "1.234,5",
            "1'234",
            "abc",
            "$5",
            "12%",
            "(5)",
            "-",
            "#N/A",
            "1e-300",
            "00012",
            "+5",
            "0x10",
            "",
        ]
    ),
)
WORDS = st.one_of(
    st.sampled_from(
        ["A.US", "B.US", "a.us", "", " ", "é", "A\x00B", "x" * 300, "a,b", 'q"q', "\u202e", "l1\nl2", "NULL"]
    ),
    st.text(max_size=8),
)
ROWS = st.lists(st.tuples(st.sampled_from(["A.US", "B.US"]) | WORDS, DAYS, *[NUMBERS] * 6), min_size=0, max_size=6)
MUTATIONS = st.lists(
    st.tuples(
        st.sampled_from(["cut", "drop", "insert", "repeat", "flip"]),
        st.floats(0, 1),
        st.one_of(
            st.binary(min_size=1, max_size=6), st.sampled_from([b"\n", b'"', b",", b"\x00", b"\xff\xfe", b"\r", b"}"])
        ),
    ),
    max_size=3,
)


@dataclass(frozen=True)
class File:
    """Bytes under a name, and the table they are to fill."""

    name: str
    content: bytes
    feed: str

    def map(self) -> IngestMap:
        """The map that reads it."""
        feed = {"prices": PRICES, "news": NEWS}[self.feed]
        return load_map({"name": "fuzz", "feeds": [feed | {"files": "A.*"}]})


def mutated(content: bytes, mutations: list[tuple[str, float, bytes]]) -> bytes:
    for kind, where, what in mutations:
        at = int(where * len(content))
        if kind == "cut":
            content = content[:at]
        elif kind == "drop":
            content = content[:at] + content[at + len(what) :]
        elif kind == "insert":
            content = content[:at] + what + content[at:]
        elif kind == "repeat":
            content = content[:at] + content[max(0, at - 40) : at] + content[at:]
        else:
            content = content[:at] + bytes(b ^ 0x15 for b in content[at : at + len(what)]) + content[at + len(what) :]
    return content


@st.composite
def csv_bytes(draw: st.DrawFn) -> bytes:
    """A table in some dialect."""
    separator, end = draw(st.sampled_from(",;\t|")), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    header = list(COLUMNS)
    if draw(st.integers(0, 4)) == 0:
        header = draw(st.lists(st.sampled_from([*COLUMNS, "Date", "x", "", "__row"]), max_size=9))
    quoted = draw(st.booleans())

    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if quoted or separator in text else text

    lines = [header, *draw(ROWS)]
    text = end.join(separator.join(map(cell, line)) for line in lines) + draw(st.sampled_from([end, ""]))
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252"])), errors="replace")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | WORDS | DAYS | NUMBERS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=3,
)


@st.composite
def json_bytes(draw: st.DrawFn) -> bytes:
    """Objects, a line each; some of odd types."""
    lines = []
    for row in draw(ROWS):
        record: dict[str, Any] = dict(zip(COLUMNS, row, strict=True))
        for name in draw(st.lists(st.sampled_from(COLUMNS), max_size=2)):
            record[name] = draw(JSON)
        lines.append(json.dumps(record, ensure_ascii=draw(st.booleans())))
    return "\n".join(lines).encode("utf-8", errors="replace")


def _column(values: st.SearchStrategy[Any], dtype: Any) -> st.SearchStrategy[tuple[Any, Any]]:
    return st.tuples(st.lists(st.none() | values, min_size=3, max_size=3), st.just(dtype))


DATED = (
    _column(st.dates(dt.date(2023, 12, 28), dt.date(2024, 1, 9)), pl.Date)
    | _column(st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)), pl.Datetime("us"))
    | _column(st.datetimes(dt.datetime(2024, 1, 2), dt.datetime(2024, 1, 9)), pl.Datetime("ns", "America/New_York"))
    | _column(DAYS, pl.String)
)
ANY_COLUMN = (
    _column(st.floats(), pl.Float64)
    | _column(st.floats(1, 500), pl.Float64)
    | _column(st.integers(-(2**63), 2**63 - 1), pl.Int64)
    | _column(st.integers(0, 2**64 - 1), pl.UInt64)
    | _column(NUMBERS | WORDS, pl.String)
    | _column(st.booleans(), pl.Boolean)
    | _column(st.binary(max_size=4), pl.Binary)
    | _column(st.lists(st.floats(1, 5), max_size=2), pl.List(pl.Float64))
    | _column(st.fixed_dictionaries({"v": st.floats(1, 5)}), pl.Struct({"v": pl.Float64}))
    | _column(st.decimals(0, 999, places=2), pl.Decimal(10, 2))
    | _column(st.sampled_from(["A.US", "B.US"]), pl.Categorical)
    | _column(st.times(), pl.Time)
    | DATED
)


@st.composite
def parquet_bytes(draw: st.DrawFn) -> bytes:
    """Three rows of columns of any type."""
    columns = {
        "id": draw(_column(st.sampled_from(["A.US", "B.US"]), pl.String) | ANY_COLUMN),
        "date": draw(DATED | ANY_COLUMN),
    } | {name: draw(ANY_COLUMN) for name in draw(st.sets(st.sampled_from(COLUMNS[2:]), min_size=1, max_size=4))}
    frame = pl.DataFrame([pl.Series(n, values, dtype, strict=False) for n, (values, dtype) in sorted(columns.items())])
    out = io.BytesIO()
    frame.write_parquet(out)
    return out.getvalue()


@st.composite
def files(draw: st.DrawFn) -> File:
    """A file of any kind, whole or broken, packed or not."""
    suffix, making = draw(
        st.sampled_from(
            [("csv", csv_bytes()), ("csv", csv_bytes()), ("jsonl", json_bytes()), ("parquet", parquet_bytes())]
        )
    )
    content = draw(making)
    if draw(st.booleans()):
        content = mutated(content, draw(MUTATIONS))
    if suffix != "parquet" and draw(st.integers(0, 5)) == 0:
        suffix, content = f"{suffix}.gz", gzip.compress(content, mtime=0)
        content = mutated(content, draw(MUTATIONS)) if draw(st.booleans()) else content
    return File(f"A.{suffix}", content, draw(st.sampled_from(["prices", "news"])))
