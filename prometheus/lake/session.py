"""The DuckDB session: every table as a view, ready for SQL."""

from __future__ import annotations

import os

import duckdb

from prometheus.lake.contracts import ALL_TABLES
from prometheus.lake.reader import source_sql
from prometheus.lake.tables import TableHandles


def new_connection(threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB connection with the lake's settings."""
    connection = duckdb.connect(
        config={
            "threads": threads or os.cpu_count() or 1,
            "preserve_insertion_order": False,
        }
    )
    # Instants are UTC wherever the machine stands, and so are the dates taken from them; cursors inherit it.
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    return connection


def create_views(
    connection: duckdb.DuckDBPyConnection, handles: TableHandles, versions: dict[str, int] | None = None
) -> None:
    """Make one view per declared table, at its current or a given version.

    Tables that keep versions show the latest of each row under their name and every one under ``<name>__versions``.
    ``vector`` columns come out as ``FLOAT[384]``. Tables never written are empty views, so that SQL over them runs.
    """
    for declared in ALL_TABLES:
        files = handles.files(declared.name, version=(versions or {}).get(declared.name))
        body = source_sql(declared, files, fixed_width=True)
        connection.execute(f"CREATE OR REPLACE VIEW {declared.name} AS {body}")
        if declared.is_versioned:
            body = source_sql(declared, files, every_version=True, fixed_width=True)
            connection.execute(f"CREATE OR REPLACE VIEW {declared.name}__versions AS {body}")
