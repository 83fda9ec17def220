"""One small market and one long one, made once."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import yaml

from prometheus.market.synthetic import MARKETS, SyntheticConfig, SyntheticMarket, config_from_mapping, generate

CONF = Path(__file__).resolve().parents[3] / "conf" / "synthetic"


@pytest.fixture(scope="session")
def configuration_file() -> Callable[[str], Path]:
    """Where the configuration of a name lies."""
    return lambda name: CONF / f"{name}.yaml"


@pytest.fixture(scope="session")
def configuration(configuration_file: Callable[[str], Path]) -> Callable[[str], SyntheticConfig]:
    """Read a configuration by name."""
    return lambda name: config_from_mapping(yaml.safe_load(configuration_file(name).read_text(encoding="utf-8")))


@pytest.fixture(scope="session")
def small_config(configuration: Callable[[str], SyntheticConfig]) -> SyntheticConfig:
    return configuration("test")


@pytest.fixture(scope="session")
def small(small_config: SyntheticConfig) -> SyntheticMarket:
    return generate(small_config)


@pytest.fixture(scope="session")
def frames(small: SyntheticMarket) -> dict[str, pl.DataFrame]:
    return {name: pl.DataFrame(pl.from_arrow(table)) for name, table in small.tables.items()}


@pytest.fixture(scope="session")
def long_market() -> SyntheticMarket:
    """Two regions, 50 names each that stay listed, 25 years: enough to estimate what was planted."""
    quiet = {"exit_rate": 0.0, "late_share": 0.0, "illiquid_share": 0.0, "articles_per_day": 0.0, "cast": ()}
    markets = tuple(dataclasses.replace(MARKETS[region], names=50, **quiet) for region in ("US", "EU"))
    config = SyntheticConfig(
        seed=5, first=dt.date(2000, 1, 3), last=dt.date(2024, 12, 31), markets=markets, documents=False
    )
    return generate(config)
