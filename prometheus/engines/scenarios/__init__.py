"""Scenarios: paths of returns that happened, could have happened, or are made up to hurt."""

from prometheus.engines.scenarios.generate import (
    METHODS,
    BaseHistory,
    ParametricShocks,
    ScenarioPaths,
    StressRule,
    bootstrap_paths,
    historical_paths,
    parametric_paths,
    random_streams,
    stressed_paths,
)
from prometheus.engines.scenarios.outcomes import LEVELS, Outcomes, SeverityRule, past_drawdowns, path_outcomes

__all__ = [
    "LEVELS",
    "METHODS",
    "BaseHistory",
    "Outcomes",
    "ParametricShocks",
    "ScenarioPaths",
    "SeverityRule",
    "StressRule",
    "bootstrap_paths",
    "historical_paths",
    "parametric_paths",
    "past_drawdowns",
    "path_outcomes",
    "random_streams",
    "stressed_paths",
]
