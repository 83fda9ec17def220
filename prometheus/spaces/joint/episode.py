"""EPISODE_V0: a stretch of market history as one point: how the market stood, and what was written then."""

from prometheus.spaces.joint.space import Branch, JointSpace

EPISODE = JointSpace(
    name="episode",
    joint_type="EPISODE_V0",
    model_id="joint-episode-core-v1",
    folder="episode_num-regime-core-v1__text-fin-general-v1",
    entity="episode",
    scaled_by="regime_context",
    summary="fuse an episode's mean regime embedding with its mean NEWS vector (EPISODE_V0)",
    command="backfill_joint_episode_context",
    branches=(
        Branch(
            "regime",
            "regimes_over_episode",
            "num-regime-core-v1",
            weight=0.5,
            word="regime",
            absent="no regime embedding in the episode",
            model_param="numeric_model_id",
        ),
        Branch(
            "text",
            "news_over_episode",
            "text-fin-general-v1",
            weight=0.5,
            word="news",
            absent="no news in the episode",
        ),
    ),
)
