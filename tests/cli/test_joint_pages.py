"""The pages on joint spaces, their commands pasted in order on the demo lake, where texts are hashed."""

from __future__ import annotations

import datetime as dt
import re
import shlex
from pathlib import Path

import pytest

import prometheus
from prometheus.cli.main import main
from prometheus.lake import Lake
from tests.commands import call, pasted, script
from tests.demo_lakes import copy_lake
from tests.joint_worlds import plain, rows_by_key

DAY = dt.date(2025, 1, 31)
PAGES = Path(prometheus.__file__).parent.parent / "docs" / "how-to"
HASHED_BRANCHES = [f"--{b}-variant=hashing" for b in ("profile", "regime", "stab", "text")]
Said = list[tuple[str, str, str]]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def lake(demo_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """One copy for every page: each adds its own rows."""
    return copy_lake(demo_lake, tmp_path_factory.mktemp("pages") / "lake")


@pytest.fixture
def here(lake: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lake:
    monkeypatch.setenv("PROMETHEUS_LAKE", str(lake.location.root))
    monkeypatch.chdir(tmp_path)
    return lake


def blocks(page: str, language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", (PAGES / page).read_text(encoding="utf-8"), re.S | re.M)
    return ["\n".join(line.removeprefix(indent) for line in text.splitlines()) for indent, text in found]


def commands(page: str) -> list[str]:
    text = "\n".join(blocks(page, "bash"))
    return [c.strip() for c in re.split(r"\n(?=python -m |prometheus )", text)]


def paste(command: str) -> int:
    """Run a command as it stands, but over hashed texts."""
    if command.startswith("prometheus backfill"):
        words = [*shlex.split(command)[1:], "variants=[hashing]", "encoder/text=hashing"]
        return call(main, words)
    if command.startswith("prometheus "):
        return call(main, shlex.split(command)[1:])
    name, arguments, _ = pasted(command)
    if name == "backfill_profile_text_embeddings":
        arguments += ["--variant", "hashing", "--overrides", "encoder/text=hashing"]
    elif "joint" in name or name.startswith("find_similar"):
        arguments += HASHED_BRANCHES if "--variant" in arguments else ["--variant", "hashing"]
    return call(script(name), arguments)


def run_page(page: str, capfd: Capture, wanted: int) -> Said:
    asked = commands(page)
    assert len(asked) == wanted, asked
    said = []
    for command in asked:
        code = paste(command)
        out, err = capfd.readouterr()
        assert code == 0, (command, err)
        said.append((command, out, err))
    return said


def test_joint_profiles(here: Lake, capfd: Capture) -> None:
    *_, shown, found = run_page("joint-profiles.md", capfd, 6)
    lines = shown[1].splitlines()
    assert lines[0] == "as_of_date,issuer_id,instrument_id,model_id,dim,l2_norm"
    assert any(
        re.fullmatch(r"2025-01-31,ISS_ACME_CORP,ACME\.US,joint-profile-core-v1,384,\d+\.\d{6}", x) for x in lines
    )
    lines = found[1].splitlines()
    assert lines[0] == "cosine,euclidean,issuer_id,instrument_id,region,source"
    assert len(lines) == 6
    assert all(line.endswith(",num+text") for line in lines[1:])


def test_stab_fragility(here: Lake, capfd: Capture) -> None:
    *_, states, scenarios, found = run_page("stab-fragility.md", capfd, 7)
    assert states[1].startswith(
        "as_of_date,instrument_id,issuer_id,region,model_id,dim,l2_norm\n2025-01-31,AAA.US,ISS_AAA,US,"
    )
    assert scenarios[1].startswith("as_of_date,scenario_set_id,scenario_id,model_id,dim,l2_norm\n2025-01-31,crises-")
    lines = found[1].splitlines()
    assert lines[0] == "cosine,euclidean,scenario_set_id,scenario_id,as_of_date,source"
    assert len(lines) == 6
    cosines = [float(line.split(",")[0]) for line in lines[1:]]
    assert cosines == sorted(cosines, reverse=True)


def test_scenario_sets_asked_alone_leave_the_day_incomplete(here: Lake, capfd: Capture) -> None:
    """The sets of one day have one lineage row; some of them are not all of them."""
    command = script("backfill_joint_stab_fragility_scenarios")
    sets = sorted(set(here.read("scenario_sets")["scenario_set_id"].to_pylist()))
    one = sets[0]
    assert call(command, ["--variant", "alone", "--scenario-set-id", one]) == 0
    rows = rows_by_key(here, "STAB_FRAGILITY_V0", "alone")
    assert {r["scope"]["scenario_set_id"] for r in rows.values()} == {one}
    assert call(command, ["--variant", "alone"]) == 0
    every = rows_by_key(here, "STAB_FRAGILITY_V0", "alone")
    assert {r["scope"]["scenario_set_id"] for r in every.values()} == set(sets)
    assert call(command, ["--variant", "alone", "--scenario-set-id", "NOBODY"]) == 1
    assert "there are no scenarios NOBODY made between" in capfd.readouterr().err


def test_assessment_context(here: Lake, capfd: Capture) -> None:
    before = rows_by_key(here, "ASSESSMENT_CTX_V0", "hashing", as_of_date=DAY)
    job, last, shown, found, _, sql = run_page("assessment-context.md", capfd, 6)
    # The job builds what is upstream too; scenarios that another page made of that day are among the day's inputs.
    assert "joint_assessment_context [hashing]: planned 1" in job[2]
    assert "joint_profile_core [hashing]: planned" in job[2]
    assert plain(rows_by_key(here, "ASSESSMENT_CTX_V0", "hashing", as_of_date=DAY)) == plain(before)
    assert "already done 1" in last[2]
    assert shown[1].startswith(
        "as_of_date,instrument_id,issuer_id,region,model_id,dim,l2_norm\n2025-01-31,AAA.US,ISS_AAA,US,"
    )
    assert found[1].startswith("cosine,euclidean,instrument_id,issuer_id,region,source\n")
    assert len(found[1].splitlines()) == 6
    assert "profile+regime+stab" in sql[1]
    for (_, name), row in rows_by_key(here, "ASSESSMENT_CTX_V0", "structural").items():
        assert "text" not in row["by_name"], name
        assert "text" not in row["scope"]["source"]
        assert {b["name"]: b["weight"] for b in row["branches"]}.get("profile", 2.0) == 2.0


def test_episodes(here: Lake, capfd: Capture) -> None:
    (text,) = blocks("episodes.md", "json")
    Path("episodes.json").write_text(text, encoding="utf-8")
    built, shown, found = run_page("episodes.md", capfd, 3)
    assert "rows 2" in built[2]
    assert [line.split(",")[:6] for line in shown[1].splitlines()] == [
        ["as_of_date", "episode_id", "label", "region", "start_date", "end_date"],
        ["2024-11-01", "US_AUTUMN_2024", "before the election", "US", "2024-09-03", "2024-11-01"],
        ["2025-01-10", "US_TURN_2025", "turn of the year", "US", "2024-12-16", "2025-01-12"],
    ]
    lines = found[1].splitlines()
    assert lines[0] == "cosine,euclidean,episode_id,label,region,start_date,end_date,episode_as_of"
    assert {line.split(",")[2] for line in lines[1:]} == {"US_AUTUMN_2024", "US_TURN_2025"}


def test_the_other_commands_of_the_family(here: Lake, capfd: Capture) -> None:
    """Flags of the reference that the pages do not use: every one is heard."""
    day = ["--as-of", "2025-01-31"]
    hashed = ["--variant", "hashing"]
    for name, arguments, line in (
        ("backfill_joint_regime_macro_context", ["--region", "US", "--region", "EU", "--text-model-id", "text-macro-v1",
         *hashed], "joint_regime_macro [hashing]: planned 2, done 0, already done 2"),
        ("backfill_joint_regime_macro_context", ["--country", "us", "--event-type", "Nothing", "--text-variant", "hashing",
         "--variant", "narrow"], "no macro text lately 1"),
        ("backfill_joint_profiles", ["--behaviour-model-id", "", "--text-variant", "hashing", "--variant", "nobehaviour"],
         "joint_profile_core [nobehaviour]: planned 2, done 2"),
        ("backfill_joint_stab_fragility_states", ["--region", "EU", "--stab-model-id", "num-stab-core-v1",
         "--profile-joint-model-id", "joint-profile-core-v1", *hashed], "already done 1"),
        ("backfill_joint_assessment_context", ["--region", "EU", "--instrument-id", "MRTL.EU", "--text-window-days", "3",
         "--w-profile", "1.5", "--w-regime", "0.5", "--w-stab", "1", "--w-text", "0.25", "--variant", "mine",
         *HASHED_BRANCHES], "joint_assessment_context [mine]: planned 1, done 1, skipped 0, rows 1"),
    ):  # fmt: skip
        assert call(script(name), [*day, *arguments]) == 0, name
        out, err = capfd.readouterr()
        assert out == ""
        assert line in err, err
    (row,) = rows_by_key(here, "ASSESSMENT_CTX_V0", "mine").values()
    assert {b["name"]: b["weight"] for b in row["branches"]}.items() <= {
        ("profile", 1.5),
        ("regime", 0.5),
        ("stab", 1.0),
        ("text", 0.25),
    }
    without = rows_by_key(here, "PROFILE_CORE_V0", "nobehaviour")
    assert without
    assert all(set(r["by_name"]) == {"profile", "text"} for r in without.values())
    assert call(script("backfill_joint_assessment_context"), [*day, "--w-text", "2", *hashed]) == 2
    assert "weights was" in capfd.readouterr().err
