"""Joint spaces as stages: each space of :mod:`prometheus.spaces.joint` becomes one, and its statistics another.

``joint_<name>`` makes a space's rows, ``branch_statistics_<name>`` what its calibrated variants are scaled by.
"""

from __future__ import annotations

from typing import Any

from prometheus.spaces.joint import SPACES


def stage_names() -> tuple[str, ...]:
    """Names of all of these stages, statistics before the rows they serve."""
    names: list[str] = []
    for space in SPACES.values():
        names += [space.stage] if space.scaled_by else [space.statistics, space.stage]
    return tuple(names)


def space_name_of(stage: str) -> str:
    """Name of the space a stage of a joint space belongs to."""
    return next(s.name for s in SPACES.values() if stage in (s.stage, f"branch_statistics_{s.name}"))


def __getattr__(name: str) -> Any:
    from prometheus.stages.joint.build import joint_stage
    from prometheus.stages.joint.statistics import statistics_stage

    for space in SPACES.values():
        if name == space.stage:
            return joint_stage(space.name)
        if name == space.statistics and not space.scaled_by:
            return statistics_stage(space.name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
