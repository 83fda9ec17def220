"""Every step of the chain as a declaration, one file each."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from prometheus.stages import joint

if TYPE_CHECKING:
    from prometheus.runtime import Stage

STAGES = {
    "returns": ("prometheus.stages.derived", "RETURNS"),
    "factors": ("prometheus.stages.derived", "FACTORS"),
    "scenarios": ("prometheus.stages.scenarios.sets", "SCENARIOS"),
    "encoder_fits": ("prometheus.stages.numeric.encoder_fits", "ENCODER_FITS"),
    "numeric_embeddings": ("prometheus.stages.numeric.embeddings", "NUMERIC_EMBEDDINGS"),
    "scenario_embeddings": ("prometheus.stages.scenarios.embeddings", "SCENARIO_EMBEDDINGS"),
    "regime_prototypes": ("prometheus.stages.regime.fits", "REGIME_PROTOTYPES"),
    "regimes": ("prometheus.stages.regime.regimes", "REGIMES"),
    "text_embeddings": ("prometheus.stages.text.embeddings", "TEXT_EMBEDDINGS"),
    "profile_text_embeddings": ("prometheus.stages.text.profile_embeddings", "PROFILE_TEXT_EMBEDDINGS"),
    "document_text_embeddings": ("prometheus.stages.text.profile_embeddings", "DOCUMENT_TEXT_EMBEDDINGS"),
    "macro_text_embeddings": ("prometheus.stages.text.macro_embeddings", "MACRO_TEXT_EMBEDDINGS"),
    **{name: ("prometheus.stages.joint", name) for name in joint.stage_names()},
    "context_regime_fits": ("prometheus.stages.regime.context", "CONTEXT_REGIME_FITS"),
    "context_regimes": ("prometheus.stages.regime.context", "CONTEXT_REGIMES"),
    "regime_transitions": ("prometheus.stages.regime.transitions", "REGIME_TRANSITIONS"),
    "stability_fits": ("prometheus.stages.stability.fits", "STABILITY_FITS"),
    "stability": ("prometheus.stages.stability.states", "STABILITY"),
    "assessment_fits": ("prometheus.stages.assessment.fits", "ASSESSMENT_FITS"),
    "assessment": ("prometheus.stages.assessment.scores", "ASSESSMENT"),
    "regime_change_risk": ("prometheus.stages.regime.change_risk", "REGIME_CHANGE_RISK"),
    "stability_change_risk": ("prometheus.stages.stability.change_risk", "STABILITY_CHANGE_RISK"),
    "universes": ("prometheus.stages.portfolio.universes", "UNIVERSES"),
    "portfolios": ("prometheus.stages.portfolio.portfolios", "PORTFOLIOS"),
    "risk": ("prometheus.stages.risk.books", "RISK"),
    "portfolio_embeddings": ("prometheus.stages.portfolio.embeddings", "PORTFOLIO_EMBEDDINGS"),
}
"""Stage name to where it is declared, in the order of the chain: a worker elsewhere needs only the name."""


def stage(name: str) -> Stage[Any]:
    """Return a stage by name.

    Raises
    ------
    RequestError
        When there is none; the sentence lists those there are.
    """
    from prometheus.errors import RequestError

    if name not in STAGES:
        raise RequestError(f"there is no stage {name!r}; there are {', '.join(STAGES)}")
    module, attribute = STAGES[name]
    found: Stage[Any] = getattr(import_module(module), attribute)
    return found


def all_stages() -> list[Stage[Any]]:
    """Every stage, in the order of the chain."""
    return [stage(name) for name in STAGES]
