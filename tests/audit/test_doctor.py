"""The doctor names each kind of damage, mends what can be mended, and calls nothing healthy sick."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from prometheus.audit import rows as audit_rows
from prometheus.audit.doctor import examine
from prometheus.audit.findings import Finding, Report
from prometheus.audit.ledger import LedgerCheck
from prometheus.lake import CONTRACTS, Lake, contract
from prometheus.lake.maintenance import HOUR, Retention
from prometheus.runtime import RunOptions, run_stage
from prometheus.stages import all_stages
from prometheus.vectors import from_list_array, to_list_array
from tests import toy_command
from tests.crashes import AT_ONCE, doctor, link_lake
from tests.lake_rows import days_from, price_rows, window_rows
from tests.toy_stage import TOY, ToyParams

DAY = dt.date(2020, 1, 1)
TABLE = "numeric_window_embeddings"


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A healthy lake the toy stage ran in. For reading: copy it to write."""
    root = tmp_path_factory.mktemp("toy") / "lake"
    toy_command.make_prices(root)
    assert toy_command.main([str(root)]) == 0
    return root


@pytest.fixture
def root(toy: Path, tmp_path: Path) -> Path:
    return link_lake(toy, tmp_path / "lake")


@pytest.fixture
def lake(root: Path) -> Lake:
    return Lake.open(root)


def only(report: Report, kind: str, **about: object) -> Finding:
    """Return the one finding there is."""
    assert [f.kind for f in report.findings] == [kind], report.lines()
    finding = report.findings[0]
    for name, value in about.items():
        assert getattr(finding, name) == value
    assert not report.healthy
    assert f"{finding.table}: " in finding.line() or finding.table is None
    return finding


def file_of(root: Path, day: dt.date, table: str = TABLE) -> Path:
    return next((root / contract(table).layer / table).rglob(f"as_of_date={day}/*.parquet"))


def replaced(path: Path, content: bytes) -> None:
    """Write a file anew: other lakes share the old one."""
    path.unlink()
    path.write_bytes(content)


def append(lake: Lake, table: str, rows: pa.Table) -> None:
    """Write past the lake's write path."""
    write_deltalake(lake.location.table_uri(table), rows, mode="append")


def sessions(root: Path) -> list[dt.date]:
    return sorted(set(Lake.open(root).read(TABLE, columns=["as_of_date"])["as_of_date"].to_pylist()))


# -- healthy --


def test_a_healthy_lake_is_healthy(root: Path) -> None:
    report = doctor(root, quick=False)
    assert report.findings == report.notes == []
    assert report.healthy
    assert report.rows > 80
    assert report.lines() == [
        f"healthy: {report.tables} tables, {report.files:,} files, {report.rows:,} rows in {report.seconds:.1f} s"
    ]


def test_every_stage_says_which_rows_its_lineage_counts() -> None:
    assert [s.name for s in all_stages() if s.holds is None] == []


# -- files --


def test_files_nobody_names(root: Path) -> None:
    left = file_of(root, sessions(root)[0]).with_name("part-left.parquet")
    left.write_bytes(b"half a file")
    torn = root / "raw" / "prices_daily" / "_delta_log" / "_commit_1.json.tmp"
    torn.write_text("")
    report = doctor(root)
    record = json.loads(json.dumps(report.record()))
    assert record["healthy"] is False
    assert [(f["kind"], len(f["places"])) for f in record["findings"]] == [("orphans", 1)] * 2
    orphans = {f.table: f for f in report.findings}
    assert set(orphans) == {TABLE, "prices_daily"}
    assert orphans[TABLE].places == (str(left.relative_to(root / "embeddings" / TABLE)),)
    assert "1 file (11 bytes) that no version names" in orphans[TABLE].line()
    repaired = doctor(root, repair=True)
    assert repaired.healthy
    assert "1 file removed" in repaired.lines()[0]
    assert not left.exists()
    assert not torn.exists()
    assert doctor(root).findings == []


def test_young_files_are_not_judged_and_never_removed(root: Path) -> None:
    young = file_of(root, sessions(root)[0]).with_name("part-young.parquet")
    young.write_bytes(b"a writer is about to commit this")
    old = young.with_name("part-old.parquet")
    old.write_bytes(b"left")
    os.utime(old, (time.time() - 25 * HOUR,) * 2)
    report = examine(Lake.open(root), stages=[TOY], retention=Retention(), repair=True)
    assert report.healthy
    assert [f.places[0].rpartition("/")[2] for f in report.findings] == ["part-old.parquet"]
    assert any("1 file no version names, not judged: younger than 24 hours" in note for note in report.notes)
    assert young.exists()
    assert not old.exists()


def test_a_missing_file(root: Path) -> None:
    day = sessions(root)[3]
    file_of(root, day).unlink()
    finding = only(doctor(root), "missing", table=TABLE)
    assert f"as_of_date={day}" in finding.line()
    assert "--forget-missing" in finding.remedy
    assert not doctor(root, repair=True).healthy, "rows were given up without being asked"
    report = doctor(root, repair=True, forget_missing=True)
    assert report.healthy, report.lines()
    assert {f.kind for f in report.findings} == {"missing", "ledger"}
    assert toy_command.main([str(root)]) == 0
    assert doctor(root).findings == []
    assert len(sessions(root)) == 21


def test_a_truncated_file(root: Path) -> None:
    path = file_of(root, sessions(root)[2])
    size = path.stat().st_size
    replaced(path, path.read_bytes()[:1000])
    finding = only(doctor(root), "unreadable", table=TABLE)
    assert f"has 1,000 bytes, {size:,} were committed" in finding.sentence
    assert finding.places == (str(path.relative_to(root / "embeddings" / TABLE)),)


@pytest.mark.parametrize("where", ["vector", "footer"])
def test_a_damaged_file_of_the_right_size(root: Path, where: str) -> None:
    path = file_of(root, sessions(root)[2])
    content = bytearray(path.read_bytes())
    if where == "footer":
        content[-4:] = b"oops"
    else:
        vector = pq.ParquetFile(path).metadata.row_group(0)
        chunk = next(c for c in map(vector.column, range(vector.num_columns)) if c.path_in_schema.startswith("vector"))
        first = chunk.data_page_offset
        content[first : first + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    replaced(path, bytes(content))
    assert bool(doctor(root).findings) == (where == "footer")  # a quick look leaves vectors unread
    finding = only(doctor(root, quick=False), "unreadable", table=TABLE)
    assert "cannot be read" in finding.sentence
    assert "--forget-missing" in finding.remedy


def test_a_log_that_cannot_be_read(root: Path) -> None:
    entry = max((root / "embeddings" / TABLE / "_delta_log").glob("*.json"))
    replaced(entry, entry.read_bytes()[:50])
    finding = only(doctor(root), "unreadable", table=TABLE)
    assert "log cannot be read" in finding.sentence
    assert "_delta_log" in finding.remedy


def test_a_file_in_another_partitions_folder(root: Path) -> None:
    first, second = sessions(root)[:2]
    path = file_of(root, first)
    moved = path.parent.with_name(f"as_of_date={second}") / path.name
    shutil.move(path, moved)
    log = root / "embeddings" / TABLE / "_delta_log"
    for entry in log.glob("*.json"):
        text = entry.read_text()
        if path.name in text:
            replaced(
                entry, text.replace(f"as_of_date={first}/{path.name}", f"as_of_date={second}/{path.name}").encode()
            )
    kinds = {f.kind: f for f in doctor(root).findings}
    assert "the log says" in kinds["dates"].sentence
    assert f"as_of_date={first}" in kinds["dates"].sentence
    assert "duplicates" in kinds  # two rows of the market on one day


# -- contracts --


def test_folders_nobody_declared(root: Path) -> None:
    for path in ("raw/tweets", "notes", "engines/regimes"):
        (root / path).mkdir(parents=True)
    findings = {f.places[0]: f for f in doctor(root).findings}
    assert set(findings) == {"raw/tweets", "notes", "engines/regimes"}
    assert findings["notes"].kind == findings["raw/tweets"].kind == "unknown"
    assert "a run was killed while it made it" in findings["engines/regimes"].sentence
    left = doctor(root, repair=True)
    assert not left.healthy, "what nobody declared was removed"
    assert not (root / "engines" / "regimes").exists()


def test_a_folder_a_run_may_be_making_a_table_in_is_let_be(root: Path) -> None:
    (root / "engines" / "regimes").mkdir(parents=True)
    assert examine(Lake.open(root), stages=[TOY], repair=True).findings == []
    assert (root / "engines" / "regimes").exists()


def test_a_table_that_lost_its_log(root: Path) -> None:
    shutil.rmtree(root / "embeddings" / TABLE / "_delta_log")
    report = doctor(root, repair=True)
    finding = next(f for f in report.findings if f.kind == "unreadable")
    assert "21 files and no log" in finding.sentence
    assert not report.healthy
    assert file_of(root, toy_command.FIRST).exists(), "data was removed"


def test_a_table_of_another_shape(root: Path) -> None:
    declared = contract("regimes")
    other = pa.schema([f if f.name != "confidence" else pa.field("confidence", pa.string()) for f in declared.schema])
    other = other.remove(other.get_field_index("backend")).append(pa.field("mood", pa.string()))
    DeltaTable.create(str(root / "engines" / "regimes"), schema=other, partition_by=["region"])
    report = doctor(root)
    sentence = only(report, "contract", table="regimes").sentence
    for words in ("backend is missing", "mood is not declared", "confidence is string, declared double"):
        assert words in sentence
    assert "partitioned by region, declared model_id, variant, as_of_year" in sentence
    assert any("rows not read" in note for note in report.notes)


def test_columns_that_may_be_null_and_are(root: Path) -> None:
    declared = contract("news_articles")
    loose = pa.schema([f.with_nullable(True) for f in declared.schema])
    row = dict.fromkeys(loose.names) | {"as_of_date": DAY, "article_id": "a", "withdrawn": False}
    row |= {"known_at": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}
    write_deltalake(
        str(root / "raw" / "news_articles"), pa.Table.from_pylist([row], schema=loose), partition_by=["as_of_date"]
    )
    kinds = {f.kind: f for f in doctor(root).findings}
    assert set(kinds) == {"contract", "nulls"}
    assert "article_id may be null, declared: must not be null" in kinds["contract"].sentence
    assert "1 row without published_at" in kinds["nulls"].sentence
    assert "a" in kinds["nulls"].places[0]


# -- rows --


def test_rows_that_share_a_key(lake: Lake, root: Path) -> None:
    prices = lake.read("prices_daily", every_version=True).sort_by("as_of_date")
    append(lake, "prices_daily", prices.slice(0, 2))
    finding = only(doctor(root), "duplicates", table="prices_daily")
    assert "2 rows with a key another row has too" in finding.sentence
    assert "A/2020-01-02/2020-01-02 21:00:00+00:00" in finding.places


def test_vectors_that_are_none(lake: Lake, root: Path) -> None:
    """One with a NaN, one with an infinity, one too short; a quick look leaves vectors unread."""
    rows = lake.read(TABLE).sort_by("as_of_date").slice(0, 3)
    days = rows["as_of_date"].to_pylist()
    DeltaTable(lake.location.table_uri(TABLE)).delete(f"as_of_date <= '{days[2]}'")
    block = from_list_array(rows["vector"]).copy()
    block[0, 383], block[1, 7] = np.nan, -np.inf
    for i, width in enumerate((384, 384, 383)):
        vector = to_list_array(block[i : i + 1, :width])
        append(lake, TABLE, rows.slice(i, 1).set_column(7, rows.schema.field("vector"), vector))
    assert doctor(root, quick=True).findings == []
    report = doctor(root, quick=False)
    assert [(f.kind, f.table) for f in report.findings] == [("vectors", TABLE)] * 2, report.lines()
    said = {f.sentence.partition(",")[0]: f.places for f in report.findings}
    assert list(said) == ["1 row with a vector that is not 384 wide", "2 rows with NaN or infinity in vector"]
    short, wild = said.values()
    assert str(days[2]) in short[0]
    assert [str(d) in place for d, place in zip(days[:2], sorted(wild), strict=True)] == [True, True]


def test_dates_outside_their_partition(lake: Lake, root: Path) -> None:
    row = dict.fromkeys(contract("news_articles").schema.names) | {
        "as_of_date": DAY,
        "article_id": "a",
        "published_at": dt.datetime(2020, 1, 2, 3, tzinfo=dt.UTC),
        "known_at": dt.datetime(2020, 1, 2, 3, tzinfo=dt.UTC),
        "withdrawn": False,
    }
    lake.deliver("news_articles", pa.Table.from_pylist([row], schema=contract("news_articles").schema))
    finding = only(doctor(root), "dates", table="news_articles")
    assert "1 row under another as_of_date than the published_at says" in finding.sentence


def test_a_table_is_read_some_partitions_at_a_time(lake: Lake, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_rows, "_BATCH_FILES", 3)
    report = doctor(root, quick=False)
    assert report.findings == []
    assert report.rows == sum(lake.count(t) for t in lake.tables())
    append(lake, "prices_daily", lake.read("prices_daily", every_version=True))
    assert "42 rows with a key another row has too" in only(doctor(root), "duplicates").sentence


# -- books --


def test_days_that_hold_another_number_than_lineage_says_are_made_again(
    lake: Lake, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, days = lake.digest(TABLE), sessions(root)
    DeltaTable(lake.location.table_uri(TABLE)).delete(f"as_of_date IN ('{days[4]}', '{days[7]}')")
    finding = only(doctor(root), "ledger", table=TABLE)
    assert (
        f"lineage of toy [v0] US says 1 row on {days[4]}, the table holds 0 (1 more days like it)" in finding.sentence
    )
    assert finding.places == (str(days[4]), str(days[7]))
    assert run_stage(lake, TOY, ToyParams(), days[0], days[-1]).done == 0, "the plan trusts lineage"
    repaired = doctor(root, repair=True)
    assert repaired.healthy
    assert "2 days marked as not done" in repaired.lines()[0]
    waiting = doctor(root)
    assert waiting.findings == []
    assert any("2 days marked as not done" in note for note in waiting.notes)
    run_stage(Lake.open(root), TOY, ToyParams(), days[0], days[-1], options=RunOptions(dry_run=True))
    assert "2 marked as not done" in capsys.readouterr().err
    assert run_stage(Lake.open(root), TOY, ToyParams(), days[0], days[-1]).done == 2
    assert lake.digest(TABLE) == before
    assert doctor(root).notes == []


def test_rows_without_lineage(lake: Lake, root: Path) -> None:
    lake.delete("lineage", {"stage": "toy"})
    finding = only(doctor(root), "ledger", table=TABLE)
    assert "21 rows of model_id=toy-v1, variant=v0, entity_type=MARKET on 21 days" in finding.sentence
    assert "without lineage" in finding.sentence
    assert "`toy`" in finding.remedy
    assert toy_command.main([str(root)]) == 0
    assert doctor(root).findings == []


def test_a_run_for_some_names_is_no_disagreement(lake: Lake, root: Path) -> None:
    run_stage(lake, TOY, ToyParams(only=("A",)), DAY, sessions(root)[3])
    assert doctor(root).findings == []


def _start_run(lake: Lake, hours_ago: float) -> None:
    started = lake.read("job_runs", where={"event": "started"}).to_pylist()[0]
    at = dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours_ago)
    lake.append(
        "job_runs",
        pa.Table.from_pylist([started | {"run_id": "lost", "recorded_at": at}], schema=contract("job_runs").schema),
    )


def test_a_run_that_never_ended_is_closed(lake: Lake, root: Path) -> None:
    _start_run(lake, 30)
    report = examine(lake, stages=[TOY], retention=Retention())
    finding = only(report, "runs", places=("lost",))
    assert "a run of toy [v0]" in finding.sentence
    assert "never ended" in finding.sentence
    assert examine(lake, stages=[TOY], retention=Retention(), repair=True).healthy
    assert examine(lake, stages=[TOY], retention=Retention()).findings == []
    closed = lake.read("job_runs", where={"run_id": "lost", "event": "failed"}).to_pylist()
    assert ["the process ended without a word" in r["error"] for r in closed] == [True]


def test_what_a_run_is_at_is_not_judged(lake: Lake, root: Path) -> None:
    _start_run(lake, 1)
    days = sessions(root)
    DeltaTable(lake.location.table_uri(TABLE)).delete(f"as_of_date = '{days[0]}'")
    lake.delete("lineage", {"as_of_date": days[1]})
    report = examine(lake, stages=[TOY], retention=Retention(), repair=True)
    assert report.findings == []
    assert sum("not judged" in note for note in report.notes) == 3
    assert {f.kind for f in doctor(root).findings} == {"runs", "ledger"}


def test_lineage_of_stages_nobody_knows_is_noted(lake: Lake) -> None:
    report = examine(lake, stages=all_stages(), retention=AT_ONCE)
    assert any("lineage not compared with rows: toy [v0]" in note for note in report.notes)


def test_books_that_are_written_meanwhile_are_looked_at_again(
    lake: Lake, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that came with their lineage while the doctor looked are no disagreement."""
    days, look = sessions(root), LedgerCheck.rows
    withheld = lake.read("lineage", where={"as_of_date": days[2]})
    lake.delete("lineage", {"as_of_date": days[2]})

    def slowly(self: LedgerCheck, inventories: object) -> list[Finding]:
        found = list(look(self, inventories))  # type: ignore[arg-type]
        if not lake.read("lineage", where={"as_of_date": days[2]}).num_rows:
            lake.append("lineage", withheld)
        return found

    monkeypatch.setattr(LedgerCheck, "rows", slowly)
    assert doctor(root).findings == []


# -- the rest --


def test_temporary_files_of_caches(root: Path) -> None:
    folder = root / "cache" / "text" / "f00"
    folder.mkdir(parents=True)
    kept, left = folder / "1.segment", folder / "2.writing"
    state = root / "cache" / "states" / "prices_daily.17.tmp"
    for path in (kept, left, state):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    assert examine(Lake.open(root), stages=[TOY]).findings == []
    assert len(only(doctor(root), "leftovers", table=None).places) == 2
    assert doctor(root, repair=True).healthy
    assert kept.exists()
    assert not left.exists()
    assert not state.exists()


def test_an_odd_partition_name_is_no_damage(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path / "odd", create=True)
    lake.upsert(TABLE, window_rows(days_from(DAY, 2), ["A"], variant="w 21/é%"))
    report = doctor(tmp_path / "odd", quick=False)
    assert {f.kind for f in report.findings} == {"ledger"}  # rows no run wrote
    assert "variant=w 21/é%" in report.findings[0].sentence


def test_a_lake_without_books_is_examined_too(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path / "raw", create=True)
    lake.deliver("prices_daily", price_rows(days_from(DAY, 2), ["A"]))
    assert doctor(tmp_path / "raw").lines()[-1].startswith("healthy: 1 table, 2 files, 2 rows")


def test_every_contract_can_be_checked(tmp_path: Path) -> None:
    """An empty table of each contract is as declared."""
    lake = Lake.open(tmp_path / "all", create=True)
    for declared in CONTRACTS.values():
        lake._handles.create(declared)
    report = doctor(tmp_path / "all", quick=False)
    assert report.findings == []
    assert report.tables == len(CONTRACTS)
