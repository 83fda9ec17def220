"""Giving memory back between stages."""

from __future__ import annotations

import ctypes
import functools
import gc
from collections.abc import Callable

import pyarrow as pa

from prometheus.lake import Lake


def release_memory(lake: Lake) -> None:
    """Return freed memory to the system.

    Allocators keep what a stage has freed, torn into pieces that the next one cannot always use: a chain of stages
    would need the sum of what its stages leave behind. The lake's DuckDB session ends (each of its threads has its
    own store of freed blocks), Arrow's pool and the C library's arenas are asked to let go; where the library has no
    such call (macOS, musl) its own policy stands.
    """
    lake.release()
    gc.collect()
    pa.default_memory_pool().release_unused()
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@functools.cache
def _malloc_trim() -> Callable[[int], int] | None:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # TypeError: Windows has no CDLL of the process itself
        return None
    return found
