"""A sample of the files and command lines that the soak suite takes many of."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzzing.checks import Lakes, check_file, check_line
from tests.fuzzing.files import File, files
from tests.fuzzing.lines import LINES, Line

SAMPLE = settings(max_examples=20, derandomize=True, suppress_health_check=list(HealthCheck))


def test_files_are_taken_whole_or_refused(tmp_path: Path) -> None:
    lakes = Lakes(tmp_path)

    @SAMPLE
    @given(files())
    def check(file: File) -> None:
        check_file(file, lakes)

    check()
    assert lakes.taken
    assert lakes.refused


def test_commands_answer_or_refuse(
    demo_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    codes = []

    def log() -> str:
        said = caplog.text
        caplog.clear()
        return said

    @SAMPLE
    @given(LINES)
    def check(line: Line) -> None:
        codes.append(check_line(line, demo_lake, log))

    check()
    assert {0, 2} <= set(codes)
