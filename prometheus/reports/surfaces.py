"""Facts about every embedding surface of a lake, from counts of all rows and a sample of vectors."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.errors import BadDataError, MissingInputError
from prometheus.lake import Lake
from prometheus.reports.surface_statistics import Sample
from prometheus.search.branches import BranchReader
from prometheus.vectors import from_list_array

TABLES: dict[str, tuple[tuple[str, ...], str]] = {
    "numeric_window_embeddings": (("model_id", "variant", "entity_type"), "entity_id"),
    "text_embeddings": (("source_type", "model_id", "variant"), "source_id"),
    "joint_embeddings": (("joint_type", "model_id", "variant"), "entity_key"),
}
"""Embedding tables: the columns that tell surfaces apart, and the one that names an entity."""

_BRANCH_ROWS = 400


@dataclass(frozen=True, eq=False)
class SurfaceFacts:
    """One surface.

    Attributes
    ----------
    table : str
    where : dict of str to str
        What tells it apart.
    months : list of str
        ``YYYY-MM`` with rows.
    rows_by_month : list of int
    days : int
        Distinct dates.
    entities : int
        Distinct entities.
    sample : Sample
    branch_shares : dict of str to float
        Share of the variance each branch brings, summing to 1; joint surfaces only.
    branch_note : str
        Why there are none.
    """

    table: str
    where: dict[str, str]
    months: list[str]
    rows_by_month: list[int]
    days: int
    entities: int
    sample: Sample
    branch_shares: dict[str, float] = field(default_factory=dict)
    branch_note: str = ""

    @property
    def name(self) -> str:
        """What it is called on the page."""
        return " / ".join(self.where.values())

    @property
    def rows(self) -> int:
        """Rows in the lake."""
        return sum(self.rows_by_month)


def surface_facts(
    lake: Lake,
    *,
    only: Sequence[str] = (),
    first: dt.date | None = None,
    last: dt.date | None = None,
    sample_rows: int = 5_000,
    sample_days: int = 60,
) -> list[SurfaceFacts]:
    """Look at every surface of a lake.

    Parameters
    ----------
    lake : Lake
    only : sequence of str
        Only surfaces with one of these words among their model, type or variant; all when empty.
    first, last : date, optional
        Only rows of these dates.
    sample_rows, sample_days : int
        Vectors read a surface, from that many dates spread evenly; every count is of all rows.

    Raises
    ------
    MissingInputError
        When the lake has no embeddings of that kind.
    """
    dates = (first or dt.date.min, last or dt.date.max) if first or last else None
    found = [
        _facts(lake, table, where, counts, dates, sample_rows, sample_days)
        for table in TABLES
        for where, counts in _surfaces(lake, table, dates)
        if not only or set(only) & set(where.values())
    ]
    if not found:
        which = f" of {', '.join(only)}" if only else ""
        which += f" from {first}" if first else ""
        which += f" up to {last}" if last else ""
        raise MissingInputError(
            f"the lake at {lake.location.root} holds no embeddings{which}; make some with `prometheus backfill "
            "space=... range=[...]` or `prometheus demo`"
        )
    return found


def _surfaces(
    lake: Lake, table: str, dates: tuple[dt.date, dt.date] | None
) -> list[tuple[dict[str, str], pl.DataFrame]]:
    """Surfaces of a table, each with its rows a day."""
    columns, entity = TABLES[table]
    source = lake.source(table, columns=[*columns, "as_of_date", entity], dates=dates, every_version=True)
    said = ", ".join(columns)
    counts = pl.DataFrame(
        pl.from_arrow(lake.query(f"SELECT {said}, as_of_date, count(*) AS n FROM ({source}) GROUP BY ALL ORDER BY ALL"))
    )
    return [
        (dict(zip(columns, map(str, key), strict=True)), part)
        for key, part in counts.group_by(columns, maintain_order=True)
    ]


def _facts(
    lake: Lake,
    table: str,
    where: dict[str, str],
    counts: pl.DataFrame,
    dates: tuple[dt.date, dt.date] | None,
    sample_rows: int,
    sample_days: int,
) -> SurfaceFacts:
    by_month = (
        counts.group_by(pl.col("as_of_date").dt.strftime("%Y-%m").alias("month")).agg(pl.col("n").sum()).sort("month")
    )
    entity = TABLES[table][1]
    source = lake.source(table, columns=[entity], dates=dates, where=where, every_version=True)
    entities = lake.query(f"SELECT count(DISTINCT {entity}) AS n FROM ({source})")["n"][0].as_py()
    rows = _sample_rows(lake, table, where, counts["as_of_date"].to_list(), sample_rows, sample_days)
    sample = Sample(
        rows["as_of_date"].to_numpy().astype("datetime64[D]"),
        np.array(rows[entity].to_pylist(), dtype=np.str_),
        from_list_array(rows["vector"]),
    )
    shares, note = _branch_shares(lake, rows, sample.vectors) if table == "joint_embeddings" else ({}, "")
    return SurfaceFacts(
        table=table,
        where=where,
        months=by_month["month"].to_list(),
        rows_by_month=by_month["n"].to_list(),
        days=counts.height,
        entities=int(entities),
        sample=sample,
        branch_shares=shares,
        branch_note=note,
    )


def _sample_rows(
    lake: Lake, table: str, where: dict[str, str], days: list[dt.date], sample_rows: int, sample_days: int
) -> pa.Table:
    """Rows of some dates, spread evenly; of dates with many rows, every k-th by key."""
    # A surface with a row a day is sampled by dates alone.
    chosen = [days[i] for i in np.unique(np.linspace(0, len(days) - 1, min(sample_days, len(days))).astype(int))]
    columns = ["as_of_date", TABLES[table][1], "vector"]
    if table == "joint_embeddings":
        columns += ["joint_type", "entity_scope", "branches"]
    read = lake.read(table, columns=columns, where={**where, "as_of_date": chosen}, every_version=True)
    if read.num_rows < 2 * len(chosen) and len(days) > sample_days:
        more = [days[i] for i in np.unique(np.linspace(0, len(days) - 1, min(sample_rows, len(days))).astype(int))]
        read = lake.read(table, columns=columns, where={**where, "as_of_date": more}, every_version=True)
    read = read.sort_by([("as_of_date", "ascending"), (TABLES[table][1], "ascending")])
    step = -(-read.num_rows // sample_rows)
    return read.take(np.arange(0, read.num_rows, max(step, 1)))


def _branch_shares(lake: Lake, rows: pa.Table, vectors: NDArray[np.float32]) -> tuple[dict[str, float], str]:
    """Share of each branch in the variance of the joint vectors: tr Cov(a_k z_k, z) / tr Var(z).

    The shares sum to one; a branch that hardly moves from row to row has none, whatever its weight.
    """
    at = np.unique(np.linspace(0, rows.num_rows - 1, min(_BRANCH_ROWS, rows.num_rows)).astype(int))
    described: list[dict[str, Any]] = rows.drop(["vector"]).take(at).to_pylist()
    try:
        read = BranchReader(lake).read(described, vectors[at])
    except BadDataError as refusal:
        return {}, str(refusal)
    joint = vectors[at].astype(np.float64)
    joint -= joint.mean(axis=0)
    total = float(np.square(joint).sum())
    if total == 0.0:
        return {}, "all rows of the sample are equal"
    names = list(dict.fromkeys(b.name for row in read for b in row))
    shares = {}
    for name in names:
        parts = np.zeros_like(joint)
        for i, row in enumerate(read):
            for branch in row:
                if branch.name == name:
                    parts[i] = branch.share * branch.vector
        shares[name] = float(((parts - parts.mean(axis=0)) * joint).sum() / total)
    return shares, ""
