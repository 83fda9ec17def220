"""REGIME_CONTEXT_V0: where a region's market stands, and what the day's news spoke of."""

from prometheus.spaces.joint.space import Branch, JointSpace

REGIME_CONTEXT = JointSpace(
    name="regime_context",
    joint_type="REGIME_CONTEXT_V0",
    model_id="joint-regime-core-v1",
    folder="regime_num-regime-core-v1__text-fin-general-v1",
    entity="region",
    summary="fuse each region's regime embedding with the day's mean NEWS vector (REGIME_CONTEXT_V0)",
    command="backfill_joint_regime_context",
    branches=(
        Branch(
            "regime",
            "regimes",
            "num-regime-core-v1",
            weight=0.5,
            word="regime",
            absent="no regime embedding",
            model_param="numeric_model_id",
        ),
        Branch("text", "news", "text-fin-general-v1", weight=0.5, word="news", absent="no news that day"),
    ),
)
