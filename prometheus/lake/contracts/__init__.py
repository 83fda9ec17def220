"""Every table of the lake, declared once. A column that is not here does not get in."""

from __future__ import annotations

from prometheus.errors import RequestError
from prometheus.lake.contract import TableContract
from prometheus.lake.contracts import (
    assessment,
    derived,
    embeddings,
    engines,
    operations,
    portfolios,
    raw,
    risk,
    scenarios,
    stability,
    state_changes,
)

ALL_TABLES: tuple[TableContract, ...] = (
    *raw.TABLES,
    *derived.TABLES,
    *embeddings.TABLES,
    *engines.TABLES,
    *scenarios.TABLES,
    *stability.TABLES,
    *assessment.TABLES,
    *state_changes.TABLES,
    *portfolios.TABLES,
    *risk.TABLES,
    *operations.TABLES,
)
CONTRACTS: dict[str, TableContract] = {t.name: t for t in ALL_TABLES}


def contract(name: str) -> TableContract:
    """Return the contract of a table.

    Raises
    ------
    RequestError
        When no such table is declared; the sentence lists those that are.
    """
    try:
        return CONTRACTS[name]
    except KeyError:
        known = ", ".join(sorted(CONTRACTS))
        raise RequestError(f"there is no table {name!r}; the lake knows {known}") from None


__all__ = ["ALL_TABLES", "CONTRACTS", "contract"]
