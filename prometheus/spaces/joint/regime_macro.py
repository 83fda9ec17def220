"""REGIME_MACRO_V0: where a region's market stands, and what the makers of policy last wrote."""

from prometheus.spaces.joint.space import Branch, JointSpace, LastKnown

REGIME_MACRO = JointSpace(
    name="regime_macro",
    joint_type="REGIME_MACRO_V0",
    model_id="joint-regime-core-v1",
    folder="regime_num-regime-core-v1__text-macro-v1",
    entity="region",
    summary="fuse each region's regime embedding with the day's, or last known, mean MACRO vector (REGIME_MACRO_V0)",
    command="backfill_joint_regime_macro_context",
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
        Branch(
            "text",
            "macro",
            "text-macro-v1",
            weight=0.5,
            join=LastKnown(45),
            word="macro",
            absent="no macro text lately",
        ),
    ),
)
