"""Sessions, windows and cut-offs: what time it is, and what was known by then."""

from prometheus.clock.markets import DEFAULT_MARKETS, Market, Markets
from prometheus.clock.sessions import CutoffRule, Sessions, cutoffs, exchange_sessions, knowledge_index, positions_in

__all__ = [
    "DEFAULT_MARKETS",
    "CutoffRule",
    "Market",
    "Markets",
    "Sessions",
    "cutoffs",
    "exchange_sessions",
    "knowledge_index",
    "positions_in",
]
