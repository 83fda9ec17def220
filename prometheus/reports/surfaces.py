"""Facts about every embedding surface of a lake, from counts of all rows and a sample of vectors."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
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
_SCENARIO = "SCENARIO/"
_PARTS = {"states": False, "scenarios": True}


@dataclass(frozen=True, eq=False)
class SurfaceFacts:
    """One surface.

    Attributes
    ----------
    table : str
    where : dict of str to str
        What tells it apart.
    part : str
        ``states`` or ``scenarios`` where a joint surface holds both: they are compared, but move for other reasons.
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
    part: str
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
        return " / ".join([*self.where.values(), *([self.part] if self.part else [])])

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
        Vectors taken of a surface, from that many dates at least, spread evenly; every count is of all rows.

    Raises
    ------
    MissingInputError
        When the lake has no embeddings of that kind.
    """
    dates = (first or dt.date.min, last or dt.date.max) if first or last else None
    found = [
        _facts(lake, table, where, part, counts, dates, sample_rows, sample_days)
        for table in TABLES
        for where, part, counts in _surfaces(lake, table, dates)
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
) -> list[tuple[dict[str, str], str, pl.DataFrame]]:
    """Surfaces of a table and their parts, each with its rows a day."""
    columns, entity = TABLES[table]
    source = lake.source(table, columns=[*columns, "as_of_date", entity], dates=dates, every_version=True)
    said = ", ".join(columns)
    counts = pl.DataFrame(
        pl.from_arrow(
            lake.query(
                f"SELECT {said}, starts_with({entity}, '{_SCENARIO}') AS of_scenarios, as_of_date, count(*) AS n "
                f"FROM ({source}) GROUP BY ALL ORDER BY ALL"
            )
        )
    )
    found = []
    for key, surface in counts.group_by(columns, maintain_order=True):
        where = dict(zip(columns, map(str, key), strict=True))
        if surface["of_scenarios"].n_unique() == 1:
            found.append((where, "", surface))
        else:
            found += [
                (where, name, surface.filter(pl.col("of_scenarios") == is_one)) for name, is_one in _PARTS.items()
            ]
    return found


def _facts(
    lake: Lake,
    table: str,
    where: dict[str, str],
    part: str,
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
    of_it = f"starts_with({entity}, '{_SCENARIO}') = {_PARTS[part]}" if part else "true"
    entities = lake.query(f"SELECT count(DISTINCT {entity}) AS n FROM ({source}) WHERE {of_it}")["n"][0].as_py()
    rows = _sample_rows(lake, table, where, part, counts, sample_rows, sample_days)
    sample = Sample(
        rows["as_of_date"].to_numpy().astype("datetime64[D]"),
        np.array(rows[entity].to_pylist(), dtype=np.str_),
        from_list_array(rows["vector"]),
    )
    shares, note = _branch_shares(lake, rows, sample.vectors) if table == "joint_embeddings" else ({}, "")
    return SurfaceFacts(
        table=table,
        where=where,
        part=part,
        months=by_month["month"].to_list(),
        rows_by_month=by_month["n"].to_list(),
        days=counts.height,
        entities=int(entities),
        sample=sample,
        branch_shares=shares,
        branch_note=note,
    )


def _sample_rows(
    lake: Lake,
    table: str,
    where: dict[str, str],
    part: str,
    counts: pl.DataFrame,
    sample_rows: int,
    sample_days: int,
) -> pa.Table:
    """Rows of some dates, spread evenly, as many as hold the sample; of dates with many rows, every k-th by key."""
    days, entity = counts["as_of_date"].to_list(), TABLES[table][1]
    enough = max(sample_days, -(-sample_rows * len(days) // int(counts["n"].sum())))
    chosen = [days[i] for i in np.unique(np.linspace(0, len(days) - 1, min(enough, len(days))).astype(int))]
    columns = ["as_of_date", entity, "vector"]
    if table == "joint_embeddings":
        columns += ["joint_type", "entity_scope", "branches"]
    read = lake.read(table, columns=columns, where={**where, "as_of_date": chosen}, every_version=True)
    if part:
        of_scenarios = pc.starts_with(read[entity], _SCENARIO)
        read = read.filter(of_scenarios if _PARTS[part] else pc.invert(of_scenarios))
    read = read.sort_by([("as_of_date", "ascending"), (entity, "ascending")])
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
