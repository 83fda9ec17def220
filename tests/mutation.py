"""Breaking the code on purpose, in a copy of the tree, and asking the tests whether they notice.

``mutmut`` leaves decorated functions alone, which here is every property, class method and context manager;
``cosmic-ray`` knows nothing of which test runs which line. Neither draws a sample. So this is a house-made one:
mutants come from :mod:`tests.mutants`, tests are run by :mod:`tests.mutation_worker`, and the working tree is never
written to.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import random
import shutil
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.mutants import Mutant, mutants_of

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("lake", "clock", "runtime", "spaces")
_IGNORED = (
    ".git",
    ".venv",
    "__pycache__",
    ".*_cache",
    ".hypothesis",
    "out",
    "build",
    "dist",
    "*.egg-info",
    "_delta_log",
)
_WARM = (
    *("deltalake", "duckdb", "exchange_calendars", "hydra", "hypothesis", "numpy", "omegaconf", "pandas", "polars"),
    *("pyarrow", "pyarrow.compute", "pyarrow.parquet", "rich", "sklearn.cluster", "threadpoolctl", "xxhash", "yaml"),
)
_AT_FIRST = 25
"""Tests of the first run of a mutant: most die of one of them, and a run collects no more than it needs."""
_STRINGS = 0.1
"""Most emptied strings in a sample: nearly all are names of columns, whose loss the first query shouts about."""


def copy_tree(target: Path) -> Path:
    """Copy the tree without its environment, caches and lake."""

    def ignored(folder: str, names: list[str]) -> set[str]:
        unwanted = shutil.ignore_patterns(*_IGNORED)(folder, names)
        return set(names) - {"README.md"} if Path(folder) == ROOT / "lake" else unwanted

    shutil.copytree(ROOT, target, ignore=ignored)
    return target


@contextmanager
def changed(copy: Path, path: str, text: bytes) -> Iterator[None]:
    """Put other text into one file of a copy for a while."""
    file = copy / path
    before = file.read_bytes()
    file.write_bytes(text)
    try:
        yield
    finally:
        file.write_bytes(before)


def _environment(copy: Path) -> dict[str, str]:
    # A mutant may have the size and second of the file it replaces, which is all a .pyc goes by.
    return os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}


def _words(mode: str, copy: Path, *more: str) -> list[str]:
    return [sys.executable, str(copy / "tests" / "mutation_worker.py"), mode, str(copy), *more]


@dataclass(frozen=True)
class Outcome:
    """How a test run on a copy ended; ``code`` is pytest's, less than 0 for a signal, None when it took too long."""

    code: int | None
    by: str
    why: str
    seconds: float


class Worker:
    """A copy of the tree, and a process that runs tests in it.

    Parameters
    ----------
    folder : Path
        A new folder for the copy and what its tests leave.
    warm : bool
        Compile the copy and import other packages first, which pays after a few runs.
    """

    def __init__(self, folder: Path, *, warm: bool = True) -> None:
        folder.mkdir(parents=True)
        self.copy = copy_tree(folder / "tree")
        if warm:
            compiling = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", "prometheus"]
            subprocess.run([*compiling, "tests"], cwd=self.copy, check=True)
        self._process = subprocess.Popen(
            _words("serve", self.copy, *(_WARM if warm else ())),
            cwd=self.copy,
            env=_environment(self.copy),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, tests: Sequence[str], *, timeout: float = 120.0, options: Sequence[str] = ("-x",)) -> Outcome:
        """Run tests on the copy as it is now."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = {"tests": list(tests), "timeout": timeout, "options": list(options)}
        print(json.dumps(job), file=self._process.stdin, flush=True)
        return Outcome(**json.loads(self._process.stdout.readline()))

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


class TestMap:
    """Which tests run which line, and what each costs.

    Parameters
    ----------
    folder : Path
        Where it was made, or shall be: a copy of the tree, coverage's data and the tests' seconds.
    """

    __test__ = False

    def __init__(self, folder: Path) -> None:
        from coverage import CoverageData

        if not (folder / "tests.json").is_file():
            copy = copy_tree(folder / "tree")
            subprocess.run(_words("map", copy, str(folder)), cwd=copy, env=_environment(copy), stdout=2, check=False)
        self._tree = folder / "tree"
        self._data = CoverageData(str(folder / "lines"))
        self._data.read()
        book = json.loads((folder / "tests.json").read_text())
        self.failed: list[str] = book["failed"]
        self._tests: dict[str, dict[str, Any]] = book["tests"]
        self._fixtures: dict[str, float] = book["fixtures"]
        self._lines: dict[str, dict[int, frozenset[str]]] = {}

    @cached_property
    def _users(self) -> dict[str, set[str]]:
        users: dict[str, set[str]] = defaultdict(set)
        for test, told in self._tests.items():
            for fixture in told["fixtures"]:
                users[f"fixture {fixture}"].add(test)
        return users

    def _tests_by_line(self, path: str) -> dict[int, frozenset[str]]:
        if path not in self._lines:
            contexts = self._data.contexts_by_lineno(str(self._tree / path))
            self._lines[path] = {
                line: frozenset().union(*(self._users.get(c, {c} & self._tests.keys()) for c in some))
                for line, some in contexts.items()
            }
        return self._lines[path]

    def tests_of(self, mutant: Mutant) -> list[str]:
        """Tests that run a mutant, cheapest first.

        What runs once, when a module is imported, belongs to no test: then those that run any line of the module
        count, and all of them when it has no other lines.
        """
        lines = self._tests_by_line(mutant.path)
        meant = [range(first, last + 1) for first, last in mutant.where]
        for some in meant:
            found = frozenset().union(*(lines.get(i, frozenset()) for i in some))
            if found:
                return sorted(found, key=self.seconds)
        if not any(i in lines for some in meant for i in some):
            return []
        return sorted(frozenset().union(*lines.values()) or self._tests, key=self.seconds)

    def seconds(self, test: str) -> float:
        """Seconds a test took, with the shared fixtures it uses."""
        told = self._tests[test]
        return max(0.0, float(told["seconds"])) + sum(self._fixtures.get(f, 0.0) for f in told["fixtures"])

    def together(self, tests: Sequence[str]) -> float:
        """Seconds of a run of several tests: shared fixtures are made once."""
        shared = {f for t in tests for f in self._tests[t]["fixtures"]}
        own: float = sum(max(0.0, self._tests[t]["seconds"]) for t in tests)
        return own + sum(self._fixtures.get(f, 0.0) for f in shared)


@dataclass(frozen=True)
class Result:
    """What became of a mutant: ``killed``, ``survived``, ``timeout``, or ``unrun`` when no test runs its line."""

    mutant: Mutant
    verdict: str
    by: str = ""
    seconds: float = 0.0
    tests: int = 0

    def __str__(self) -> str:
        return f"{self.verdict}: {self.mutant} ({self.tests} tests, {self.seconds:.0f} s) {self.by}"


def try_mutant(worker: Worker, mutant: Mutant, known: TestMap, cap: float = 120.0) -> Result:
    """Run the tests of one mutant until one of them fails."""
    tests = known.tests_of(mutant)
    if not tests:
        return Result(mutant, "unrun")
    text = mutant.applied((worker.copy / mutant.path).read_bytes())
    spent, ran = 0.0, 0
    with changed(worker.copy, mutant.path, text):
        for some in _rounds(tests, known, cap / 3):
            outcome = worker.run(some, timeout=cap - spent)
            spent, ran = spent + outcome.seconds, ran + len(some)
            if outcome.code is None:
                return Result(mutant, "timeout", seconds=spent, tests=ran)
            if outcome.code:
                return Result(mutant, "killed", outcome.by or f"at import ({outcome.code})", spent, ran)
    return Result(mutant, "survived", seconds=spent, tests=ran)


def _rounds(tests: list[str], known: TestMap, budget: float) -> Iterator[list[str]]:
    """The cheapest tests, then the others as far as the time reaches (a first one is always run)."""
    reach = len(tests)
    while reach > 1 and known.together(tests[:reach]) > budget:
        reach -= 1
    for part in (tests[: min(_AT_FIRST, reach)], tests[_AT_FIRST:reach]):
        if part:
            yield part


def draw(count: int, seed: int, rooms: Sequence[str] = ROOMS) -> list[Mutant]:
    """Draw mutants of some rooms, each as likely as any other, but emptied strings at most a tenth."""
    files = (f for room in rooms for f in sorted((ROOT / "prometheus" / room).rglob("*.py")))
    every = [m for f in files for m in mutants_of(ROOT, f.relative_to(ROOT).as_posix())]
    random.Random(seed).shuffle(every)
    strings = [m for m in every if m.operator == "string" and m.after == "''"]
    unwanted = set(strings[round(_STRINGS * count) :])
    return [m for m in every if m not in unwanted][:count]


def campaign(
    mutants: Sequence[Mutant], known: TestMap, folder: Path, *, processes: int = 1, told: Callable[[Result], None]
) -> list[Result]:
    """Try every mutant, in as many processes as asked; ``told`` hears of each as it ends."""
    waiting: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
    for mutant in mutants:
        waiting.put(mutant)
    whole = sorted({t for m in mutants for t in known.tests_of(m)})
    results: list[Result] = []
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with Worker(folder / f"worker{number}") as worker, contextlib.suppress(queue.Empty):
                collected = worker.run(whole, options=("--collect-only",), timeout=300)
                assert collected.code == 0, f"the tests of the map are not those of the copy: {collected}"
                while True:
                    result = try_mutant(worker, waiting.get_nowait(), known)
                    results.append(result)
                    told(result)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(processes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def tally(results: Sequence[Result]) -> Counter[str]:
    """Mutants by what became of them."""
    return Counter(r.verdict for r in results)
