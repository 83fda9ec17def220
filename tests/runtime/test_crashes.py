"""One death of each kind, and what the store may do to a run; `make soak` has the long series."""

from __future__ import annotations

import random
import resource
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from prometheus.cli.main import main
from prometheus.lake import Lake
from tests import toy_command
from tests.commands import call
from tests.crashes import (
    KILLED,
    Command,
    assert_recovers,
    assert_refused,
    began,
    digests,
    doctor,
    link_lake,
    run,
    run_forbidden,
    start,
    unnamed_files,
    wait_for,
)
from tests.csv_files import ingest_command, write_files

TOY = Command("tests.toy_command", "{lake}")
TABLE = "numeric_window_embeddings"


def rerun(root: Path) -> int:
    return toy_command.main([str(root)])


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of prices alone. For reading: copy it to write."""
    root = tmp_path_factory.mktemp("prices") / "lake"
    toy_command.make_prices(root)
    return root


@pytest.fixture(scope="module")
def undisturbed(prices: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after a run that was left alone."""
    root = link_lake(prices, tmp_path_factory.mktemp("undisturbed") / "lake")
    assert rerun(root) == 0
    assert unnamed_files(root) == set()
    return root


@pytest.fixture
def root(prices: Path, tmp_path: Path) -> Path:
    return link_lake(prices, tmp_path / "lake")


def test_a_run_killed_again_and_again_is_continued(root: Path, undisturbed: Path) -> None:
    """At every named point, one death after the other, and at a random moment."""
    for point, k in (("before_commit", 2), ("after_commit", 1), ("in_retry", 1), ("before_lineage", 1)):
        died = run(TOY, root, point=(point, k))
        assert died.returncode == KILLED, f"{point}: {died.stderr}"
    process = start(Command(TOY.module, "{lake} 1"), root)
    assert wait_for(lambda: began(root, runs=5))
    time.sleep(random.Random(7).uniform(0.0, 0.05))
    process.kill()
    process.communicate()
    assert process.returncode == KILLED
    found = assert_recovers(rerun, root, digests(undisturbed))
    assert found["orphans"] > 0
    assert found["ledger"] > 0
    assert found["runs"] > 0


def test_a_run_killed_while_it_replaces_rows_is_continued(undisturbed: Path, tmp_path: Path) -> None:
    before = Lake.open(undisturbed).digest(TABLE)
    root = link_lake(undisturbed, tmp_path / "lake")
    toy_command.deliver_late(root)
    whole = link_lake(root, tmp_path / "whole")
    assert rerun(whole) == 0
    assert Lake.open(whole).digest(TABLE) != before
    died = run(TOY, root, point=("before_commit", 1))
    assert died.returncode == KILLED, died.stderr
    assert Lake.open(root).digest(TABLE) == before, "rows changed before they were committed"
    assert assert_recovers(rerun, root, digests(whole))["orphans"] > 0


def test_an_ingest_killed_in_the_middle_of_its_delivery_is_continued(tmp_path: Path) -> None:
    ingest = ingest_command(write_files(tmp_path / "files", sessions=8))
    whole, root = (tmp_path / name / "lake" for name in ("whole", "killed"))
    for folder in (whole, root):
        folder.mkdir(parents=True)

    def again(lake: Path) -> int:
        return call(main, ingest.words(lake)[1:])

    assert again(whole) == 0
    died = run(ingest, root, point=("before_commit", 2))
    assert died.returncode == KILLED, died.stderr
    assert Lake.open(root).tables() != Lake.open(whole).tables()
    assert_recovers(again, root, digests(whole))


def _limit_files(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_store_that_refuses_ends_the_run_in_a_sentence(root: Path, undisturbed: Path) -> None:
    """A file that cannot grow, then a lake that may not be written; afterwards the run goes on where it was."""
    raw = digests(root)
    # The lineage of one chunk fits, the log entry of its rows does not.
    full = run(TOY, root, prepare=_limit_files(2_700))
    assert_refused(full, "ulimit -f")
    assert_refused(run_forbidden(TOY, root), "may not read or write here")
    assert {t: d for t, d in digests(root).items() if t in raw} == raw
    assert_recovers(rerun, root, digests(undisturbed))


def test_two_runs_at_once_end_as_one(root: Path, undisturbed: Path) -> None:
    pair = [start(TOY, root), start(TOY, root)]
    for process in pair:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, ""), err
    assert digests(root) == digests(undisturbed)
    assert doctor(root, repair=True).healthy


def test_a_lake_removed_during_a_run_ends_it_in_a_sentence(prices: Path, tmp_path: Path) -> None:
    for attempt in range(10):
        root = link_lake(prices, tmp_path / f"{attempt}")
        process = start(Command(TOY.module, "{lake} 1"), root)
        assert wait_for(lambda root=root: began(root))  # type: ignore[misc]
        # Held still: on a busy machine it would be over, or go on writing, before everything is removed.
        process.send_signal(signal.SIGSTOP)
        midway = not began(root, runs=2)  # nothing after "started" is in its books
        shutil.rmtree(root)
        process.send_signal(signal.SIGCONT)
        _, err = process.communicate(timeout=60)
        if midway:
            break
    assert midway, "runs end before anything can be removed"
    assert process.returncode == 1
    assert [line for line in err.splitlines() if line.startswith("error: ")], err
    assert "moved or removed" in err
    assert "Traceback" not in err
