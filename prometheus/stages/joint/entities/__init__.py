"""What the rows of a joint space are about, by the name its declaration calls it by."""

from __future__ import annotations

from prometheus.spaces.joint import JointSpace
from prometheus.stages.joint.entities.base import Entities
from prometheus.stages.joint.entities.episodes import EpisodeEntities
from prometheus.stages.joint.entities.names import InstrumentEntities, IssuerEntities
from prometheus.stages.joint.entities.portfolios import PortfolioEntities
from prometheus.stages.joint.entities.regions import RegionEntities
from prometheus.stages.joint.entities.scenarios import ScenarioEntities

ENTITIES: dict[str, type[Entities]] = {
    "region": RegionEntities,
    "instrument": InstrumentEntities,
    "issuer": IssuerEntities,
    "scenario": ScenarioEntities,
    "episode": EpisodeEntities,
    "portfolio": PortfolioEntities,
}


def entities_of(space: JointSpace) -> Entities:
    """Return what the rows of a space are about."""
    return ENTITIES[space.entity](space)


__all__ = ["ENTITIES", "Entities", "entities_of"]
