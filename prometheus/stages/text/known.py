"""Which version of a text was known when, and the vector of each.

A version counts from its ``known_at`` until the next version of the text on the same day becomes known; one that is
withdrawn (or moved to another day, which leaves a withdrawal behind) counts for nothing. Its vector is the one of the
hash of its text: a correction may go back to an earlier wording.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.encoders.text import text_hash
from prometheus.runtime import StageReader
from prometheus.spaces.joint.branch_rows import BranchRows
from prometheus.stages.text.texts import Filters, TextTable
from prometheus.vectors import EMBEDDING_DIM, from_list_array

VECTOR_KEY = ["as_of_date", "source_id", "text_hash"]

FOREVER = np.iinfo(np.int64).max
"""``until`` of a version that still stands, in microseconds."""


@dataclass(frozen=True)
class TextSelection:
    """Which vectors of text are read.

    Attributes
    ----------
    model_id, variant : str
    filters : mapping of str to str
        As :func:`~prometheus.stages.text.texts.asked_filters` makes them; the version known must fit.
    """

    model_id: str
    variant: str
    filters: Filters

    def where(self, table: TextTable) -> dict[str, str]:
        """Partition columns of the vectors."""
        return {"source_type": table.source_type, "model_id": self.model_id, "variant": self.variant}


def known_texts(
    reader: StageReader,
    table: TextTable,
    selection: TextSelection,
    span: tuple[dt.date, dt.date],
    names: Mapping[str, NDArray[np.str_]] | None = None,
) -> pl.DataFrame:
    """Versions of texts with the span of time in which each was the one known; those without a vector are left out.

    Parameters
    ----------
    reader : StageReader
        With the table and ``text_embeddings`` among its inputs.
    table : TextTable
    selection : TextSelection
    span : (date, date)
        First and last ``as_of_date``, both included.
    names : mapping of str to ndarray of str, optional
        Only rows with these values.

    Returns
    -------
    polars.DataFrame
        ``source_id``, the table's ``id_columns``, ``as_of_date``, ``text_hash``, ``since`` and ``until`` (Int64,
        microseconds since 1970; known from the first, up to but not at the second), sorted.
    """
    by_day = ["as_of_date", table.key]
    keys = frame_of(
        reader.read(
            "text_embeddings",
            columns=[*VECTOR_KEY, "known_at"],
            dates=span,
            where=selection.where(table),
            every_version=True,
        )
    )
    narrow = [c for c in table.columns if c not in table.parts]
    versions = frame_of(reader.read(table.table, columns=narrow, dates=span, every_version=True))
    for column, values in (names or {}).items():
        versions = versions.filter(pl.col(column).is_in(pl.Series(np.unique(values)).implode()))
    instant = pl.col("known_at").dt.timestamp("us")
    versions = versions.sort(*by_day, "known_at").with_columns(
        table.source_id().alias("source_id"),
        instant.alias("since"),
        instant.shift(-1).over(by_day).fill_null(FOREVER).alias("until"),
        (pl.len().over(by_day) > 1).alias("several"),
    )
    versions = versions.filter(~pl.col("withdrawn"), *_fits(selection.filters))
    # Most texts have one version and one vector, found by id; the texts of the others are read and hashed.
    vectors = keys.group_by("as_of_date", "source_id").agg(
        pl.len().alias("vectors"), pl.col("text_hash").first(), instant.min().alias("encoded")
    )
    held = versions.join(vectors, on=["as_of_date", "source_id"], how="inner")
    plain = ~pl.col("several") & (pl.col("vectors") == 1)
    settled = held.filter(plain & (pl.col("since") >= pl.col("encoded")))
    hashed = _hashed(reader, table, span, held.filter(~plain).drop("text_hash"))
    hashed = hashed.join(keys, on=VECTOR_KEY, how="semi")
    columns = list(dict.fromkeys(("source_id", *table.id_columns, "as_of_date", "text_hash", "since", "until")))
    known = pl.concat([settled.select(columns), hashed.select(columns)])
    return known.sort("as_of_date", "source_id", "since")


def _fits(filters: Filters) -> list[pl.Expr]:
    return [pl.col(c).str.to_uppercase() == v for c, v in filters.items()]


def _hashed(
    reader: StageReader, table: TextTable, span: tuple[dt.date, dt.date], versions: pl.DataFrame
) -> pl.DataFrame:
    """Add the hash of each version's text; those without a text go."""
    version = ["as_of_date", table.key, "known_at"]
    if versions.height == 0:
        return versions.with_columns(pl.lit("").alias("text_hash"))
    source = reader.source(table.table, columns=[*version, *table.parts], dates=span, every_version=True)
    on = " AND ".join(f"a.{c} = b.{c}" for c in version)
    sql = f"SELECT a.* FROM ({source}) a SEMI JOIN wanted b ON {on}"
    texts = frame_of(reader.query(sql, {"wanted": arrow_of(versions.select(version))})).with_columns(table.text())
    texts = texts.filter(pl.col("text") != "")
    hashes = pl.Series("text_hash", [text_hash(t) for t in texts["text"]], dtype=pl.String)
    return versions.join(texts.select(version).with_columns(hashes), on=version, how="inner")


def vectors_of(
    reader: StageReader,
    table: TextTable,
    selection: TextSelection,
    known: pl.DataFrame,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Vectors of some versions.

    Parameters
    ----------
    reader, table, selection
        As for :func:`known_texts`.
    known : polars.DataFrame of n rows
        Some of its result.

    Returns
    -------
    at : ndarray of int64, shape (n,)
        Row of each version's vector.
    vectors : ndarray of float32, shape (m, 384)
    """
    wanted = known.select(VECTOR_KEY).unique()
    if wanted.height == 0:
        return np.empty(0, dtype=np.int64), np.empty((0, EMBEDDING_DIM), dtype=np.float32)
    days = wanted["as_of_date"].unique().sort().to_list()
    source = reader.source(
        "text_embeddings",
        columns=[*VECTOR_KEY, "vector"],
        dates=(days[0], days[-1]),
        where={**selection.where(table), "as_of_date": days},
        every_version=True,
    )
    rows = reader.query(
        f"SELECT * FROM ({source}) SEMI JOIN wanted USING ({', '.join(VECTOR_KEY)})", {"wanted": arrow_of(wanted)}
    )
    place = frame_of(rows.select(VECTOR_KEY)).with_row_index("at")
    at = known.select(VECTOR_KEY).join(place, on=VECTOR_KEY, how="left", maintain_order="left")["at"]
    return at.to_numpy().astype(np.int64), from_list_array(rows["vector"])


def no_rows(n: int) -> BranchRows:
    """Return a branch that is absent from every one of ``n`` rows."""
    return BranchRows.picked(
        np.full(n, -1, dtype=np.int64),
        np.empty((0, EMBEDDING_DIM), dtype=np.float32),
        np.empty(0, dtype=np.str_),
        np.empty(0, dtype="datetime64[D]"),
    )


def microseconds(cutoffs: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Cut-offs as ``since`` and ``until`` count them."""
    return np.asarray(cutoffs, dtype="datetime64[us]").astype(np.int64)


def frame_of(rows: pa.Table) -> pl.DataFrame:
    """View Arrow rows as a frame."""
    return pl.DataFrame(pl.from_arrow(rows))


def arrow_of(frame: pl.DataFrame) -> pa.Table:
    """View a frame as Arrow rows DuckDB reads."""
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())
