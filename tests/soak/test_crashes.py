"""Real commands killed at named points and at random moments, on full disks, and side by side.

Every case: the command dies, is run again and left alone, and the data tables equal those of a run nobody disturbed.
"""

from __future__ import annotations

import datetime as dt
import itertools
import os
import random
import resource
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest

from prometheus.audit.doctor import examine
from prometheus.lake import Lake
from prometheus.stages import all_stages
from tests.crashes import (
    KILLED,
    Command,
    assert_recovers,
    assert_refused,
    began,
    book_entries,
    digests,
    doctor,
    link_lake,
    refusals,
    run,
    run_forbidden,
    running,
    start,
    unnamed_files,
    wait_for,
)
from tests.csv_files import ingest_command, write_files
from tests.demo_lakes import UNREAD

pytestmark = pytest.mark.soak

RANGE = "2024-11-01 2025-01-31"
HASHED = "--variant hashing --overrides encoder/text=hashing --quiet --lake {lake}"
NUMERIC = Command(
    "prometheus.scripts.backfill_numeric_embeddings",
    f"--date-range {RANGE} --entity-type INSTRUMENT --entity-type MARKET --chunk-days 10 --quiet --lake {{lake}}",
)
REGIMES = Command(
    "prometheus.scripts.run_numeric_regime", f"--date-range {RANGE} --region US --region EU --quiet --lake {{lake}}"
)
TEXTS = Command("prometheus.scripts.backfill_text_embeddings", f"--date-range {RANGE} {HASHED}")
JOINT = Command(
    "prometheus.scripts.backfill_joint_regime_context",
    f"--date-range {RANGE} --region US --region EU --chunk-days 10 {HASHED}",
)
JOB = Command(
    "prometheus.cli.main",
    "backfill lake={lake} range=[2024-11-01,2025-01-31] region=[US,EU] encoder/text=hashing variants=[hashing] "
    "quiet=true",
)
DAILY = Command(
    "prometheus.scripts.run_full_day_core_pipeline",
    f"--date-range {RANGE} --region US --variant hashing --quiet --lake {{lake}}",
)
"""Every stage that prices and news lead to, up to books and the vectors of portfolios."""


@dataclass(frozen=True)
class Case:
    """A command, the lake it starts from, and what a run nobody disturbed ends with.

    Attributes
    ----------
    command : Command
    ready : Path
    wanted : dict of str to str
        Digests of the data tables.
    seconds : float
        From the first entry in its books, when chunks begin, to the last.
    entries : int
        Entries in the books by then.
    """

    command: Command
    ready: Path
    wanted: dict[str, str]
    seconds: float
    entries: int

    def began(self, root: Path) -> bool:
        """Whether the command has written that it started, after what the books of its lake said before."""
        return began(root, runs=max(1, book_entries(self.ready)))


def _case(command: Command, ready: Path, work: Path) -> Case:
    whole = link_lake(ready, work)
    process = start(command, whole)
    said = max(1, book_entries(ready))
    wait_for(lambda: began(whole, runs=said) or process.poll() is not None)
    since = last = time.monotonic()
    entries = 0
    while process.poll() is None:
        if (now := book_entries(whole)) > entries:
            entries, last = now, time.monotonic()
        time.sleep(0.005)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert not doctor(whole, quick=False).findings, "a run nobody disturbed left something"
    return Case(command, ready, digests(whole), last - since, book_entries(whole))


@pytest.fixture(scope="module")
def cases(demo_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    base = tmp_path_factory.mktemp("cases")
    raw, upstream, replaced, empty = (base / name for name in ("raw", "upstream", "replaced", "empty"))
    shutil.copytree(demo_lake / "raw", raw / "raw", ignore=shutil.ignore_patterns(*UNREAD), copy_function=os.link)
    link_lake(raw, upstream)
    for command in (REGIMES, TEXTS):
        assert running(command)(upstream) == 0
    link_lake(raw, replaced)
    assert running(NUMERIC)(replaced) == 0
    _correct_prices(Lake.open(replaced))
    empty.mkdir()
    commands = {
        "numeric": (NUMERIC, raw),
        "replaced": (NUMERIC, replaced),
        "joint": (JOINT, upstream),
        "job": (JOB, raw),
        "daily": (DAILY, raw),
        "ingest": (ingest_command(write_files(base / "files")), empty),
    }
    return {name: _case(command, ready, base / f"{name}_whole") for name, (command, ready) in commands.items()}


def _correct_prices(lake: Lake) -> None:
    """Deliver later versions of some prices, known in time to count: rows made from them come out different."""
    rows = pl.DataFrame(
        pl.from_arrow(lake.read("prices_daily", dates=(dt.date(2024, 11, 11), dt.date(2024, 12, 20)), as_of=None))
    )
    later = rows.filter(pl.col("as_of_date").dt.day() % 3 == 0).with_columns(
        pl.col("close", "adjusted_close") * 1.01, pl.col("known_at") + pl.duration(minutes=1)
    )
    delivered = later.to_arrow(compat_level=pl.CompatLevel.oldest())
    delivery = lake.deliver("prices_daily", delivered.select(rows.columns))
    assert delivery.new + delivery.corrected == later.height > 0


POINTS = [
    *itertools.product(("numeric", "joint"), ("before_commit", "after_commit", "in_retry"), (1, 4)),
    *itertools.product(("numeric", "joint", "job"), ("before_lineage", "after_lineage"), (1, 3)),
    *itertools.product(("job",), ("before_commit", "after_commit"), (1, 2, 3, 5, 7)),
    *itertools.product(("job",), ("in_retry",), (1, 3, 5)),
    *itertools.product(("replaced",), ("before_commit", "after_commit", "in_retry"), (1, 3)),
    *itertools.product(("daily",), ("before_commit", "after_commit", "before_lineage"), (8, 17, 26)),
    *itertools.product(("daily",), ("in_retry", "after_lineage"), (12, 22)),
    *itertools.product(("ingest",), ("before_commit", "after_commit", "in_retry"), (1, 2, 4)),
]


@pytest.mark.parametrize(("name", "point", "k"), POINTS)
def test_killed_at_a_named_point(cases: dict[str, Case], tmp_path: Path, name: str, point: str, k: int) -> None:
    case = cases[name]
    root = link_lake(case.ready, tmp_path / "lake")
    died = run(case.command, root, point=(point, k))
    assert died.returncode == KILLED, died.stderr
    found = assert_recovers(running(case.command), root, case.wanted)
    if point in {"before_commit", "in_retry"}:
        assert found["orphans"] > 0


RANDOM_KILLS = {"numeric": 15, "replaced": 5, "joint": 10, "job": 10, "daily": 10, "ingest": 10}


@pytest.mark.parametrize("name", RANDOM_KILLS)
def test_killed_at_random_moments(cases: dict[str, Case], tmp_path: Path, name: str) -> None:
    case, rng, killed, tries = cases[name], random.Random(f"kill {name}"), 0, 0
    found: Counter[str] = Counter()
    while killed < RANDOM_KILLS[name]:
        tries += 1
        assert tries < 8 * RANDOM_KILLS[name], "runs end before they can be killed"
        root = link_lake(case.ready, tmp_path / f"{tries}")
        process = start(case.command, root)
        wait_for(lambda root=root, process=process: case.began(root) or process.poll() is not None)  # type: ignore[misc]
        time.sleep(rng.uniform(0.0, case.seconds))
        process.kill()
        process.communicate()
        if process.returncode == KILLED and book_entries(root) < case.entries:  # dead before it had ended
            killed += 1
            found.update(dict.fromkeys(assert_recovers(running(case.command), root, case.wanted), 1))
        shutil.rmtree(root)
    print(f"{name}: {killed} kills within {case.seconds:.1f} s, which left {dict(found)}")


@pytest.mark.parametrize("name", ["numeric", "joint", "job", "ingest"])
@pytest.mark.parametrize("size", [1_500, 4_000, 8_000, 16_000, 32_000])
def test_files_that_cannot_grow(cases: dict[str, Case], tmp_path: Path, name: str, size: int) -> None:
    case = cases[name]
    root = link_lake(case.ready, tmp_path / "lake")
    before = digests(root)
    done = run(case.command, root, prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
    _assert_refused_or_done(done, "ulimit -f")
    kept = digests(root)
    assert {t: kept[t] for t in before} == before
    assert_recovers(running(case.command), root, case.wanted)


def _assert_refused_or_done(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert "Traceback" not in done.stderr, done.stderr
    assert done.stdout == ""
    if done.returncode != 0:
        assert (done.returncode, len(refusals(done))) == (1, 1), done.stderr
        assert words in refusals(done)[0]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of some megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=14m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("name", ["numeric", "job"])
@pytest.mark.parametrize("left", [40_000, 400_000])
def test_a_full_disk(cases: dict[str, Case], small_disk: Path, name: str, left: int) -> None:
    case = cases[name]
    root = shutil.copytree(case.ready, small_disk / "lake")
    before = digests(root)
    ballast = small_disk / "ballast"
    free = shutil.disk_usage(small_disk).free
    assert free > left
    ballast.write_bytes(bytes(free - left))
    assert_refused(run(case.command, root), "the disk is full")
    kept = digests(root)
    assert {t: kept[t] for t in before} == before
    ballast.unlink()
    assert_recovers(running(case.command), root, case.wanted)


@pytest.mark.parametrize("name", ["numeric", "joint", "job", "ingest"])
def test_a_lake_that_may_not_be_written(cases: dict[str, Case], tmp_path: Path, name: str) -> None:
    case = cases[name]
    root = link_lake(case.ready, tmp_path / "lake")
    assert_refused(run_forbidden(case.command, root), "may not read or write here")
    assert_recovers(running(case.command), root, case.wanted)


def test_a_read_only_file_system(cases: dict[str, Case], tmp_path: Path) -> None:
    case = cases["numeric"]
    root = link_lake(case.ready, tmp_path / "lake")
    view = tmp_path / "view"
    view.mkdir()
    if subprocess.run(["mount", "--bind", str(root), str(view)], capture_output=True).returncode != 0:
        pytest.skip("no folder can be mounted read-only here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(view)], check=True)
        done = run(case.command, view)
    finally:
        subprocess.run(["umount", str(view)], check=True)
    assert (done.returncode, len(refusals(done))) == (1, 1), done.stderr
    assert "the file system is read-only" in refusals(done)[0]
    assert_recovers(running(case.command), root, case.wanted)


FIRST_HALF, SECOND_HALF = (
    replace(NUMERIC, arguments=NUMERIC.arguments.replace(RANGE, dates).replace("--chunk-days 10", "--chunk-days 5"))
    for dates in ("2024-11-01 2025-01-02", "2024-11-20 2025-01-31")
)


@pytest.mark.parametrize("again", range(5))
@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("numeric", (NUMERIC, NUMERIC)),
        ("numeric", (FIRST_HALF, SECOND_HALF)),
        ("replaced", (NUMERIC, NUMERIC)),
        ("joint", (JOINT, JOINT)),
        ("job", (JOB, JOB)),
        ("daily", ()),
        ("ingest", ()),
    ],
    ids=["same", "overlapping", "replacing", "joint", "job", "daily", "ingest"],
)
def test_runs_side_by_side(
    cases: dict[str, Case], tmp_path: Path, name: str, pair: tuple[Command, ...], again: int
) -> None:
    case = cases[name]
    root = link_lake(case.ready, tmp_path / "lake")
    processes = [start(command, root) for command in pair or (case.command, case.command)]
    for process in processes:
        out, err = process.communicate(timeout=300)
        assert (process.returncode, out) == (0, ""), err
    assert digests(root) == case.wanted
    assert doctor(root, repair=True).healthy
    assert not doctor(root).findings
    assert unnamed_files(root) == set()


@pytest.mark.parametrize("name", ["numeric", "replaced", "job", "ingest"])
def test_the_doctor_beside_a_run(cases: dict[str, Case], tmp_path: Path, name: str) -> None:
    """It finds nothing, mends nothing, and takes nothing from the run."""
    case = cases[name]
    root = link_lake(case.ready, tmp_path / "lake")
    process = start(case.command, root)
    assert wait_for(lambda: case.began(root) or process.poll() is not None)
    looks = 0
    while process.poll() is None:
        report = examine(Lake.open(root, create=True), stages=all_stages(), repair=True, quick=True)
        assert report.findings == [], report.lines()
        looks += 1
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert looks > 0
    assert digests(root) == case.wanted
    assert not doctor(root).findings


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.2, 0.4, 0.8])
def test_a_lake_removed_during_a_run(cases: dict[str, Case], tmp_path: Path, delay: float) -> None:
    case = cases["numeric"]
    root = link_lake(case.ready, tmp_path / "lake")
    process = start(replace(case.command, arguments=case.command.arguments.replace("-days 10", "-days 1")), root)
    wait_for(lambda: case.began(root))
    time.sleep(delay)
    shutil.rmtree(root, ignore_errors=True)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    assert "Traceback" not in err, err
    assert len([line for line in err.splitlines() if line.startswith("error: ")]) == 1, err
