"""Walk-forward ridge: the plain head by which features and embeddings are judged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from prometheus.evaluation.splits import WalkForward

ALPHAS = (1.0, 10.0, 100.0, 1_000.0, 10_000.0)
_HELD_BACK = 0.2


def ridge_forecasts(
    days: NDArray[np.datetime64],
    features: NDArray[np.floating],
    target: NDArray[np.float64],
    walk: WalkForward,
    *,
    alphas: Sequence[float] = ALPHAS,
    calendar: NDArray[np.datetime64] | None = None,
) -> NDArray[np.float64]:
    """Forecast each row by a ridge regression fitted on what was known before its fold.

    Features are standardised by the training rows. The penalty is the one of ``alphas`` with the smallest squared error
    on the last fifth of the training dates, fitted on those before them (purged as the folds are), then fitted again
    on all.

    Parameters
    ----------
    days : ndarray of datetime64[D], shape (n,)
    features : ndarray of shape (n, p)
        Known at the cut-off of the row's day; finite.
    target : ndarray of shape (n,)
        Realised ``walk.horizon`` sessions later; rows without one are forecast, and not trained on.
    walk : WalkForward
    alphas : sequence of float
    calendar : ndarray of datetime64[D], optional
        See :meth:`WalkForward.split`.

    Returns
    -------
    ndarray of shape (n,), float64
        NaN for rows before the first fold.
    """
    from threadpoolctl import threadpool_limits

    x = np.asarray(features, dtype=np.float64)
    if x.ndim != 2 or len(x) != len(days) or len(target) != len(days):
        raise ValueError(f"{len(days)} dates do not go with features {x.shape} and {len(target)} targets")
    out = np.full(len(days), np.nan)
    with threadpool_limits(1):  # a fit must not depend on the machine's processors
        for fold in walk.split(days, calendar):
            train = fold.train[np.isfinite(target[fold.train])]
            if len(train):
                alpha = _penalty(days[train], x[train], target[train], walk, alphas)
                out[fold.test] = _fitted(x[train], target[train], alpha, x[fold.test])
    return out


def _penalty(
    days: NDArray[np.datetime64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    walk: WalkForward,
    alphas: Sequence[float],
) -> float:
    dates = np.unique(days)
    held = int(len(dates) * _HELD_BACK)
    at = np.searchsorted(dates, days)
    test, train = at >= len(dates) - held, at <= len(dates) - held - walk.gap
    if len(alphas) == 1 or held == 0 or not train.any():
        return float(alphas[len(alphas) // 2])
    errors = [float(np.square(y[test] - _fitted(x[train], y[train], a, x[test])).mean()) for a in alphas]
    return float(alphas[int(np.argmin(errors))])


def _fitted(
    x: NDArray[np.float64], y: NDArray[np.float64], alpha: float, asked: NDArray[np.float64]
) -> NDArray[np.float64]:
    from sklearn.linear_model import Ridge

    centre, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 0.0, spread, 1.0)
    model = Ridge(alpha=alpha, solver="cholesky").fit((x - centre) / spread, y)
    forecast: NDArray[np.float64] = model.predict((asked - centre) / spread)
    return forecast
