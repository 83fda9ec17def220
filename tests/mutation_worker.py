"""A process that runs tests on a copy of the tree: ``mutation_worker.py map COPY OUT [MARKS]|serve COPY [MODULE...]``.

Run as a script with the copy as its working directory, so that ``prometheus`` and ``tests`` come from there. ``map``
runs the ordinary suite once and writes which test runs which line, and how long each takes. ``serve`` imports the
modules named, once, and then forks a child for every request on its standard input: starting a test
run costs a second instead of five.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

OPTIONS = ["-q", "-p", "no:cacheprovider", "--no-header", "--durations=0", "--tb=line", "-o", "addopts="]
OPTIONS += ["--strict-markers", "--import-mode=importlib"]
ORDINARY = "not soak and not bench and not real and not text"


class Recorder:
    """Switches coverage's context from test to test, and to a fixture of wider scope while that is made."""

    def __init__(self, coverage: Any) -> None:
        self._coverage, self._now = coverage, ""
        self._uses: dict[str, list[str]] = {}
        self._seconds: dict[str, float] = defaultdict(float)
        self._fixtures: dict[str, float] = defaultdict(float)
        self._failed: set[str] = set()
        self._skipped: set[str] = set()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        wide = []
        info = item._fixtureinfo  # type: ignore[attr-defined]
        for name in item.fixturenames:  # type: ignore[attr-defined]
            made = info.name2fixturedefs.get(name)
            if made and made[-1].scope != "function":
                wide.append(f"{made[-1].baseid}::{name}")
        self._uses[item.nodeid] = wide
        self._switch(item.nodeid)
        yield
        self._switch("")

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        if fixturedef.scope == "function":
            yield
            return
        before, began = self._now, time.monotonic()
        name = f"{fixturedef.baseid}::{fixturedef.argname}"
        self._switch(f"fixture {name}")
        yield
        self._switch(before)
        self._fixtures[name] += time.monotonic() - began
        self._seconds[before] -= time.monotonic() - began

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] += report.duration
        if report.failed:
            self._failed.add(report.nodeid)
        elif report.skipped:
            self._skipped.add(report.nodeid)

    def _switch(self, context: str) -> None:
        self._now = context
        self._coverage.switch_context(context)

    def written(self) -> dict[str, Any]:
        notice_nothing = self._failed | self._skipped
        tests = {
            t: {"seconds": self._seconds[t], "fixtures": wide}
            for t, wide in self._uses.items()
            if t not in notice_nothing
        }
        return {"tests": tests, "fixtures": dict(self._fixtures), "failed": sorted(self._failed)}


class FirstFailure:
    """Writes down the first test that fails."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self._file.exists():
            self._file.write_text(f"{report.nodeid}\n{str(report.longrepr)[-2000:]}")


def make_map(copy: Path, out: Path, marks: str) -> int:
    """Run the ordinary suite under coverage; what it runs lies in ``out`` afterwards."""
    from coverage import Coverage

    cover = Coverage(data_file=str(out / "lines"), source=[str(copy / "prometheus")], branch=False, config_file=False)
    cover.start()
    recorder = Recorder(cover)
    code = pytest.main([*OPTIONS, f"--basetemp={out / 'tmp'}", "-m", marks, "tests"], plugins=[recorder])
    cover.stop()
    cover.save()
    (out / "tests.json").write_text(json.dumps(recorder.written()))
    return int(code)


def _child(copy: Path, job: dict[str, Any]) -> None:
    os.setsid()
    with (copy.parent / "log").open("w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    first = FirstFailure(copy.parent / "failure")
    code: int = 3
    try:
        arguments = [*OPTIONS, *job["options"], f"--basetemp={copy.parent / 'tmp'}", *job["tests"]]
        code = int(pytest.main(arguments, plugins=[first]))
    finally:
        sys.stdout.flush()
        os._exit(code)


def run_job(copy: Path, job: dict[str, Any]) -> dict[str, Any]:
    """Run tests in a child, and say how it ended: pytest's exit code, less than 0 for a signal, None when too late."""
    failure = copy.parent / "failure"
    failure.unlink(missing_ok=True)
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _child(copy, job)
    ended, status = 0, 0
    while not ended and time.monotonic() - began < job["timeout"]:
        ended, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if not ended:
        os.waitpid(child, 0)
    by, _, why = failure.read_text().partition("\n") if failure.exists() else ("", "", "")
    code = os.waitstatus_to_exitcode(status) if ended else None
    return {"code": code, "by": by, "why": why, "seconds": time.monotonic() - began}


def serve(copy: Path, warm: Sequence[str]) -> None:
    """Answer requests, one JSON text a line, until the input ends."""
    for module in warm:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    assert not [m for m in sys.modules if m.split(".")[0] in {"prometheus", "tests"}]
    for line in sys.stdin:
        print(json.dumps(run_job(copy, json.loads(line))), flush=True)


if __name__ == "__main__":
    mode, folder = sys.argv[1], Path(sys.argv[2])
    sys.path[0] = str(folder)
    if mode == "map":
        sys.exit(make_map(folder, Path(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else ORDINARY))
    serve(folder, sys.argv[3:])
