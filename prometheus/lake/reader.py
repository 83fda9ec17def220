"""Reading: Delta names the files, DuckDB reads them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pyarrow as pa

from prometheus.errors import RequestError
from prometheus.lake.contract import TableContract
from prometheus.lake.predicates import Where, condition, date_condition, literal, too_many
from prometheus.vectors import EMBEDDING_DIM

_DUCKDB_TYPES = {
    pa.string(): "VARCHAR",
    pa.float64(): "DOUBLE",
    pa.float32(): "FLOAT",
    pa.int64(): "BIGINT",
    pa.int32(): "INTEGER",
    pa.bool_(): "BOOLEAN",
    pa.date32(): "DATE",
    pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
}


FILE_INDEX = "file_index"
"""Column a scan can add: the place of each row's file among those given."""


def duckdb_type(kind: pa.DataType) -> str:
    """DuckDB name of an Arrow type used in the contracts."""
    if pa.types.is_list(kind):
        return duckdb_type(kind.value_type) + "[]"
    if pa.types.is_struct(kind):
        inner = ", ".join(f"{kind.field(i).name} {duckdb_type(kind.field(i).type)}" for i in range(kind.num_fields))
        return f"STRUCT({inner})"
    return _DUCKDB_TYPES[kind]


def pruning_predicate(declared: TableContract, dates: tuple[dt.date, dt.date] | None, where: Where) -> str:
    """The part of a filter that partition columns can answer."""
    parts = []
    if dates is not None:
        if "as_of_date" in declared.partition_by:
            parts.append(date_condition(dates))
        elif "as_of_year" in declared.partition_by:
            parts.append(f"as_of_year >= {dates[0].year} AND as_of_year <= {dates[1].year}")
    partition_where = {k: v for k, v in where.items() if k in declared.partition_by}
    if partition_where:
        parts.append(condition(partition_where, loosely=True))
    return " AND ".join(parts) or "true"


def source_sql(
    declared: TableContract,
    files: Sequence[str],
    *,
    columns: Sequence[str] | None = None,
    dates: tuple[dt.date, dt.date] | None = None,
    where: Where | None = None,
    as_of: dt.datetime | None = None,
    every_version: bool = False,
    fixed_width: bool = False,
) -> str:
    """SQL that reads a table's files, pruned by :func:`pruning_predicate` with the same dates and conditions.

    Versioned tables give each natural key's latest version known by ``as_of`` (of all, when None), withdrawn rows
    removed; ``every_version`` gives every row as it stands.
    """
    names = list(columns) if columns is not None else declared.schema.names
    for name in names:
        if name not in declared.schema.names and name != FILE_INDEX:
            raise RequestError(f"{declared.name} has no column {name!r}; it has {', '.join(declared.schema.names)}")
    if as_of is not None and not declared.is_versioned:
        raise RequestError(f"{declared.name} keeps no versions, so it cannot be read as of an instant")
    if not files:
        empty = ", ".join(f"NULL::{_typed(declared, n, fixed_width)} AS {n}" for n in names)
        return f"SELECT {empty} WHERE false"
    hive = ", ".join(f"'{p}': {duckdb_type(declared.schema.field(p).type)}" for p in declared.partition_by)
    partitioning = f", hive_partitioning=true, hive_types={{{hive}}}" if hive else ", hive_partitioning=false"
    listed = ", ".join(literal(f) for f in files)
    scan = f"read_parquet([{listed}]{partitioning})"
    # The files are those of the partitions asked for already; saying it again would only slow the scan.
    rest = {k: v for k, v in (where or {}).items() if k not in declared.partition_by or too_many(v)}
    dated = "true" if "as_of_date" in declared.partition_by else date_condition(dates)
    filters = [c for c in (dated, condition(rest)) if c != "true"]
    projection = ", ".join(
        f"{n}::{_typed(declared, n, True)} AS {n}" if fixed_width and n in declared.vector_columns else n for n in names
    )
    if every_version or not declared.is_versioned:
        return f"SELECT {projection} FROM {scan} WHERE {' AND '.join(filters) or 'true'}"
    if as_of is not None:
        filters.append(f"known_at <= {literal(as_of)}")
    keys = ", ".join(declared.natural_key)
    can_go = "withdrawn" in declared.schema.names
    # A row that moves to another day is withdrawn from the old one at the instant it is known on the new one.
    order = "known_at DESC, withdrawn" if can_go else "known_at DESC"
    latest = (
        f"SELECT * FROM {scan} WHERE {' AND '.join(filters) or 'true'} "
        f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {order}) = 1"
    )
    kept = "NOT withdrawn" if can_go else "true"
    return f"SELECT {projection} FROM ({latest}) WHERE {kept}"


def _typed(declared: TableContract, name: str, fixed_width: bool) -> str:
    if fixed_width and name in declared.vector_columns:
        return f"FLOAT[{EMBEDDING_DIM}]"
    return duckdb_type(declared.schema.field(name).type)
