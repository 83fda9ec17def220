"""Lakes several benches start from."""

from __future__ import annotations

import pytest

from prometheus.cli.config import compose, markets_from
from prometheus.cli.demo import deliver_synthetic, load_synthetic
from prometheus.lake import Lake
from prometheus.runtime import progress_for


@pytest.fixture(scope="session")
def market_lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Raw rows of 500 names over 3,780 sessions."""
    lake = Lake.open(tmp_path_factory.mktemp("bench") / "lake", create=True)
    deliver_synthetic(lake, load_synthetic("bench"), progress_for(quiet=True))
    assert markets_from(compose("backfill")).of_region("US").market_id == "US_EQ"
    return lake
