"""Exact selection of the k best candidates from a stream of blocks.

1. A block of candidates is multiplied with all queries in float32: cheap, and wrong by no more than a known bound.
2. A pair is kept when its product plus that bound reaches the running threshold of its query: the k-th largest product
   less its bound seen so far. What is dropped lies strictly below the true k-th best, whatever the blocks were.
3. The few pairs that are left are scored again in float64, each on its own, and ordered by score and then by key.

So results do not depend on the size or order of blocks, on threads, or on how BLAS sums.

References
----------
Higham, N. J. (2002), *Accuracy and Stability of Numerical Algorithms*, 2nd ed., section 3.1: an inner product of
length d in precision u is wrong by at most ``d u / (1 - d u) * sum |x_i y_i|``, in any order of summation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Metric = Literal["cosine", "euclidean"]

BLOCK_ROWS = 8_192
"""Candidates multiplied at once: their products with 500 queries stay near the processor."""

_UNIT = 2.0**-24
_SEED_ROWS = 1_024
_PAIRS = 4_096
_MOST_PAIRS = 250_000
_FEW_QUERIES = 96
_MEMORY_BOUND = 2
_SAFE = (1e-15, 1e15)
_LOWEST = -3e38


class TopK:
    """The k best candidates of each query among all that were added.

    Parameters
    ----------
    queries : ndarray of shape (q, d), float32
    k : int
    metric : {'cosine', 'euclidean'}
        Largest cosine (0 where a norm is 0), or smallest Euclidean distance, first.
    tie_order : sequence of str
        Columns of the candidates' rows that order equal scores, ascending.
    """

    def __init__(self, queries: NDArray[np.float32], k: int, metric: Metric, tie_order: Sequence[str]) -> None:
        if k < 1:
            raise ValueError(f"k must be at least 1; got {k}")
        self._queries = np.ascontiguousarray(queries, dtype=np.float32)
        self._exact_queries = self._queries.astype(np.float64)
        self._k, self._metric, self._tie_order = k, metric, list(tie_order)
        self._query_norms = np.sqrt(np.square(self._exact_queries).sum(axis=1))
        if metric == "cosine":
            safe = np.where(self._query_norms > 0.0, self._query_norms, 1.0)
            self._left = (self._exact_queries / safe[:, None]).astype(np.float32)
        else:
            self._left = self._queries
        n, d = self._queries.shape
        self._bound = 2.0 * (d + 16) * _UNIT
        self._best = np.full((n, k), -np.inf)
        self._threshold = np.full(n, -np.inf)
        # Kept pairs: query, place among the kept rows, upper bound of the score.
        self._pair_query = np.empty(0, dtype=np.int64)
        self._pair_row = np.empty(0, dtype=np.int64)
        self._pair_upper = np.empty(0, dtype=np.float64)
        self._rows: list[pa.Table] = []
        self._vectors: list[NDArray[np.float32]] = []
        self._num_rows = 0

    def add(
        self,
        rows: pa.Table,
        vectors: NDArray[np.float32],
        *,
        norms: NDArray[np.float64] | None = None,
        allowed: NDArray[np.bool_] | None = None,
    ) -> None:
        """Add candidates.

        Parameters
        ----------
        rows : pyarrow.Table of n rows
            Keys, and what else is wanted of a candidate that is kept.
        vectors : ndarray of shape (n, d), float32
        norms : ndarray of shape (n,), float64, optional
            Their lengths, where known already; see :func:`row_norms`.
        allowed : ndarray of shape (q, n), bool, optional
            Which candidates count for which query; all when omitted.
        """
        lengths = row_norms(vectors) if norms is None else norms
        start = 0
        while start < len(vectors):
            # A small first block gives the thresholds that keep the pairs of the later ones few.
            fresh = self._num_rows == 0 and start == 0
            stop = min(start + (_SEED_ROWS if fresh else BLOCK_ROWS), len(vectors))
            part = slice(start, stop)
            self._block(rows, start, vectors[part], lengths[part], None if allowed is None else allowed[:, part])
            start = stop

    def _block(
        self,
        rows: pa.Table,
        start: int,
        vectors: NDArray[np.float32],
        norms: NDArray[np.float64],
        allowed: NDArray[np.bool_] | None,
    ) -> None:
        scores, slack = self._scores(vectors, norms)
        if allowed is not None:
            scores[~allowed] = -np.inf
        # What is not allowed stands at minus infinity, below every floor.
        floor = np.maximum(self._threshold - slack, _LOWEST).astype(np.float32)
        hits = np.flatnonzero(scores >= floor[:, None])
        if len(hits) == 0:
            return
        query, local = np.divmod(hits, scores.shape[1])
        value = scores.reshape(-1)[hits].astype(np.float64)
        self._raise_thresholds(query, value - slack[query])
        upper = value + slack[query]
        kept = upper >= self._threshold[query]
        query, local, upper = query[kept], local[kept], upper[kept]
        places, at = np.unique(local, return_inverse=True)
        self._pair_query = np.concatenate([self._pair_query, query])
        self._pair_row = np.concatenate([self._pair_row, at + self._num_rows])
        self._pair_upper = np.concatenate([self._pair_upper, upper])
        self._rows.append(rows.take(pa.array(places + start)))
        self._vectors.append(vectors[places])
        self._num_rows += len(places)
        if len(self._pair_query) > _MOST_PAIRS:
            self._prune()
            if len(self._pair_query) > _MOST_PAIRS // 2:
                self._settle()

    def _scores(
        self, vectors: NDArray[np.float32], norms: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Approximate scores (q, n), larger is better, and by how much each query's may be wrong."""
        n = len(self._queries)
        if self._metric == "cosine":
            inverse = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0.0)
            odd = (norms < _SAFE[0]) | (norms > _SAFE[1])
            if n > _FEW_QUERIES or odd.any():
                scaled = vectors * inverse[:, None].astype(np.float32)
                scaled[odd] = (vectors[odd].astype(np.float64) * inverse[odd, None]).astype(np.float32)
                return _products(self._left, scaled), np.full(n, self._bound)
            return _products(self._left, vectors) * inverse.astype(np.float32), np.full(n, self._bound)
        largest = float(norms.max(initial=0.0))
        slack = self._bound * np.square(self._query_norms + largest) + 1e-37
        if largest > _SAFE[1] or self._query_norms.max(initial=0.0) > _SAFE[1]:
            # Squares leave the range of float32; no pair is dropped, and float64 decides.
            return np.zeros((n, len(vectors)), dtype=np.float32), np.full(n, np.inf)
        # -||q - x||^2 less the query's own part, which is added below in float64.
        doubled: NDArray[np.float32] = 2.0 * _products(self._left, vectors)
        doubled -= np.square(norms).astype(np.float32)
        doubled -= np.square(self._query_norms).astype(np.float32)[:, None]
        return doubled, slack

    def _raise_thresholds(self, query: NDArray[np.int64], lower: NDArray[np.float64]) -> None:
        """Merge lower bounds into each query's k best."""
        if len(query) == 0:
            return
        starts = np.flatnonzero(np.diff(query, prepend=-1))
        counts = np.diff(starts, append=len(query))
        touched = query[starts]
        padded = np.full((len(touched), int(counts.max())), -np.inf)
        line = np.repeat(np.arange(len(touched)), counts)
        padded[line, np.arange(len(query)) - np.repeat(starts, counts)] = lower
        joined = np.concatenate([self._best[touched], padded], axis=1)
        at = joined.shape[1] - self._k
        joined.partition(at, axis=1)
        self._best[touched] = joined[:, at:]
        self._threshold[touched] = self._best[touched].min(axis=1)

    def _prune(self) -> None:
        """Drop pairs that cannot be among the best any more, and rows no pair is left of."""
        kept = self._pair_upper >= self._threshold[self._pair_query]
        self._pair_query, self._pair_upper = self._pair_query[kept], self._pair_upper[kept]
        places, self._pair_row = np.unique(self._pair_row[kept], return_inverse=True)
        table, vectors = self._kept_rows()
        self._rows, self._vectors = [table.take(pa.array(places))], [vectors[places]]
        self._num_rows = len(places)

    def _kept_rows(self) -> tuple[pa.Table, NDArray[np.float32]]:
        return pa.concat_tables(self._rows).combine_chunks(), np.concatenate(self._vectors)

    def _settle(self) -> None:
        """Score every kept pair in float64 and keep each query's k best: bounded, however many scores are alike."""
        table, vectors = self._kept_rows()
        score = self._exact(vectors)[0 if self._metric == "cosine" else 1]
        if self._metric == "euclidean":
            score = -np.square(score)
        order = np.lexsort((self._ranks(table)[self._pair_row], -score, self._pair_query))
        first = _first_of_each(self._pair_query[order], self._k)
        order = order[first]
        self._pair_query, self._pair_row = self._pair_query[order], self._pair_row[order]
        # Rounding of the float64 score itself, far below the slack of the products.
        self._pair_upper = score[order] + 1e-12 * np.abs(score[order]) + 1e-300
        self._best[:] = -np.inf
        self._raise_thresholds(self._pair_query, score[order] - 1e-12 * np.abs(score[order]))
        self._prune()

    def _ranks(self, table: pa.Table) -> NDArray[np.int64]:
        """Place of each kept row in the order of keys."""
        ranks = np.empty(table.num_rows, dtype=np.int64)
        order = pc.sort_indices(table, sort_keys=[(c, "ascending") for c in self._tie_order])
        ranks[order.to_numpy()] = np.arange(table.num_rows)
        return ranks

    def _exact(self, vectors: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Cosine and Euclidean distance of every kept pair, float64, each pair summed on its own."""
        cosine = np.empty(len(self._pair_query))
        distance = np.empty(len(self._pair_query))
        for start in range(0, len(cosine), _PAIRS):
            part = slice(start, start + _PAIRS)
            left = self._exact_queries[self._pair_query[part]]
            right = vectors[self._pair_row[part]].astype(np.float64)
            cosine[part], distance[part] = pair_scores(left, right)
        return cosine, distance

    def finish(self) -> tuple[NDArray[np.int64], pa.Table, NDArray[np.float64], NDArray[np.float64]]:
        """Return the best of each query: query number, candidate rows, cosine and Euclidean distance.

        Returns
        -------
        query : ndarray of shape (m,), int64
            Ascending; at most ``k`` of each, best first, ties by key.
        rows : pyarrow.Table of m rows
        cosine, euclidean : ndarray of shape (m,), float64
        """
        if not self._rows:
            nothing = np.empty(0)
            return np.empty(0, dtype=np.int64), pa.table({}), nothing, nothing
        self._prune()
        table, vectors = self._kept_rows()
        cosine, distance = self._exact(vectors)
        score = -cosine if self._metric == "cosine" else distance
        order = np.lexsort((self._ranks(table)[self._pair_row], score, self._pair_query))
        order = order[_first_of_each(self._pair_query[order], self._k)]
        rows = table.take(pa.array(self._pair_row[order]))
        return self._pair_query[order], rows, cosine[order], distance[order]


def _products(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inner products of all pairs of rows, shape (q, n).

    For a query or two memory is the limit, and waking threads for each block costs more than they save.
    """
    if len(left) <= _MEMORY_BOUND:
        return np.stack([np.einsum("ij,j->i", right, query) for query in left])
    products: NDArray[np.float32] = left @ right.T
    return products


def row_norms(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Length of each row: summed in float32, and in float64 where the squares leave its range.

    Good to the bound of a float32 inner product; final scores take their own norms in float64.
    """
    squares = np.einsum("ij,ij->i", vectors, vectors).astype(np.float64)
    odd = ~((squares > _SAFE[0] ** 2) & (squares < _SAFE[1] ** 2))
    if odd.any():
        squares[odd] = np.square(vectors[odd].astype(np.float64)).sum(axis=1)
    norms: NDArray[np.float64] = np.sqrt(squares)
    return norms


def pair_scores(
    left: NDArray[np.float64], right: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cosine (0 where a norm is 0) and Euclidean distance of each pair of rows, float64.

    Parameters
    ----------
    left, right : ndarray of shape (n, d)
    """
    products = (left * right).sum(axis=1)
    lengths = np.sqrt(np.square(left).sum(axis=1)) * np.sqrt(np.square(right).sum(axis=1))
    cosine = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0.0)
    return np.clip(cosine, -1.0, 1.0), np.sqrt(np.square(left - right).sum(axis=1))


def _first_of_each(groups: NDArray[np.int64], most: int) -> NDArray[np.bool_]:
    """Mark the first rows of each run of equal values."""
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    lengths = np.diff(starts, append=len(groups))
    marked: NDArray[np.bool_] = np.arange(len(groups)) - np.repeat(starts, lengths) < most
    return marked
