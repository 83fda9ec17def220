"""``prometheus sql``."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from typing import Any

from prometheus.errors import RequestError
from prometheus.lake import contract


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
        raise RequestError(str(error).strip()) from None
    return 0


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
