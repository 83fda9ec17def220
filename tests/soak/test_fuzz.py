"""Two thousand files and command lines nobody would write: taken, or refused by a sentence with nothing written.

``PROMETHEUS_FUZZ_SHARE`` (default 1) takes a share of them.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings

from tests.fuzzing.checks import Lakes, check_file, check_line
from tests.fuzzing.files import File, files
from tests.fuzzing.lines import LINES, Line

pytestmark = pytest.mark.soak

SHARE = float(os.environ.get("PROMETHEUS_FUZZ_SHARE", "1"))


def _many(examples: int) -> settings:
    return settings(
        max_examples=max(1, round(SHARE * examples)),
        database=None,
        report_multiple_bugs=True,
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.parametrize("part", range(4))
def test_files_are_taken_whole_or_refused(tmp_path: Path, part: int) -> None:
    lakes = Lakes(tmp_path)

    @seed(part)
    @_many(300)
    @given(files())
    def check(file: File) -> None:
        check_file(file, lakes)

    check()
    print(f"{lakes.taken} files taken, {lakes.refused} refused")
    assert lakes.taken
    assert lakes.refused


@pytest.mark.parametrize("part", range(4))
def test_commands_answer_or_refuse(
    demo_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, part: int
) -> None:
    monkeypatch.chdir(tmp_path)
    codes: Counter[int] = Counter()

    def log() -> str:
        said = caplog.text
        caplog.clear()
        return said

    @seed(part)
    @_many(200)
    @given(LINES)
    def check(line: Line) -> None:
        codes[check_line(line, demo_lake, log)] += 1

    check()
    print(f"exit codes {dict(codes)}")
    assert codes[0]
    assert codes[2]
