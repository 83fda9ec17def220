"""What the store would not do is a sentence; a bug stays a bug."""

from __future__ import annotations

import datetime as dt
import errno
import os
import shutil
from pathlib import Path

import duckdb
import polars as pl
import pytest
from deltalake.exceptions import DeltaError

from prometheus.cli.command import guarded
from prometheus.errors import StorageError
from prometheus.lake import Lake
from prometheus.lake.storage_errors import storage_refusal
from tests.lake_rows import days_from, price_rows, window_rows

RUST = "Failed to parse parquet: External: Generic LocalFileSystem error: Unable to copy data to file: {} (os error {})"
COLOURED = "Generic LocalFileSystem error\n   \x1b[31m↳\x1b[0m Unable to copy data to file\n  \x1b[31m↳\x1b[0m {} (os error {})"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EFBIG, "ulimit -f"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EACCES, "this user may not read or write here"),
        (errno.EPERM, "this user may not read or write here"),
        (errno.EMFILE, "ulimit -n"),
        (errno.EIO, "prometheus lake doctor"),
    ],
)
def test_whoever_says_it(number: int, words: str) -> None:
    text = os.strerror(number)
    for error in (
        OSError(number, text, "/lake/raw/x"),
        OSError(COLOURED.format(text, number)),
        DeltaError(RUST.format(text, number)),
        duckdb.IOException(f'IO Error: Could not write file "/lake/raw/x": {text}'),
    ):
        refused = storage_refusal(error)
        assert refused is not None, error
        assert words in str(refused)
        assert "run the same command again" in str(refused)
        assert refused.exit_code == 1
    assert "/lake/raw/x" in str(storage_refusal(OSError(number, text, "/lake/raw/x")))


def test_numpy_says_neither_number_nor_name() -> None:
    refused = storage_refusal(OSError("6144 requested and 4096 written"))
    assert "the disk is full" in str(refused)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (duckdb.IOException('No files found that match the pattern "/lake/a.parquet"'), "/lake/a.parquet"),
        (duckdb.IOException('Cannot open file "/lake/a.parquet": No such file or directory'), "moved or removed"),
        (
            DeltaError("Object at location /lake/a not found: No such file or directory (os error 2)"),
            "moved or removed",
        ),
        (
            DeltaError("Kernel error: File not found: /lake/a/_delta_log/1.json"),
            "a file of the lake is not there (/lake/a",
        ),
        (DeltaError("Invalid table version: 3"), "log is not there any more"),
        (
            DeltaError("Kernel error: Generic delta kernel error: Requested snapshot version 1 is not available"),
            "log is not there any more",
        ),
        (duckdb.InvalidInputException("No magic bytes found at end of file '/lake/a.parquet'"), "is damaged"),
        (DeltaError("Kernel error: Json error: Truncated record"), "prometheus lake doctor"),
    ],
)
def test_what_is_gone_or_damaged(error: Exception, words: str) -> None:
    refused = storage_refusal(error)
    assert refused is not None
    assert words in str(refused)


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file or directory", "conf/x.yaml"),
        duckdb.BinderException("Binder Error: column x not found"),
        DeltaError("Schema error"),
        ValueError("the disk is full"),
        KeyError("x"),
    ],
)
def test_a_bug_is_never_dressed_up(error: Exception) -> None:
    assert storage_refusal(error) is None


def test_a_lake_that_was_taken_away_is_not_made_anew(lake: Lake) -> None:
    rows = window_rows(days_from(dt.date(2020, 1, 1), 1), ["A"])
    lake.upsert("numeric_window_embeddings", rows)
    shutil.rmtree(lake.location.root)
    for write in (
        lambda: lake.upsert("numeric_window_embeddings", rows),
        lambda: lake.deliver("prices_daily", price_rows(days_from(dt.date(2020, 1, 1), 1), ["A"])),
    ):
        with pytest.raises(StorageError, match="moved or removed"):
            write()
    assert not Path(lake.location.root).exists()


@pytest.mark.parametrize("kind", [OSError, pl.exceptions.ComputeError])
def test_sums_that_cannot_be_kept_are_done_without(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    lake.deliver("prices_daily", price_rows(days_from(dt.date(2020, 1, 1), 2), ["A"]))
    wanted = lake.states("prices_daily")
    shutil.rmtree(Path(lake.location.root) / "cache")

    def fails(self: pl.DataFrame, file: Path, **options: object) -> None:
        file.write_bytes(b"half")
        raise kind("the file is too large")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", fails)
    assert (lake.states("prices_daily").states == wanted.states).all()
    assert [p.name for p in (Path(lake.location.root) / "cache").rglob("*.*")] == []


def test_a_command_prints_the_sentence_alone(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/lake/x")

    assert guarded(fails) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: the disk is full (/lake/x). ")
    assert "Traceback" not in said.err
