"""The branches of ASSESSMENT_CTX_V0 side by side: what the joint vector averages, each in slots of its own.

A row says which branches went into it, with which weights and from which rows. The profile and the stability state are
read from those rows. The news of a name is stored nowhere by itself: it is what is left of the average,
``(z sum_k w_k - sum_others w_k z_k) / w_text``, checked against the norm that the row says it had. So the surface must
be a plain average of its branches as they are stored (v0, or hashing). The regime is left out: all names of a day share
it, and only their order is forecast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.errors import BadDataError
from prometheus.runtime import StageReader
from prometheus.spaces.joint.assessment_context import ASSESSMENT_CONTEXT
from prometheus.vectors import EMBEDDING_DIM, from_list_array

SIDE_BY_SIDE = ("profile", "stab", "text")
"""Branches that tell names of a day apart, in the order of their slots; a slot each for presence follows."""

WIDTH = len(SIDE_BY_SIDE) * EMBEDDING_DIM + len(SIDE_BY_SIDE)

STORED = {b.name: b.surface for b in ASSESSMENT_CONTEXT.branches if b.source == "joint"}
"""Joint type of the branches that have rows of their own."""

_TEXT = "text"
_NORM_OFF = 1e-4
"""Most that the norm of what is left may be off, as a share of the sum of the norms: rounding to float32 is 1e-7."""


def side_by_side(reader: StageReader, rows: pa.Table) -> NDArray[np.float32]:
    """Branches of some rows of the space, each in its own slots, zeros where absent, then a 1 for each present.

    Parameters
    ----------
    reader : StageReader
    rows : pyarrow.Table
        Rows of ``joint_embeddings`` with ``branches`` and ``vector``.

    Returns
    -------
    ndarray of float32, shape (n, WIDTH)

    Raises
    ------
    BadDataError
        When a branch's row is gone or changed, or the vector is no plain average of its branches.
    """
    n = rows.num_rows
    out = np.zeros((n, WIDTH), dtype=np.float32)
    if n == 0:
        return out
    parts = _parts(rows)
    rest = from_list_array(rows["vector"]).astype(np.float64) * parts.total[:, None]
    for name in STORED:
        mine = np.flatnonzero(parts.frame["name"].to_numpy() == name)
        if not len(mine):
            continue
        row = parts.frame["row"].to_numpy()[mine]
        vectors = _stored(reader, parts.frame[mine.tolist()])
        rest[row] -= parts.frame["weight"].to_numpy()[mine][:, None] * vectors
        if name in SIDE_BY_SIDE:
            _put(out, row, vectors, SIDE_BY_SIDE.index(name))
    text = np.flatnonzero(parts.frame["name"].to_numpy() == _TEXT)
    row, weight = parts.frame["row"].to_numpy()[text], parts.frame["weight"].to_numpy()[text]
    _check(rows, rest, parts, row, weight)
    _put(out, row, rest[row] / weight[:, None], SIDE_BY_SIDE.index(_TEXT))
    return out


@dataclass(frozen=True, eq=False)
class _Parts:
    """One line a row and branch: ``row``, and what the row says of the branch; and each row's sum of weights."""

    frame: pl.DataFrame
    total: NDArray[np.float64]


def _parts(rows: pa.Table) -> _Parts:
    frame = pl.DataFrame(pl.from_arrow(rows.select(["branches"]))).with_row_index("row")
    frame = frame.explode("branches").unnest("branches")
    total = np.zeros(rows.num_rows)
    np.add.at(total, frame["row"].to_numpy(), frame["weight"].to_numpy())
    return _Parts(frame, total)


def _stored(reader: StageReader, wanted: pl.DataFrame) -> NDArray[np.float32]:
    """Vectors of branch rows, in the order asked for."""
    found = np.zeros((len(wanted), EMBEDDING_DIM), dtype=np.float32)
    wanted = wanted.with_row_index("at")
    for (name, model_id, variant), some in wanted.group_by("name", "model_id", "variant", maintain_order=True):
        dates = some["source_date"].unique().sort().to_list()
        where: Mapping[str, object] = {
            "joint_type": STORED[str(name)],
            "model_id": model_id,
            "variant": variant,
            "as_of_date": dates,
        }
        columns = ["as_of_date", "entity_key", "vector"]
        held = reader.read("joint_embeddings", columns=columns, dates=(dates[0], dates[-1]), where=where)
        keys = pl.DataFrame(pl.from_arrow(held.select(columns[:2]))).with_row_index("place")
        keys = keys.rename({"as_of_date": "source_date", "entity_key": "source_key"})
        at = some.join(keys, on=["source_date", "source_key"], how="left", maintain_order="left")["place"]
        if at.null_count():
            gone = some.row(int(at.is_null().arg_max() or 0), named=True)
            raise BadDataError(
                f"joint_embeddings has no {STORED[str(name)]} row {gone['source_key']} of {gone['source_date']}, "
                f"variant {variant}, which went into ASSESSMENT_CTX_V0; make it again, or read the joint vector "
                "(reads=joint)"
            )
        found[some["at"].to_numpy()] = from_list_array(held["vector"])[at.to_numpy()]
    return found


def _check(
    rows: pa.Table,
    rest: NDArray[np.float64],
    parts: _Parts,
    row: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> None:
    """Compare what is left with the norm of the news: nothing, in a row that has none."""
    said = np.zeros(rows.num_rows)
    said[row] = weight * parts.frame.filter(pl.col("name") == _TEXT)["norm"].to_numpy()
    size = np.zeros(rows.num_rows)
    np.add.at(size, parts.frame["row"].to_numpy(), (parts.frame["weight"] * parts.frame["norm"]).to_numpy())
    off = np.abs(np.sqrt(np.einsum("ij,ij->i", rest, rest)) - said) > _NORM_OFF * np.maximum(size, 1e-12)
    if off.any():
        first = rows.slice(int(np.argmax(off)), 1).to_pylist()[0]
        raise BadDataError(
            f"the ASSESSMENT_CTX_V0 vector of {first['entity_key']} on {first['as_of_date']} is not the plain average "
            "of the branches as they are stored now; reads=branches goes with v0 or hashing, made after its branches"
        )


def _put(out: NDArray[np.float32], row: NDArray[np.int64], vectors: NDArray[np.floating], place: int) -> None:
    out[row, place * EMBEDDING_DIM : (place + 1) * EMBEDDING_DIM] = vectors
    out[row, len(SIDE_BY_SIDE) * EMBEDDING_DIM + place] = 1.0
