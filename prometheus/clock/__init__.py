"""Sessions, windows and cut-offs: what time it is, and what was known by then."""

from prometheus.clock.sessions import CutoffRule, Sessions, cutoffs, exchange_sessions, knowledge_index

__all__ = ["CutoffRule", "Sessions", "cutoffs", "exchange_sessions", "knowledge_index"]
