"""Random streams that do not disturb one another.

Every purpose (and every name, sector, region or day of news within it) draws from a child stream of its own, keyed by
words. So a further name, sector or region leaves the draws of the others alone, and a longer history continues each
stream where the shorter one stopped.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def stream(seed: int, *path: str) -> np.random.Generator:
    """Return the generator of one purpose.

    Parameters
    ----------
    seed : int
        Root entropy.
    *path : str
        Words that name the purpose, for example ``("own", "ACME.US")``; each becomes a spawn key by its CRC-32.
    """
    keys = tuple(zlib.crc32(word.encode()) for word in path)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=keys)))


def student(rng: np.random.Generator, degrees: float, size: int) -> Floats:
    """Student-t draws of variance 1 (``degrees`` > 2), shape (size,)."""
    draws: Floats = rng.standard_t(degrees, size) * np.sqrt((degrees - 2.0) / degrees)
    return draws


def ar1(shocks: Floats, phi: Floats | float) -> Floats:
    """First-order autoregression that keeps the variance of its shocks.

    ``y_0 = e_0`` and ``y_t = phi_t y_{t-1} + sqrt(1 - phi_t^2) e_t``. A recursion in time by nature; the columns are
    stepped together, elementwise, so no column depends on which others are there.

    Parameters
    ----------
    shocks : ndarray of shape (t,) or (t, n)
    phi : float or ndarray of shape (t,)

    Returns
    -------
    ndarray of the shape of ``shocks``
    """
    steps = np.broadcast_to(np.asarray(phi, dtype=np.float64), shocks.shape[:1])
    path = np.sqrt(1.0 - steps**2).reshape(-1, *([1] * (shocks.ndim - 1))) * shocks
    path[0] = shocks[0]
    for t in range(1, len(path)):
        path[t] += steps[t] * path[t - 1]
    return path


def ease(target: Floats, rate: float) -> Floats:
    """Exponential approach of a path to its target: ``y_t = y_{t-1} + rate (x_t - y_{t-1})``, shape (t,)."""
    path = target.astype(np.float64, copy=True)
    for t in range(1, len(path)):
        path[t] = path[t - 1] + rate * (target[t] - path[t - 1])
    return path
