from __future__ import annotations

from pathlib import Path

import pytest

from prometheus.lake import Lake
from tests.demo_lakes import copy_lake


@pytest.fixture
def here(demo_copy: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lake:
    """A writable demo lake that commands find without being told, and an empty working directory."""
    return _settle(demo_copy, monkeypatch, tmp_path)


@pytest.fixture
def raw_here(raw_copy: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lake:
    """The same with raw tables alone."""
    return _settle(raw_copy, monkeypatch, tmp_path)


@pytest.fixture(scope="module")
def shared(demo_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """One copy for a module's commands that write nothing, or are refused."""
    return copy_lake(demo_lake, tmp_path_factory.mktemp("shared") / "lake")


def _settle(lake: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lake:
    monkeypatch.setenv("PROMETHEUS_LAKE", str(lake.location.root))
    empty = tmp_path / "cwd"
    empty.mkdir()
    monkeypatch.chdir(empty)
    return lake
