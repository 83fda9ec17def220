"""PROFILE_CORE_V0: what a company is, in numbers, behaviour and words."""

from prometheus.spaces.joint.space import Branch, JointSpace, LastKnown

PROFILE_CORE = JointSpace(
    name="profile_core",
    joint_type="PROFILE_CORE_V0",
    model_id="joint-profile-core-v1",
    folder="profile_num-profile-core-v1__text-profile-v1__num-regime-core-v1",
    entity="issuer",
    summary="fuse each issuer's numeric profile, behaviour and profile text (PROFILE_CORE_V0)",
    command="backfill_joint_profiles",
    branches=(
        Branch(
            "profile",
            "numeric",
            "num-profile-core-v1",
            weight=0.5,
            group="num",
            word="num",
            absent="no numeric profile",
            model_param="numeric_profile_model_id",
            surface="INSTRUMENT",
        ),
        Branch(
            "behaviour",
            "numeric",
            "num-regime-core-v1",
            weight=0.5,
            group="num",
            required=False,
            surface="INSTRUMENT",
        ),
        Branch(
            "text",
            "profile_text",
            "text-profile-v1",
            weight=0.5,
            join=LastKnown(400),
            word="text",
            absent="no profile text lately",
        ),
    ),
)
