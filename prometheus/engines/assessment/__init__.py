"""What each name is expected to do against the others of its market over the next sessions."""

from prometheus.engines.assessment.base import (
    BASIC,
    CONTEXT,
    HORIZONS,
    LABELS,
    AssessmentModel,
    Assessments,
    NamesOfDays,
    assessments_of,
    normal_scores,
)
from prometheus.engines.assessment.basic import BasicAssessmentModel, momentum, momentum_sessions
from prometheus.engines.assessment.context import ContextAssessmentModel
from prometheus.engines.assessment.fitting import AssessmentHead, AssessmentHeads, FittedAssessmentHead, next_returns

__all__ = [
    "BASIC",
    "CONTEXT",
    "HORIZONS",
    "LABELS",
    "AssessmentHead",
    "AssessmentHeads",
    "AssessmentModel",
    "Assessments",
    "BasicAssessmentModel",
    "ContextAssessmentModel",
    "FittedAssessmentHead",
    "NamesOfDays",
    "assessments_of",
    "momentum",
    "momentum_sessions",
    "next_returns",
    "normal_scores",
]
