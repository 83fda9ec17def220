"""Joint spaces: several branches of one entity and date in one vector.

A space is declared in a module of this package: every :class:`JointSpace` at the top of one is found by itself.
"""

from __future__ import annotations

import importlib
import pkgutil

from prometheus.spaces.joint.branch_rows import BranchRows
from prometheus.spaces.joint.daily_mean import DailyMeans, DailySums
from prometheus.spaces.joint.space import Branch, JoinRule, JointSpace, LastKnown, SameDay


def joint_spaces() -> dict[str, JointSpace]:
    """Every declared space by name."""
    found: dict[str, JointSpace] = {}
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        for declared in vars(importlib.import_module(f"{__name__}.{module}")).values():
            if isinstance(declared, JointSpace):
                if found.get(declared.name, declared) != declared:
                    raise ValueError(f"two joint spaces are called {declared.name!r}")
                found[declared.name] = declared
    return found


SPACES = joint_spaces()
"""Joint spaces by name."""

__all__ = [
    "SPACES",
    "Branch",
    "BranchRows",
    "DailyMeans",
    "DailySums",
    "JoinRule",
    "JointSpace",
    "LastKnown",
    "SameDay",
    "joint_spaces",
]
