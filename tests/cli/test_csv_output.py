"""CSV files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from prometheus.cli.csv_output import write_csv

HEADER = ["day", "words"]


def test_fields_are_quoted_where_they_must_be(tmp_path: Path) -> None:
    write_csv(tmp_path / "f.csv", HEADER, [("2025-01-02", 'a, "b"'), (None, "c")])
    assert (tmp_path / "f.csv").read_bytes() == b'day,words\n2025-01-02,"a, ""b"""\n,c\n'


def test_without_a_file_it_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    write_csv(None, HEADER, [])
    assert capsys.readouterr().out == "day,words\n"


def test_a_failure_leaves_the_file_before_and_nothing_beside_it(tmp_path: Path) -> None:
    def rows() -> Iterator[tuple[str, str]]:
        yield "2025-01-02", "a"
        raise RuntimeError("the lake went away")

    path = tmp_path / "f.csv"
    path.write_text("before\n")
    with pytest.raises(RuntimeError):
        write_csv(path, HEADER, rows())
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("f.csv", "before\n")]


def test_permissions_are_the_replaced_files_or_the_usual(tmp_path: Path) -> None:
    path, plain = tmp_path / "f.csv", tmp_path / "plain"
    plain.touch()
    write_csv(path, HEADER, [])
    assert path.stat().st_mode == plain.stat().st_mode
    path.chmod(0o600)
    write_csv(path, HEADER, [("d", "w")])
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_no_plain_file_is_written_to(tmp_path: Path) -> None:
    write_csv(Path(os.devnull), HEADER, [])
    assert not Path(os.devnull).is_file()
