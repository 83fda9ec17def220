"""CSV that a command ends with: to standard output, or to a file that is there whole or not at all."""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from prometheus.cli.command import parse_day
from prometheus.errors import RequestError


def add_csv_flags(parser: argparse.ArgumentParser) -> None:
    """``--start``, ``--end`` and ``--output``."""
    parser.add_argument("--start", type=parse_day, metavar="D", help="first date, with --end instead of --date-range")
    parser.add_argument("--end", type=parse_day, metavar="D", help="last date")
    parser.add_argument("--output", type=Path, metavar="F.csv", help="file to write (default: standard output)")


def start_and_end(args: argparse.Namespace) -> tuple[dt.date, dt.date]:
    """Return the dates of ``--start`` and ``--end``.

    Raises
    ------
    RequestError
        When one is missing, or they are not in order.
    """
    if args.start is None or args.end is None:
        raise RequestError("say which dates: --start D --end D, --date-range S E or --as-of D")
    if args.end < args.start:
        raise RequestError(f"--end {args.end} is before --start {args.start}")
    return args.start, args.end


def check_csv_flags(given: Mapping[str, Any]) -> None:
    """Refuse dates said twice, and a file that cannot be written, before anything is run.

    Parameters
    ----------
    given : mapping of str to Any
        Parsed flags that were given.

    Raises
    ------
    RequestError
        Saying what to leave out, or what is wrong with the path.
    """
    if given.keys() & {"start", "end"} and given.keys() & {"as_of", "date_range"}:
        raise RequestError("--start and --end say the dates; leave out --as-of and --date-range")
    output = given.get("output")
    if output is not None and output.is_dir():
        raise RequestError(f"--output {output} is a folder; name a file")
    if output is not None and not output.parent.is_dir():
        raise RequestError(f"--output {output}: there is no folder {output.parent}; make it first")


def write_csv(output: Path | None, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a header and rows, lines ending in a line feed; the header also where there is no row.

    A file takes the place of the one before in one step: whoever reads it sees the old one or the new one.
    """
    if output is None:
        _write(sys.stdout, header, rows)
        return
    if output.exists() and not output.is_file():  # a pipe, /dev/stdout
        with output.open("w", encoding="utf-8", newline="") as file:
            _write(file, header, rows)
        return
    handle, name = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
    written = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            _write(file, header, rows)
            file.flush()
            os.fsync(file.fileno())
        written.chmod(_mode_of(output))
        written.replace(output)
    except BaseException:
        written.unlink(missing_ok=True)
        raise


def _write(file: TextIO, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)


def _mode_of(output: Path) -> int:
    """Permissions of the file that is replaced; of a new one what the process' mask leaves."""
    if output.exists():
        return output.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
