"""Markets and regions."""

from __future__ import annotations

import pytest

from prometheus.clock import DEFAULT_MARKETS, Markets
from prometheus.errors import RequestError


def test_each_region_has_its_market() -> None:
    found = {region: DEFAULT_MARKETS.of_region(region).market_id for region in ("US", "EU", "ASIA")}
    assert found == {"US": "US_EQ", "EU": "EU_EQ", "ASIA": "ASIA_EQ"}
    assert DEFAULT_MARKETS.market("US_INDEX").region is None


def test_from_configuration() -> None:
    markets = Markets.from_mapping({"UK_EQ": {"calendar": "XLON", "region": "UK"}, "X": {"calendar": "XNYS"}})
    assert markets.of_region("UK").calendar_id == "XLON"
    assert markets.market("X").region is None


def test_unknown_names_are_refused_with_those_there_are() -> None:
    with pytest.raises(RequestError, match="declares ASIA_EQ, EU_EQ, US_EQ, US_INDEX"):
        DEFAULT_MARKETS.market("MOON_EQ")
    with pytest.raises(RequestError, match="declares ASIA, EU, US"):
        DEFAULT_MARKETS.of_region("MOON")
