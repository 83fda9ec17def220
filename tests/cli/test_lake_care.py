"""``prometheus lake doctor | vacuum | restore``: what they print, and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prometheus.cli.config import conf_dir
from prometheus.cli.lake_care import retention_of
from prometheus.cli.main import main
from prometheus.lake import Lake
from prometheus.lake.maintenance import Retention
from tests import toy_command
from tests.commands import call
from tests.crashes import link_lake

TABLE = "numeric_window_embeddings"


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("toy") / "lake"
    toy_command.make_prices(root)
    assert toy_command.main([str(root)]) == 0
    toy_command.deliver_late(root)
    assert toy_command.main([str(root)]) == 0
    return root


@pytest.fixture
def root(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = link_lake(toy, tmp_path / "lake")
    monkeypatch.setenv("PROMETHEUS_LAKE", str(root))
    monkeypatch.chdir(tmp_path)
    return root


def lake(*words: str) -> int:
    return call(main, ["lake", *words])


def put_orphan(root: Path) -> Path:
    orphan = next((root / "embeddings" / TABLE).rglob("*.parquet")).with_name("part-left.parquet")
    orphan.write_bytes(b"left")
    return orphan


def test_doctor_tells_and_mends(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lake("doctor") == 0
    assert "\nhealthy: " in "\n" + capsys.readouterr().out
    orphan = put_orphan(root)
    assert lake("doctor") == 0  # too young to be judged
    assert "not judged" in capsys.readouterr().out
    assert lake("doctor", "--quick", "--older-than-hours", "0") == 1
    out = capsys.readouterr().out
    assert f"{TABLE}: 1 file (4 bytes) that no version names" in out
    assert "1 finding: " in out
    assert lake("doctor", "--repair", "--older-than-hours", "0") == 0
    assert "healthy, 1 repaired" in capsys.readouterr().out
    assert not orphan.exists()


def test_doctor_in_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_orphan(root)
    assert lake("doctor", "--json", "--older-than-hours", "0") == 1
    report = json.loads(capsys.readouterr().out)
    assert report["healthy"] is False
    assert [(f["kind"], f["table"], len(f["places"])) for f in report["findings"]] == [("orphans", TABLE, 1)]


def test_vacuum_shows_then_removes(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lake("vacuum") == 0
    assert "0 files, 0 bytes would be removed" in capsys.readouterr().out
    assert lake("vacuum", TABLE, "--retain-hours", "0") == 0
    shown = capsys.readouterr().out
    assert "1 file, " in shown
    assert "--no-dry-run removes them" in shown
    before = Lake.open(root).digest(TABLE)
    assert lake("vacuum", TABLE, "--retain-hours", "0", "--no-dry-run") == 0
    assert "1 file, " in capsys.readouterr().out
    assert Lake.open(root).digest(TABLE) == before
    assert lake("restore", TABLE, "--version", "5") == 2
    assert "were vacuumed" in capsys.readouterr().err
    assert lake("vacuum", "--retention", "month", "prices_daily") == 0
    assert "current in the last 672 hours" in capsys.readouterr().out


def test_restore_says_what_has_to_be_made_again(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lake("restore", TABLE, "--version", "1", "--dry-run") == 0
    assert "would go from version 6 back to version 1" in capsys.readouterr().out
    assert lake("restore", "prices_daily", "--version", "1") == 0
    out = capsys.readouterr().out
    assert "prices_daily is at version 3, with the rows of version 1" in out
    assert "stale" in out
    assert lake("restore", "prices_daily", "--version", "1") == 0
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("restore", TABLE, "--version", "99"), "has versions 0 to 6, not 99"),
        (("restore", "nonsense", "--version", "1"), "there is no table 'nonsense'"),
        (("restore", "regimes", "--version", "1"), "was never written"),
        (("restore", TABLE), "--version"),
        (("restore", TABLE, "--version", "two"), "'two' is not a whole number"),
        (("vacuum", "--retain-hours", "-1"), "is not a whole number"),
        (("vacuum", "nonsense"), "there is no table 'nonsense'"),
        (("vacuum", "--retention", "forever"), "there is no retention 'forever'; there are default, month"),
        (("doctor", "--older-than-hours", "soon"), "is not a whole number"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_requests(root: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str) -> None:
    assert lake(*words) == 2
    said = capsys.readouterr()
    assert sentence in said.err
    assert said.out == ""


def test_every_retention_loads_and_the_default_is_the_declared_one() -> None:
    names = [p.stem for p in (conf_dir() / "retention").glob("*.yaml")]
    assert retention_of("default") == Retention()
    assert {retention_of(name).retain_hours for name in names} == {168, 672}
    assert retention_of("default", retain_hours=0, orphan_hours=None).retain_hours == 0


def test_no_lake_is_no_healthy_lake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for action in (("doctor",), ("vacuum",), ("restore", TABLE, "--version", "1")):
        assert lake(*action, "--lake", str(tmp_path / "nothing")) == 1
        assert "there is no lake" in capsys.readouterr().err
