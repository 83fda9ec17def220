"""The synthetic market: invented companies under planted regimes, in the shape of real raw tables.

It is the demonstration, the ground truth of the tests and the load of the benchmarks. ``generate(config)`` gives the
tables of :mod:`prometheus.lake.contracts.raw` and, apart from them, the truth they were drawn from.
"""

from prometheus.market.synthetic.config import (
    DEFAULT_REGIMES,
    MARKETS,
    REGIMES,
    MarketConfig,
    Part,
    RegimeParameters,
    ReturnParameters,
    SyntheticConfig,
    config_from_mapping,
)
from prometheus.market.synthetic.market import TABLES, RegionTruth, SyntheticMarket, Truth, generate

__all__ = [
    "DEFAULT_REGIMES",
    "MARKETS",
    "REGIMES",
    "TABLES",
    "MarketConfig",
    "Part",
    "RegimeParameters",
    "RegionTruth",
    "ReturnParameters",
    "SyntheticConfig",
    "SyntheticMarket",
    "Truth",
    "config_from_mapping",
    "generate",
]
