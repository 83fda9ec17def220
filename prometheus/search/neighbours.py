"""Nearest neighbours over all candidates of a surface, exact."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.errors import MissingInputError, RequestError
from prometheus.lake import Lake
from prometheus.search.spans import Embargo, Spans, When, embargo_of
from prometheus.search.surface import Surface, Vectors, days_of
from prometheus.search.topk import Metric, TopK
from prometheus.vectors import EMBEDDING_DIM, from_list_array

_SLICE = 65_536
_LISTED = 5


@dataclass(frozen=True, eq=False)
class Query:
    """What neighbours are sought of.

    Attributes
    ----------
    vector : ndarray of shape (384,), float32
    as_of : date, optional
        Date it stands for; without one it can only be compared with all dates.
    row : dict, optional
        The stored row it was read from, without its vector; a row is never its own neighbour.
    surface : Surface, optional
        Where that row lies.
    """

    vector: NDArray[np.float32]
    as_of: dt.date | None = None
    row: Mapping[str, Any] | None = None
    surface: Surface | None = None

    @classmethod
    def read(cls, lake: Lake, surface: Surface, as_of: dt.date, **where: Any) -> Query:
        """Read one row of a surface.

        Parameters
        ----------
        lake : Lake
        surface : Surface
        as_of : date
        where
            Conditions on columns that leave one row, for example ``entity_key="US"``.

        Raises
        ------
        MissingInputError
            When there is no such row.
        RequestError
            When there are several; the sentence lists them.
        """
        names = [*surface.key, *(["entity_scope", "branches"] if surface.table == "joint_embeddings" else [])]
        rows = lake.query(surface.source(lake, [*names, "vector"], dates=(as_of, as_of), where=where))
        described = " and ".join(f"{k} {v}" for k, v in {**surface.scope, **where}.items() if v not in (None, "*"))
        what = f"{surface} of {described or 'anything'} on {as_of}"
        if rows.num_rows == 0:
            raise MissingInputError(f"there is no row of {what}")
        if rows.num_rows > 1:
            keys = sorted("/".join(str(r[k]) for k in surface.key[1:]) for r in rows.select(surface.key).to_pylist())
            more = f" and {len(keys) - _LISTED} more" if len(keys) > _LISTED else ""
            raise RequestError(f"there are {len(keys)} rows of {what}: {', '.join(keys[:_LISTED])}{more}; name one")
        return cls(from_list_array(rows["vector"])[0], as_of, rows.select(names).to_pylist()[0], surface)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """What was found: for each query its best candidates, best first, ties by key.

    Attributes
    ----------
    query : ndarray of shape (m,), int64
        Which query each row answers, ascending.
    rows : pyarrow.Table of m rows
        Keys of the candidates and the further columns asked for.
    cosine, euclidean : ndarray of shape (m,), float64
        From the stored float32 vectors, in float64; the cosine is 0 where a norm is 0.
    embargo : Embargo
    """

    query: NDArray[np.int64]
    rows: pa.Table
    cosine: NDArray[np.float64]
    euclidean: NDArray[np.float64]
    embargo: Embargo

    def __len__(self) -> int:
        return len(self.query)

    def of(self, query: int) -> Neighbours:
        """Return the neighbours of one query."""
        return self._take(np.flatnonzero(self.query == query))

    def to_pylist(self) -> list[dict[str, Any]]:
        """One dict a neighbour: cosine, euclidean, then its columns."""
        scores = zip(self.cosine.tolist(), self.euclidean.tolist(), strict=True)
        found = zip(scores, self.rows.to_pylist(), strict=True) if len(self) else ()
        return [{"cosine": c, "euclidean": e, **row} for (c, e), row in found]

    def _take(self, at: NDArray[np.int64]) -> Neighbours:
        rows = self.rows.take(pa.array(at)) if len(self) else self.rows
        return Neighbours(self.query[at], rows, self.cosine[at], self.euclidean[at], self.embargo)


def nearest(
    lake: Lake | None,
    among: Surface | Vectors,
    query: Query,
    *,
    k: int = 20,
    metric: Metric = "cosine",
    history: bool = False,
    when: When | None = None,
    embargo: Embargo | None = None,
    where: Mapping[str, Any] | None = None,
    columns: Sequence[str] = (),
) -> Neighbours:
    """Find the nearest neighbours of one query.

    Parameters
    ----------
    lake : Lake, optional
        Not needed when ``among`` is in memory.
    among : Surface or Vectors
        All rows of it are candidates, but for the query's own.
    query : Query
    k : int
    metric : {'cosine', 'euclidean'}
        What the neighbours are chosen and ordered by; both are returned.
    history : bool
        Short for ``when="earlier"``: any earlier date, at least one window before.
    when : {'same_date', 'known', 'earlier', 'apart', 'any'}, optional
        Which dates count; ``same_date`` by default, ``any`` when the query has no date.
    embargo : Embargo, optional
        By default the longest window behind the query (63 sessions, 126 of profiles) by the calendar of its market;
        in calendar days, 92 for 63 sessions, where that is not known.
    where : mapping, optional
        Conditions on columns of the candidates, for example ``{"entity_key": ["US", "EU"]}``.
    columns : sequence of str
        Columns returned beside the keys.

    Returns
    -------
    Neighbours

    Notes
    -----
    Exact: every candidate is compared, and the result does not depend on how they are read or blocked (see
    :mod:`prometheus.search.topk`). Memory holds one batch and what was kept of the others.
    """
    if embargo is None:
        embargo = embargo_of(lake, dict(query.row) if query.row is not None else None)
    days = np.array([query.as_of], dtype="datetime64[D]")
    return nearest_many(
        lake,
        among,
        query.vector[None, :],
        days,
        own=[query.row if _same_surface(query.surface, among) else None],
        k=k,
        metric=metric,
        when=when or ("earlier" if history else "any" if query.as_of is None else "same_date"),
        embargo=embargo,
        where=where,
        columns=columns,
    )


def nearest_many(
    lake: Lake | None,
    among: Surface | Vectors,
    vectors: NDArray[np.float32],
    days: NDArray[np.datetime64] | None = None,
    *,
    own: Sequence[Mapping[str, Any] | None] | None = None,
    k: int = 20,
    metric: Metric = "cosine",
    when: When = "same_date",
    embargo: Embargo | None = None,
    where: Mapping[str, Any] | None = None,
    columns: Sequence[str] = (),
) -> Neighbours:
    """Find the nearest neighbours of many queries in one pass over the candidates.

    Parameters
    ----------
    lake, among, k, metric, when, embargo, where, columns
        As in :func:`nearest`; the embargo is in calendar days unless one is given.
    vectors : ndarray of shape (q, 384), float32
    days : ndarray of datetime64[D], shape (q,), optional
        Date of each query; none is needed with ``when="any"``.
    own : sequence of q mappings, optional
        Each query's own row (or None), which is no neighbour of it: values of the surface's key columns.

    Raises
    ------
    RequestError
        When ``k`` is less than 1, queries are not (q, 384), or a date is missing.
    """
    if k < 1:
        raise RequestError(f"at least one neighbour must be asked for; got {k}")
    if vectors.ndim != 2 or vectors.shape[1] != EMBEDDING_DIM:
        raise RequestError(f"queries are vectors of {EMBEDDING_DIM} values; got an array of shape {vectors.shape}")
    if isinstance(among, Vectors) and where:
        raise RequestError("candidates in memory are filtered when they are loaded; give `where` there")
    embargo = embargo or Embargo()
    dated = np.full(len(vectors), "NaT", dtype="datetime64[D]") if days is None else days.astype("datetime64[D]")
    spans = Spans.of(when, dated, embargo)
    surface = among.surface if isinstance(among, Vectors) else among
    # One more than asked for, where one of them may be the query itself.
    known = own is not None and any(row is not None for row in own)
    best = TopK(vectors, k + known, metric, surface.key)
    if isinstance(among, Vectors):
        _add_loaded(best, among, spans)
        names = [*dict.fromkeys([*surface.key, *columns])]
    elif lake is None:
        raise RequestError("a surface is read from a lake; give one, or candidates in memory")
    else:
        for rows, block in surface.stream(lake, columns, dates=spans.outer, where=where):
            best.add(rows, block, allowed=spans.allowed(days_of(rows)))
        names = rows_of(surface, columns)
    query, rows, cosine, euclidean = best.finish()
    found = Neighbours(query, rows.select(names) if len(query) else rows, cosine, euclidean, embargo)
    return _without_own(found, surface, own, k) if known and own is not None else found


def rows_of(surface: Surface, columns: Sequence[str]) -> list[str]:
    """Columns of a search's rows: the surface's key and the further ones."""
    return list(dict.fromkeys([*surface.key, *columns]))


def _add_loaded(best: TopK, among: Vectors, spans: Spans) -> None:
    days, outer = among.dates, spans.outer
    first, last = 0, len(among)
    if outer is not None:
        first = int(np.searchsorted(days, np.datetime64(outer[0], "D"), side="left"))
        last = int(np.searchsorted(days, np.datetime64(outer[1], "D"), side="right"))
    for start in range(first, last, _SLICE):
        part = slice(start, min(start + _SLICE, last))
        best.add(
            among.rows.slice(part.start, part.stop - part.start),
            among.vectors[part],
            norms=among.norms[part],
            allowed=spans.allowed(days[part]),
        )


def _without_own(found: Neighbours, surface: Surface, own: Sequence[Mapping[str, Any] | None], k: int) -> Neighbours:
    """Take each query's own row out, and what is then beyond the k-th."""
    if len(found) == 0:
        return found
    mine = np.array([own[q] is not None for q in found.query])
    for name in surface.key:
        values = np.array(found.rows[name].to_pylist(), dtype=object)
        wanted = np.array([(own[q] or {}).get(name) for q in found.query], dtype=object)
        mine &= values == wanted
    kept = np.flatnonzero(~mine)
    query = found.query[kept]
    starts = np.searchsorted(query, query, side="left")
    return found._take(kept[np.arange(len(kept)) - starts < k])


def _same_surface(surface: Surface | None, among: Surface | Vectors) -> bool:
    other = among.surface if isinstance(among, Vectors) else among
    return surface is not None and surface.table == other.table and dict(surface.where) == dict(other.where)
