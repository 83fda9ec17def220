"""The regime engine."""

from prometheus.engines.regime.prototypes import LABELS, MIN_WINDOWS, PrototypeHead, fit_prototypes

__all__ = ["LABELS", "MIN_WINDOWS", "PrototypeHead", "fit_prototypes"]
