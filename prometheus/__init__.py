"""Prometheus: a lakehouse batch engine for quantitative research.

Importing the package is cheap; the heavy parts (torch, sklearn, the calendars) load where they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from prometheus.lake import Lake, connect

__all__ = ["Lake", "__version__", "connect"]


def __getattr__(name: str) -> Any:
    if name in {"Lake", "connect"}:
        from prometheus import lake

        return getattr(lake, name)
    raise AttributeError(f"module 'prometheus' has no attribute {name!r}")
