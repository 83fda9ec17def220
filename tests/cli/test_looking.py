"""show_* and find_similar_* commands: headers byte for byte, six decimals, notices on stderr, refusals."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from pathlib import Path

import numpy as np
import pytest

import prometheus
from prometheus.cli.listing import LISTINGS
from prometheus.cli.similar import SEARCHES
from prometheus.cli.sql import run_sql
from prometheus.lake import Lake
from prometheus.market.calendars import ensure_sessions
from prometheus.search import Query, Surface, nearest
from prometheus.vectors import from_list_array
from tests.commands import call, pasted, script
from tests.search_rows import average, branch, joint_row, numeric_row, profile_row, random_vectors, write

DAY = dt.date(2025, 1, 31)
D = "2025-01-31"
HEADERS = {
    "show_joint_regime_context": "as_of_date,region,episode_id,model_id,dim,l2_norm",
    "show_joint_profiles": "as_of_date,issuer_id,instrument_id,model_id,dim,l2_norm",
    "show_joint_stab_fragility_states": "as_of_date,instrument_id,issuer_id,region,model_id,dim,l2_norm",
    "show_joint_stab_fragility_scenarios": "as_of_date,scenario_set_id,scenario_id,model_id,dim,l2_norm",
    "show_joint_assessment_context": "as_of_date,instrument_id,issuer_id,region,model_id,dim,l2_norm",
    "show_joint_episodes": "as_of_date,episode_id,label,region,start_date,end_date,model_id,dim,l2_norm",
    "show_joint_portfolios": "as_of_date,portfolio_id,model_id,dim,l2_norm",
    "find_similar_profiles": "cosine,euclidean,issuer_id,instrument_id,region,source",
    "find_similar_assessment_context": "cosine,euclidean,instrument_id,issuer_id,region,source",
    "find_similar_stab_scenarios": "cosine,euclidean,scenario_set_id,scenario_id,as_of_date,source",
    "find_similar_episodes_to_regime": "cosine,euclidean,episode_id,label,region,start_date,end_date,episode_as_of",
    "find_similar_portfolios": "cosine,euclidean,portfolio_id,as_of_date,source",
}

SHOW_PROFILES = r"""
python -m prometheus.scripts.show_joint_profiles \
  --as-of 2025-01-31 \
  --model-id joint-profile-core-v1 \
  --limit 200
"""

FIND_PROFILES = r"""
python -m prometheus.scripts.find_similar_profiles \
  --issuer-id ISS_ACME_CORP \
  --as-of 2025-01-31 \
  --model-id joint-profile-core-v1 \
  --top-k 20
"""


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A few rows of every joint space."""
    lake = Lake.open(tmp_path_factory.mktemp("looking") / "lake", create=True)
    names = ["ISS_ACME_CORP", "ISS_PEER_CORP", *(f"ISS_{i:02d}_CORP" for i in range(28))]
    days = [dt.date(2024, 1, 31), DAY]
    vectors = random_vectors(2 * len(names))
    rows = [profile_row(d, n, vectors[len(names) * i + j]) for i, d in enumerate(days) for j, n in enumerate(names)]
    stab, profile, path, context, text = random_vectors(5, 3)
    for name, issuer in (("ACME.US", "ISS_ACME_CORP"), ("PEER.US", "")):
        scope = {"entity_type": "INSTRUMENT", "entity_id": name, "region": "US", "source": "stab+profile"}
        scope |= {"issuer_id": issuer} if issuer else {}
        parts = [
            branch("stab", 1.0, "num-stab-core-v1", f"INSTRUMENT/{name}", DAY, stab),
            branch("profile", 1.0, "joint-profile-core-v1", issuer or "x", DAY, profile),
        ]
        state = average([(1.0, stab), (1.0, profile)])
        rows.append(joint_row("STAB_FRAGILITY_V0", DAY, name, scope, state, parts))
        rows.append(joint_row("ASSESSMENT_CTX_V0", DAY, name, {**scope, "source": "stab"}, state, parts))
    about = {
        "scenario_id": "7",
        "scenario_set_id": "SET_A",
        "source": "scenarios",
        "metadata": {"shock_type": "CRASH", "severity": "HIGH"},
    }
    part = branch("scenario", 1.0, "num-scenario-core-v1", "SCENARIO/SET_A/7", DAY, path)
    rows.append(joint_row("STAB_FRAGILITY_V0", DAY, "SCENARIO/SET_A/7", about, path, [part]))
    rows.append(joint_row("REGIME_CONTEXT_V0", DAY, "US", {"region": "US", "source": "regime+news"}, context))
    for i, end in enumerate((dt.date(2008, 12, 31), dt.date(2025, 1, 15), dt.date(2025, 6, 30))):
        window = {"start_date": str(end - dt.timedelta(days=90)), "end_date": str(end)}
        scope = {"episode_id": f"EP{i}", "label": "crash, then rebound", "region": "US", **window}
        rows.append(joint_row("EPISODE_V0", end, f"EP{i}", scope, text * (i + 1)))
    for name, vector in zip(("US_EQ_CORE", "US_EQ_CORE:MEAN_VARIANCE"), random_vectors(2, 4), strict=True):
        scope = {"portfolio_id": name, "region": "US", "source": "num-portfolio"}
        rows.append(joint_row("PORTFOLIO_CORE_V0", DAY, name, scope, vector))
    write(lake, "joint_embeddings", rows)
    windows = [numeric_row("num-stab-core-v1", DAY, "INSTRUMENT", n, stab) for n in ("ACME.US", "PEER.US")]
    windows.append(numeric_row("num-scenario-core-v1", DAY, "SCENARIO", "SET_A/7", path))
    write(lake, "numeric_window_embeddings", windows)
    ensure_sessions(lake, "XNYS", dt.date(2024, 1, 2), DAY)
    return lake


def run(lake: Lake, name: str, words: str = "") -> int:
    return call(script(name), [*words.split(), "--lake", str(lake.location.root)])


def rows_of(out: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(out)))


QUESTIONS = {
    "find_similar_profiles": f"--issuer-id ISS_ACME_CORP --as-of {D}",
    "find_similar_assessment_context": f"--instrument-id ACME.US --as-of {D}",
    "find_similar_stab_scenarios": f"--instrument-id ACME.US --as-of {D}",
    "find_similar_episodes_to_regime": f"--as-of {D}",
    "find_similar_portfolios": f"--portfolio-id US_EQ_CORE --as-of {D}",
}


def test_every_declaration_is_a_command_with_its_header() -> None:
    made = {name: ",".join(d.header) for name, d in (LISTINGS | SEARCHES).items()}
    assert made == HEADERS
    for name in made:
        assert callable(script(name))


@pytest.mark.parametrize("name", HEADERS)
def test_the_header_stands_alone_when_nothing_is_found(
    name: str, looked_at: Lake, capfd: pytest.CaptureFixture[str]
) -> None:
    words = "--start 1999-01-01 --end 1999-12-31" if name in LISTINGS else f"{QUESTIONS[name]} --history --quiet"
    if name == "find_similar_profiles":
        words = words.replace("--history", "--region MARS")
    if name == "find_similar_episodes_to_regime":
        words += " --model-id nobody"
    assert run(looked_at, name, words) == 0
    out, err = capfd.readouterr()
    assert out == HEADERS[name] + "\n"
    assert err == ("" if name in LISTINGS or "--history" not in words else "rank,as_of_date,entity_key,cosine\n")


def test_the_seeds_listing_word_for_word(
    looked_at: Lake, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_LAKE", str(looked_at.location.root))
    name, words, _ = pasted(SHOW_PROFILES)
    assert call(script(name), words) == 0
    out, err = capfd.readouterr()
    lines = out.splitlines()
    assert (lines[0], len(lines), err) == (HEADERS[name], 31, "")
    stored = looked_at.read("joint_embeddings", dates=(DAY, DAY), where={"entity_key": "ISS_ACME_CORP"})
    norm = np.linalg.norm(from_list_array(stored["vector"]).astype(np.float64))
    assert f"2025-01-31,ISS_ACME_CORP,ACME.US,joint-profile-core-v1,384,{norm:.6f}" in lines
    assert [line.split(",")[1] for line in lines[1:]] == sorted(line.split(",")[1] for line in lines[1:])


def test_the_seeds_search_word_for_word(
    looked_at: Lake, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_LAKE", str(looked_at.location.root))
    name, words, _ = pasted(FIND_PROFILES)
    assert call(script(name), words) == 0
    out, err = capfd.readouterr()
    assert err == ""
    found = rows_of(out)
    assert len(found) == 20
    surface = Surface.joint("PROFILE_CORE_V0", "joint-profile-core-v1")
    query = Query.read(looked_at, surface, DAY, entity_key="ISS_ACME_CORP")
    expected = nearest(looked_at, surface, query, k=20).to_pylist()
    assert [list(row.values()) for row in found] == [
        [
            f"{e['cosine']:.6f}",
            f"{e['euclidean']:.6f}",
            e["entity_key"],
            e["entity_key"][4:].removesuffix("_CORP") + ".US",
            "US",
            "num+text",
        ]
        for e in expected
    ]
    assert out.splitlines()[0] == HEADERS[name]


def test_the_recipe_in_sql_says_the_same(looked_at: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    page = Path(prometheus.__file__).parent.parent / "docs" / "how-to" / "search.md"
    recipe = page.read_text(encoding="utf-8").partition("```sql\n")[2].partition("```")[0]
    assert run(looked_at, "find_similar_profiles", QUESTIONS["find_similar_profiles"]) == 0
    command, _ = capfd.readouterr()
    assert run_sql(recipe, str(looked_at.location.root), as_csv=True) == 0
    assert capfd.readouterr() == (command, "")
    assert command.count("\n") == 21


def test_history_says_its_dates_on_stderr(looked_at: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(looked_at, "find_similar_profiles", f"{QUESTIONS['find_similar_profiles']} --history --top-k 3") == 0
    out, err = capfd.readouterr()
    note, _, second = err.partition("\n")
    assert note == "compared with dates up to 2024-10-29: 63 XNYS sessions before 2025-01-31"
    shown, dated = rows_of(out), rows_of(second)
    assert [r["cosine"] for r in shown] == [r["cosine"] for r in dated]
    assert [(r["rank"], r["as_of_date"]) for r in dated] == [(str(i), "2024-01-31") for i in (1, 2, 3)]
    assert [r["issuer_id"] for r in shown] == [r["entity_key"] for r in dated]
    words = f"{QUESTIONS['find_similar_profiles']} --history --top-k 2 --quiet --json-logs"
    assert run(looked_at, "find_similar_profiles", words) == 0
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [(e["rank"], e["as_of_date"]) for e in lines] == [(1, "2024-01-31"), (2, "2024-01-31")]


def test_explain_writes_shares_to_stderr(looked_at: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    words = f"{QUESTIONS['find_similar_stab_scenarios']} --explain"
    assert run(looked_at, "find_similar_stab_scenarios", words) == 0
    out, err = capfd.readouterr()
    (found,), (why,) = rows_of(out), rows_of(err)
    assert (found["scenario_set_id"], found["scenario_id"], found["as_of_date"]) == ("SET_A", "7", D)
    assert list(why) == ["rank", "as_of_date", "entity_key", "cosine", "stab"]
    assert why["stab"] == why["cosine"] == found["cosine"]
    assert run(looked_at, "find_similar_profiles", f"{QUESTIONS['find_similar_profiles']} --explain") == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err == "error: the row of PROFILE_CORE_V0 of ISS_ACME_CORP says nothing of its branches\n"


def test_scenarios_and_states_are_told_apart(looked_at: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(looked_at, "show_joint_stab_fragility_states") == 0
    states = rows_of(capfd.readouterr().out)
    assert [(r["instrument_id"], r["issuer_id"]) for r in states] == [("ACME.US", "ISS_ACME_CORP"), ("PEER.US", "")]
    for words, count in (("", 1), ("--scenario-set-id SET_A", 1), ("--scenario-set-id SET_B", 0)):
        assert run(looked_at, "show_joint_stab_fragility_scenarios", words) == 0
        found = rows_of(capfd.readouterr().out)
        assert [(r["scenario_set_id"], r["scenario_id"]) for r in found] == [("SET_A", "7")] * count
    assert run(looked_at, "find_similar_assessment_context", QUESTIONS["find_similar_assessment_context"]) == 0
    (peer,) = rows_of(capfd.readouterr().out)
    assert (peer["cosine"], peer["euclidean"], peer["instrument_id"]) == ("1.000000", "0.000000", "PEER.US")


def test_episodes_known_by_then(looked_at: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(looked_at, "find_similar_episodes_to_regime", QUESTIONS["find_similar_episodes_to_regime"]) == 0
    found = rows_of(capfd.readouterr().out)
    # Parallel vectors have one cosine; the tie goes by date. The third ends later.
    assert [(r["episode_id"], r["episode_as_of"], r["label"]) for r in found] == [
        ("EP0", "2008-12-31", "crash, then rebound"),
        ("EP1", "2025-01-15", "crash, then rebound"),
    ]
    assert found[0]["start_date"] == "2008-10-02"
    assert run(looked_at, "find_similar_episodes_to_regime", f"--as-of {D} --history --quiet") == 0
    assert [r["episode_id"] for r in rows_of(capfd.readouterr().out)] == ["EP0"]
    assert run(looked_at, "show_joint_episodes", "--episode-id EP1") == 0
    (shown,) = rows_of(capfd.readouterr().out)
    assert (shown["as_of_date"], shown["end_date"]) == ("2025-01-15", "2025-01-15")


def test_portfolios_of_a_day_and_of_another_model(looked_at: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(looked_at, "show_joint_portfolios", f"--as-of {D}") == 0
    shown = rows_of(capfd.readouterr().out)
    assert [r["portfolio_id"] for r in shown] == ["US_EQ_CORE", "US_EQ_CORE:MEAN_VARIANCE"]
    assert {(r["model_id"], r["dim"]) for r in shown} == {("joint-portfolio-core-v1", "384")}
    assert run(looked_at, "find_similar_portfolios", QUESTIONS["find_similar_portfolios"]) == 0
    (found,) = rows_of(capfd.readouterr().out)
    assert (found["portfolio_id"], found["as_of_date"], found["source"]) == (
        "US_EQ_CORE:MEAN_VARIANCE",
        D,
        "num-portfolio",
    )


def test_a_cut_listing_says_how_many_more(looked_at: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(looked_at, "show_joint_profiles", "--limit 33") == 0
    out, err = capfd.readouterr()
    days = [r["as_of_date"] for r in rows_of(out)]
    assert (days.count("2024-01-31"), days.count(D)) == (30, 3)
    assert err == "27 more rows; raise --limit to see them\n"
    assert run(looked_at, "show_joint_profiles", "--issuer-id ISS_PEER_CORP --start 2024-06-01") == 0
    assert [r["as_of_date"] for r in rows_of(capfd.readouterr().out)] == [D]


MISSING = {
    "find_similar_profiles": (
        f"--issuer-id ISS_NOBODY --as-of {D} --variant other",
        "issuer_id ISS_NOBODY on 2025-01-31; make it with `python -m prometheus.scripts.backfill_joint_profiles "
        "--as-of 2025-01-31 --issuer-id ISS_NOBODY --variant other`",
    ),
    "find_similar_assessment_context": (
        "--instrument-id ACME.US --as-of 2025-01-30",
        "backfill_joint_assessment_context --as-of 2025-01-30 --instrument-id ACME.US`",
    ),
    "find_similar_stab_scenarios": (
        f"--instrument-id NOBODY.US --as-of {D}",
        "backfill_joint_stab_fragility_states --as-of 2025-01-31 --instrument-id NOBODY.US`",
    ),
    "find_similar_episodes_to_regime": (
        f"--region EU --as-of {D}",
        "backfill_joint_regime_context --as-of 2025-01-31 --region EU`",
    ),
    "find_similar_portfolios": (
        f"--portfolio-id NOBODY --as-of {D}",
        "backfill_joint_portfolios --as-of 2025-01-31 --portfolio-id NOBODY`",
    ),
}


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_row_is_1_and_names_what_makes_it(
    name: str, looked_at: Lake, capfd: pytest.CaptureFixture[str]
) -> None:
    words, sentence = MISSING[name]
    assert run(looked_at, name, words) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert sentence in err
    assert err.startswith("error: there is no row of ")


WRONG = {
    "no issuer": ("find_similar_profiles", f"--as-of {D}", "required: --issuer-id"),
    "no date": ("find_similar_profiles", "--issuer-id X", "required: --as-of"),
    "no neighbours": (
        "find_similar_profiles",
        f"{QUESTIONS['find_similar_profiles']} --top-k 0",
        "not a whole number of at least 1",
    ),
    "a date and a range": ("show_joint_profiles", f"--as-of {D} --start {D}", "not allowed with --start or --end"),
    "a range that ends before it begins": (
        "show_joint_episodes",
        f"--start {D} --end 2025-01-01",
        "--end 2025-01-01 is before --start",
    ),
    "an override nobody hears": (
        "find_similar_profiles",
        f"{QUESTIONS['find_similar_profiles']} --history --overrides space.proxy=X",
        "here it takes keys of calendar",
    ),
    "an override nobody hears without history": (
        "find_similar_profiles",
        f"{QUESTIONS['find_similar_profiles']} --overrides space.proxy=X",
        "here it takes keys of calendar",
    ),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_request_is_2(case: tuple[str, str, str], looked_at: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    name, words, sentence = case
    head, _, overrides = words.partition(" --overrides ")
    arguments = [
        *head.split(),
        "--lake",
        str(looked_at.location.root),
        *(["--overrides", overrides] if overrides else []),
    ]
    assert call(script(name), arguments) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert sentence in err


def test_no_candidates_at_all_names_who_makes_some(looked_at: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(looked_at, "find_similar_episodes_to_regime", f"--as-of {D} --model-id nobody") == 0
    out, err = capfd.readouterr()
    assert out == HEADERS["find_similar_episodes_to_regime"] + "\n"
    assert "`python -m prometheus.scripts.backfill_joint_episode_context` makes some" in err


ELSEWHERE = {
    "--issuer-id ISS_PEER_CORP --as-of 2024-06-28": "(the last before is of 2024-01-31, the next is of 2025-01-31)",
    "--issuer-id ISS_PEER_CORP --as-of 2024-01-01": "(the next is of 2024-01-31)",
    f"--issuer-id ISS_NOBODY --as-of {D}": "(no date of this surface has one)",
    f"--issuer-id ISS_PEER_CORP --as-of {D} --variant mine": "(there is joint-profile-core-v1 [v0])",
    f"--issuer-id ISS_PEER_CORP --as-of {D} --model-id mine": "--joint-model-id mine` (there is joint-profile-core-v1 [v0])",
}


@pytest.mark.parametrize("words", ELSEWHERE)
def test_a_refusal_says_where_there_are_rows(words: str, looked_at: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(looked_at, "find_similar_profiles", words) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.endswith(f"{ELSEWHERE[words]}\n")
    assert err.count("\n") == 1


def test_candidates_of_other_dates_alone_are_told(looked_at: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(looked_at, "find_similar_profiles", "--issuer-id ISS_PEER_CORP --as-of 2024-01-31 --history") == 0
    out, err = capfd.readouterr()
    assert out == HEADERS["find_similar_profiles"] + "\n"
    assert "none of the 60 rows of PROFILE_CORE_V0/joint-profile-core-v1 [v0] (2024-01-31 to 2025-01-31) may be" in err
    assert run(looked_at, "find_similar_profiles", f"{QUESTIONS['find_similar_profiles']} --region MARS") == 0
    assert "there is no row of PROFILE_CORE_V0/joint-profile-core-v1 [v0] of region MARS to compare with" in (
        capfd.readouterr().err
    )
