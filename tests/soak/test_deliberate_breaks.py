"""Every one of ten deliberate breaks is caught by the test named for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.breaks import BREAKS, Break, assert_caught
from tests.mutation import Worker

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with Worker(tmp_path_factory.mktemp("breaks") / "worker") as started:
        yield started


@pytest.mark.parametrize("broken", BREAKS, ids=lambda b: b.name)
def test_a_break_is_caught_by_the_test_named_for_it(worker: Worker, broken: Break) -> None:
    assert_caught(worker, broken)
