"""What is in a text file, whatever it is packed and written in: UTF-8 with line feeds comes out, or a refusal.

A byte order mark is proof of an encoding and the first bytes of a file are proof of its kind; nothing else about the
encoding is guessed, because every byte is a letter in some code page.
"""

from __future__ import annotations

import codecs
import gzip
import mmap
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus.errors import BadDataError

HEAD_BYTES = 2**20
"""How much of a file is looked at to find out its layout."""

_MARKS: tuple[tuple[bytes, str], ...] = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_KINDS: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook; unpack it, or export it as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook; export it as CSV"),
    (b"PAR1", "a Parquet file; rename it to .parquet, or say format: parquet in the map"),
    (b"BZh", "packed with bzip2; unpack it, or pack it with gzip"),
    (b"\xfd7zXZ\x00", "packed with xz; unpack it, or pack it with gzip"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd; unpack it, or pack it with gzip"),
    (b"%PDF", "a PDF; ingest reads tables"),
)
_WEB_PAGE = re.compile(rb"\s*<(!doctype|html|\?xml|head|body)", re.IGNORECASE)


@dataclass(frozen=True)
class Content:
    """The text of a file.

    Attributes
    ----------
    name : str
        What refusals call the file.
    path : pathlib.Path
    raw : bytes or mmap
        UTF-8 (not checked where it was not decoded here), lines ending in LF or CRLF.
    as_stored : bool
        Whether ``raw`` is the file as it lies there, so that it can be read by its path.
    compression : str
        ``gzip`` or empty.
    encoding : str
        What the file is written in; empty for plain UTF-8 without a mark.
    """

    name: str
    path: Path
    raw: bytes | mmap.mmap
    as_stored: bool = False
    compression: str = ""
    encoding: str = ""

    @property
    def head(self) -> bytes:
        """The first megabyte."""
        return self.raw[:HEAD_BYTES]

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing in it but blanks and line ends."""
        return len(self.raw) <= HEAD_BYTES and not self.head.removeprefix(codecs.BOM_UTF8).strip()

    def line_of(self, position: int) -> int:
        """Line number, from 1, of a byte."""
        return self.raw[:position].count(b"\n") + 1


@contextmanager
def opened(path: Path, name: str, encoding: str | None = None) -> Iterator[Content]:
    """Open a text file; gzip is unpacked, other encodings become UTF-8, lone carriage returns become line feeds.

    Raises
    ------
    BadDataError
        When it cannot be opened or unpacked, is no text, or is not in the encoding it should be in.
    """
    with reading(path, name), path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        if head.startswith(b"\x1f\x8b"):
            yield _decoded(path, name, _unpacked(path, name), "gzip", encoding)
        elif path.name.lower().endswith(".gz") and head:
            raise BadDataError(f"{name} is named .gz but holds no gzip data; fetch it again, or take .gz off its name")
        elif not head:
            yield Content(name, path, b"", as_stored=True)
        elif encoding is not None or not _plain(head):
            yield _decoded(path, name, path.read_bytes(), "", encoding)
        else:
            _check_kind(head, name)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                yield Content(name, path, mapped, as_stored=True)


@contextmanager
def reading(path: Path, name: str) -> Iterator[None]:
    """Turn what the operating system says about a file into a refusal."""
    try:
        yield
    except PermissionError:
        raise BadDataError(f"{name} may not be read; give the user of this command the right to read it") from None
    except FileNotFoundError:
        raise BadDataError(f"{name} is gone, or is a link to nothing; bring it back and run again") from None
    except IsADirectoryError:
        raise BadDataError(f"{name} is a folder where a file should be; correct files in the map") from None
    except OSError as error:
        raise BadDataError(
            f"{name} cannot be read ({error.strerror or error}); look at the disk, then run again"
        ) from None


def _plain(head: bytes) -> bool:
    """Whether the file can be taken as it is: no mark of another encoding, no lone carriage returns."""
    return _mark(head) in ("", "utf-8") and not _sixteen_bit(head) and (b"\n" in head or b"\r" not in head)


def _mark(head: bytes) -> str:
    return next((name for mark, name in _MARKS if head.startswith(mark)), "")


def _sixteen_bit(head: bytes) -> str:
    """UTF-16 without a mark: in text of the Latin script every other byte is NUL."""
    sample = head[:4096]
    even, odd = sample[::2], sample[1::2]
    if len(sample) < 8 or not (even and odd):
        return ""
    share = (even.count(0) / len(even), odd.count(0) / len(odd))
    if share[1] > 0.6 and share[0] < 0.1:
        return "utf-16-le"
    return "utf-16-be" if share[0] > 0.6 and share[1] < 0.1 else ""


def _unpacked(path: Path, name: str) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except EOFError:
        raise BadDataError(f"{name} is cut short: its gzip data end before their end mark; fetch it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise BadDataError(f"{name} holds broken gzip data ({error}); fetch it again") from None


def _decoded(path: Path, name: str, raw: bytes, compression: str, said: str | None) -> Content:
    head = raw[:HEAD_BYTES]
    found = _mark(head) or _sixteen_bit(head)
    encoding = found or said or ""
    if encoding and not (found == "utf-8" and compression == ""):
        try:
            raw = raw.decode(encoding).removeprefix("\ufeff").encode()
        except UnicodeDecodeError as error:
            line = raw[: error.start].count(b"\n") + 1
            raise BadDataError(
                f"{name}, line {line}, is not {encoding} text ({error.reason}); say the encoding it was written in, "
                "or fetch it again"
            ) from None
    _check_kind(raw[:HEAD_BYTES], name)
    if b"\n" not in raw[:HEAD_BYTES]:
        raw = raw.replace(b"\r", b"\n")
    return Content(name, path, raw, compression=compression, encoding=encoding)


def _check_kind(head: bytes, name: str) -> None:
    for magic, kind in _KINDS:
        if head.startswith(magic):
            raise BadDataError(f"{name} is {kind}")
    if _WEB_PAGE.match(head.removeprefix(codecs.BOM_UTF8)):
        raise BadDataError(f"{name} is a web page and no table: the place it was fetched from sent one; fetch it again")
    if head and not head.strip(b"\x00"):
        raise BadDataError(f"{name} begins with {len(head):,} NUL bytes: writing it broke off; fetch it again")


def fast_source(path: Path) -> Path | bytes:
    """Return what the fast readers take: the path, or what the file holds where its name is no text."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return path.read_bytes()
    return path


def refuse_encoding(content: Content) -> None:
    """Refuse text that is not UTF-8, naming the line.

    Raises
    ------
    BadDataError
        When some bytes are no UTF-8; nothing happens when all are.
    """
    try:
        bytes(content.raw).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadDataError(
            f"{content.name}, line {content.line_of(error.start)}, is not UTF-8 text (byte "
            f"0x{content.raw[error.start]:02x}); say the encoding of the feed in the map, for example encoding: "
            "windows-1252, or save the file as UTF-8"
        ) from None
