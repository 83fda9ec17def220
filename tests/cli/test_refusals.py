"""Wrong requests and missing inputs: the exit code, one sentence on stderr, nothing on stdout, nothing written."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from pathlib import Path

import pytest

from prometheus.cli import stage_command
from prometheus.lake import Lake
from prometheus.market.calendars import stored_sessions
from prometheus.scripts import backfill_joint_regime_context
from prometheus.stages import stage
from tests.commands import call, script

STAGE_SCRIPTS = (
    "run_numeric_regime",
    "backfill_numeric_embeddings",
    "backfill_text_embeddings",
    "backfill_profile_text_embeddings",
    "backfill_macro_text_embeddings",
    "backfill_joint_regime_context",
)
DAY = "--as-of 2025-01-31"
HASHING = "--variant hashing --overrides encoder/text=hashing"

WRONG = {
    "an unknown region": ("run_numeric_regime", f"--region MOON {DAY}", "there is no region 'MOON'"),
    "an unknown region of a joint row": (
        "backfill_joint_regime_context",
        f"--region MOON {DAY} --variant hashing",
        "conf/calendar declares ASIA, EU, US",
    ),
    "an unknown instrument": (
        "run_numeric_regime",
        f"--instrument-id NOBODY.US {DAY}",
        "the lake has no instrument NOBODY.US in market US_EQ (region US)",
    ),
    "an instrument of another market": (
        "run_numeric_regime",
        f"--instrument-id MRTL.EU {DAY}",
        "no instrument MRTL.EU",
    ),
    "an unknown instrument among known ones": (
        "backfill_numeric_embeddings",
        f"--instrument-id AAPL.US --instrument-id NOBODY.US {DAY}",
        "no instrument NOBODY.US in market EU_EQ, US_EQ",
    ),
    "an unknown market": ("backfill_numeric_embeddings", f"--market-id MOON_EQ {DAY}", "there is no market 'MOON_EQ'"),
    "an unknown entity type": (
        "backfill_numeric_embeddings",
        f"--entity-type PLANET {DAY}",
        "INSTRUMENT, SECTOR, MARKET",
    ),
    "an unknown model": ("run_numeric_regime", f"--model-id num-x-v1 {DAY}", "there is no numeric model 'num-x-v1'"),
    "a range that ends before it begins": (
        "backfill_numeric_embeddings",
        "--date-range 2025-01-31 2025-01-01",
        "--date-range ends (2025-01-01) before it begins (2025-01-31)",
    ),
    "another window under v0": (
        "run_numeric_regime",
        f"--window-days 42 {DAY}",
        "window_days is None, now 42. Name these settings with another --variant",
    ),
    "another encoder under v0": (
        "backfill_numeric_embeddings",
        f"{DAY} --overrides encoder/numeric=pad_to_dim",
        "variant 'v0' stands for the default settings of numeric_embeddings: encoder is 'blocks', now 'pad_to_dim'",
    ),
    "other weights under a variant that is there": (
        "backfill_joint_regime_context",
        f"{DAY} --variant hashing --overrides space.weights.text=0.3",
        "weights was {'regime': 0.5, 'text': 0.5}, now {'regime': 0.5, 'text': 0.3}",
    ),
    "an override of nothing": (
        "run_numeric_regime",
        f"{DAY} --overrides engine.regime.nonsense=1",
        "Could not override 'engine.regime.nonsense'",
    ),
    "an override of what is a flag": (
        "run_numeric_regime",
        f"{DAY} --overrides region=EU",
        "for the rest there are flags",
    ),
    "a key that nobody would hear": (
        "run_numeric_regime",
        f"{DAY} --overrides +engine.regime.x=1",
        "+engine.regime.x=1",
    ),
    "an override that does not parse": ("run_numeric_regime", f"{DAY} --overrides space.proxy=[US", "do not fit"),
    "a group that has no such option": (
        "backfill_text_embeddings",
        f"{DAY} --overrides encoder/text=magic",
        "Could not find 'encoder/text/magic'",
    ),
    "a group without a name": (
        "backfill_text_embeddings",
        f"{DAY} --overrides encoder/text=null",
        "Got NoneType; space=regime_context, say, names a file of conf/space",
    ),
    "an override of the wrong type": (
        "run_numeric_regime",
        f"{DAY} --overrides engine.regime.seed=seven",
        "seed must be int, got 'seven'",
    ),
    "a choice there is not": (
        "run_numeric_regime",
        f"{DAY} --overrides engine.regime.backend=oracle",
        "backend must be one of prototypes, jump, hmm, nowcast, volatility; got 'oracle'",
    ),
    "a listing that ends before it begins": (
        "show_joint_regime_context",
        "--start 2025-01-31 --end 2025-01-01",
        "--end 2025-01-01 is before --start 2025-01-31",
    ),
}

NOT_A_COMMAND = {
    "no dates": ("run_numeric_regime", "--region US", "one of the arguments --as-of --date-range is required"),
    "a day there is not": ("run_numeric_regime", "--as-of 2025-02-30", "'2025-02-30' is not a date; write YYYY-MM-DD"),
    "words for a date": ("backfill_text_embeddings", "--as-of yesterday", "is not a date"),
    "half a range": ("backfill_numeric_embeddings", "--date-range 2025-01-01", "expected 2 arguments"),
    "a day and a range": ("run_numeric_regime", f"{DAY} --date-range 2025-01-01 2025-01-02", "not allowed with"),
    "a flag there is not": ("backfill_joint_regime_context", f"{DAY} --planet MARS", "unrecognized arguments"),
    "an encoder there is not": ("run_numeric_regime", f"{DAY} --encoder magic", "invalid choice: 'magic'"),
    "chunks of no days": ("run_numeric_regime", f"{DAY} --chunk-days 0", "not a whole number of at least 1"),
    "minus two workers": ("run_numeric_regime", f"{DAY} --workers -2", "not a whole number of at least 1"),
    "an executor there is not": ("run_numeric_regime", f"{DAY} --executor pigeon", "invalid choice: 'pigeon'"),
    "half an article": ("backfill_text_embeddings", f"{DAY} --limit 0.5", "not a whole number of at least 1"),
    "no rows": ("show_joint_regime_context", "--limit 0", "not a whole number of at least 1"),
    "more than can be counted": ("show_joint_regime_context", f"--limit {10**20}", "2,147,483,647 is the most"),
    "a start that is no date": ("show_joint_regime_context", "--start 2025/01/01", "is not a date"),
}

MISSING = {
    "prices": ("run_numeric_regime", "--as-of 2015-06-01", "there are no prices between 2015-06-01 and 2015-06-01"),
    "prices of names": ("backfill_numeric_embeddings", "--as-of 2015-06-01", "prometheus ingest"),
    "instruments of a region": ("run_numeric_regime", f"--region ASIA {DAY}", "no instruments of market ASIA_EQ"),
    "articles": ("backfill_text_embeddings", f"--as-of 2015-06-01 {HASHING}", "there are no news articles"),
    "articles in a language": ("backfill_text_embeddings", f"{DAY} --language ES {HASHING}", "no news articles in ES"),
    "regimes": (
        "backfill_joint_regime_context",
        f"--region ASIA {DAY} --variant hashing",
        "python -m prometheus.scripts.run_numeric_regime --region ASIA --date-range 2025-01-31 2025-01-31",
    ),
    "vectors of the real encoder": (
        "backfill_joint_regime_context",
        DAY,
        "python -m prometheus.scripts.backfill_text_embeddings --date-range 2025-01-31 2025-01-31",
    ),
}


def refused(
    lake: Lake, capfd: pytest.CaptureFixture[str], case: tuple[str, str, str], code: int, *, one_line: bool = True
) -> None:
    name, arguments, sentence = case
    before = {table: lake.version(table) for table in lake.tables()}
    assert call(script(name), [*_words(arguments), "--lake", str(lake.location.root)]) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert sentence in err
    if one_line:
        assert err.count("error: ") == 1
        assert "Traceback" not in err
    after = {table: lake.version(table) for table in lake.tables()}
    # A command of several stages can have finished an earlier one that had nothing to make; that is booked.
    allowed = {"calendar_sessions"} if code == 2 else {"calendar_sessions", "job_runs", "job_chunks", "lineage"}
    assert {t for t in after if after[t] != before.get(t)} <= allowed


def _words(arguments: str) -> list[str]:
    """Split, with --overrides last so that it does not take the flags after it."""
    head, _, overrides = arguments.partition(" --overrides ")
    return head.split() + (["--overrides", *overrides.split()] if overrides else [])


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_request_is_2(shared: Lake, capfd: pytest.CaptureFixture[str], case: tuple[str, str, str]) -> None:
    refused(shared, capfd, case, 2)


@pytest.mark.parametrize("case", NOT_A_COMMAND.values(), ids=NOT_A_COMMAND.keys())
def test_what_is_no_command_is_2(shared: Lake, capfd: pytest.CaptureFixture[str], case: tuple[str, str, str]) -> None:
    refused(shared, capfd, case, 2)


@pytest.mark.parametrize("case", MISSING.values(), ids=MISSING.keys())
def test_a_missing_input_is_1_and_names_what_brings_it(
    shared: Lake, capfd: pytest.CaptureFixture[str], case: tuple[str, str, str]
) -> None:
    refused(shared, capfd, case, 1)


@pytest.mark.parametrize("name", [*STAGE_SCRIPTS, "show_joint_regime_context"])
def test_no_lake_is_1_and_none_is_made(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = [] if name.startswith("show") else DAY.split()
    assert call(script(name), [*arguments, "--lake", str(tmp_path / "nowhere")]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert f"there is no lake at {tmp_path / 'nowhere'}; `prometheus ingest` makes one" in err
    assert not (tmp_path / "nowhere").exists()


def test_a_file_is_no_lake(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("prices")
    assert call(script("show_joint_regime_context"), ["--lake", str(tmp_path / "file")]) == 2
    assert "is a file; a lake is a folder" in capfd.readouterr().err


def test_a_listing_that_finds_nothing_is_0(shared: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    where = ["--lake", str(shared.location.root)]
    for arguments in (["--region", "MARS"], ["--start", "1999-01-01", "--end", "1999-12-31"], ["--variant", "none"]):
        assert call(script("show_joint_regime_context"), [*arguments, *where]) == 0
        assert capfd.readouterr() == ("as_of_date,region,episode_id,model_id,dim,l2_norm\n", "")


def test_a_listing_that_is_cut_says_so(shared: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    where = ["--variant", "hashing", "--region", "US", "--lake", str(shared.location.root)]
    wanted = {"joint_type": "REGIME_CONTEXT_V0", "variant": "hashing", "entity_key": "US"}
    everything = shared.count("joint_embeddings", wanted)
    assert call(script("show_joint_regime_context"), ["--limit", "3", *where]) == 0
    out, err = capfd.readouterr()
    assert out.count("\n") == 4
    assert err == f"{everything - 3} more rows; raise --limit to see them\n"


def test_skips_are_counted_and_strict_makes_them_1(here: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    first = min(here.read("regimes", where={"region": "US"})["as_of_date"].to_pylist())
    sessions = stored_sessions(here, "XNYS").between(first - dt.timedelta(days=14), first).dates.tolist()
    arguments = ["--date-range", str(sessions[0]), str(first), "--variant", "hashing", "--force"]
    assert call(script("backfill_joint_regime_context"), arguments) == 0
    lacking = len(sessions) - 1
    assert f"skipped {lacking} (no regime embedding {lacking}), rows 1," in capfd.readouterr().err
    assert call(script("backfill_joint_regime_context"), [*arguments, "--strict"]) == 1


def test_a_bug_is_1_with_its_traceback(
    shared: Lake,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    bugged = dataclasses.replace(stage("joint_regime_context"), compute=broken)
    monkeypatch.setattr(backfill_joint_regime_context, "stage", lambda name: bugged)
    arguments = [*DAY.split(), "--variant", "hashing", "--force", "--lake", str(shared.location.root)]
    assert call(backfill_joint_regime_context.main, arguments) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert "error: " not in err  # never dressed up as a refusal
    assert "this is a bug in prometheus" in caplog.text
    assert "Traceback" in caplog.text
    assert "ZeroDivisionError: a bug" in caplog.text
    assert shared.read("job_runs", where={"event": "failed"})["error"].to_pylist() == ["ZeroDivisionError: a bug"]


def test_ctrl_c_between_stages_is_130(
    shared: Lake, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("prometheus.runtime.run_stage", interrupted)
    assert stage_command.EXIT_INTERRUPTED == 130
    assert call(script("run_numeric_regime"), [*DAY.split(), "--lake", str(shared.location.root)]) == 130
    assert "run the same command again to go on" in capfd.readouterr().err


def test_dry_run_prints_the_plan_and_writes_nothing(here: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    before = {table: here.version(table) for table in here.tables()}
    arguments = ["--date-range", "2025-01-27", "2025-01-31", "--instrument-id", "ACME.US", "--dry-run"]
    assert call(script("run_numeric_regime"), arguments) == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert "regimes [v0]: 5 output days in 1 chunks" in err
    assert "5 missing" in err
    assert "US/ACME.US: 2025-01-27 to 2025-01-31, 5 days" in err
    assert {table: here.version(table) for table in here.tables()} == before


def test_json_logs_are_json_lines(here: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["--date-range", "2025-01-27", "2025-01-31", "--variant", "hashing", "--json-logs"]
    assert call(script("backfill_joint_regime_context"), arguments) == 0
    out, err = capfd.readouterr()
    assert out == ""
    records = [json.loads(line) for line in err.splitlines()]
    assert [r["stage"] for r in records] == ["joint_regime_context"]
    assert (records[0]["planned"], records[0]["already"], records[0]["interrupted"]) == (5, 5, False)
    assert dt.datetime.fromisoformat(records[0]["at"]).tzinfo is not None
