"""Fixtures every tier shares."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from prometheus.lake import Lake
from tests.demo_lakes import build_demo_lake, copy_lake

REAL_DATA = Path(os.environ.get("PROMETHEUS_REAL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))

# A machine busy with other things is no reason for a test to fail.
settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real market and news data; CI fails without it, anybody else's run skips."""
    if (REAL_DATA / "README.md").is_file():
        return REAL_DATA
    message = f"the real data folder is not at {REAL_DATA}; set PROMETHEUS_REAL_DATA to where it lies"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def demo_lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The root of a small synthetic market that went through the whole chain. For reading: copy it to write."""
    root = tmp_path_factory.mktemp("demo") / "lake"
    lake = build_demo_lake(root)
    before = {table: lake.version(table) for table in lake.tables()}
    yield root
    after = Lake.open(root)
    assert {table: after.version(table) for table in after.tables()} == before, "a test wrote into the shared lake"


@pytest.fixture
def demo_copy(demo_lake: Path, tmp_path: Path) -> Lake:
    """A copy of the demo lake that may be written to."""
    return copy_lake(demo_lake, tmp_path / "demo")


@pytest.fixture
def raw_copy(demo_lake: Path, tmp_path: Path) -> Lake:
    """The demo lake's raw tables alone, as after an ingest."""
    return copy_lake(demo_lake, tmp_path / "raw_only", only="raw")
