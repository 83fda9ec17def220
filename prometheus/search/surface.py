"""Surfaces: which rows of which embedding table are compared, streamed from the lake or held in memory."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from prometheus.lake import Lake, contract
from prometheus.lake.predicates import literal
from prometheus.search.topk import row_norms
from prometheus.vectors import EMBEDDING_DIM, from_list_array

_BATCH_ROWS = 16_384
_KEYS = {
    "joint_embeddings": ("as_of_date", "entity_key"),
    "numeric_window_embeddings": ("as_of_date", "entity_type", "entity_id"),
    "text_embeddings": ("as_of_date", "source_id", "text_hash"),
}
"""What tells the rows of one surface apart, in the order in which equal scores are listed."""


@dataclass(frozen=True)
class Surface:
    """Rows of one embedding table that live in one space: one model, one variant.

    Attributes
    ----------
    table : {'joint_embeddings', 'numeric_window_embeddings', 'text_embeddings'}
    where : mapping
        Conditions that single the surface out: model_id, variant, and joint_type, entity_type or source_type.
    scope : mapping of str to str, optional
        Joint rows only: conditions on fields of ``entity_scope``; a value of None asks that the field be absent, and
        ``"*"`` that it be present.
    """

    table: str
    where: Mapping[str, Any]
    scope: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def joint(
        cls, joint_type: str, model_id: str, variant: str = "v0", scope: Mapping[str, str | None] | None = None
    ) -> Surface:
        """Rows of a joint space."""
        where = {"joint_type": joint_type, "model_id": model_id, "variant": variant}
        return cls("joint_embeddings", MappingProxyType(where), MappingProxyType(dict(scope or {})))

    @classmethod
    def numeric(cls, model_id: str, variant: str = "v0", entity_type: str | None = None) -> Surface:
        """Window embeddings of one model, of one entity type or all."""
        where = {"model_id": model_id, "variant": variant} | ({"entity_type": entity_type} if entity_type else {})
        return cls("numeric_window_embeddings", MappingProxyType(where))

    @classmethod
    def text(cls, source_type: str, model_id: str, variant: str = "v0") -> Surface:
        """Text vectors of one model; every version of a text is a row."""
        where = {"source_type": source_type, "model_id": model_id, "variant": variant}
        return cls("text_embeddings", MappingProxyType(where))

    @property
    def key(self) -> tuple[str, ...]:
        """Columns that tell its rows apart."""
        return _KEYS[self.table]

    def __str__(self) -> str:
        return "/".join(str(v) for k, v in self.where.items() if k != "variant") + f" [{self.where['variant']}]"

    def narrowed(self, **scope: str | None) -> Surface:
        """Return the surface with further conditions on ``entity_scope``."""
        return Surface(self.table, self.where, MappingProxyType({**self.scope, **scope}))

    def source(
        self,
        lake: Lake,
        columns: Sequence[str],
        *,
        dates: tuple[dt.date, dt.date] | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> str:
        """SELECT over the surface's rows, for larger queries.

        Parameters
        ----------
        lake : Lake
        columns : sequence of str
        dates : (date, date), optional
            First and last ``as_of_date``.
        where : mapping, optional
            Further conditions on columns, for example ``{"entity_key": [...]}``.
        """
        # Columns that a condition on the scope needs are read, and not handed on.
        inner = list(dict.fromkeys([*columns, *(["entity_scope"] if self.scope else [])]))
        sql = lake.source(
            self.table, columns=inner, dates=dates, where={**(where or {}), **self.where}, every_version=True
        )
        conditions = [_scope_condition(name, value) for name, value in self.scope.items()]
        if not conditions:
            return sql
        return f"SELECT {', '.join(columns)} FROM ({sql}) WHERE {' AND '.join(conditions)}"

    def stream(
        self,
        lake: Lake,
        columns: Sequence[str] = (),
        *,
        dates: tuple[dt.date, dt.date] | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> Iterator[tuple[pa.Table, NDArray[np.float32]]]:
        """Yield keys (and further columns) with vectors, batch by batch, in no promised order."""
        names = list(dict.fromkeys([*self.key, *columns]))
        for batch in lake.stream(self.source(lake, [*names, "vector"], dates=dates, where=where), None, _BATCH_ROWS):
            if batch.num_rows:
                yield pa.Table.from_batches([batch.select(names)]), from_list_array(batch.column("vector"))

    def load(
        self,
        lake: Lake,
        columns: Sequence[str] = (),
        *,
        dates: tuple[dt.date, dt.date] | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> Vectors:
        """Read the surface into memory, in key order."""
        names = list(dict.fromkeys([*self.key, *columns]))
        rows = lake.query(self.source(lake, [*names, "vector"], dates=dates, where=where))
        if rows.num_rows == 0:
            rows = contract(self.table).empty().select([*names, "vector"])
        keys = rows.select(names).combine_chunks()
        order = pc.sort_indices(keys, sort_keys=[(c, "ascending") for c in self.key]).to_numpy()
        places = np.empty(len(order), dtype=np.int64)
        places[order] = np.arange(len(order))
        # Chunk by chunk: one list column of millions of vectors would overflow its offsets.
        block = np.empty((len(order), EMBEDDING_DIM), dtype=np.float32)
        start = 0
        for chunk in rows["vector"].chunks:
            block[places[start : start + len(chunk)]] = from_list_array(chunk)
            start += len(chunk)
        return Vectors(self, keys.take(pa.array(order)).combine_chunks(), block)


@dataclass(frozen=True, eq=False)
class Vectors:
    """A surface held in memory.

    Attributes
    ----------
    surface : Surface
    rows : pyarrow.Table of n rows
        Keys and further columns, in key order.
    vectors : ndarray of shape (n, 384), float32
    norms : ndarray of shape (n,), float64
        Lengths, made once; see :func:`prometheus.search.topk.row_norms`.
    """

    surface: Surface
    rows: pa.Table
    vectors: NDArray[np.float32]
    norms: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        if self.rows.num_rows != len(self.vectors):
            raise ValueError(f"{self.rows.num_rows} rows do not go with {len(self.vectors)} vectors")
        object.__setattr__(self, "norms", row_norms(self.vectors))

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def dates(self) -> NDArray[np.datetime64]:
        """Date of each row."""
        return days_of(self.rows)


def days_of(rows: pa.Table) -> NDArray[np.datetime64]:
    """Return ``as_of_date`` as datetime64[D]."""
    return rows["as_of_date"].to_numpy().astype("datetime64[D]")  # type: ignore[no-any-return]


def _scope_condition(name: str, value: str | None) -> str:
    found = f"json_extract_string(entity_scope, {literal('$.' + name)})"
    if value is None:
        return f"{found} IS NULL"
    return f"{found} IS NOT NULL" if value == "*" else f"{found} = {literal(value)}"
