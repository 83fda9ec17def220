"""What the store would not do, in sentences: a full disk, a lake that may not be written, a file that is gone.

The libraries below say so in errors of many types, some with the system's number, some only in their text. They are
told apart here and nowhere else.
"""

from __future__ import annotations

import errno
import os
import re

import duckdb
from deltalake.exceptions import DeltaError

from prometheus.errors import StorageError

_SAFE = "What was committed before is in the lake, whole"
_AGAIN = "then run the same command again: it goes on from there"

_BY_NUMBER = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), ("the disk is full", f"{_SAFE}; free some space, {_AGAIN}")),
    errno.EFBIG: (
        "a file would grow past the limit set for this process (ulimit -f)",
        f"{_SAFE}; raise the limit, {_AGAIN}",
    ),
    errno.EROFS: (
        "the file system is read-only",
        f"{_SAFE}; make it writable, {_AGAIN}, or name another lake with --lake",
    ),
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM),
        (
            "this user may not read or write here",
            f"{_SAFE}; allow it, {_AGAIN}, or name another lake with --lake",
        ),
    ),
    **dict.fromkeys(
        (errno.EMFILE, errno.ENFILE),
        ("too many files are open at once (ulimit -n)", f"{_SAFE}; raise the limit or lower --workers, {_AGAIN}"),
    ),
    **dict.fromkeys(
        (errno.EIO, errno.ESTALE),
        ("the device failed", f"{_SAFE}; see to the disk, check the lake with `prometheus lake doctor`, {_AGAIN}"),
    ),
}

_GONE = (
    "was the lake moved or removed while this ran? If it is where it was, `prometheus lake doctor` names every file "
    "that is not there"
)
_NOT_THERE = ("No files found that match", "Kernel error: File not found")
_LOG_NOT_THERE = ("Invalid table version", "Requested snapshot version")
_DAMAGED = "`prometheus lake doctor` names every damaged file and what to do"

_SYSTEM_NUMBER = re.compile(r"\(os error (\d+)\)|\[Errno (\d+)\]")
_PATH = re.compile(r"""["' ](/[^"':\n]+?)(?:["':\n]|$)""")
_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")


def storage_refusal(error: BaseException) -> StorageError | None:
    """Turn an error of the store into a sentence; None when it is not one.

    Parameters
    ----------
    error : BaseException
        As raised by the operating system, by deltalake or by DuckDB.
    """
    if not isinstance(error, OSError | DeltaError | duckdb.Error):
        return None
    text = re.sub(r"\x1b\[\d*m", "", str(error))
    number = _number(error, text)
    if number in _BY_NUMBER:
        what, todo = _BY_NUMBER[number]
        return StorageError(f"{what}{_at(error, text)}. {todo}")
    if isinstance(error, OSError) and not isinstance(error, DeltaError) and number is not None:
        return None  # a file this program looked for in vain, or the like: a bug
    if number == errno.ENOENT or any(said in text for said in _NOT_THERE):
        return StorageError(f"a file of the lake is not there{_at(error, text)}; {_GONE}")
    if any(said in text for said in _LOG_NOT_THERE):
        return StorageError(f"a table's log is not there any more; {_GONE}")
    if "No magic bytes" in text or "Json error" in text:
        return StorageError(f"a file of the lake is damaged{_at(error, text)} ({_first_line(text)}); {_DAMAGED}")
    return None


def _number(error: BaseException, text: str) -> int | None:
    number = getattr(error, "errno", None)
    if number is not None:
        return int(number)
    found = _SYSTEM_NUMBER.search(text)
    if found:
        return int(found[1] or found[2])
    if _SHORT_WRITE.search(text):
        return errno.ENOSPC
    return next((n for n in (*_BY_NUMBER, errno.ENOENT) if os.strerror(n) in text), None)


def _at(error: BaseException, text: str) -> str:
    path = getattr(error, "filename", None)
    if path is None:
        found = _PATH.search(text)
        path = found[1] if found else None
    return f" ({path})" if path else ""


def _first_line(text: str) -> str:
    return text.splitlines()[0][:120]
