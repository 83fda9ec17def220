"""STAB_FRAGILITY_V0: how fragile an instrument is, in one space with the scenarios it may come to resemble."""

from prometheus.spaces.joint.space import Branch, JointSpace, LastKnown

JOINT_TYPE = "STAB_FRAGILITY_V0"
MODEL_ID = "joint-stab-fragility-v1"
FOLDER = "stab_num-stab-core-v1__num-scenario-core-v1__joint-profile-core-v1"

STAB_FRAGILITY_STATES = JointSpace(
    name="stab_fragility_states",
    joint_type=JOINT_TYPE,
    model_id=MODEL_ID,
    folder=FOLDER,
    entity="instrument",
    summary="fuse each instrument's stability window with its profile and a scenario (STAB_FRAGILITY_V0, states)",
    command="backfill_joint_stab_fragility_states",
    branches=(
        Branch(
            "stab",
            "numeric",
            "num-stab-core-v1",
            weight=1.0,
            word="stab",
            absent="no stability window",
            surface="INSTRUMENT",
        ),
        Branch("scenario", "named_scenario", "", weight=1.0, required=False, word="scenarios", scaled_as="stab"),
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
    ),
)

STAB_FRAGILITY_SCENARIOS = JointSpace(
    name="stab_fragility_scenarios",
    joint_type=JOINT_TYPE,
    model_id=MODEL_ID,
    folder=FOLDER,
    entity="scenario",
    scaled_by="stab_fragility_states",
    summary="put scenario paths into the space of stability states (STAB_FRAGILITY_V0, scenarios)",
    command="backfill_joint_stab_fragility_scenarios",
    branches=(
        Branch(
            "scenario",
            "numeric",
            "num-scenario-core-v1",
            weight=1.0,
            word="scenarios",
            absent="no scenario window",
            surface="SCENARIO",
            scaled_as="stab",
        ),
    ),
)
