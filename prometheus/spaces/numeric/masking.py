"""Leaving volume out on purpose, so that what has none can be compared with what has.

Two ways that come to the same: of a series, before it is encoded (:func:`without_volume`), or of vectors made by an
encoder that keeps every slot in its own place (:func:`volume_masked`; ``blocks`` with norm ``calibrated`` or ``none``).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from prometheus.market.panel import EntitySeries
from prometheus.spaces.numeric.layout import slot_table
from prometheus.spaces.numeric.model import NumericModel

_OF_VOLUME = ("window.volume[", "stability.illiquidity[", "scales.volume_")


def without_volume(series: EntitySeries) -> EntitySeries:
    """Return a series as if its volume had never been known: every slot about volume becomes 0."""
    return replace(series, log_dollar_volume=np.full(series.ret.shape, np.nan), volume=None, close=None)


def volume_slots(model: NumericModel) -> NDArray[np.int64]:
    """Places of a model's slots that are about volume, the one that says whether it is known among them."""
    names = [slot.name for slot in slot_table(model)]
    return np.array([i for i, name in enumerate(names) if name.startswith(_OF_VOLUME)], dtype=np.int64)


def volume_masked(model: NumericModel, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Copy vectors with volume masked, equal to those of the same series without volume.

    Parameters
    ----------
    model : NumericModel
    vectors : ndarray of float32, shape (m, 384)
        Made by the ``blocks`` encoder with norm ``calibrated`` or ``none``.
    """
    masked = vectors.copy()
    masked[:, volume_slots(model)] = 0.0
    return masked
