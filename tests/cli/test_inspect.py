"""``prometheus ingest --inspect FILE > my.yaml``, and the ingest by that map."""

from __future__ import annotations

from pathlib import Path

import pytest

from prometheus.cli.main import _as_overrides, main
from prometheus.lake import Lake
from tests.commands import call

YAHOO = "Date,Open,High,Low,Close,Adj Close,Volume\n2024-01-02,10,12,9,11,10.5,100\n2024-01-03,10,8,9,11,10.5,100\n"


def test_what_is_proposed_loads_the_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "my files, (new)"
    folder.mkdir()
    (folder / "O.csv").write_text(YAHOO + "2024-01-06,10,12,9,11,10.5,100\n2024-01-04,,,,,,\n")
    assert call(main, ["ingest", "--inspect", str(folder / "O.csv")]) == 0
    text, words = capfd.readouterr()
    assert text.startswith("# Proposed from O.csv.")
    for said in (
        "O.csv: csv, commas; 4 rows, 7 columns",
        "for table prices_daily (one instrument's session: prices and volume as the source had them), because it has a date",
        "Adj Close -> adjusted_close (number, for example '10.5')",
        "no column names the instrument, the file's name does: O",
        "would do -> prices_daily: read 4, accepted 2, quarantined 2, dropped 0",
        "quarantined 1: not a session of XNYS",
        "nulled 1: high below close",
        "2024-01-02  O.US           10    12    9    11     10.5            100     USD       2024-01-02 22:00  False",
        "nothing was written",
    ):
        assert said in words, said
    assert [p.name for p in tmp_path.iterdir()] == [folder.name]

    (tmp_path / "my.yaml").write_text(text)
    lake = tmp_path / "lake"
    assert call(main, ["ingest", f"source={tmp_path / 'my.yaml'}", f"path='{folder}'", "--lake", str(lake)]) == 0
    assert "ingest my -> prices_daily: read 4, new 2," in capfd.readouterr().err
    assert Lake.open(lake).read("prices_daily")["instrument_id"].to_pylist() == ["O.US"] * 2
    assert Lake.open(lake).read("instruments")["symbol"].to_pylist() == ["O"]


def test_inspect_as_an_override(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "O.csv").write_text(YAHOO)
    assert call(main, ["ingest", f"inspect={tmp_path / 'O.csv'}"]) == 0
    assert "table: prices_daily" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--inspect"], 2, "error: --inspect needs a file, for example --inspect data/AAPL.csv"),
        (["--inspect", "absent.csv"], 2, "error: there is no file absent.csv to inspect"),
        (["--inspect={tmp}"], 2, "is a folder; give one of its files"),
        (["--inspect={tmp}/junk.csv"], 1, "error: junk.csv fits no raw table; nearest is"),
        (["--inspect={tmp}/none.csv"], 1, "error: none.csv is empty, without a row"),
    ],
)
def test_what_cannot_be_inspected_is_a_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], code: int, says: str
) -> None:
    (tmp_path / "junk.csv").write_text("a,b\n1,2\n")
    (tmp_path / "none.csv").write_text("")
    assert call(main, ["ingest", *(a.replace("{tmp}", str(tmp_path)) for a in arguments)]) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert says in err
    assert err.count("error: ") == 1
    assert "Traceback" not in err


def test_paths_are_quoted_for_hydra() -> None:
    assert _as_overrides(["--inspect", "a b/O'Neil, (1)=x.csv"]) == ["inspect='a b/O\\'Neil, (1)=x.csv'"]
    assert _as_overrides(["--inspect=x.csv", "lake=l"]) == ["inspect='x.csv'", "lake=l"]
