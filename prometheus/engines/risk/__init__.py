"""What a portfolio may hold: limits, the risk they are held against, and every change on the way."""

from prometheus.engines.risk.base import (
    TOLERANCE,
    Change,
    Holdings,
    Limits,
    RiskFigures,
    RiskRule,
    Step,
    apply_rules,
    cash_of,
    exact_sum,
    sum_of_weights,
)
from prometheus.engines.risk.factor_model import FactorModel, factor_model
from prometheus.engines.risk.figures import BookRisk, KnownRisk, book_risk
from prometheus.engines.risk.rules import RULES, rules_of
from prometheus.engines.risk.scenario_losses import ScenarioLosses, ScenarioSet, TailRisk
from prometheus.engines.risk.standing import STANDINGS, standing_of, standings

__all__ = [
    "RULES",
    "STANDINGS",
    "TOLERANCE",
    "BookRisk",
    "Change",
    "FactorModel",
    "Holdings",
    "KnownRisk",
    "Limits",
    "RiskFigures",
    "RiskRule",
    "ScenarioLosses",
    "ScenarioSet",
    "Step",
    "TailRisk",
    "apply_rules",
    "book_risk",
    "cash_of",
    "exact_sum",
    "factor_model",
    "rules_of",
    "standing_of",
    "standings",
    "sum_of_weights",
]
