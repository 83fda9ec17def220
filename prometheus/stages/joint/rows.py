"""Rows that a joint space is to make, and looking values up for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from prometheus.spaces.joint import BranchRows
from prometheus.vectors import vectors_at

Days = NDArray[np.datetime64]
Names = NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class Wanted:
    """Rows to make in one scope, by day, then key.

    Attributes
    ----------
    scope : str
        The scope its lineage is kept under.
    market_id, region : str
    days : ndarray of datetime64[D], shape (n,)
        Decision day of each row.
    cutoffs : ndarray of datetime64[us], shape (n,)
        Instant up to which the row may know things.
    keys : ndarray of str, shape (n,)
        Stable key of the entity.
    instruments, issuers : ndarray of str, shape (n,)
        Empty where a row has none.
    """

    scope: str
    market_id: str
    region: str
    days: Days
    cutoffs: NDArray[np.datetime64]
    keys: Names
    instruments: Names
    issuers: Names

    def __len__(self) -> int:
        return len(self.days)

    @property
    def regions(self) -> Names:
        """Region of each row."""
        return np.full(len(self), self.region)

    def take(self, rows: NDArray[np.int64]) -> Wanted:
        """Return some of the rows."""
        return Wanted(
            self.scope,
            self.market_id,
            self.region,
            self.days[rows],
            self.cutoffs[rows],
            self.keys[rows],
            self.instruments[rows],
            self.issuers[rows],
        )


def last_known(days: Days, keys: Names, dated: Days, named: Names, max_age: int) -> NDArray[np.int64]:
    """Find the latest of some dated values for each row.

    Parameters
    ----------
    days, keys : ndarray, shape (n,)
        Day and key of each row.
    dated, named : ndarray, shape (m,)
        Day and key of each value; a pair at most once.
    max_age : int
        Calendar days a value may be older than the row; 0 takes the very day alone.

    Returns
    -------
    ndarray of int64, shape (n,)
        Place of the value; -1 where there is none.
    """
    if len(dated) == 0 or len(days) == 0:
        return np.full(len(days), -1, dtype=np.int64)
    names = np.unique(named)
    code = np.searchsorted(names, keys)
    known = (code < len(names)) & (names[np.minimum(code, len(names) - 1)] == keys)
    # One number a (key, day), ordered by key, then day.
    held = np.searchsorted(names, named).astype(np.int64) * _DAYS + _number(dated)
    order = np.argsort(held, kind="stable")
    asked = code.astype(np.int64) * _DAYS + _number(days)
    at = np.searchsorted(held[order], asked, side="right") - 1
    found = order[np.maximum(at, 0)]
    fits = known & (at >= 0) & (asked - held[found] <= max_age)
    return np.where(fits, found, -1)


def names_of(column: pa.ChunkedArray | pa.Array, prefix: str = "") -> Names:
    """Texts of a column, each after a prefix; no text where it is null. Names repeat: each is spelt once."""
    encoded = (pc.fill_null(column, "") if column.null_count else column).dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    spelt = np.array([prefix + name for name in encoded.dictionary.to_pylist()], dtype=np.str_)
    names: Names = spelt[encoded.indices.to_numpy()]
    return names


_DAYS = 1 << 20


def _number(days: Days) -> NDArray[np.int64]:
    """Days as whole numbers above 0, far fewer than ``_DAYS``."""
    numbers: NDArray[np.int64] = days.astype("datetime64[D]").astype(np.int64) + (_DAYS >> 1)
    return numbers


def joined(
    rows: pa.Table, key_column: str, wanted: Wanted, keys: Names, max_age: int, prefix: str = "", vector: str = "vector"
) -> BranchRows:
    """Join read rows (``as_of_date``, a key, a vector) to wanted ones by key, the latest within the age.

    Parameters
    ----------
    rows : pyarrow.Table
    key_column : str
    wanted : Wanted
    keys : ndarray of str, shape (len(wanted),)
        Which key each wanted row looks for.
    max_age : int
    prefix : str
        Put before the key in ``source_keys``.
    vector : str
        Name of the vector column.
    """
    dated = rows["as_of_date"].to_numpy().astype("datetime64[D]")
    named = names_of(rows[key_column])
    at = last_known(wanted.days, keys, dated, named, max_age)
    said = names_of(rows[key_column], prefix) if prefix else named
    return BranchRows.placed(at, vectors_at(rows[vector], at), said, dated)
