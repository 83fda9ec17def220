"""Exact nearest neighbours over a surface, and what a similarity is made of."""

from prometheus.search.explain import Explanation, explain, split_cosine
from prometheus.search.neighbours import Neighbours, Query, nearest, nearest_many
from prometheus.search.shared import COMPARABLE, SharedNeighbours, nearest_shared
from prometheus.search.spans import EMBARGO_SESSIONS, Embargo, When, embargo_of
from prometheus.search.surface import Surface, Vectors

__all__ = [
    "COMPARABLE",
    "EMBARGO_SESSIONS",
    "Embargo",
    "Explanation",
    "Neighbours",
    "Query",
    "SharedNeighbours",
    "Surface",
    "Vectors",
    "When",
    "embargo_of",
    "explain",
    "nearest",
    "nearest_many",
    "nearest_shared",
    "split_cosine",
]
