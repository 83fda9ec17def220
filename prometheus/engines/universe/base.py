"""What a universe model is shown of the names listed on each session, and what it says of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]

HISTORY, LIQUIDITY, PRICE, MEMBERSHIP, BREAKER, FRAGILE, PROFILE = (
    "HISTORY", "ADV", "PRICE", "MEMBERSHIP", "BREAKER", "TOO_FRAGILE", "WEAK_PROFILE",
)  # fmt: skip
FILTERS = (HISTORY, LIQUIDITY, PRICE, MEMBERSHIP, BREAKER, FRAGILE, PROFILE)
"""Hard filters, in the order they are asked."""

SECTOR_CAP, SIZE_CAP = "SECTOR_CAP", "SIZE_CAP"
EXCLUSIONS = (*FILTERS, SECTOR_CAP, SIZE_CAP)
"""Why a name is in no tier that is held; codes are places in this list, -1 for none."""

CORE, SATELLITE, EXCLUDED = "CORE", "SATELLITE", "EXCLUDED"
TIERS = (CORE, SATELLITE, EXCLUDED)

NONE = -1


@dataclass(frozen=True, eq=False)
class Listed:
    """Names listed on some sessions, by (session, name); every number as known at the session's cut-off.

    Attributes
    ----------
    day : ndarray of int64, shape (n,)
        Place of the session, ascending from 0.
    name : ndarray of str, shape (n,)
        Ascending within a session.
    sector : ndarray of int64, shape (n,)
        Code; ``NONE`` where unknown.
    member : ndarray of bool, shape (n,)
        Is an equity, so a member of its market.
    history : ndarray of int64, shape (n,)
        Sessions with a price among the trailing 252.
    adv : ndarray of float64, shape (n,)
        Median money traded a session over the trailing 63, in the currency of the prices; NaN where unknown.
    price : ndarray of float64, shape (n,)
        Last close of the trailing five sessions; NaN without one.
    soft_class : ndarray of int64, shape (n,)
        Place in ``stability.CLASSES``; ``NONE`` where unknown.
    soft_score : ndarray of float64, shape (n,)
        0..100, 100 the most fragile; NaN where unknown.
    profile_age : ndarray of float64, shape (n,)
        Calendar days since the company's last profile; NaN without one.
    assessment : ndarray of float64, shape (n,)
        Assessment score; NaN where unknown.
    lambda_score : ndarray of float64, shape (n,)
        Predicted opportunity density of the name's cluster; NaN where unknown.
    stab_risk, regime_risk : ndarray of float64, shape (n,)
        Probability of becoming fragile, and of the market turning bad; NaN where unknown.
    """

    day: Codes
    name: NDArray[np.str_]
    sector: Codes
    member: Flags
    history: Codes
    adv: Floats
    price: Floats
    soft_class: Codes
    soft_score: Floats
    profile_age: Floats
    assessment: Floats
    lambda_score: Floats
    stab_risk: Floats
    regime_risk: Floats

    def __len__(self) -> int:
        return len(self.day)

    def take(self, index: Codes | Flags) -> Listed:
        """Pick rows."""
        return Listed(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


@dataclass(frozen=True, eq=False)
class Component:
    """One part of the score, standardised over the candidates of each session.

    Attributes
    ----------
    mean, std : ndarray of float64, shape (n,)
        Of the known values of the session's candidates (``std`` with ddof 0); NaN for names that are none.
    z : ndarray of float64, shape (n,)
        (value - mean) / std within +-``Z_LIMIT``; 0 where the value is unknown or all are equal; NaN for names that
        are no candidates.
    """

    mean: Floats
    std: Floats
    z: Floats


@dataclass(frozen=True, eq=False)
class Selection:
    """What a model says of the rows of :class:`Listed`, in their order.

    Attributes
    ----------
    tier : ndarray of int64
        Place in ``TIERS``.
    excluded_by : ndarray of int64
        Place in ``EXCLUSIONS``; ``NONE`` for names that are held.
    rank : ndarray of int64
        1 is the best of the session's candidates; 0 for names that are none.
    score, base, risk_factor : ndarray of float64
        NaN for names that are no candidates.
    components : dict of str to Component
        ``assessment``, ``stability``, ``liquidity``, ``lambda``.
    candidates, sector_limit : ndarray of int64
        Names of the session that passed every filter, and how many of one sector are taken.
    """

    tier: Codes
    excluded_by: Codes
    rank: Codes
    score: Floats
    base: Floats
    risk_factor: Floats
    components: dict[str, Component]
    candidates: Codes
    sector_limit: Codes


class UniverseModel(Protocol):
    """Says who may be held."""

    def select(self, listed: Listed) -> Selection:
        """Judge names; a session's answer depends on the rows of that session alone."""
        ...
