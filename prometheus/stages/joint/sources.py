"""Which class reads which kind of source."""

from __future__ import annotations

from prometheus.spaces.joint import Branch, JointSpace
from prometheus.stages.joint.entity_sources import Joint, NamedScenario, Numeric, OwnNews, ProfileTexts
from prometheus.stages.joint.region_sources import Macro, News, NewsOverEpisode, Regimes, RegimesOverEpisode
from prometheus.stages.joint.source import BranchSource

SOURCES: dict[str, type[BranchSource]] = {
    "regimes": Regimes,
    "regimes_over_episode": RegimesOverEpisode,
    "news": News,
    "news_over_episode": NewsOverEpisode,
    "macro": Macro,
    "own_news": OwnNews,
    "numeric": Numeric,
    "named_scenario": NamedScenario,
    "profile_text": ProfileTexts,
    "joint": Joint,
}
"""Kinds of sources by the name branches call them by."""


def source_of(branch: Branch) -> BranchSource:
    """Return what reads a branch."""
    return SOURCES[branch.source](branch)


def revision_of(space: JointSpace) -> int:
    """Revision of the stages of a space: any of its sources that gives other values than it used to is a new one."""
    return 1 + sum(source_of(branch).revision for branch in space.branches)
