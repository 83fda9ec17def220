"""What refuses and in which words: every line of docs/reference/errors.md is asked here, and answered as it says."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest

import prometheus
from prometheus.cli.main import main
from prometheus.lake import CONTRACTS, Lake
from tests.commands import call, script

PAGE = Path(prometheus.__file__).parent.parent / "docs" / "reference" / "errors.md"
REWRITE = "PROMETHEUS_REWRITE_PAGES"
WRITTEN_ANYWAY = {"calendar_sessions"}
"""Sessions looked up on the way stay, whatever comes of the request; the lake's books too."""

D = "--as-of 2025-01-31"
RUN, NUMERIC, TEXT, JOINT, SHOW, PROFILES, STATES, SCENARIOS, CONTEXT, EPISODES = (
    f"python -m prometheus.scripts.{name}"
    for name in (
        "run_numeric_regime",
        "backfill_numeric_embeddings",
        "backfill_text_embeddings",
        "backfill_joint_regime_context",
        "show_joint_regime_context",
        "backfill_joint_profiles",
        "backfill_joint_stab_fragility_states",
        "backfill_joint_stab_fragility_scenarios",
        "backfill_joint_assessment_context",
        "backfill_joint_episode_context",
    )
)
E_FILE = f"{EPISODES} --episodes-file data/episodes.json"


@dataclass(frozen=True)
class Case:
    """What is asked, of which files, and the exit code.

    Attributes
    ----------
    asked : str
        In words, as the page has it.
    command : str
        As typed, in a folder that holds ``data/`` with the files.
    code : int
    files : dict
        Name under ``data/`` to what it holds.
    """

    asked: str
    command: str
    code: int = 2
    files: dict[str, str | bytes] = field(default_factory=dict)


REQUESTS: tuple[Case, ...] = (
    Case("a region there is not", f"{RUN} --region MOON {D}"),
    Case("a market there is not", f"{NUMERIC} --market-id MOON_EQ {D}"),
    Case("an instrument there is not", f"{NUMERIC} --instrument-id NOBODY.US {D}"),
    Case("an instrument of another region", f"{RUN} --region US --instrument-id MRTL.EU {D}"),
    Case("an entity type there is not", f"{NUMERIC} --entity-type PLANET {D}"),
    Case("a model there is not", f"{RUN} --model-id num-x-v1 {D}"),
    Case("an encoder there is not", f"{NUMERIC} --encoder magic {D}"),
    Case("other settings under a variant that is there", f"{RUN} --window-days 42 {D}"),
    Case("a range that ends before it begins", f"{NUMERIC} --date-range 2025-01-31 2025-01-01"),
    Case("a day there is not", f"{RUN} --as-of 2025-02-30"),
    Case("no dates", f"{RUN} --region US"),
    Case("a day and a range", f"{RUN} {D} --date-range 2025-01-01 2025-01-02"),
    Case("half a range", f"{RUN} --date-range 2025-01-01"),
    Case("a flag there is not", f"{JOINT} {D} --planet MARS"),
    Case("a chunk of minus three days", f"{RUN} {D} --chunk-days -3"),
    Case("an override of nothing", f"{RUN} {D} --overrides engine.regime.nonsense=1"),
    Case("an override of what is a flag", f"{RUN} {D} --overrides region=EU"),
    Case("a listing that ends before it begins", f"{SHOW} --start 2025-01-31 --end 2025-01-01"),
    Case("a key a job has not", "prometheus backfill range=[2025-01-01,2025-01-31] planet=MARS"),
    Case("a job without a key it needs", "prometheus backfill region=US"),
    Case("a range of one day", "prometheus backfill range=[2025-01-01]"),
    Case("an ingest map there is not", "prometheus ingest source=nobody path=data"),
    Case("a path that is no folder", "prometheus ingest source=long_csv path=nowhere"),
    Case("rows that are neither kept nor refused", "prometheus ingest source=long_csv path=data on_bad_rows=ignore"),
    Case("a command there is not", "prometheus predict"),
    Case("a table there is not", "prometheus lake describe pricess_daily"),
    Case("the history of a table there is not", "prometheus lake history price"),
    Case("the digest of a table there is not", "prometheus lake digest price"),
    Case("going back in a table there is not", "prometheus lake restore price --version 0"),
    Case("a version there is not", "prometheus lake restore regimes --version 99 --dry-run"),
    Case("SQL that does not parse", 'prometheus sql "selekt 1"'),
    Case("SQL over a column there is not", 'prometheus sql "select nonsense from regimes"'),
    Case("a version that is no number", 'prometheus sql "select 1" --at regimes=first'),
    Case("a cut outside the lake's days", "prometheus audit lookahead --cut 1990-01-02 --quiet"),
    Case("a stage there is not", "prometheus audit lookahead --cut 2024-12-02 --stages alchemy --quiet"),
    Case("a retention there is not", "prometheus lake vacuum --retention forever"),
    Case("a file where a lake should be", f"{SHOW} --lake data/prices.csv", files={"prices.csv": "date,close\n"}),
    Case("a lake there is not", f"{RUN} {D} --lake nowhere", code=1),
    Case("days without prices", f"{RUN} --as-of 2015-06-01", code=1),
    Case("days beyond the calendar", f"{RUN} --date-range 2090-01-02 2090-01-31", code=1),
    Case("days before all calendars", f"{RUN} --as-of 0001-01-01", code=1),
    Case("days without regimes", f"{JOINT} --region ASIA {D} --variant hashing", code=1),
    Case("days without NEWS vectors", f"{JOINT} {D}", code=1),
    Case(
        "a language without articles",
        f"{TEXT} {D} --language ES --variant hashing --overrides encoder/text=hashing",
        code=1,
    ),
)

EPISODE = {
    "episode_id": "E1",
    "label": "a week",
    "region": "US",
    "start_date": "2025-01-27",
    "end_date": "2025-01-31",
}


def _episodes(*changed: dict[str, str]) -> dict[str, str | bytes]:
    return {"episodes.json": json.dumps([EPISODE | c for c in changed])}


REQUESTS += (
    Case("a required branch switched off", f"{PROFILES} {D} --numeric-profile-model-id '' --variant mine"),
    Case("an issuer there is not", f"{PROFILES} {D} --issuer-id ISS_NOBODY --variant hashing"),
    Case("a market that is not of the region", f"{STATES} {D} --market-id EU_EQ --region US --variant hashing"),
    Case("a weight below zero", f"{CONTEXT} {D} --w-text=-1 --variant mine"),
    Case(
        "no weight at all",
        f"{CONTEXT} {D} --w-profile 0 --w-regime 0 --w-stab 0 --w-text 0 --variant mine",
    ),
    Case("news of no days", f"{CONTEXT} {D} --text-window-days 0 --variant mine"),
    Case("a half-life of nothing", f"{CONTEXT} {D} --text-half-life 0 --variant mine"),
    Case(
        "an age that is no number of days",
        f"{PROFILES} {D} --overrides space=profile_core space.max_age.text=-3 --variant mine",
    ),
    Case(
        "statistics of a variant nobody declared",
        "prometheus backfill space=regime_macro range=[2025-01-30,2025-01-31] variants=[mine] space.calibrate=nobody",
    ),
    Case("episodes without a file", EPISODES),
    Case("an episodes file there is not", f"{EPISODES} --episodes-file nowhere.json"),
    Case("an episodes file that is no JSON: `[{`", E_FILE, files={"episodes.json": "[{\n"}),
    Case("an episodes file that is no list: `{}`", E_FILE, files={"episodes.json": "{}"}),
    Case("an episode without its region", E_FILE, files={"episodes.json": '[{"episode_id": "E1", "label": "x"}]'}),
    Case("an episodes file of no entries", E_FILE, files={"episodes.json": "[]"}),
    Case("an episodes file in UTF-16", E_FILE, files={"episodes.json": "[]".encode("utf-16")}),
    Case("an episode that is no object", E_FILE, files={"episodes.json": '["E1"]'}),
    Case("an episode of a region there is not", E_FILE, files=_episodes({"region": "MOON"})),
    Case("two episodes of one id", E_FILE, files=_episodes({}, {"label": "again"})),
    Case("an episode on a day there is not", E_FILE, files=_episodes({"start_date": "2025-02-30"})),
    Case("an episode that ends before it begins", E_FILE, files=_episodes({"end_date": "2025-01-02"})),
    Case(
        "an episode that spans no session",
        E_FILE,
        files=_episodes({"start_date": "2025-01-25", "end_date": "2025-01-26"}),
    ),
    Case("days without PROFILE vectors", f"{PROFILES} {D}", code=1),
    Case("days without stability windows", f"{STATES} --as-of 2022-10-03 --stab-variant nobody --variant mine", code=1),
    Case("scenario sets there are not", f"{SCENARIOS} --scenario-set-id NOBODY", code=1),
    Case("episodes before any regime", E_FILE, 1, _episodes({"start_date": "2023-01-03", "end_date": "2023-01-31"})),
)

PROFILE_TEXTS, MACRO_TEXTS, MAKE, ENCODE, LIST, FIND, FIND_CONTEXT, FIND_SCENARIOS, FIND_EPISODES = (
    f"python -m prometheus.scripts.{name}"
    for name in (
        "backfill_profile_text_embeddings",
        "backfill_macro_text_embeddings",
        "generate_scenarios",
        "backfill_scenario_embeddings",
        "show_joint_profiles",
        "find_similar_profiles",
        "find_similar_assessment_context",
        "find_similar_stab_scenarios",
        "find_similar_episodes_to_regime",
    )
)
ACME = f"--issuer-id ISS_ACME_CORP {D}"

LOOKING = (
    Case("neighbours of nobody", f"{FIND} {D}"),
    Case("neighbours of no date", f"{FIND} --issuer-id ISS_ACME_CORP"),
    Case("no neighbours", f"{FIND} {ACME} --top-k 0"),
    Case("an override that a search does not hear", f"{FIND} {ACME} --overrides space.proxy=X"),
    Case("neighbours of an issuer there is not", f"{FIND} --issuer-id ISS_NOBODY {D} --variant hashing", 1),
    Case(
        "neighbours on a day without rows", f"{FIND} --issuer-id ISS_ACME_CORP --as-of 2026-03-02 --variant hashing", 1
    ),
    Case("neighbours in a joint model there is not", f"{FIND} {ACME} --model-id joint-x-v1 --variant hashing", 1),
    Case("neighbours in a variant nobody made", f"{FIND} {ACME} --variant nobody", 1),
    Case("neighbours in a lake there is not", f"{FIND} {ACME} --lake nowhere", 1),
    Case("contexts like that of an instrument there is not", f"{FIND_CONTEXT} --instrument-id NOBODY.US {D}", 1),
    Case(
        "scenarios like the state of an instrument there is not", f"{FIND_SCENARIOS} --instrument-id NOBODY.US {D}", 1
    ),
    Case("episodes like a region that has no context", f"{FIND_EPISODES} --region ASIA {D} --variant hashing", 1),
    Case("a listing of no rows", f"{LIST} --limit 0"),
    Case("a listing of a day and a range", f"{LIST} {D} --start 2025-01-01"),
    Case("a listing up to a day there is not", f"{LIST} --end 2025-02-30"),
    Case("a listing of a lake there is not", f"{LIST} --lake nowhere", 1),
    Case("the slots of a model there is not", "prometheus surface slots num-x-v1"),
    Case("a report that ends before it begins", "prometheus surface report --start 2025-01-31 --end 2025-01-01"),
    Case("a report into a folder there is not", "prometheus surface report --output nowhere/surfaces.html"),
    Case("a report in place of a folder", "prometheus surface report --output data"),
    Case("a report on surfaces there are not", "prometheus surface report --only num-x-v1", 1),
    Case("a report on a lake there is not", "prometheus surface report --lake nowhere", 1),
)

SETS = f"{MAKE} --market-id US_EQ {D}"
JOB = "prometheus backfill range=[2025-01-30,2025-01-31]"

REQUESTS += (
    Case("texts of days without profiles", f"{PROFILE_TEXTS} --as-of 2025-01-29 --variant mine", 1),
    Case("macro texts of a country without any", f"{MACRO_TEXTS} {D} --country FR --variant mine", 1),
    Case("scenarios without a date", f"{MAKE} --market-id US_EQ"),
    Case("scenarios by a method there is not", f"{SETS} --method magic"),
    Case("scenarios called with a slash", f"{SETS} --name a/b"),
    Case("scenarios of an instrument there is not", f"{SETS} --instrument-id NOBODY.US"),
    Case("scenarios of a market there is not", f"{MAKE} --market-id MOON_EQ {D}"),
    Case("scenarios of no paths", f"{SETS} --num-paths 0"),
    Case("scenarios of more than a year", f"{SETS} --horizon-days 300"),
    Case("scenarios from a seed below zero", f"{SETS} --seed -1"),
    Case("scenarios with a window that is no date", f"{SETS} --window-end soon"),
    Case("scenarios with a window of the future", f"{SETS} --window-end 2025-02-14"),
    Case("scenarios that replay what is drawn", f"{SETS} --method bootstrap --replay"),
    Case("scenarios stressed more than always", f"{SETS} --method stressed --stress-share 2 --variant mine"),
    Case("scenarios of other settings under v0", f"{SETS} --method stressed --stress-share 0.25"),
    Case("scenarios of a Saturday", f"{MAKE} --market-id US_EQ --as-of 2025-02-01", 1),
    Case("scenarios in a lake there is not", f"{SETS} --lake nowhere", 1),
    Case("vectors of scenarios there are not", f"{ENCODE} --as-of 2024-11-15", 1),
    Case("a space there is not", f"{JOB} space=nobody"),
    Case("a job whose range ends before it begins", "prometheus backfill range=[2025-01-31,2025-01-01]"),
    Case("a job for a region there is not", f"{JOB} region=MOON"),
    Case("a job for no variant", f"{JOB} variants=[]"),
    Case("a job with a weight below zero", f"{JOB} variants=[mine] space.weights.text=-1"),
    Case("a job with a weight of no branch", f"{JOB} variants=[mine] space.weights.magic=1"),
    Case("a job for episodes without a file", f"{JOB} space=episode variants=[hashing]"),
    Case(
        "a job for scenarios there are not",
        "prometheus backfill space=stab_fragility_scenarios range=[2024-11-15,2024-11-15]",
        1,
    ),
    Case("a job in a lake there is not", f"{JOB} lake=nowhere", 1),
)

INGEST = "prometheus ingest source=long_csv path=data"
OWN = "prometheus ingest source=data/map.yaml path=data"
HEADER = "instrument_id,date,close,volume\n"
ROW = "A.US,2024-01-02,13.5,200\n"
MAP = """feeds:
  - table: prices_daily
    files: "prices.csv"
    columns: { instrument_id: instrument_id, as_of_date: date, close: close }
    market: US_EQ
    known_at: { session_close: true }
"""
FEW = {"id": ["A.US"], "date": ["2024-01-02"], "close": [13.5]}


def _parquet() -> bytes:
    out = io.BytesIO()
    pl.DataFrame(FEW).write_parquet(out)
    return out.getvalue()


def _broken(content: bytes) -> bytes:
    """Turn over the bits of the first page."""
    return content[:4] + bytes(b ^ 0xFF for b in content[4:40]) + content[40:]


def _map(old: str, new: str) -> dict[str, str | bytes]:
    assert old in MAP
    return {"map.yaml": MAP.replace(old, new), "prices.csv": HEADER + ROW}


PARQUET_MAP = MAP.replace("prices.csv", "prices.parquet").replace("instrument_id: instrument_id", "instrument_id: id")
GZIPPED = gzip.compress((HEADER + ROW * 200).encode(), mtime=0)

FILES = (
    Case("no file of that name", INGEST, 1, {"notes.txt": "nothing here\n"}),
    Case("`prices.csv` of 0 bytes", INGEST, 1, {"prices.csv": ""}),
    Case("a header and nothing below it", INGEST, 1, {"prices.csv": HEADER}),
    Case("no header: `A.US,2024-01-02,13.5,200`", INGEST, 1, {"prices.csv": ROW * 2}),
    Case("no dates: `instrument_id,close`", INGEST, 1, {"prices.csv": "instrument_id,close\nA.US,13.5\n"}),
    Case(
        "a column twice: `instrument_id,date,close,close`",
        INGEST,
        1,
        {"prices.csv": "instrument_id,date,close,close\nA.US,2024-01-02,1,2\n"},
    ),
    Case(
        "windows-1252 text, `Société` in line 2",
        INGEST,
        1,
        {"prices.csv": (HEADER + ROW.replace("A.US", "Société")).encode("cp1252")},
    ),
    Case("500 NUL bytes", INGEST, 1, {"prices.csv": bytes(500)}),
    Case('a quote never closed: `"A.US,2024-01-02,13.5,200`', INGEST, 1, {"prices.csv": HEADER + '"' + ROW + ROW}),
    Case("a web page: `<!DOCTYPE html>`", INGEST, 1, {"prices.csv": "<!DOCTYPE html><html>404</html>\n"}),
    Case("gzip without its last 30 bytes", INGEST, 1, {"prices.csv.gz": GZIPPED[:-30]}),
    Case("`prices.csv.gz` that is no gzip", INGEST, 1, {"prices.csv.gz": HEADER + ROW}),
    Case("a ZIP archive: `PK`", INGEST, 1, {"prices.csv": b"PK\x03\x04" + bytes(40)}),
    Case("a folder called `prices.csv`", INGEST, 1, {"prices.csv/part": ROW}),
    Case(
        "a bad row, of which none may be",
        f"{INGEST} on_bad_rows=fail",
        1,
        {"prices.csv": HEADER + ROW + "B.US,soon,1,1\n"},
    ),
    Case(
        "day and month that could be either: `03/04/2024`",
        f"{INGEST} on_bad_rows=fail",
        1,
        {"prices.csv": HEADER + ROW.replace("2024-01-02", "03/04/2024")},
    ),
    Case("Parquet without its last 20 bytes", OWN, 1, {"map.yaml": PARQUET_MAP, "prices.parquet": _parquet()[:-20]}),
    Case("Parquet with broken bytes inside", OWN, 1, {"map.yaml": PARQUET_MAP, "prices.parquet": _broken(_parquet())}),
    Case("CSV called `prices.parquet`", OWN, 1, {"map.yaml": PARQUET_MAP, "prices.parquet": HEADER + ROW}),
    Case(
        "JSON lines that are no JSON: `date,headline`",
        "prometheus ingest source=jsonl_news path=data",
        1,
        {"news.jsonl": "date,headline\n2024-01-02,up\n"},
    ),
    Case(
        'one JSON array instead of lines: `[{"id": 1}]`',
        "prometheus ingest source=jsonl_news path=data",
        1,
        {"news.jsonl": '[{"id": 1}]\n'},
    ),
    Case("a map there is not", "prometheus ingest source=data/none.yaml path=data", files={"prices.csv": HEADER}),
    Case("a map with an option there is not: `colums:`", OWN, files=_map("columns:", "colums:")),
    Case("a map of a table there is not: `table: pricess`", OWN, files=_map("prices_daily", "pricess")),
    Case("a map of a column there is not: `closing: close`", OWN, files=_map("close: close", "closing: close")),
    Case("a map without `known_at`", OWN, files=_map("    known_at: { session_close: true }\n", "")),
    Case("a map without `market`", OWN, files=_map("    market: US_EQ\n", "")),
    Case("a map that is no YAML: `feeds: [`", OWN, files={"map.yaml": "feeds: [\n"}),
    Case("a map of a source column there is not: `close: last`", OWN, 1, _map("close: close", "close: last")),
)

CASES = REQUESTS + LOOKING + FILES


@dataclass(frozen=True)
class Outcome:
    """What came of a case."""

    code: int
    out: str
    err: str
    changed: frozenset[str]

    @property
    def refusal(self) -> str:
        """The refusal, without what stands before it on a command's line."""
        return self.err[self.err.index("error: ") + len("error: ") :].strip()


def ask(case: Case, folder: Path, lake: Path) -> Outcome:
    """Run a case's command in a folder of its own; paths are told as ``<folder>``."""
    for name, content in ({"notes.txt": ""} | case.files).items():
        path = folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    words = shlex.split(case.command)
    run, arguments = (script(words[2].rpartition(".")[2]), words[3:]) if words[0] == "python" else (main, words[1:])
    before = _versions(lake)
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PROMETHEUS_LAKE", str(lake))
        patch.setenv("COLUMNS", "500")
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = call(run, arguments)
    after = _versions(lake)
    changed = frozenset(t for t in before | after if before.get(t) != after.get(t))
    said = err.getvalue().replace(str(lake), "<lake>").replace(str(folder), "<folder>")
    return Outcome(code, out.getvalue(), said, changed)


def _versions(root: Path) -> dict[str, int | None]:
    """Version of every table but the lake's books."""
    lake = Lake(root)
    return {t: lake.version(t) for t in lake.tables() if CONTRACTS[t].layer != "operations"}


@pytest.fixture(scope="module")
def outcomes(shared: Lake, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """Every case asked once: requests of a copy of the demo lake, files of a lake that is not there yet."""
    base = tmp_path_factory.mktemp("asked")
    found = {}
    for i, case in enumerate(CASES):
        folder = base / str(i)
        root = folder / "lake" if case in FILES else Path(shared.location.root)
        found[case.asked] = ask(case, folder, root)
    return found


def page(found: dict[str, Outcome]) -> str:
    """Write the page."""
    text = [
        "# Refusals",
        "",
        "What a wrong request or a file that cannot be used is answered with. Each line was asked of the commands and "
        "is compared",
        "with what they say by the tests (`make docs` writes the page anew). A command that refuses writes no row.",
        "",
        "The exit code is 2 where the request is wrong and 1 where a file cannot be used or an input is missing. "
        "Refusals go to",
        "standard error, after `error: `.",
        "",
    ]
    for title, cases, first in (
        ("Requests", REQUESTS, "asked"),
        ("Looking", LOOKING, "asked"),
        ("Files", FILES, "file"),
    ):
        text += [f"## {title}", "", f"| {first} | command | exit | refusal |", "|---|---|---|---|"]
        for case in cases:
            outcome = found[case.asked]
            text.append(f"| {case.asked} | `{case.command}` | {outcome.code} | {_cell(outcome.refusal)} |")
        text.append("")
    return "\n".join(text).rstrip() + "\n"


def _cell(refusal: str) -> str:
    """Text for a cell of a table, as it is."""
    lines = [line.strip() for line in refusal.replace("|", "\\|").splitlines() if line.strip(" ^")]
    return "<br>".join(f"`` {line} ``" if "`" in line else f"`{line}`" for line in lines)


def test_every_case_is_told_apart() -> None:
    assert len({c.asked for c in CASES}) == len(CASES)
    assert len(REQUESTS) >= 15
    assert len(LOOKING) >= 15
    assert len(FILES) >= 15


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.asked)
def test_it_is_refused_by_a_sentence_and_nothing_is_written(case: Case, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[case.asked]
    assert outcome.code == case.code, outcome.err
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    assert outcome.err.count("error: ") == 1
    assert len(outcome.refusal.splitlines()) == 1, outcome.refusal
    assert outcome.changed <= WRITTEN_ANYWAY


def test_the_page_says_what_the_commands_say(outcomes: dict[str, Outcome]) -> None:
    written = page(outcomes)
    if os.environ.get(REWRITE):
        PAGE.write_text(written, encoding="utf-8")
    assert PAGE.is_file(), f"there is no {PAGE.name}: run `make docs`, or this test with {REWRITE}=1"
    assert PAGE.read_text(encoding="utf-8") == written, f"run `make docs`, or this test with {REWRITE}=1"
