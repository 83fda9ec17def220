"""The lake: table contracts, reading as of an instant, the one write path, the DuckDB session.

The only room that knows Delta and file paths.
"""

from prometheus.lake.contract import Column, TableContract
from prometheus.lake.contracts import ALL_TABLES, CONTRACTS, contract
from prometheus.lake.digest import rows_digest
from prometheus.lake.lake import Lake, Version, connect
from prometheus.lake.states import TableStates
from prometheus.lake.versions import Delivery
from prometheus.lake.writer import Commit, Replacing

__all__ = [
    "ALL_TABLES",
    "CONTRACTS",
    "Column",
    "Commit",
    "Delivery",
    "Lake",
    "Replacing",
    "TableContract",
    "TableStates",
    "Version",
    "connect",
    "contract",
    "rows_digest",
]
