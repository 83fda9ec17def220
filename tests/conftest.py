"""Fixtures every tier shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REAL_DATA = Path(os.environ.get("PROMETHEUS_REAL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real market and news data; CI fails without it, anybody else's run skips."""
    if (REAL_DATA / "README.md").is_file():
        return REAL_DATA
    message = f"the real data folder is not at {REAL_DATA}; set PROMETHEUS_REAL_DATA to where it lies"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(message)
    pytest.skip(message)
