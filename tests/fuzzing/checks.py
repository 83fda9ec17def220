"""What must hold whatever file is brought and whatever is typed.

The ordinary suite takes a sample, the soak suite many.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from prometheus.cli.ingest import IngestSummary, ingest
from prometheus.cli.main import main
from prometheus.clock import DEFAULT_MARKETS
from prometheus.errors import PrometheusError
from prometheus.lake import CONTRACTS, Lake
from prometheus.lake.versions import MOVED
from tests.commands import call, script
from tests.fuzzing.files import File
from tests.fuzzing.lines import Line

NOW = dt.datetime(2024, 6, 28, 12, tzinfo=dt.UTC)


class Lakes:
    """A lake that is replaced by an empty one after some files."""

    def __init__(self, base: Path, each: int = 25) -> None:
        self.base, self.each, self.used = base, each, 0
        self.refused = self.taken = 0

    def next(self) -> tuple[Lake, dt.datetime]:
        """Lake and the instant of the delivery."""
        number, step = divmod(self.used, self.each)
        if step == 0 and number:
            shutil.rmtree(self.base / f"{number - 1}")
        self.used += 1
        return Lake.open(self.base / f"{number}", create=True), NOW + dt.timedelta(minutes=step)


def data_versions(lake: Lake) -> dict[str, tuple[int | None, str]]:
    """Version and digest of every data table; sessions are looked up on the way and the books are no data."""
    names = [t for t in lake.tables() if CONTRACTS[t].layer != "operations" and t != "calendar_sessions"]
    return {t: (lake.version(t), lake.digest(t)) for t in names}


def check_file(file: File, lakes: Lakes) -> None:
    """Refused with nothing changed, or taken with every row accounted for; and a second time nothing changes."""
    lake, now = lakes.next()
    folder = lakes.base / "files"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / file.name).write_bytes(file.content)
    before = data_versions(lake)
    summary = _ingested(lake, file, folder, now)
    after = data_versions(lake)
    if summary is None:
        lakes.refused += 1
        assert after == before
        return
    lakes.taken += 1
    again = _ingested(lake, file, folder, now + dt.timedelta(seconds=30))
    assert again is not None
    assert again.rows == 0, again.lines()
    assert data_versions(lake) == after


def _ingested(lake: Lake, file: File, folder: Path, now: dt.datetime) -> IngestSummary | None:
    """Ingest and account for the rows; nothing when the file was refused."""
    refused = ""
    try:
        summary = ingest(lake, file.map(), folder, markets=DEFAULT_MARKETS, now=now)
    except PrometheusError as refusal:
        refused = str(refusal)
    if refused:
        assert "\n" not in refused, refused
        return None
    for table, delivery in summary.deliveries.items():
        tally = summary.tallies[table]
        taken = delivery.new + delivery.corrected + delivery.unchanged
        fates = sum(tally.quarantined.values()) + sum(tally.dropped.values())
        marked = delivery.notes[MOVED]  # a row more for each: the withdrawal from the old day
        assert taken + fates == tally.read + tally.added + marked, summary.lines()
    return summary


def check_line(line: Line, lake: Path, log: Callable[[], str]) -> int:
    """One of three exit codes, no traceback, one refusal at most, and nothing written; returns the code.

    Parameters
    ----------
    line : Line
    lake : Path
    log : callable
        Gives what was logged since it was last asked.
    """
    before = _all_versions(lake)
    log()
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROMETHEUS_LAKE", str(lake))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = call(script(line.script) if line.script else main, line.words)
    said = err.getvalue()
    assert code in {0, 1, 2}, (code, said)
    assert "Traceback" not in said + log(), said
    assert said.count("error: ") == int(code == 2) or code == 1, said
    assert _all_versions(lake) == before
    return code


def _all_versions(root: Path) -> dict[str, int | None]:
    """Version of every table but the sessions, which are looked up on the way and kept."""
    lake = Lake.open(root)
    return {t: lake.version(t) for t in lake.tables() if t != "calendar_sessions"}
