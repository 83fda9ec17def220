"""A world several stage tests read."""

from __future__ import annotations

import pytest

from prometheus.lake import Lake
from tests.scored_worlds import build_scored_world


@pytest.fixture(scope="session")
def scored_world(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The engine world up to its universe. For reading and copying."""
    return build_scored_world(tmp_path_factory.mktemp("scored") / "lake")
