"""Files as the world has them: each is read rightly, or its rows are quarantined, or it is refused by a sentence."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prometheus.errors import BadDataError, PrometheusError
from prometheus.market.ingest import Intake
from prometheus.market.ingest.content import opened
from prometheus.market.ingest.csv_file import AGAIN, BLANK, CUT, NO_VALUE, NUL, OPEN_END, TOO_LONG, TOO_SHORT
from prometheus.market.ingest.files import EMPTY, FOLDER
from prometheus.market.ingest.json_lines import NO_OBJECT
from prometheus.market.ingest.remarks import UNSURE as NOT_KNOWN

Ingest = Callable[..., list[Intake]]
H = "Date,Open,High,Low,Close,Adj Close,Volume\n"
R1, R2, R3 = (f"2024-01-0{d},1{d},1{d + 2},9,1{d + 1},1{d}.5,{d}00\n" for d in (2, 3, 4))
ONE, TWO, THREE = ("01-02", 13.0, 200.0), ("01-03", 14.0, 300.0), ("01-04", 15.0, 400.0)
COLUMNS = {
    "instrument_id": {"template": "{stem}.US"},
    "as_of_date": "Date",
    "open": "Open",
    "high": "High",
    "low": "Low",
    "close": "Close",
    "adjusted_close": "Adj Close",
    "volume": "Volume",
}


@dataclass(frozen=True)
class Case:
    """A file and what must come out of it."""

    name: str
    content: str | bytes
    rows: tuple[tuple[str, float | None, float | None], ...] = ()
    quarantined: tuple[tuple[int, str], ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    refused: str = ""
    file: str = "A.csv"


def parquet(**columns: list[Any]) -> bytes:
    out = io.BytesIO()
    pl.DataFrame(columns).write_parquet(out)
    return out.getvalue()


WHOLE_PARQUET = parquet(Date=[dt.date(2024, 1, 2)], Close=[13.0], Volume=[200])
WHOLE_GZIP = gzip.compress((H + (R1 + R2 + R3) * 300).encode())
UNSURE = f"as_of_date{NOT_KNOWN}"
DAY_FIRST = "noted: Date puts the day before the month, as the file proves"
MONTH_FIRST = "noted: Date puts the month before the day, as the file proves"
COMMA = "has a decimal comma, as the file proves"
NEITHER = "neither close nor adjusted_close"
D, J = "Date,Close,Volume\n", '{"Date": "2024-01-02", "Close": 13, "Volume": 200}\n'
J2 = '{"Date": "2024-01-03", "Close": 14, "Volume": 300}\n'
WIDE = "Price,Close,Close,Volume,Volume\nTicker,A,B,A,B\nDate,,,,\n"

CASES = [
    # header
    Case("a missing optional column", "Date,Close\n2024-01-02,13\n", (("01-02", 13.0, None),), counts={"nulled: volume: no column Volume in the file": 1}),
    Case("renamed columns", "Day,Last\n2024-01-02,13\n", refused="A.csv has no column for as_of_date (from Date), close (from Close)"),
    Case("no header", R1 + R2, refused="A.csv has no header line: it begins with 2024-01-02,12,14,9,13,12.5,200. Name its columns in the map"),
    Case("no header and one line", R1, refused="A.csv has no header line"),
    Case("a column twice", "Date,Close,Close\n2024-01-02,1,2\n", refused="A.csv has two columns named Close"),
    Case("an unused column twice", "Date,x,Close,Volume,x\n2024-01-02,1,13,200,2\n", (ONE,)),
    Case("a name of ingest's own", "Date,Close,__row\n2024-01-02,1,2\n", refused="A.csv has a column __row, a name that ingest uses itself"),
    Case("header in other case with blanks", " DATE , close ,VOLUME\n2024-01-02, 13 ,200\n", (ONE,)),
    Case("lines above the header", "Source: X\nTaken on a, b, c\n\n" + H + R1, (ONE,), counts={"noted: lines above the header, passed over": 1}),
    Case("blank lines above the header", "\n\r\n" + H + R1, (ONE,)),
    Case("an index column without a name", ",Date,Close,Volume\n0,2024-01-02,13,200\n", (ONE,)),
    Case("the header again", H + R1 + H + R2, (ONE, TWO), counts={f"dropped: {AGAIN}": 1}),
    Case("a header of three rows", "Price,Close,Volume\nTicker,A,A\nDate,,\n2024-01-02,13,200\n2024-01-03,14,300\n", (ONE, TWO)),
    Case("a header of three rows, other ticker", "Price,Close,Volume\nTicker,X,X\nDate,,\n2024-01-02,13,200\n", (ONE,), counts={"noted: the header names X, which the map leaves aside": 1}),
    Case("a header of three rows without level names", ",Close,Volume\n,A,A\nDate,,\n2024-01-02,13,200\n", (ONE,)),
    Case("a header of three rows, tickers above", "Ticker,A,A\nPrice,Close,Volume\nDate,,\n2024-01-02,13,200\n", (ONE,)),
    Case("a header of two rows", "Price,Close,Volume\nTicker,A,A\n2024-01-02,13,200\n2024-01-03,14,300\n", (ONE, TWO)),
    Case("several tickers side by side", WIDE + "2024-01-02,1,2,3,4\n", refused="A.csv holds 2 instruments side by side (A, B)"),
    # cells of a line
    Case("too many cells", H + R1 + R2.replace("\n", ",9\n"), (ONE,), ((2, TOO_LONG),)),
    Case("too many cells in every line", "Date,Close\n2024-01-02,13,200\n", refused="A.csv: every line has more cells than the header (Date, Close)"),
    Case("too few cells", H + R1 + "2024-01-03,14\n" + R3, (ONE, THREE), ((2, TOO_SHORT),)),
    Case("a missing cell in the middle", H + R1 + R2.replace("14,", ""), (ONE,), ((2, TOO_SHORT),)),
    Case("trailing commas everywhere", (H + R1 + R2).replace("\n", ",,\n"), (ONE, TWO)),
    Case("trailing commas in lines", H + (R1 + R2).replace("\n", ",\n"), (ONE, TWO)),
    Case("trailing commas in the header", H.replace("\n", ",,\n") + R1, (ONE,)),
    Case("blank lines", H + "\n" + R1 + "\n  \n" + R2 + ",,,,,,\n\n", (ONE, TWO), counts={f"dropped: {BLANK}": 5}),
    # line ends, separators, quotes
    Case("crlf", (H + R1 + R2).replace("\n", "\r\n"), (ONE, TWO)),
    Case("lone cr", (H + R1 + R2).replace("\n", "\r"), (ONE, TWO)),
    Case("both line ends", H.replace("\n", "\r\n") + R1 + R2.replace("\n", "\r\n"), (ONE, TWO)),
    Case("no last line end", (H + R1).rstrip("\n"), (ONE,), counts={f"noted: {OPEN_END}": 1}),
    Case("semicolons", (H + R1).replace(",", ";"), (ONE,)),
    Case("tabs", (H + R1).replace(",", "\t"), (ONE,)),
    Case("bars", (H + R1).replace(",", "|"), (ONE,)),
    Case("quoted line ends", 'Date,Note,Close,Volume\n2024-01-02,"a\nb, ""c""",13,200\n2024-01-03,d,14,300\n', (ONE, TWO)),
    Case("a quote in a bare cell", 'Date,Note,Close,Volume\n2024-01-02,5" disk,13,200\n2024-01-03,d,14,300\n', (ONE, TWO)),
    Case("backslashes before quotes", 'Date,Note,Close,Volume\n2024-01-02,"a \\"b\\", c",13,200\n2024-01-03,d,14,300\n', (ONE, TWO)),
    Case("a quote never closed", 'Date,Note,Close,Volume\n2024-01-02,"a,13,200\n2024-01-03,d,14,300\n', refused="A.csv, line 2: a quote is opened and not closed"),
    Case("text after a quote", 'Date,Note,Close,Volume\n2024-01-02,a,13,200\n2024-01-03,"b"c,14,300\n', refused="A.csv, line 3: a quote is opened and not closed, or text follows a closing quote"),
    # encodings
    Case("utf-8 with a mark", "\ufeff" + H + R1, (ONE,)),
    Case("utf-16", (H + R1).encode("utf-16"), (ONE,), counts={"noted: the file is written in utf-16": 1}),
    Case("utf-16 without a mark", (H + R1).encode("utf-16-le"), (ONE,), counts={"noted: the file is written in utf-16-le": 1}),
    Case("utf-16 big end first", b"\xfe\xff" + (H + R1).encode("utf-16-be"), (ONE,)),
    Case("utf-16 cut in the middle", (H + R1).encode("utf-16")[:-1], refused="is not utf-16 text"),
    Case("latin-1 in the header", "Date,Close,Volume,Société\n2024-01-02,13,200,x\n".encode("latin-1"), refused="A.csv, line 1, is not UTF-8 text (byte 0xe9); say the encoding"),
    Case("windows-1252", "Date,Close,Volume,n\n2024-01-02,13,200,“q”\n".encode("cp1252"), refused="A.csv, line 2, is not UTF-8 text (byte 0x93)"),
    Case("NUL bytes in a cell", H + R1 + R2.replace("13", "1\x003"), (ONE,), ((2, NUL),)),
    Case("NUL bytes at the end", (H + R1).encode() + b"\x00" * 50, (ONE,), ((2, NUL),)),
    Case("NUL bytes alone", b"\x00" * 500, refused="A.csv begins with 500 NUL bytes"),
    # other things called .csv
    Case("a web page", "<!DOCTYPE html><html>404</html>", refused="A.csv is a web page and no table"),
    Case("bzip2", b"BZh91AY&SY", refused="A.csv is packed with bzip2; unpack it"),
    Case("xz", b"\xfd7zXZ\x00\x00", refused="A.csv is packed with xz; unpack it"),
    Case("zstd", b"\x28\xb5\x2f\xfd$", refused="A.csv is packed with zstd; unpack it"),
    Case("a pdf", b"%PDF-1.7", refused="A.csv is a PDF"),
    Case("an old workbook", b"\xd0\xcf\x11\xe0\xa1", refused="A.csv is an old Excel workbook; export it as CSV"),
    Case("an archive", b"PK\x03\x04abc", refused="A.csv is a ZIP archive or an Excel workbook"),
    Case("parquet", WHOLE_PARQUET, refused="A.csv is a Parquet file"),
    Case("an answer in JSON", '{"error": "no such ticker"}\n', refused='A.csv has no column for as_of_date (from Date)'),
    Case("gzip", gzip.compress((H + R1).encode()), (ONE,)),
    # cut files
    Case("half a last line", H + R1 + R2[:14], (ONE,), ((2, CUT),)),
    Case("half a last number", H + R1 + "2024-01-03,13,15,9,1", (ONE,), ((2, CUT),)),
    Case("cut in a quote", 'Date,Close,Volume,n\n2024-01-02,13,200,"abc', refused="A.csv, line 2: a quote is opened and not closed"),
    Case("cut after a doubled quote", 'Date,Close,Volume,n\n2024-01-02,13,200,"abc ""', refused="A.csv, line 2: a quote is opened and not closed"),
    Case("cut gzip", WHOLE_GZIP[:-40], refused="A.csv.gz is cut short: its gzip data end", file="A.csv.gz"),
    Case("cut gzip end mark", WHOLE_GZIP[:-5], refused="A.csv.gz is cut short", file="A.csv.gz"),
    Case("broken gzip", WHOLE_GZIP[:-8] + b"12345678", refused="A.csv.gz holds broken gzip data (CRC", file="A.csv.gz"),
    Case("no gzip", H + R1, refused="A.csv.gz is named .gz but holds no gzip data", file="A.csv.gz"),
    Case("cut parquet", WHOLE_PARQUET[:-20], refused="A.parquet is cut short: the end mark of Parquet is missing", file="A.parquet"),
    Case("no parquet", H + R1, refused="A.parquet is no Parquet file", file="A.parquet"),
    Case("parquet with a broken foot", WHOLE_PARQUET[:-60] + b"x" * 52 + WHOLE_PARQUET[-8:], refused="A.parquet cannot be read as parquet", file="A.parquet"),
    Case("cut json lines", J + J2[:20], (ONE,), ((2, CUT),), file="A.jsonl"),
    Case("cut gzipped json lines", gzip.compress((J * 1000).encode())[:-12], refused="A.jsonl.gz is cut short", file="A.jsonl.gz"),
    # nothing
    Case("0 bytes", "", refused="A.csv is empty"),
    Case("a header alone", H, refused="A.csv is empty"),
    Case("blank lines alone", "\n\n \n", refused="A.csv is empty"),
    Case("a mark alone", b"\xef\xbb\xbf", refused="A.csv is empty"),
    Case("gzip of nothing", gzip.compress(b""), refused="A.csv.gz is empty", file="A.csv.gz"),
    Case("parquet without rows", parquet(Date=[], Close=[]), refused="A.parquet is empty", file="A.parquet"),
    Case("0 bytes of parquet", "", refused="A.parquet is empty", file="A.parquet"),
    Case("no json lines", "\n\n", refused="A.jsonl is empty", file="A.jsonl"),
    # json lines
    Case("blank json lines", "\n" + J + "\n\n" + J2.replace("\n", "\r\n"), (ONE, TWO), file="A.jsonl"),
    Case("NaN in json", J.replace("200", "NaN") + J2, (("01-02", 13.0, None), TWO), file="A.jsonl"),
    Case("a number beyond floats in json", J.replace("200", "1e999") + J2.replace("300", "NaN"), (("01-02", 13.0, None), ("01-03", 14.0, None)), file="A.jsonl"),
    Case("a list in one line alone", J.replace("200", "[1]") + J2, refused="A.jsonl cannot be read as jsonl: Volume is a list in one line and a plain value in another", file="A.jsonl"),
    Case("a json line that is none", J + "oops\n[1]\n" + J2, (ONE, TWO), ((2, NO_OBJECT), (3, NO_OBJECT)), file="A.jsonl"),
    Case("NUL bytes in json lines", J + "\x00\x00\n", (ONE,), ((2, NO_OBJECT),), file="A.jsonl"),
    Case("a json array", '[{"Date": "2024-01-02", "Close": 1}]', refused="A.jsonl, line 1, cannot be read as jsonl: it is one JSON text", file="A.jsonl"),
    Case("no json", "Date,Close\n2024-01-02,1\n", refused="A.jsonl, line 1, cannot be read as jsonl: no line is a JSON object", file="A.jsonl"),
    Case("latin-1 json", J.replace("}", ', "n": "é"}').encode("latin-1"), refused="A.jsonl, line 1, is not UTF-8 text", file="A.jsonl"),
    Case("utf-16 json", J.encode("utf-16"), (ONE,), file="A.jsonl"),
    Case("mixed types in json", J + J2.replace("14", '"14"').replace("300", '"3,00"'), (ONE, ("01-03", 14.0, 3.0)), file="A.jsonl"),
    Case("nested json", J.replace("200", '{"v": 1}') + J2.replace("300", '{"v": 2}'), (("01-02", 13.0, None), ("01-03", 14.0, None)), counts={"nulled: volume is unreadable": 2}, file="A.jsonl"),
    # numbers
    Case("thousands", D + '2024-01-02,"1,234.5","1,234,567"\n', (("01-02", 1234.5, 1234567.0),)),
    Case("thousands without a point", D + '2024-01-02,"1,234","12,345"\n', (("01-02", 1234.0, 12345.0),)),
    Case("thousands with blanks and apostrophes", D + "2024-01-02,1'234.5,1 234 567\n2024-01-03,1\u202f234.5,5\u00a0000\n", (("01-02", 1234.5, 1234567.0), ("01-03", 1234.5, 5000.0))),
    Case("decimal commas", "Date;Close;Volume\n2024-01-02;1.234,5;1.234.567\n2024-01-03;11,5;3\n", (("01-02", 1234.5, 1234567.0), ("01-03", 11.5, 3.0)), counts={f"noted: Close {COMMA}": 2, f"noted: Volume {COMMA}": 1}),
    Case("decimal commas proved by another column", "Date;Close;Volume\n2024-01-02;11,5;12.345\n", (("01-02", 11.5, 12345.0),)),
    Case("decimal commas proved by another line", "Date;Close\n2024-01-02;1.234\n2024-01-03;0,987\n", (("01-02", 1234.0, None), ("01-03", 0.987, None))),
    Case("a typing error proves nothing", 'Date,Close,Volume\n2024-01-02,11.5,"12,345"\n2024-01-03,11.25,"1,23"\n', (("01-02", 11.5, None), ("01-03", 11.25, 1.23)), counts={"nulled: volume is unreadable": 1}),
    Case("both decimal marks", 'Date,Close\n2024-01-02,"1.234,5"\n2024-01-03,"1,234.5"\n2024-01-04,"1.234"\n', (("01-02", 1234.5, None), ("01-03", 1234.5, None)), ((3, NEITHER),), counts={"noted: Close has decimal commas and points, each number read by itself": 3}),
    Case("words for nothing", H + "2024-01-02,nan,#N/A,NULL,13,-,None\n2024-01-03,n/a,.,?,14,<NA>,#DIV/0!\n", (("01-02", 13.0, None), ("01-03", 14.0, None)), counts={}),
    Case("words that are no number", H + "2024-01-02,abc,$12,12%,13,(5),12k\n", (("01-02", 13.0, None),), counts={f"nulled: {c} is unreadable": 1 for c in ("open", "high", "low", "adjusted_close", "volume")}),
    Case("beyond floats", H + "2024-01-02,1e400,inf,9,13,12,200\n", (ONE,), counts={"nulled: open is not finite": 1, "nulled: high is not finite": 1}),
    Case("zero and negative prices", H + "2024-01-02,-1,14,9,13,0,200\n", (ONE,), counts={"nulled: open zero or negative": 1, "nulled: adjusted_close zero or negative": 1}),
    Case("high below low", H + "2024-01-02,12,5,9,13,12.5,200\n", (ONE,), counts={"nulled: high below close": 1}),
    # rows
    Case("repeated rows", H + R1 + R1 + R2, (ONE, TWO), counts={"dropped: exact duplicate": 1}),
    Case("rows out of order", H + R3 + R1 + R2, (ONE, TWO, THREE)),
    Case("rows that contradict each other", H + R1 + R1.replace(",13,", ",13.5,"), (("01-02", 13.5, 200.0),), ((1, "contradicts another row of the same key"),)),
    # dates
    Case("several forms of dates", D + "2024-01-02,13,200\n20240103,14,300\n2024/1/4,15,400\n5 Jan 2024,16,1\n\"Jan 8, 2024\",17,1\n09-JANUARY-2024,18,1\n2024-Jan-10,19,1\n2024-01-11 00:00:00,20,1\n", (ONE, TWO, THREE, ("01-05", 16.0, 1.0), ("01-08", 17.0, 1.0), ("01-09", 18.0, 1.0), ("01-10", 19.0, 1.0), ("01-11", 20.0, 1.0))),
    Case("day first, as one date proves", D + "03/01/2024,14,300\n4.1.2024,15,400\n23-01-2024,1,1\n", (TWO, THREE, ("01-23", 1.0, 1.0)), counts={DAY_FIRST: 3}),
    Case("month first, as one date proves", D + "01/03/2024,14,300\n01/23/2024,1,1\n", (TWO, ("01-23", 1.0, 1.0)), counts={MONTH_FIRST: 2}),
    Case("day and month unknown", D + "03/01/2024,14,300\n04/01/2024,15,400\n", (), ((1, UNSURE), (2, UNSURE))),
    Case("day and month alike", D + "03/01/2024,14,300\n02/02/2024,15,400\n", (("02-02", 15.0, 400.0),), ((1, UNSURE),)),
    Case("both orders proved", D + "23/01/2024,14,300\n01/24/2024,15,400\n03/01/2024,1,1\n", (("01-23", 14.0, 300.0), ("01-24", 15.0, 400.0)), ((3, UNSURE),)),
    Case("years of two digits", D + "03/01/24,14,300\n24-01-03,14,300\n", (), ((1, "as_of_date is unreadable"), (2, "as_of_date is unreadable"))),
    Case("days that are not", D + "2024-02-30,1,1\n31/02/2024,1,1\nsoon,1,1\n45293,1,1\n", (), tuple((i, "as_of_date is unreadable") for i in (1, 2, 3, 4))),
    Case("days with an offset", D + "2024-01-02 00:00:00-05:00,13,200\n2024-01-03 00:00:00+09:00,14,300\n", (ONE, TWO)),
    Case("a day in the future", H + R1 + "2034-01-02,1,1,1,1,1,1\n", (ONE,), ((2, "date in the future"),)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_what_comes_out_of_a_nasty_file(
    write: Any, tmp_path: Path, ingest: Ingest, price_feed: Any, case: Case
) -> None:
    raw = case.content.encode() if isinstance(case.content, str) else case.content
    (tmp_path / case.file).write_bytes(raw)
    feed = price_feed(files="A.*", columns=COLUMNS)
    if case.refused:
        with pytest.raises(BadDataError) as refusal:
            ingest(feed)
        assert case.refused in str(refusal.value)
        assert "\n" not in str(refusal.value)
        return
    (intake,) = ingest(feed)
    stored = [(r["as_of_date"].strftime("%m-%d"), r["close"], r["volume"]) for r in intake.rows.to_pylist()]
    assert tuple(stored) == case.rows
    assert {r["instrument_id"] for r in intake.rows.to_pylist()} <= {"A.US"}
    refused = sorted((r["source_row"], r["reason"]) for r in intake.quarantined.to_pylist())
    assert tuple(refused) == case.quarantined
    found = intake.tally.counts
    assert {reason: found.get(reason) for reason in case.counts} == case.counts
    if not case.counts:
        told = [r for r in found if not r.startswith("quarantined: ") and "no column" not in r]
        assert not [r for r in told if r.startswith(("nulled", "dropped"))]


def test_every_case_is_told_apart_by_its_name() -> None:
    assert len({c.name for c in CASES}) == len(CASES)


def test_the_separator_the_header_and_the_encoding_can_be_said(write: Any, ingest: Ingest, price_feed: Any) -> None:
    names = ["Date", "Open", "High", "Low", "Close", "Adj Close", "Volume"]
    write("A.csv", R1 + R2)
    (headless,) = ingest(price_feed(columns=COLUMNS, header=names))
    write("A.csv", H + R1 + R2)
    (headed,) = ingest(price_feed(columns=COLUMNS, header=names))
    assert headless.rows.equals(headed.rows)
    assert headless.rows.num_rows == 2
    write("A.csv", "id;date;close\nA,B;2024-01-02;1\n")
    assert ingest(price_feed(separator=";"))[0].rows["instrument_id"].to_pylist() == ["A,B"]
    write("A.csv", "id,date,close\nSociété,2024-01-02,1\n".encode("cp1252"))
    latin = price_feed(encoding="windows-1252")
    assert ingest(latin)[0].rows["instrument_id"].to_pylist() == ["Société"]


def test_a_name_that_is_no_text_is_replaced(tmp_path: Path, ingest: Ingest, price_feed: Any) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.csv")).write_text(H + R1 + "soon" + R2[10:])
    (intake,) = ingest(price_feed(columns=COLUMNS))
    assert intake.rows["instrument_id"].to_pylist() == ["caf\ufffd.US"]
    assert intake.files == ("caf\ufffd.csv",)
    assert intake.quarantined["source_file"].to_pylist() == ["caf\ufffd.csv"]


def test_several_tickers_side_by_side_become_rows_of_their_own(write: Any, ingest: Ingest, price_feed: Any) -> None:
    write("A.csv", WIDE + "2024-01-02,1,2,3,4\n2024-01-03,5,,7,\nsoon,1,2,3,4\n")
    (intake,) = ingest(price_feed(columns=COLUMNS | {"instrument_id": {"template": "{Ticker}.US"}}))
    rows = [(r["instrument_id"], r["as_of_date"].day, r["close"], r["volume"]) for r in intake.rows.to_pylist()]
    assert rows == [("A.US", 2, 1.0, 3.0), ("A.US", 3, 5.0, 7.0), ("B.US", 2, 2.0, 4.0)]
    assert (intake.tally.read, intake.tally.added) == (3, 3)
    assert intake.tally.counts[f"dropped: {NO_VALUE}"] == 1
    assert sorted(intake.quarantined["reason"].to_pylist()) == [f"as_of_date is unreadable [{t}]" for t in "AB"]


def test_an_empty_file_among_others_is_noted(write: Any, tmp_path: Path, ingest: Ingest, price_feed: Any) -> None:
    for name, content in (("A.csv", H + R1), ("B.csv", ""), ("C.csv", H), ("D.csv", H + R2), ("E.csv", "\n")):
        write(name, content)
    (tmp_path / "F.csv").mkdir()
    feed = price_feed(columns=COLUMNS)
    (whole,) = ingest(feed)
    assert whole.rows["instrument_id"].to_pylist() == ["A.US", "D.US"]
    assert whole.tally.noted == {EMPTY: 3, FOLDER: 1}
    assert [who for who, _ in whole.tally.offenders("noted", EMPTY)] == ["B.csv", "C.csv", "E.csv"]
    parts = ingest(feed, chunk_bytes=1)
    assert sum(i.tally.noted[EMPTY] for i in parts) == 3
    assert {name for i in parts for name in i.files} == set(whole.files)
    assert sum(i.rows.num_rows for i in parts) == 2
    (tmp_path / "A.csv").unlink()
    (tmp_path / "D.csv").unlink()
    with pytest.raises(BadDataError, match=r"all 3 files of the feed .* \(B\.csv, \.\.\.\) are empty"):
        ingest(feed)
    assert sum(i.tally.noted[EMPTY] for i in ingest(price_feed(columns=COLUMNS, optional=True))) == 3


def test_a_file_without_a_column_is_named_however_files_are_grouped(
    write: Any, ingest: Ingest, price_feed: Any
) -> None:
    write("A.csv", H + R1)
    write("B.csv", "Day,Close\n2024-01-02,1\n")
    for options in ({}, {"chunk_bytes": 1}):
        with pytest.raises(BadDataError, match=r"^B\.csv has no column for as_of_date \(from Date\)"):
            ingest(price_feed(columns=COLUMNS), **options)


def test_files_that_differ_in_case_and_optional_columns_fill_the_same_table(
    write: Any, ingest: Ingest, price_feed: Any
) -> None:
    write("A.csv", "Date,Close,Volume\n2024-01-02,1,10\n")
    write("B.csv", "DATE,close\n2024-01-02,2\n2024-01-03,2\n")
    write("C.csv", "date;VOLUME;close\n2024-01-02;30;3\n")
    (intake,) = ingest(price_feed(columns=COLUMNS))
    assert intake.rows["close"].to_pylist() == [1.0, 2.0, 2.0, 3.0]
    assert intake.rows["volume"].to_pylist() == [10.0, None, None, 30.0]
    assert intake.tally.nulled["volume: no column Volume in the file"] == 2
    assert intake.tally.nulled["open: no column Open in the file"] == 4


def test_what_proves_a_notation_is_the_file_and_no_other(write: Any, ingest: Ingest, price_feed: Any) -> None:
    write("A.csv", D + "03/01/2024,14,300\n")
    write("B.csv", D + '23/01/2024,"14,5",300\n')
    write("C.csv", D + '2024-01-03,"1,500",300\n')
    for options in ({}, {"chunk_bytes": 1}):
        intakes = ingest(price_feed(columns=COLUMNS), **options)
        rows = [(r["instrument_id"], r["close"]) for i in intakes for r in i.rows.to_pylist()]
        assert rows == [("B.US", 14.5), ("C.US", 1500.0)]
        assert [r["reason"] for i in intakes for r in i.quarantined.to_pylist()] == [UNSURE]


def test_steps_see_dates_as_the_columns_do(write: Any, ingest: Ingest, price_feed: Any) -> None:
    """The first row by day, of dates whose order only the whole file proves."""
    write("A.csv", D + "04/01/2024,15,1\n03/01/2024,14,1\n23/01/2024,16,1\n")
    first = price_feed(columns=COLUMNS, steps=[{"first_by": {"keys": ["stem"], "order": "Date"}}])
    (row,) = ingest(first)[0].rows.to_pylist()
    assert (row["as_of_date"], row["close"]) == (dt.date(2024, 1, 3), 14.0)


def test_broken_lines_take_no_part_in_steps(write: Any, ingest: Ingest, price_feed: Any) -> None:
    write("A.csv", "Date,kind,Close\n2024-01-02,x,1\n2024-01-03,x\n2024-01-04,y,3\n")
    (intake,) = ingest(price_feed(columns=COLUMNS, steps=[{"where": {"column": "kind", "values": ["x"]}}]))
    assert intake.rows["close"].to_pylist() == [1.0]
    assert intake.quarantined["reason"].to_pylist() == [TOO_SHORT]
    assert intake.tally.dropped == {"kind is not x": 1}


def test_steps_that_the_types_of_a_file_do_not_allow_are_refused(write: Any, ingest: Ingest, price_feed: Any) -> None:
    write("p.parquet", pl.DataFrame({"id": ["A"], "date": [dt.date(2024, 1, 2)], "close": [1.0], "tags": [["x"]]}))
    for step, says in (
        ({"where": {"column": "tags", "values": ["x"]}}, "tags holds lists or objects, so its values cannot be chosen"),
        ({"unpivot": {"columns": ["date", "tags"]}}, "unpivot cannot put these into one column: date Date, tags List"),
        ({"explode": {"column": "date"}}, "date holds neither lists nor text"),
        ({"explode": {"column": "id"}}, "id holds text; give explode a separator"),
    ):
        with pytest.raises(BadDataError, match=says):
            ingest(price_feed(files="p.parquet", steps=[step]))


def test_what_the_operating_system_refuses_is_a_sentence(
    write: Any, tmp_path: Path, ingest: Ingest, price_feed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = price_feed(columns=COLUMNS)
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BadDataError, match=r"gone\.csv is gone, or is a link to nothing"):
        ingest(feed)
    (tmp_path / "gone.csv").unlink()
    (tmp_path / "A.csv").mkdir()
    with pytest.raises(BadDataError, match=r"A\.csv is a folder where a file should be; .* files: \"A\.csv/\*\""):
        ingest(feed)
    (tmp_path / "A.csv").rmdir()
    write("A.csv", H + R1)
    write("B.parquet", pl.DataFrame({"Date": [dt.date(2024, 1, 2)], "Close": [1.0]}))
    for error, says in (
        (PermissionError(13, "Permission denied"), "may not be read; give the user of this command the right"),
        (OSError(5, "Input/output error"), r"cannot be read \(Input/output error\); look at the disk"),
    ):

        def broken(*_: Any, error: OSError = error, **__: Any) -> Any:
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(Path, "open", broken)
            for name in ("A.csv", "B.parquet"):
                with pytest.raises(BadDataError, match=f"{name} {says}"):
                    ingest(price_feed(columns=COLUMNS, files=name))


CELL = st.text(alphabet="ab ,;\t|\"'\n\r\u00e9\u20ac0-", max_size=6)


@given(
    rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8),
    separator=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    every=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    packed=st.booleans(),
)
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_dialect_a_csv_is_written_in_its_cells_come_back(
    tmp_path: Path,
    ingest: Ingest,
    rows: list[tuple[str, str]],
    separator: str,
    end: str,
    every: bool,
    encoding: str,
    packed: bool,
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(
        out, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_ALL if every else csv.QUOTE_MINIMAL
    )
    writer.writerow(["n", "one", "two"])
    writer.writerows([f"k{i}", *row] for i, row in enumerate(rows))
    raw = out.getvalue().encode(encoding)
    (tmp_path / "t.csv").write_bytes(gzip.compress(raw) if packed else raw)
    columns = {"doc_id": "n", "published_at": {"value": "2024-01-02"}, "title": "one", "body": {"template": "x{two}"}}
    feed = {"table": "macro_texts", "files": "t.csv", "columns": columns, "known_at": "published_at"}
    (intake,) = ingest(feed)
    taken = {r["doc_id"]: r["title"] for r in intake.rows.to_pylist()}
    lines = intake.quarantined.to_pylist()
    for i, (one, two) in enumerate(rows):
        held = (one.strip(), two.strip())
        if held[1] in ("", "-", "--"):
            assert f"k{i}" not in taken
        else:
            assert taken[f"k{i}"] == (held[0] if held[0] not in ("", "-", "--") else None)
    assert len(taken) + len(lines) == len(rows)
    assert all(r["reason"] == "body is empty" for r in lines)


SOUND = (H + R1 + R2 + R3.replace("400", '"4,00"')).encode()


@given(
    cut=st.integers(0, len(SOUND)),
    put=st.sampled_from([b"", b"\x00", b'"', b",", b"\n", b"\xff", b"x", b"\r", b"\n\n", b",,"]),
    gone=st.integers(0, 3),
    ends=st.booleans(),
)
@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_gives_rows_of_the_file_or_a_sentence(
    tmp_path: Path, ingest: Ingest, price_feed: Any, cut: int, put: bytes, gone: int, ends: bool
) -> None:
    """Bytes are lost, put in, or the rest is missing. Whatever is taken, instruments, dates and counts hold."""
    (tmp_path / "A.csv").write_bytes(SOUND[:cut] + put + (b"" if ends else SOUND[cut + gone :]))
    refused = ""
    try:
        (intake,) = ingest(price_feed(columns=COLUMNS))
    except PrometheusError as refusal:
        refused = str(refusal)
    if refused:
        assert "A.csv" in refused
        assert "\n" not in refused
        return
    taken = {(r["as_of_date"].day, r["close"]) for r in intake.rows.to_pylist()}
    if ends and not put:
        assert taken <= {(2, 13.0), (3, 14.0), (4, 15.0)}


def test_lone_quotes_are_found_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from prometheus.market.ingest import records

    text = 'a,b\n"x ""y"" z","1\n2"\n3,"4"\n'
    (tmp_path / "a.csv").write_text(text)
    for block in (1, 2, 3, 7, 1000):
        monkeypatch.setattr(records, "BLOCK_BYTES", block)
        with opened(tmp_path / "a.csv", "a.csv") as content:
            assert records.quotes_are_sound(content.raw, ",")
            assert records.cell_counts(content.raw, ",").tolist() == [2, 2, 2]
        assert not records.quotes_are_sound(text.replace("4", '4"5').encode(), ",")
