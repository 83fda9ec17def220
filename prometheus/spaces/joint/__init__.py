"""Joint spaces: several branches of one entity and date in one vector."""

from prometheus.spaces.joint.daily_mean import DailyMeans, DailySums
from prometheus.spaces.joint.regime_context import REGIME_CONTEXT
from prometheus.spaces.joint.space import Branch, JoinRule, JointSpace, LastKnown, SameDay

SPACES = {REGIME_CONTEXT.joint_type: REGIME_CONTEXT}

__all__ = [
    "REGIME_CONTEXT",
    "SPACES",
    "Branch",
    "DailyMeans",
    "DailySums",
    "JoinRule",
    "JointSpace",
    "LastKnown",
    "SameDay",
]
