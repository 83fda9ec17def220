"""``prometheus sql``."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from typing import Any

from prometheus.errors import RequestError
from prometheus.lake import contract

_LONGEST = 400


def run_sql(query: str, root: str | None = None, *, as_csv: bool = False, at: Sequence[str] = ()) -> int:
    """Run one query over the lake's views and print its result on stdout.

    Raises
    ------
    RequestError
        When the SQL does not parse or names what is not there.
    """
    import duckdb

    from prometheus.lake import connect

    text = sys.stdin.read() if query == "-" else query
    connection = connect(root, _versions(at))
    try:
        result: Any = connection.sql(text)  # None for statements without a result
        if result is None:
            return 0
        if as_csv:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(result.columns)
            writer.writerows(result.fetchall())
        else:
            _print_table(list(result.columns), result.fetchall())
    except duckdb.Error as error:
        raise RequestError(one_sentence(str(error))) from None
    return 0


def one_sentence(said: str) -> str:
    r"""Put DuckDB's several lines into one: what is wrong, what it would take instead, and where in the query.

    Examples
    --------
    >>> one_sentence('Parser Error: syntax error at or near "selekt"\n\nLINE 1: selekt 1\n        ^^^^^^')
    'Parser Error: syntax error at or near "selekt"; line 1, column 1'
    """
    body, _, place = said.strip().partition("\nLINE ")
    lines = [words for line in body.splitlines() if (words := " ".join(line.split()).rstrip("!.;"))]
    heading = next((i for i, line in enumerate(lines) if line.endswith(":")), len(lines))
    lines[heading:] = [" ".join([*lines[heading : heading + 1], ", ".join(lines[heading + 1 :])])]
    hints = [line[0].lower() + line[1:] for line in lines[1:] if line.strip()]
    parts = [*lines[:1], *hints, *_place(place)]
    return "; ".join(p if len(p) <= _LONGEST else f"{p[:_LONGEST]}..." for p in parts)


def _place(place: str) -> list[str]:
    """Line and column of a mark under a line of the query; of a line shown in part, what stands at the mark."""
    number, _, rest = place.partition(": ")
    text, _, mark = rest.partition("\n")
    at = mark.find("^") - len(f"LINE {number}: ")
    if not number.isdigit() or at < 0:
        return []
    if text.startswith("..."):
        return [f"line {number}, near {text[at : at + 20]!r}"]
    return [f"line {number}, column {at + 1}"]


def _versions(at: Sequence[str]) -> dict[str, int]:
    versions = {}
    for item in at:
        table, _, number = item.partition("=")
        if not number.isdigit():
            raise RequestError(f"--at takes TABLE=VERSION, got {item!r}")
        contract(table)  # refuses a name there is not
        versions[table] = int(number)
    return versions


def _print_table(columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        print("  ".join(columns) + "\n(no rows)")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(v) for v in row))
    # Off a terminal a table is as wide as it needs to be: nothing is folded in a pipe.
    Console(width=None if sys.stdout.isatty() else 200, markup=False).print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple) and len(value) > 8:
        head = ", ".join(_cell(v) for v in value[:3])
        return f"[{head}, ... {len(value)} values]"
    return str(value)
