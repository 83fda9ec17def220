"""ASSESSMENT_CTX_V0: everything known about an instrument on a day, for heads that forecast it."""

from prometheus.spaces.joint.space import Branch, JointSpace, LastKnown

ASSESSMENT_CONTEXT = JointSpace(
    name="assessment_context",
    joint_type="ASSESSMENT_CTX_V0",
    model_id="joint-assessment-context-v1",
    folder="assessment_joint-profile-core-v1__joint-regime-core-v1__joint-stab-fragility-v1__text-fin-general-v1",
    entity="instrument",
    summary="fuse each instrument's profile, regime context, stability state and recent news (ASSESSMENT_CTX_V0)",
    command="backfill_joint_assessment_context",
    branches=(
        Branch(
            "profile",
            "joint",
            "joint-profile-core-v1",
            weight=1.0,
            join=LastKnown(95),
            required=False,
            word="profile",
            model_param="profile_joint_model_id",
            surface="PROFILE_CORE_V0",
        ),
        Branch(
            "regime",
            "joint",
            "joint-regime-core-v1",
            weight=1.0,
            required=False,
            word="regime",
            model_param="regime_joint_model_id",
            surface="REGIME_CONTEXT_V0",
        ),
        Branch(
            "stab",
            "joint",
            "joint-stab-fragility-v1",
            weight=1.0,
            required=False,
            word="stab",
            model_param="stab_joint_model_id",
            surface="STAB_FRAGILITY_V0",
        ),
        Branch("text", "own_news", "text-fin-general-v1", weight=1.0, required=False, word="text"),
    ),
)
