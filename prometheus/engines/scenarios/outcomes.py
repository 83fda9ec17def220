"""What paths come to: profit and loss, drawdown, and how bad that is by the base's own past."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.engines.scenarios.generate import BaseHistory, Floats

LOW, MEDIUM, HIGH = "LOW", "MEDIUM", "HIGH"
LEVELS = (LOW, MEDIUM, HIGH)


@dataclass(frozen=True)
class SeverityRule:
    """From which quantile of past drawdowns on a path is MEDIUM, and HIGH."""

    medium_from: float = 0.75
    high_from: float = 0.95


@dataclass(frozen=True)
class Outcomes:
    """What each path comes to.

    Attributes
    ----------
    cumulative_return : ndarray of float64, shape (paths, horizon)
        Simple return from the start through each session; the last column is the path's P&L.
    max_drawdown : ndarray of float64, shape (paths,)
        Largest fall from a peak, the start included, as a fraction of the peak.
    drawdown_quantile : ndarray of float64, shape (paths,)
        Share of the base's own past windows of this length that fell less; 0 when it has none.
    severity : tuple of str
        LOW, MEDIUM or HIGH.
    """

    cumulative_return: Floats
    max_drawdown: Floats
    drawdown_quantile: Floats
    severity: tuple[str, ...]


def max_drawdowns(log_return: Floats) -> Floats:
    """Largest fall of each path from a peak, the start included, as a fraction of the peak.

    Parameters
    ----------
    log_return : ndarray of float64, shape (paths, horizon)

    Returns
    -------
    ndarray of float64, shape (paths,)
        In 0..1.
    """
    path = np.zeros((log_return.shape[0], log_return.shape[1] + 1))
    np.cumsum(log_return, axis=1, out=path[:, 1:])
    fall: Floats = (np.maximum.accumulate(path, axis=1) - path).max(axis=1)
    worst: Floats = -np.expm1(-fall)
    return worst


def past_drawdowns(history: BaseHistory, horizon: int) -> Floats:
    """Drawdowns of every window of the past with a known return on each session, ascending."""
    return np.sort(max_drawdowns(history.windows(history.window_ends(horizon), horizon)))


def path_outcomes(log_return: Floats, past: Floats, rule: SeverityRule) -> Outcomes:
    """Judge paths by past drawdowns.

    Parameters
    ----------
    log_return : ndarray of float64, shape (paths, horizon)
    past : ndarray of float64, shape (n,)
        See :func:`past_drawdowns`.
    rule : SeverityRule
    """
    falls = max_drawdowns(log_return)
    below: NDArray[np.int64] = np.searchsorted(past, falls, side="left")
    quantile = below / max(len(past), 1)
    level = (quantile >= rule.medium_from).astype(np.int64) + (quantile >= rule.high_from)
    return Outcomes(
        cumulative_return=np.expm1(np.cumsum(log_return, axis=1)),
        max_drawdown=falls,
        drawdown_quantile=quantile,
        severity=tuple(LEVELS[i] for i in level),
    )
