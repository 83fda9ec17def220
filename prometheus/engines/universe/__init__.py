"""Who may be held: hard filters, a score, caps and tiers."""

from prometheus.engines.universe.base import (
    CORE,
    EXCLUDED,
    EXCLUSIONS,
    FILTERS,
    NONE,
    SATELLITE,
    SECTOR_CAP,
    SIZE_CAP,
    TIERS,
    Component,
    Listed,
    Selection,
    UniverseModel,
)
from prometheus.engines.universe.basic import COMPONENTS, Z_LIMIT, BasicUniverseModel, standardised

__all__ = [
    "COMPONENTS",
    "CORE",
    "EXCLUDED",
    "EXCLUSIONS",
    "FILTERS",
    "NONE",
    "SATELLITE",
    "SECTOR_CAP",
    "SIZE_CAP",
    "TIERS",
    "Z_LIMIT",
    "BasicUniverseModel",
    "Component",
    "Listed",
    "Selection",
    "UniverseModel",
    "standardised",
]
