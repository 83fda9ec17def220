"""How much of each name to hold: backends that turn a universe's names into weights under limits."""

from prometheus.engines.portfolio.base import (
    BACKENDS,
    INVERSE_VOLATILITY,
    MEAN_VARIANCE,
    NO_SECTOR,
    SCORE_PROPORTIONAL,
    UNITS,
    Allocation,
    Limits,
    PortfolioBackend,
    Problem,
)
from prometheus.engines.portfolio.covariance import factor_covariance
from prometheus.engines.portfolio.filling import capacity, water_fill
from prometheus.engines.portfolio.mean_variance import MeanVariance, turnover_of
from prometheus.engines.portfolio.proportional import InverseVolatility, ScoreProportional

__all__ = [
    "BACKENDS",
    "INVERSE_VOLATILITY",
    "MEAN_VARIANCE",
    "NO_SECTOR",
    "SCORE_PROPORTIONAL",
    "UNITS",
    "Allocation",
    "InverseVolatility",
    "Limits",
    "MeanVariance",
    "PortfolioBackend",
    "Problem",
    "ScoreProportional",
    "capacity",
    "factor_covariance",
    "turnover_of",
    "water_fill",
]
