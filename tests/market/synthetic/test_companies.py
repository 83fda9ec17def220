from __future__ import annotations

import dataclasses

import polars as pl
import pytest

from prometheus.errors import RequestError
from prometheus.market.synthetic import MARKETS, SyntheticConfig, SyntheticMarket
from prometheus.market.synthetic.companies import companies
from prometheus.market.synthetic.sectors import SECTORS, sector


def test_the_ids_of_the_worked_examples_exist(frames: dict[str, pl.DataFrame]) -> None:
    pairs = set(frames["instruments"].select("instrument_id", "issuer_id").iter_rows())
    assert {("ACME.US", "ISS_ACME_CORP"), ("PEER.US", "ISS_PEER_CORP")} <= pairs
    assert {"AAPL.US", "AAA.US"} <= {instrument for instrument, _ in pairs}
    assert {"US_EQ", "EU_EQ"} == set(frames["instruments"]["market_id"])


def test_acme_and_its_peer_are_peers(small: SyntheticMarket) -> None:
    named = {n.symbol: n for n in small.histories[0].names}
    assert named["ACME"].sector == named["PEER"].sector
    assert named["ACME"].industry == named["PEER"].industry


def test_a_larger_market_begins_with_the_same_companies(small_config: SyntheticConfig) -> None:
    few, many = (dataclasses.replace(MARKETS["US"], names=n) for n in (30, 90))
    assert companies(small_config, many, 625)[:25] == companies(small_config, few, 625)[:25]


@pytest.mark.parametrize("region", sorted(MARKETS))
def test_names_are_unique_and_traits_in_bounds(small_config: SyntheticConfig, region: str) -> None:
    made = companies(small_config, dataclasses.replace(MARKETS[region], names=700), 4000)
    assert len(made) > 600
    for field in ("instrument_id", "issuer_id", "name", "symbol"):
        assert len({getattr(c, field) for c in made}) == len(made), field
    low, high = small_config.returns.volatility_bounds
    assert all(low <= c.volatility <= high and c.market_value > 0 and c.employees > 0 for c in made)
    assert all(c.instrument_id == f"{c.symbol}.{region}" for c in made)
    assert all(c.issuer_id.isascii() and c.instrument_id.isascii() for c in made)


def test_fates_are_drawn_at_their_rates(small_config: SyntheticConfig) -> None:
    market = dataclasses.replace(MARKETS["US"], names=600, cast=(), exit_rate=0.05, late_share=0.2)
    made = companies(small_config, market, 10_000)
    leaving = [c for c in made if c.last is not None and c.last < 200 + 252 * 10]
    assert 0.28 < len(leaving) / len(made) < 0.52  # 1 - exp(-0.5) = 0.39
    assert 0.55 < sum(c.exit == "MERGER" for c in leaving) / len(leaving) < 0.85
    assert 0.13 < sum(c.listed > 0 for c in made) / len(made) < 0.27


def test_every_sector_can_be_lived_in() -> None:
    for name, kind in SECTORS.items():
        assert min(len(kind.industries), len(kind.drivers) - 1, len(kind.worries) - 1, len(kind.risks) - 1) >= 1, name
        assert 0 < kind.margin < 0.5
        assert 0 < kind.leverage < 1
    with pytest.raises(RequestError, match="no synthetic sector 'Alchemy'"):
        sector("Alchemy")
