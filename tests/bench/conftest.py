"""Lakes several benches start from, and a place for those they are done with."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

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


@pytest.fixture(scope="session")
def set_aside(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], None]:
    """Take a folder out of the way of the next run, if there is one.

    Its files are emptied and stay. Linux (ext4) hands out no inode it has given back within the last minutes and looks
    for others one by one: where thousands of files had just been removed, that was a seventh of the time of a run.
    """
    place, numbers = tmp_path_factory.mktemp("aside"), itertools.count()

    def move(folder: Path) -> None:
        if not folder.exists():
            return
        kept = folder.rename(place / str(next(numbers)))
        for path in kept.rglob("*"):
            if path.is_file() and path.stat().st_nlink == 1:  # a linked file is another lake's too
                os.truncate(path, 0)

    return move
