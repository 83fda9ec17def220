"""The ``prometheus`` command: SQL, the lake's books, the picture of the chain."""

from __future__ import annotations

import csv
import io
import re

import pytest

from prometheus import __version__
from prometheus.cli.main import main
from prometheus.lake import CONTRACTS, Lake
from prometheus.stages import STAGES, all_stages
from tests.commands import call


def run(lake: Lake, capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = call(main, [*arguments, "--lake", str(lake.location.root)])
    out, err = capfd.readouterr()
    return code, out, err


def test_sql_as_csv(shared: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    query = "select region, count(*) as n, min(as_of_date) as first from regimes group by 1 order by 1"
    code, out, err = run(shared, capfd, "sql", query, "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert (code, err) == (0, "")
    assert [(r["region"], int(r["n"])) for r in rows] == [
        (region, shared.count("regimes", {"region": region})) for region in ("EU", "US")
    ]
    assert re.fullmatch(r"2023-\d\d-\d\d", rows[0]["first"])


def test_sql_as_a_table_shortens_vectors_and_keeps_instants_in_utc(
    shared: Lake, capfd: pytest.CaptureFixture[str]
) -> None:
    query = "select article_id, known_at, null as nothing from news_articles order by known_at limit 1"
    code, out, _ = run(shared, capfd, "sql", query)
    assert code == 0
    assert re.search(r"\b20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\S*\+00:00", out)
    code, out, _ = run(shared, capfd, "sql", "select vector from joint_embeddings limit 1")
    assert code == 0
    assert "... 384 values]" in out


def test_vectors_are_ready_for_similarity(shared: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    query = (
        "select round(array_cosine_similarity(a.vector, a.vector), 5) as same, typeof(a.vector) as kind "
        "from joint_embeddings a limit 1"
    )
    code, out, _ = run(shared, capfd, "sql", query, "--csv")
    assert (code, out) == (0, "same,kind\n1.0,FLOAT[384]\n")


def test_sql_from_standard_input_and_without_rows(
    shared: Lake, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("select 1 as one, 2 as two where false"))
    assert run(shared, capfd, "sql", "-") == (0, "one  two\n(no rows)\n", "")


def test_sql_at_an_earlier_version(here: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    held = here.version("prices_daily")
    before = here.count("prices_daily")
    row = here.read("prices_daily").slice(0, 1)
    here.upsert("prices_daily", row.set_column(1, "instrument_id", [["NEW.US"]]))
    query = "select count(*) as n from prices_daily__versions"
    assert run(here, capfd, "sql", query, "--csv")[1] == f"n\n{before + 1}\n"
    assert run(here, capfd, "sql", query, "--csv", "--at", f"prices_daily={held}")[1] == f"n\n{before}\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["sql", "select nonsense from prices_daily"], "nonsense"),
        (["sql", "select * from nowhere"], "nowhere"),
        (["sql", "selekt"], "syntax error"),
        (["sql", "select 1", "--at", "prices_daily=latest"], "--at takes TABLE=VERSION, got 'prices_daily=latest'"),
        (["sql", "select 1", "--at", "prices_daily=99999"], "prices_daily"),
        (["sql", "select 1", "--at", "nowhere=1"], "nowhere"),
        (["lake", "describe", "nowhere"], "there is no table 'nowhere'"),
        (["lake", "history", "nowhere"], "there is no table 'nowhere'"),
        (["lake", "digest", "nowhere"], "there is no table 'nowhere'"),
        (["lake", "paint"], "invalid choice: 'paint'"),
        (["juggle"], "invalid choice: 'juggle'"),
    ],
)
def test_wrong_requests_are_2(
    shared: Lake, capfd: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    code, out, err = run(shared, capfd, *arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "arguments", [["sql", "select 1"], ["lake", "ls"], ["lake", "history", "regimes"], ["lake", "digest"]]
)
def test_no_lake_is_1(tmp_path, capfd: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert call(main, [*arguments, "--lake", str(tmp_path / "nowhere")]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert "there is no lake at" in err
    assert not (tmp_path / "nowhere").exists()


def test_ls_lists_every_table_with_rows_versions_and_dates(shared: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(shared, capfd, "lake", "ls")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == ["table", "rows", "version", "dates"]
    assert [line.split()[0] for line in lines[1:]] == shared.tables()
    prices = next(line.split() for line in lines if line.startswith("prices_daily"))
    assert prices[1:3] == [f"{shared.count('prices_daily'):,}", str(shared.version("prices_daily"))]
    assert prices[3:] == ["2022-10-03", "to", "2025-03-31"]


@pytest.mark.parametrize("table", sorted(CONTRACTS))
def test_describe_names_every_column(shared: Lake, capfd: pytest.CaptureFixture[str], table: str) -> None:
    code, out, _ = run(shared, capfd, "lake", "describe", table)
    declared = CONTRACTS[table]
    assert code == 0
    assert f"key: {', '.join(declared.key)}" in out
    described = {line.split()[0] for line in out.splitlines()[4:]}
    assert described == set(declared.schema.names)


def test_history_newest_first_with_the_digest_of_each_write(here: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(here, capfd, "lake", "history", "regimes")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == ["version", "at", "operation", "rows", "digest"]
    versions = [int(line.split()[0]) for line in lines[1:]]
    assert versions == list(range(here.version("regimes") or 0, -1, -1))
    newest = here.history("regimes", 1)[0]
    assert newest.digest
    assert lines[1].endswith(newest.digest)
    assert run(here, capfd, "lake", "history", "quarantine") == (0, lines[0] + "\n", "")


def test_digest_of_one_table_and_of_all_but_the_books(shared: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(shared, capfd, "lake", "digest", "regimes") == (0, f"{shared.digest('regimes')}  regimes\n", "")
    code, out, _ = run(shared, capfd, "lake", "digest")
    assert code == 0
    names = [line.split()[1] for line in out.splitlines()]
    assert names == [n for n in shared.tables() if CONTRACTS[n].layer != "operations"]
    assert "lineage" not in names


def test_stages_in_words_and_as_a_graph(capfd: pytest.CaptureFixture[str]) -> None:
    assert call(main, ["stages"]) == 0
    words = capfd.readouterr().out
    assert call(main, ["stages", "--graph"]) == 0
    graph = capfd.readouterr().out
    assert graph.startswith("graph LR\n")
    for stage in all_stages():
        assert f"{stage.name} (revision {stage.revision}): {stage.summary}" in words
        for given in stage.inputs:
            arrow = "-.->" if given.optional else "-->"
            assert f"  {given.table}[({given.table})] {arrow} stage_{stage.name}\n" in graph
        for table in stage.outputs:
            assert f"  stage_{stage.name} --> {table}[({table})]\n" in graph
    assert words.count("revision") == len(STAGES)


def test_version(capfd: pytest.CaptureFixture[str]) -> None:
    assert call(main, ["--version"]) == 0
    assert capfd.readouterr().out == f"prometheus {__version__}\n"


def test_no_command_is_2(capfd: pytest.CaptureFixture[str]) -> None:
    assert call(main, []) == 2
    assert "COMMAND" in capfd.readouterr().err


def test_the_demo_knows_which_markets_there_are(tmp_path, capfd: pytest.CaptureFixture[str]) -> None:
    assert call(main, ["demo", "--config", "atlantis", "--lake", str(tmp_path / "lake")]) == 2
    assert "there is no synthetic market 'atlantis'; there are bench, demo, test" in capfd.readouterr().err
    assert not (tmp_path / "lake").exists()
