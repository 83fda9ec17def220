"""Markets and sectors as equal-weighted baskets of their dated members.

1. Members of a session are the names that belong on it and have a return; fewer than ``MIN_MEMBERS`` and the basket is
   not observed.
2. The basket's simple return is the mean of its members' simple returns: an equal-weighted book, rebalanced daily. Its
   log is the basket's return, and the path is rebuilt from those.
3. Its volume is the mean over members of log dollar volume less the member's own trailing median: how unusual trading
   is, not how large the members are.
4. Besides, what only a cross-section has: dispersion, breadth, and what average correlation is computed from.

Sums over members are sums of fixed-point integers, so they depend neither on the order of the members nor on who else
is in the panel.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from prometheus.market.membership import Membership
from prometheus.market.panel import CrossSection, EntitySeries, PricePanel
from prometheus.market.rolling import (
    MOMENT_BITS,
    Fixed,
    Flags,
    Floats,
    Positions,
    RollingSums,
    from_fixed,
    rolling_quantiles,
    to_fixed,
)

MIN_MEMBERS = 5
"""Members with a return that a basket needs on a session."""

VOLUME_SESSIONS = 252
"""Trailing sessions whose median is a member's usual volume."""

VOLUME_MIN_KNOWN = 63
"""Known volumes in them without which a member has no usual volume."""

MEMBER_LIMIT = 7.0
"""A member's simple return counts as at most 700 %: what is beyond is a wrong price far more often than a gain. It also
bounds squares by 49, so that the squares of 1,337 members at the limit fit into 64 bits, of any members at 10 % into
far more than there are."""

_SQUARE_BITS = 47
_VOLUME_BITS = 40

T = TypeVar("T", bound=np.generic)

BasketLevel = Literal["MARKET", "SECTOR"]


def usual_volume(panel: EntitySeries) -> Floats:
    """Trailing median of log dollar volume, known at each session.

    Returns
    -------
    ndarray of float64, shape (n_names, n_sessions)
        NaN with fewer than ``VOLUME_MIN_KNOWN`` known values.
    """
    everywhere = np.arange(panel.n_sessions)
    median: Floats = rolling_quantiles(panel.log_dollar_volume, everywhere, VOLUME_SESSIONS, (0.5,), VOLUME_MIN_KNOWN)[
        0
    ]
    return median


def build_baskets(
    panel: PricePanel, membership: Membership, level: BasketLevel, usual: Floats | None = None
) -> EntitySeries:
    """Build the baskets of a level over the panel's sessions.

    Parameters
    ----------
    panel : PricePanel
    membership : Membership
        Of the panel's names over its sessions.
    level : {'MARKET', 'SECTOR'}
        Names without a named sector are in no sector.
    usual : ndarray of float64, optional
        :func:`usual_volume` of the panel, when the caller has it.

    Returns
    -------
    EntitySeries
        One row per market, or per sector of a market, that has any member in the panel.
    """
    if membership.names != panel.names or membership.market.shape != panel.ret.shape:
        raise ValueError("membership must be of the panel's names over the panel's sessions")
    ids, codes = (
        (membership.markets, membership.market) if level == "MARKET" else (membership.sectors, membership.sector)
    )
    simple = to_fixed(np.minimum(np.expm1(from_fixed(panel.ret)), MEMBER_LIMIT))
    abnormal = panel.log_dollar_volume - (usual_volume(panel) if usual is None else usual)
    held = [code for code in range(len(ids)) if (codes == code).any()]
    baskets = [_basket(simple, panel.ret_ok, abnormal, codes == code) for code in held]
    return EntitySeries(
        entity_type=level,
        names=tuple(ids[code] for code in held),
        sessions=panel.sessions,
        ret=_stack([b.ret for b in baskets], panel.n_sessions, np.int64),
        ret_ok=(observed := _stack([b.observed for b in baskets], panel.n_sessions, np.bool_)),
        observed=observed,
        log_dollar_volume=_stack([b.volume for b in baskets], panel.n_sessions, np.float64),
        cross_section=CrossSection(
            members=_stack([b.members for b in baskets], panel.n_sessions, np.int64),
            dispersion=_stack([b.dispersion for b in baskets], panel.n_sessions, np.int64),
            mean_square=_stack([b.mean_square for b in baskets], panel.n_sessions, np.int64),
            basket_square=_stack([b.basket_square for b in baskets], panel.n_sessions, np.int64),
            breadth=_stack([b.breadth for b in baskets], panel.n_sessions, np.int64),
        ),
    )


class _Basket(NamedTuple):
    """One basket's rows, each of shape (n_sessions,)."""

    ret: Fixed
    observed: Flags
    volume: Floats
    members: Fixed
    dispersion: Fixed
    mean_square: Fixed
    basket_square: Fixed
    breadth: Fixed


def _basket(simple: Fixed, ret_ok: Flags, abnormal: Floats, belongs: Flags) -> _Basket:
    rows = np.flatnonzero(belongs.any(axis=1))
    counts = belongs[rows] & ret_ok[rows]
    returns = np.where(counts, simple[rows], 0)
    squares = to_fixed(np.square(from_fixed(returns)), _SQUARE_BITS).sum(axis=0)
    members = counts.sum(axis=0)
    observed = members >= MIN_MEMBERS
    n = np.maximum(members, 1)
    total = from_fixed(returns.sum(axis=0))
    mean = np.where(observed, total / n, 0.0)
    square_sum = from_fixed(squares, _SQUARE_BITS)
    spread = np.sqrt(np.maximum(square_sum - total * total / n, 0.0) / np.maximum(n - 1, 1))
    known = belongs[rows] & ~np.isnan(abnormal[rows])
    known_volumes = known.sum(axis=0)
    volume = from_fixed(to_fixed(np.where(known, abnormal[rows], 0.0), _VOLUME_BITS).sum(axis=0), _VOLUME_BITS)
    return _Basket(
        ret=to_fixed(np.log1p(mean)),
        observed=observed,
        volume=np.where(known_volumes >= MIN_MEMBERS, volume / np.maximum(known_volumes, 1), np.nan),
        members=np.where(observed, members, 0),
        dispersion=to_fixed(np.where(observed, spread, 0.0)),
        mean_square=to_fixed(np.where(observed, square_sum / n, 0.0), MOMENT_BITS),
        basket_square=to_fixed(mean * mean, MOMENT_BITS),
        breadth=to_fixed(np.where(observed, (returns > 0).sum(axis=0) / n, 0.0)),
    )


def _stack(rows: list[NDArray[T]], n_sessions: int, kind: type[T]) -> NDArray[T]:
    return np.stack(rows) if rows else np.zeros((0, n_sessions), dtype=kind)


def average_correlation(cross: CrossSection, observed: Flags, positions: Positions, window: int) -> Floats:
    """Average pairwise correlation of members implied by how much of their variance the basket keeps.

    With n members of mean variance v and average pairwise covariance c, an equal-weighted basket has the variance
    ``v/n + (1 - 1/n) c``; hence ``c / v = (n b - v) / ((n - 1) v)``. Variances are uncentred second moments over the
    window, n its mean number of members.

    Parameters
    ----------
    cross : CrossSection
    observed : ndarray of bool, shape (baskets, n_sessions)
    positions : ndarray of int64, shape (n_targets,)
    window : int
        Sessions.

    Returns
    -------
    ndarray of float64, shape (baskets, n_targets)
        In -1..1; NaN without any variance.

    References
    ----------
    V. D. Skintzi and A.-P. N. Refenes, "Implied correlation index: a new measure of diversification", Journal of
    Futures Markets 25 (2005), equation 4, with realised in place of implied variances. J. M. Pollet and M. Wilson,
    "Average correlation and stock market returns", Journal of Financial Economics 96 (2010).
    """
    of_basket = from_fixed(RollingSums(cross.basket_square).ending(positions, window), MOMENT_BITS)
    of_members = from_fixed(RollingSums(cross.mean_square).ending(positions, window), MOMENT_BITS)
    sessions = np.maximum(RollingSums(observed).ending(positions, window), 1)
    n = RollingSums(cross.members).ending(positions, window) / sessions
    below = (n - 1.0) * of_members
    ratio = np.divide(n * of_basket - of_members, below, out=np.full(n.shape, np.nan), where=below > 0)
    limited: Floats = np.clip(ratio, -1.0, 1.0)
    return limited
