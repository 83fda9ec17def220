"""PORTFOLIO_CORE_V0: what a portfolio has done and what it is exposed to, to be compared with other portfolios."""

from prometheus.spaces.joint.space import Branch, JointSpace

PORTFOLIO_CORE = JointSpace(
    name="portfolio_core",
    joint_type="PORTFOLIO_CORE_V0",
    model_id="joint-portfolio-core-v1",
    folder="portfolio_num-portfolio-core-v1",
    entity="portfolio",
    summary="put each portfolio's numeric window into a space of portfolios (PORTFOLIO_CORE_V0)",
    command="backfill_joint_portfolios",
    branches=(
        Branch(
            "numeric",
            "numeric",
            "num-portfolio-core-v1",
            weight=1.0,
            word="num-portfolio",
            absent="no portfolio window",
            surface="PORTFOLIO",
        ),
    ),
)
