"""What a table contract is. The tables themselves are declared in :mod:`prometheus.lake.contracts`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import pyarrow as pa

from prometheus.vectors import EMBEDDING_DIM

TableClass = Literal["event", "vintage", "outcome", "operations"]
Layer = Literal["raw", "derived", "embeddings", "engines", "operations"]

VECTOR = pa.list_(pa.field("element", pa.float32(), nullable=False))
UTC = pa.timestamp("us", tz="UTC")
TEXT, REAL, COUNT, FLAG, DAY = pa.string(), pa.float64(), pa.int64(), pa.bool_(), pa.date32()
"""Arrow types by what they hold. Days are dates without a zone; every instant is UTC in microseconds."""


@dataclass(frozen=True)
class Column:
    """One column: name, Arrow type, one-line meaning."""

    name: str
    type: pa.DataType
    doc: str
    nullable: bool = False


@dataclass(frozen=True)
class TableContract:
    """The single source for a table: creation, validation, ``lake describe`` and the docs are made from it.

    Attributes
    ----------
    name : str
    doc : str
        One line: what a row is.
    columns : tuple of Column
    key : tuple of str
        Unique together. In event tables it ends with ``known_at``: every version is a row.
    partition_by : tuple of str
        Partition columns, outermost first; all of them are part of the key or functions of it.
    table_class : {'event', 'vintage', 'outcome', 'operations'}
        Event rows are dated by what happened and carry ``known_at``; vintage rows are stamped with the decision
        date and never change once their inputs are in; outcomes are never read by anything vintage.
    layer : {'raw', 'derived', 'embeddings', 'engines', 'operations'}
    dated_by : str
        The column ``as_of_date`` is taken from in raw tables (itself when the file brings it).
    """

    name: str
    doc: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition_by: tuple[str, ...]
    table_class: TableClass
    layer: Layer
    dated_by: str = "as_of_date"

    def __post_init__(self) -> None:
        names = {c.name for c in self.columns}
        for column in (*self.key, *self.partition_by):
            if column not in names:
                raise ValueError(f"contract {self.name}: {column} is in the key or partitions but not a column")

    @cached_property
    def schema(self) -> pa.Schema:
        """Arrow schema in declared column order."""
        return pa.schema([pa.field(c.name, c.type, nullable=c.nullable) for c in self.columns])

    @property
    def is_versioned(self) -> bool:
        """Whether every version of a row is kept, so that the table is read as of an instant."""
        return "known_at" in self.key

    @cached_property
    def natural_key(self) -> tuple[str, ...]:
        """What a row is about: the key without ``known_at`` and without a derived date.

        The latest version is resolved over this key across partitions, so a moved publication date leaves no twin.
        """
        if not self.is_versioned:
            return self.key
        dropped = {"known_at"} if self.dated_by == "as_of_date" else {"known_at", "as_of_date"}
        return tuple(k for k in self.key if k not in dropped)

    @property
    def may_move(self) -> bool:
        """Whether a correction can change ``as_of_date``: versions of one row may then lie in several partitions."""
        return self.is_versioned and self.dated_by not in self.natural_key

    @cached_property
    def vector_columns(self) -> dict[str, int]:
        """Vector columns and their width."""
        return {c.name: EMBEDDING_DIM for c in self.columns if c.type == VECTOR}

    def column(self, name: str) -> Column:
        """Return one column by name.

        Raises
        ------
        KeyError
            When the table has no such column.
        """
        for c in self.columns:
            if c.name == name:
                return c
        raise KeyError(f"{self.name} has no column {name}")

    def empty(self) -> pa.Table:
        """Return a table of no rows with this contract's schema."""
        return self.schema.empty_table()
