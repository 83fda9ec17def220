from __future__ import annotations

import pytest

from prometheus.lake import Lake
from tests.leaky_stages import small_market


@pytest.fixture(scope="package")
def market(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Six names, three months, raw rows alone. For reading."""
    return small_market(tmp_path_factory.mktemp("market") / "lake")
