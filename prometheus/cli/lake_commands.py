"""``prometheus lake ls | describe | history | digest``."""

from __future__ import annotations

import argparse

from prometheus.lake import CONTRACTS, Lake, contract


def ls(args: argparse.Namespace) -> int:
    """List the tables that have been written."""
    lake = Lake.open(args.lake)
    print(f"{'table':28} {'rows':>12} {'version':>8}  dates")
    for name in lake.tables():
        declared = contract(name)
        dated = "as_of_date" in declared.schema.names
        rows = lake.query(
            "SELECT count(*) AS n"
            + (", min(as_of_date) AS first, max(as_of_date) AS last" if dated else "")
            + f" FROM ({lake.source(name, columns=_narrow(name), every_version=True)})"
        ).to_pylist()[0]
        span = f"{rows['first']} to {rows['last']}" if dated and rows["n"] else ""
        print(f"{name:28} {rows['n']:>12,} {lake.version(name):>8}  {span}")
    return 0


def _narrow(name: str) -> list[str]:
    declared = contract(name)
    return ["as_of_date"] if "as_of_date" in declared.schema.names else [declared.key[0]]


def describe(args: argparse.Namespace) -> int:
    """Print one table's contract."""
    declared = contract(args.table)
    print(f"{declared.name}: {declared.doc}")
    print(f"  layer {declared.layer}, {declared.table_class} table")
    print(f"  key: {', '.join(declared.key)}")
    print(f"  partitions: {', '.join(declared.partition_by) or 'none'}")
    width = max(len(c.name) for c in declared.columns)
    for column in declared.columns:
        optional = " (nullable)" if column.nullable else ""
        print(f"  {column.name:{width}}  {type_name(column.type):28} {column.doc}{optional}")
    return 0


def type_name(kind: object) -> str:
    """Return a short name of a column type."""
    text = str(kind)
    if text.startswith("list<element: float"):
        return "float32[384]"
    return "list<struct>" if text.startswith("list<element: struct") else text


def history(args: argparse.Namespace) -> int:
    """Print a table's versions, newest first."""
    lake = Lake.open(args.lake)
    contract(args.table)
    print(f"{'version':>7}  {'at':20} {'operation':14} {'rows':>12}  digest")
    for entry in lake.history(args.table):
        rows = "" if entry.rows is None else f"{entry.rows:,}"
        at = entry.at.strftime("%Y-%m-%dT%H:%M:%SZ")
        print(f"{entry.version:>7}  {at:20} {entry.operation:14} {rows:>12}  {entry.digest or ''}".rstrip())
    return 0


def digest(args: argparse.Namespace) -> int:
    """Print the digest of every row of the given tables (of all but the lake's own books, when none is given)."""
    lake = Lake.open(args.lake)
    names = args.table or [n for n in lake.tables() if CONTRACTS[n].layer != "operations"]
    for name in names:
        contract(name)
        print(f"{lake.digest(name)}  {name}")
    return 0
