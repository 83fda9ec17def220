"""What regime heads share: the labels, the windows they see, the protocol, and how states get their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

LABELS = ("CRISIS", "RISK_OFF", "NEUTRAL", "CARRY")
"""Regimes from the worst to the best."""

MIN_WINDOWS = 252
"""Windows (sessions) a fit needs; with fewer there is no label."""


@dataclass(frozen=True)
class Windows:
    """Windows of a region's proxy that end on consecutive sessions, with what they did.

    Attributes
    ----------
    days : ndarray of datetime64[D], shape (n,)
        Last session of each, ascending.
    vectors : ndarray of float32, shape (n, 384)
        Regime embeddings.
    volatility, returns : ndarray of float64, shape (n,)
        Realised volatility and log return of each window, annualised.
    recent_volatility : ndarray of float64, shape (n,)
        Realised volatility of the last 21 sessions, annualised.
    """

    days: NDArray[np.datetime64]
    vectors: NDArray[np.float32]
    volatility: NDArray[np.float64]
    returns: NDArray[np.float64]
    recent_volatility: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.days)

    def __getitem__(self, at: slice | NDArray[np.int64] | NDArray[np.bool_]) -> Windows:
        return Windows(
            self.days[at], self.vectors[at], self.volatility[at], self.returns[at], self.recent_volatility[at]
        )


@runtime_checkable
class RegimeHead(Protocol):
    """A fitted head: what it says of a session uses that session and those before it, never a later one."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Columns of the probabilities."""
        ...

    @property
    def recursive(self) -> bool:
        """Whether what it says of a session depends on the sessions since its fit, beside the session itself."""
        ...

    def probabilities(
        self, vectors: NDArray[np.float32], recent_volatility: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Probability of every label.

        Parameters
        ----------
        vectors : ndarray of float32, shape (n, d)
            Regime embeddings of consecutive sessions; for a recursive head of every session since the last one fitted
            on.
        recent_volatility : ndarray of float64, shape (n,), optional
            Annualised volatility of the last 21 sessions, for a head that reads it.

        Returns
        -------
        ndarray of float64, shape (n, k)
            Rows sum to one; columns in the order of ``labels``.
        """
        ...


@dataclass(frozen=True)
class States:
    """What the windows of each state did, in the order of :data:`LABELS`.

    Attributes
    ----------
    counts : ndarray of int64, shape (k,)
        Windows in each state.
    mean_volatility, mean_return : ndarray of float64, shape (k,)
        Annualised; 0 for a state without windows.
    """

    counts: NDArray[np.int64]
    mean_volatility: NDArray[np.float64]
    mean_return: NDArray[np.float64]


def enough(windows: Windows, least: int) -> None:
    """Refuse to fit on too little.

    Raises
    ------
    ValueError
        With fewer than ``least`` windows.
    """
    if len(windows) < least:
        raise ValueError(f"a fit needs {least} windows, got {len(windows)}")


def naming_order(volatility: NDArray[np.float64], returns: NDArray[np.float64]) -> list[int]:
    """States in the order of ``LABELS``: the two most volatile, then of the two calm ones the one that rose less.

    Parameters
    ----------
    volatility, returns : ndarray of float64, shape (4,)
        What the windows of each state did.
    """
    crisis, risk_off, *calm = (int(i) for i in np.argsort(-volatility, kind="stable"))
    neutral, carry = sorted(calm, key=lambda i: (returns[i], i))
    return [crisis, risk_off, neutral, carry]


def named(assigned: NDArray[np.int64], windows: Windows) -> tuple[list[int], States]:
    """Order states by what their windows did; returns the order and what they did in it."""
    k = len(LABELS)
    counts = np.bincount(assigned, minlength=k)
    some = np.maximum(counts, 1)
    volatility = np.bincount(assigned, weights=windows.volatility, minlength=k) / some
    returns = np.bincount(assigned, weights=windows.returns, minlength=k) / some
    order = naming_order(volatility, returns)
    return order, States(counts[order].astype(np.int64), volatility[order], returns[order])


def shares_of(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Softmax of each row."""
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return shares


def median_gap(costs: NDArray[np.float64]) -> float:
    """Median over rows of what the second lowest cost is above the lowest; at least the least normal float32."""
    ordered = np.sort(costs, axis=1)
    return max(float(np.median(ordered[:, 1] - ordered[:, 0])), float(np.finfo(np.float32).tiny))
