"""REGIME_CONTEXT_V0: where a region's market stands, and what the day's news spoke of."""

from prometheus.spaces.joint.space import Branch, JointSpace, SameDay

REGIME_CONTEXT = JointSpace(
    joint_type="REGIME_CONTEXT_V0",
    model_id="joint-regime-core-v1",
    folder="regime_num-regime-core-v1__text-fin-general-v1",
    source="regime+news",
    branches=(
        Branch("regime", "regimes", weight=0.5, join=SameDay()),
        Branch("text", "text_daily_mean", weight=0.5, join=SameDay()),
    ),
)
