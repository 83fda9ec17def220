"""Two lakes, one table, row against row by key, bit for bit."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from prometheus.lake import Lake, TableContract, contract, rows_digest
from prometheus.lake.predicates import Where

Partition = tuple[Any, ...]

_DAYS_AT_ONCE = 42
"""Day partitions held in memory at a time: 500 names and 384 floats make 32 MB a lake."""

ROW_MISSING = "(the row is missing)"
ROW_ADDED = "(the row is new)"
"""What stands for a column where a key is in one lake alone: gone from, or only in, the lake with another future."""


@dataclass(frozen=True)
class Horizon:
    """What of a table was stamped, or known, by the cut.

    Attributes
    ----------
    day : date
        Vintage rows stamped up to it count as before.
    known_by : datetime
        Event rows known by then count as before.
    """

    day: dt.date
    known_by: dt.datetime

    def before(self, rows: pa.Table, declared: TableContract) -> pa.ChunkedArray:
        """Which rows are of before the cut."""
        if declared.table_class == "event":
            return pc.less_equal(rows["known_at"], pa.scalar(self.known_by, declared.schema.field("known_at").type))
        return pc.less_equal(rows["as_of_date"], pa.scalar(self.day, pa.date32()))


@dataclass
class Difference:
    """One column (or the presence) of rows that should be equal and are not.

    Attributes
    ----------
    column : str
    rows : int
        How many rows differ in it.
    partition, key : dict
        Of the first one.
    """

    column: str
    rows: int
    partition: dict[str, Any]
    key: dict[str, Any]


@dataclass
class TableComparison:
    """Rows of one table in two lakes.

    Attributes
    ----------
    table : str
    compared, equal : int
        Keys of before the cut, in either lake; those whose rows are equal bit for bit.
    after : int
        Keys of after the cut whose rows differ.
    differences : dict of str to Difference
        Before the cut, by column.
    """

    table: str
    compared: int = 0
    equal: int = 0
    after: int = 0
    differences: dict[str, Difference] = field(default_factory=dict)

    @property
    def before(self) -> int:
        """Keys of before the cut whose rows differ: none, unless something looked ahead."""
        return self.compared - self.equal


def partitions_of(rows: pa.Table, declared: TableContract) -> set[Partition]:
    """Values of the partition columns among some rows."""
    if rows.num_rows == 0:
        return set()
    if not declared.partition_by:
        return {()}
    frame = pl.DataFrame(pl.from_arrow(rows.select(list(declared.partition_by))))
    return set(frame.unique().iter_rows())


def compare(
    actual: Lake,
    other: Lake,
    table: str,
    variant: str,
    partitions: Collection[Partition],
    horizon: Horizon,
    carried: Mapping[str, Any] | None = None,
) -> TableComparison:
    """Compare some partitions of a table in two lakes.

    Parameters
    ----------
    actual, other : Lake
        The lake as it is, and the one with another future.
    table : str
    variant : str
        Rows of other variants are left out, where the table has the column.
    partitions : collection of tuple
        Values of the partition columns.
    horizon : Horizon
    carried : mapping of str to values, optional
        Column values of the rows compared, where surfaces share partitions.
    """
    declared = contract(table)
    found = TableComparison(table)
    for where in _blocks(declared, variant, partitions, carried or {}):
        left, right = (lake.read(table, where=where, every_version=True) for lake in (actual, other))
        masks = [horizon.before(rows, declared) for rows in (left, right)]
        before = [rows.filter(mask) for rows, mask in zip((left, right), masks, strict=True)]
        _compare_before(found, before[0], before[1], declared)
        after = [rows.filter(pc.invert(mask)) for rows, mask in zip((left, right), masks, strict=True)]
        found.after += _count_after(after[0], after[1], declared)
    return found


def _blocks(
    declared: TableContract, variant: str, partitions: Collection[Partition], carried: Mapping[str, Any]
) -> Iterator[Where]:
    """Conditions that together read every partition once, some days of it at a time."""
    only = {column: value for column, value in carried.items() if column not in declared.partition_by}
    if "variant" in declared.schema.names and "variant" not in declared.partition_by:
        only["variant"] = variant
    outer = [i for i, column in enumerate(declared.partition_by) if column != "as_of_date"]
    ordered = sorted(partitions, key=lambda p: (*(str(p[i]) for i in outer), *map(str, p)))
    for values, group in itertools.groupby(ordered, key=lambda p: tuple(p[i] for i in outer)):
        where = {declared.partition_by[i]: value for i, value in zip(outer, values, strict=True)} | only
        if "as_of_date" not in declared.partition_by:
            yield where
            continue
        at = declared.partition_by.index("as_of_date")
        days = [p[at] for p in group]
        for start in range(0, len(days), _DAYS_AT_ONCE):
            yield where | {"as_of_date": days[start : start + _DAYS_AT_ONCE]}


def _compare_before(found: TableComparison, left: pa.Table, right: pa.Table, declared: TableContract) -> None:
    if left.num_rows == right.num_rows and rows_digest(left, declared) == rows_digest(right, declared):
        found.compared += left.num_rows
        found.equal += left.num_rows
        return
    a, b, gone, new = _matched(left, right, declared)
    found.compared += a.num_rows + gone.num_rows + new.num_rows
    unequal = np.zeros(a.num_rows, dtype=bool)
    for name in declared.schema.names:
        if name not in declared.key:
            apart = differs(a[name], b[name])
            _note(found, name, a.filter(pa.array(apart)), declared)
            unequal |= apart
    found.equal += a.num_rows - int(unequal.sum())
    _note(found, ROW_MISSING, gone, declared)
    _note(found, ROW_ADDED, new, declared)


def _count_after(left: pa.Table, right: pa.Table, declared: TableContract) -> int:
    a, b, gone, new = _matched(left, right, declared)
    unequal = np.zeros(a.num_rows, dtype=bool)
    for name in declared.schema.names:
        if name not in declared.key and not unequal.all():
            unequal |= differs(a[name], b[name])
    return int(unequal.sum()) + int(gone.num_rows) + int(new.num_rows)


def _matched(left: pa.Table, right: pa.Table, declared: TableContract) -> tuple[pa.Table, pa.Table, pa.Table, pa.Table]:
    """Rows of either side whose keys are in both, aligned by key; rows of the left alone and of the right alone."""
    key = list(declared.key)
    a, b = (pl.DataFrame(pl.from_arrow(rows.select(key))).with_row_index("at") for rows in (left, right))
    both = a.join(b, on=key, suffix="_b").sort(key)
    gone = a.join(b, on=key, how="anti").sort(key)["at"]
    new = b.join(a, on=key, how="anti").sort(key)["at"]
    picks = ((left, both["at"]), (right, both["at_b"]), (left, gone), (right, new))
    one, two, three, four = (rows.take(pa.array(at.to_numpy())) for rows, at in picks)
    return one, two, three, four


def _note(found: TableComparison, column: str, rows: pa.Table, declared: TableContract) -> None:
    if rows.num_rows == 0:
        return
    if column in found.differences:
        found.differences[column].rows += rows.num_rows
        return
    first = rows.slice(0, 1).select(list(dict.fromkeys((*declared.partition_by, *declared.key)))).to_pylist()[0]
    found.differences[column] = Difference(
        column,
        rows.num_rows,
        partition={c: first[c] for c in declared.partition_by},
        key={c: first[c] for c in declared.key},
    )


def differs(left: pa.Array | pa.ChunkedArray, right: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
    """Which values of two aligned columns differ in any bit; NaN equals the same NaN, null equals null.

    Parameters
    ----------
    left, right : pyarrow.Array or ChunkedArray of equal length and type

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    a, b = (pa.concat_arrays(x.chunks) if isinstance(x, pa.ChunkedArray) and x.num_chunks else x for x in (left, right))
    if len(a) == 0:
        return np.zeros(0, dtype=bool)
    nulls = [x.is_null().to_numpy(zero_copy_only=False) for x in (a, b)]
    apart: NDArray[np.bool_] = nulls[0] ^ nulls[1]
    both = np.flatnonzero(~(nulls[0] | nulls[1]))
    if len(both) < len(a):
        a, b = (x.take(pa.array(both)) for x in (a, b))
    apart[both] |= _differ(a, b)
    return apart


def _differ(a: pa.Array, b: pa.Array) -> NDArray[np.bool_]:
    kind = a.type
    if len(a) == 0:
        return np.zeros(0, dtype=bool)
    if pa.types.is_list(kind):
        lengths, others = (pc.list_value_length(x).to_numpy(zero_copy_only=False).astype(np.int64) for x in (a, b))
        apart: NDArray[np.bool_] = lengths != others
        same = np.flatnonzero(~apart)
        if apart.any():
            a, b = (x.take(pa.array(same)) for x in (a, b))
        inside = differs(a.flatten(), b.flatten())
        row = np.repeat(same, lengths[same])
        apart[row[inside]] = True
        return apart
    if pa.types.is_struct(kind):
        fields = [differs(a.field(i), b.field(i)) for i in range(kind.num_fields)]
        any_field: NDArray[np.bool_] = np.logical_or.reduce(fields)
        return any_field
    if pa.types.is_floating(kind):
        bits = np.uint32 if kind == pa.float32() else np.uint64
        x, y = (np.ascontiguousarray(v.to_numpy(zero_copy_only=False)).view(bits) for v in (a, b))
        unequal: NDArray[np.bool_] = x != y
        return unequal
    found: NDArray[np.bool_] = pc.not_equal(a, b).to_numpy(zero_copy_only=False)
    return found
