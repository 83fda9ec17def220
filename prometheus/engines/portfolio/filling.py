"""Weights in proportion to something, under caps of names and sectors: water-filling.

Water of one level lambda stands in vessels of width s_i and height c_i: w_i = min(lambda s_i, c_i). The level is the
one at which all of it is 1; when every vessel is full before, what is left is cash. A sector is a larger vessel: its
own level lambda_k is the one at which its names hold the sector's cap, and no name in it rises above. Hence

    w_i = min(lambda s_i, min(c, lambda_k s_i)),   sum_i w_i = min(1, what the caps allow).

Whatever a cap cuts off goes to the others in proportion, and so on, until nothing is above its cap. Sums over names
run one after the other in their order, where names without a share add exactly nothing: a session's weights depend
neither on the other sessions nor on names that are not there.
"""

from __future__ import annotations

import numpy as np

from prometheus.engines.portfolio.base import NO_SECTOR, Codes, Floats


def water_fill(shares: Floats, sector: Codes, max_weight: float, max_sector_weight: float) -> Floats:
    """Fill each session.

    Parameters
    ----------
    shares : ndarray of float64, shape (n_days, n_names)
        At least 0; 0 for names that are not to be held.
    sector : ndarray of int64, shape (n_days, n_names)
        Code; ``NO_SECTOR`` names are capped one by one alone.
    max_weight, max_sector_weight : float

    Returns
    -------
    ndarray of float64, shape (n_days, n_names)
        Sums to 1 on a session, or to less where the caps allow no more.
    """
    top = np.where(shares > 0, max_weight, 0.0)
    for code in np.unique(sector[(sector != NO_SECTOR) & (shares > 0)]):
        mine = sector == code
        level = _level(np.where(mine, shares, 0.0), np.where(mine, top, 0.0), max_sector_weight)
        with np.errstate(invalid="ignore"):
            top = np.where(mine & (shares > 0), np.minimum(top, level[:, None] * shares), top)
    level = _level(shares, top, 1.0)
    with np.errstate(invalid="ignore"):
        filled: Floats = np.where(shares > 0, np.minimum(level[:, None] * shares, top), 0.0)
    return filled


def _level(shares: Floats, top: Floats, total: float) -> Floats:
    """Level at which min(level * share, top) sums to a total; infinite where even the tops do not.

    Names are full in the order of top / share. With the first m full and the others at the level, the total is
    sum of the m tops + level * sum of the others' shares.
    """
    n_days, n_names = shares.shape
    if not n_names:
        return np.full(n_days, np.inf)
    full_at = np.divide(top, shares, out=np.full(shares.shape, np.inf), where=shares > 0)
    order = np.argsort(full_at, axis=1, kind="stable")
    full_at, shares, top = (np.take_along_axis(a, order, axis=1) for a in (full_at, shares, top))
    held = np.cumsum(top, axis=1) - top
    open_shares = np.cumsum(shares[:, ::-1], axis=1)[:, ::-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        reached = held + full_at * open_shares >= total
        level = (total - held) / open_shares
    first = np.argmax(reached & (shares > 0), axis=1)
    found = np.take_along_axis(level, first[:, None], axis=1)[:, 0]
    return np.where((reached & (shares > 0)).any(axis=1), found, np.inf)


def capacity(sector: Codes, top: Floats, max_sector_weight: float) -> float:
    """Largest sum of weights the caps allow.

    Parameters
    ----------
    sector : ndarray of int64, shape (n,)
        Codes of the names that may be held.
    top : ndarray of float64, shape (n,)
        Most of each.
    max_sector_weight : float
    """
    alone = float(top[sector == NO_SECTOR].sum())
    in_sectors = np.bincount(sector[sector != NO_SECTOR], weights=top[sector != NO_SECTOR])
    return min(1.0, alone + float(np.minimum(in_sectors, max_sector_weight).sum()))
