"""Parameters of universes and of the portfolios held from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from prometheus.engines.portfolio import (
    BACKENDS,
    INVERSE_VOLATILITY,
    MEAN_VARIANCE,
    SCORE_PROPORTIONAL,
    InverseVolatility,
    Limits,
    MeanVariance,
    PortfolioBackend,
    ScoreProportional,
)
from prometheus.engines.universe import BasicUniverseModel
from prometheus.errors import RequestError
from prometheus.runtime import selection, setting
from prometheus.runtime.params import StageParams, file

_MODEL = BasicUniverseModel()


@dataclass(frozen=True)
class UniversesParams(StageParams):
    """Parameters of universes."""

    model_id: str = setting("universe-basic-v1", "name the rows go by")
    universe: str = setting("CORE", "name of the universe; its id is the market's and this one")
    horizon_days: int = setting(21, "sessions ahead of the assessment scores")
    assessment_model_id: str = setting("assessment-context-v1", "model of the assessment scores")
    assessment_variant: str = setting("v0", "their variant", variant_of="instrument_scores")
    stability_model_id: str = setting("stability-embedding-v1", "model of the soft-target classes and their risk")
    stability_variant: str = setting("v0", "their variant", variant_of="soft_target_classes")
    regime_model_id: str = setting("num-regime-core-v1", "model of the regimes whose risk counts")
    regime_risk_variant: str = setting("v0", "variant of that risk", variant_of="state_change_risk")
    stability_risk_variant: str = setting("v0", "variant of the risk of state changes", variant_of="state_change_risk")
    risk_horizon_steps: int = setting(1, "sessions ahead of the risk of state changes")
    profile_variant: str = setting("v0", "variant of the profiles (PROFILE_CORE_V0)", variant_of="joint_embeddings")
    min_history: int = setting(_MODEL.min_history, "least sessions with a price among the trailing 252")
    min_adv: float = setting(_MODEL.min_adv, "least median money traded a session over the trailing 63")
    min_price: float = setting(_MODEL.min_price, "least last close")
    max_fragility: float = setting(_MODEL.max_fragility, "soft-target score above which a TARGETABLE name is left out")
    profile_max_age: int = setting(_MODEL.profile_max_age, "calendar days a company's profile may be old; 0: unasked")
    assessment_weight: float = setting(_MODEL.assessment_weight, "weight of the assessment score")
    stability_weight: float = setting(_MODEL.stability_weight, "weight of minus the soft-target score")
    liquidity_weight: float = setting(_MODEL.liquidity_weight, "weight of log money traded")
    lambda_score_weight: float = setting(
        _MODEL.lambda_score_weight, "weight of predicted opportunity density", flag="--lambda-weight"
    )
    lambda_predictions: str = file("", "CSV of predicted opportunity density by cluster and date")
    experiment_id: str = setting("", "experiment whose predictions count; the file's only one when empty")
    lambda_score_column: str = setting("lambda_hat", "column of the predictions that is the score")
    a_stab: float = setting(_MODEL.a_stab, "share of the score that a certain fall into TARGETABLE or BREAKER takes")
    a_reg: float = setting(_MODEL.a_reg, "share of the score that a certain CRISIS or RISK_OFF takes")
    max_names: int = setting(_MODEL.max_names, "most names held")
    core_names: int = setting(_MODEL.core_names, "names of these in the tier CORE")
    max_sector_share: float = setting(_MODEL.max_sector_share, "most names of one sector, as a share of those held")
    market_id: tuple[str, ...] = selection((), "market; repeat for several; all in the lake when none")

    def __post_init__(self) -> None:
        _ = self.model
        if not self.universe or "/" in self.universe:
            raise RequestError(f"a universe needs a name without slashes; got {self.universe!r}")
        if self.lambda_score_weight and not self.lambda_predictions:
            raise RequestError(
                f"opportunity density has weight {self.lambda_score_weight} and no predictions; give them with "
                "--lambda-predictions F.csv"
            )

    @property
    def model(self) -> BasicUniverseModel:
        """The model as configured."""
        return BasicUniverseModel(**{f.name: getattr(self, f.name) for f in dataclasses.fields(BasicUniverseModel)})

    def universe_id(self, market_id: str) -> str:
        """Id of a market's universe."""
        return f"{market_id}_{self.universe}"


EVERY = {"day": 0, "week": 6, "month": 30}
"""Calendar days from a session back to the one its portfolio was decided on, at most, by rebalance rule."""

MODEL_IDS = {backend: f"portfolio-{backend.replace('_', '-')}-v1" for backend in BACKENDS}


@dataclass(frozen=True)
class PortfoliosParams(StageParams):
    """Parameters of portfolios."""

    model_id: str = setting(MODEL_IDS[SCORE_PROPORTIONAL], "name the rows go by")
    backend: str = setting("", "what decides; what the name says when empty", choices=BACKENDS)
    portfolio: str = setting("CORE", "name of the portfolio; its id is the market's and this one")
    universe: str = setting("CORE", "name of the universe held from")
    universe_model_id: str = setting("universe-basic-v1", "model of the universe")
    universe_variant: str = setting("v0", "its variant", variant_of="universe_members")
    horizon_days: int = setting(21, "sessions ahead of the expected returns and volatilities")
    assessment_model_id: str = setting("assessment-context-v1", "model of the expected returns")
    assessment_variant: str = setting("v0", "their variant", variant_of="instrument_scores")
    satellites: bool = setting(True, "hold the tier SATELLITE too")
    max_weight: float = setting(0.10, "most of one name")
    max_sector_weight: float = setting(0.35, "most of one sector")
    rebalance: str = setting(
        "week", "decide every day, or on the first session of each week or month", choices=tuple(EVERY)
    )
    max_turnover: float = setting(0.10, "most bought, and most sold, at a rebalance of mean_variance; 1 is no limit")
    risk_aversion: float = setting(3.0, "of mean_variance: return a year that half a unit of variance must bring")
    infer_splits: bool = setting(False, "correct jumps that look like unrecorded splits instead of masking them")
    market_id: tuple[str, ...] = selection((), "market; repeat for several; all in the lake when none")

    def __post_init__(self) -> None:
        # Each name has a v0 of its own, so what its rows are made by follows from it.
        if not self.backend:
            named = [b for b, model_id in MODEL_IDS.items() if model_id == self.model_id]
            object.__setattr__(self, "backend", named[0] if named else SCORE_PROPORTIONAL)
        if not self.portfolio or "/" in self.portfolio:
            raise RequestError(f"a portfolio needs a name without slashes; got {self.portfolio!r}")
        _ = self.limits, self.chosen

    @property
    def limits(self) -> Limits:
        """What every portfolio keeps."""
        turnover = self.max_turnover if self.backend == MEAN_VARIANCE else 1.0
        return Limits(self.max_weight, self.max_sector_weight, turnover)

    @property
    def chosen(self) -> PortfolioBackend:
        """The backend as configured."""
        backends: dict[str, Callable[[], PortfolioBackend]] = {
            SCORE_PROPORTIONAL: ScoreProportional,
            INVERSE_VOLATILITY: InverseVolatility,
            MEAN_VARIANCE: lambda: MeanVariance(self.risk_aversion),
        }
        return backends[self.backend]()

    @property
    def remembers(self) -> bool:
        """Whether a decision depends on the one before."""
        return self.limits.max_turnover < 1.0

    @property
    def scores(self) -> dict[str, Any]:
        """Which assessment scores count."""
        where = {"model_id": self.assessment_model_id, "variant": self.assessment_variant}
        return {**where, "horizon_days": self.horizon_days}

    def portfolio_id(self, market_id: str) -> str:
        """Id of a market's portfolio."""
        return f"{market_id}_{self.portfolio}"

    def universe_id(self, market_id: str) -> str:
        """Id of the universe it is held from."""
        return f"{market_id}_{self.universe}"
