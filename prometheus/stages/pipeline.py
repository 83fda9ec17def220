"""The day's whole chain: which stages run, in which order, with what.

1. What people look at in SQL: returns, volatility, exposures.
2. Windows, then the states of regions, names and baskets, and how likely they change.
3. Texts and joint spaces up to the assessment context; scenario sets at the end of a month.
4. Scores, universes, portfolios, risk, and the vectors of the portfolios that come of it.

A stage whose raw rows a lake does not have (news, profiles, macro texts) is stepped over; what needs prices alone is
not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus.spaces.joint import SPACES
from prometheus.stages import STAGES
from prometheus.stages.joint.upstream import Request, Resolve, Step, steps_to

NEEDED = frozenset({"numeric_embeddings", "regimes", "stability", "assessment", "universes", "portfolios", "risk"})
"""Stages without which there is no day: they read prices and what is made of them, and say in a row what else they
lacked."""

BASKETS = ("INSTRUMENT", "SECTOR", "MARKET")
SCENARIO_SETS: Mapping[str, Any] = {
    "name": "monthly",
    "method": ("historical", "bootstrap", "stressed", "parametric"),
    "num_paths": 50,
}


def daily_steps(request: Request, variant: str, resolve: Resolve) -> list[Step]:
    """List the runs of a day, or of a range of days, in order.

    Parameters
    ----------
    request : Request
        Regions and their markets.
    variant : str
        Of the joint spaces, and of the engines that read them.
    resolve : callable
        Parameters of a space as configured.

    Returns
    -------
    list of Step
        Equal runs may be listed twice.
    """
    region, market = {"region": request.regions}, {"market_id": request.market_ids}
    named = {**market, "variant": variant}
    return [
        Step("returns", market),
        Step("factors", market),
        Step("numeric_embeddings", {**market, "model_id": "num-stab-core-v1", "entity_type": BASKETS}),
        Step("regime_prototypes", region),
        Step("regimes", region),
        Step("regime_transitions", region),
        Step("regime_change_risk", region),
        # A set of scenarios is made where a month ends: the day before keeps a request of one day a series.
        Step("scenarios", {**market, **SCENARIO_SETS}, back=1),
        Step("scenario_embeddings", {}, back=1),
        Step("stability_fits", {**market, "entity_type": BASKETS}),
        Step("stability", {**market, "entity_type": ("INSTRUMENT", "ISSUER", "SECTOR", "MARKET")}),
        Step("stability_change_risk", market),
        *steps_to(SPACES["regime_macro"], (variant,), request, resolve),
        # Scenarios lie beside the states that the context reads: made after it they would make it stale.
        Step("joint_stab_fragility_scenarios", {"variant": variant}, back=1),
        *steps_to(SPACES["assessment_context"], (variant,), request, resolve),
        *(Step(name, named) for name in _ENGINES if name in STAGES),
    ]


_ENGINES = (
    "assessment_fits",
    "assessment",
    "universes",
    "portfolios",
    "risk",
    "portfolio_embeddings",
    "joint_portfolio_core",
)
