"""Files and command lines nobody would write, and what must hold whatever they are.

The ordinary suite takes a sample of them, the soak suite many.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import strategies as st

from prometheus.cli.ingest import IngestSummary, ingest
from prometheus.cli.main import main
from prometheus.clock import DEFAULT_MARKETS
from prometheus.errors import PrometheusError
from prometheus.lake import CONTRACTS, Lake
from prometheus.lake.versions import MOVED
from prometheus.market.ingest import IngestMap, load_map
from tests.commands import call, script

NOW = dt.datetime(2024, 6, 28, 12, tzinfo=dt.UTC)
COLUMNS = ("id", "date", "open", "high", "low", "close", "adjusted_close", "volume")
PRICES: dict[str, Any] = {
    "table": "prices_daily",
    "columns": {"instrument_id": "id", "as_of_date": "date"} | {c: c for c in COLUMNS[2:]},
    "market": "US_EQ",
    "known_at": {"session_close": True, "lag_minutes": 60},
}
NEWS: dict[str, Any] = {
    "table": "news_articles",
    "columns": {"article_id": "id", "published_at": "date", "headline": "open", "body": "high", "language": "low"},
    "known_at": "published_at",
}

# Files

DAYS = st.sampled_from(
    [
        "2024-01-02",
        "2024-01-03",
        "2024-01-04",
        "2024-01-05",
        "20240108",
        "2024/1/9",
        "03/04/2024",
        "23/01/2024",
        "01/24/2024",
        "2024-02-30",
        "soon",
        "1704153600",
        "2034-01-02",
        "0001-01-01",
        "9999-12-31",
        "2024-01-02T10:00:00Z",
        "2024-01-06",
        "",
        "5 Jan 2024",
        "Jan 8, 2024",
        "2024-01-03 00:00:00-05:00",
        "99999-01-01",
    ]
)
NUMBERS = st.one_of(
    st.floats(1, 500, allow_nan=False).map(lambda x: f"{x:.2f}"),
    st.sampled_from(
        [
            "0",
            "-1",
            "nan",
            "inf",
            "1e400",
            "1,234.5",
            "1.234,5",
            "1'234",
            "abc",
            "$5",
            "12%",
            "(5)",
            "-",
            "#N/A",
            "1e-300",
            "00012",
            "+5",
            "0x10",
            "",
        ]
    ),
)
WORDS = st.one_of(
    st.sampled_from(
        ["A.US", "B.US", "a.us", "", " ", "é", "A\x00B", "x" * 300, "a,b", 'q"q', "\u202e", "l1\nl2", "NULL"]
    ),
    st.text(max_size=8),
)
ROWS = st.lists(st.tuples(st.sampled_from(["A.US", "B.US"]) | WORDS, DAYS, *[NUMBERS] * 6), min_size=0, max_size=6)
MUTATIONS = st.lists(
    st.tuples(
        st.sampled_from(["cut", "drop", "insert", "repeat", "flip"]),
        st.floats(0, 1),
        st.one_of(
            st.binary(min_size=1, max_size=6), st.sampled_from([b"\n", b'"', b",", b"\x00", b"\xff\xfe", b"\r", b"}"])
        ),
    ),
    max_size=3,
)


@dataclass(frozen=True)
class File:
    """Bytes under a name, and the table they are to fill."""

    name: str
    content: bytes
    feed: str

    def map(self) -> IngestMap:
        """The map that reads it."""
        feed = {"prices": PRICES, "news": NEWS}[self.feed]
        return load_map({"name": "fuzz", "feeds": [feed | {"files": "A.*"}]})


def mutated(content: bytes, mutations: list[tuple[str, float, bytes]]) -> bytes:
    for kind, where, what in mutations:
        at = int(where * len(content))
        if kind == "cut":
            content = content[:at]
        elif kind == "drop":
            content = content[:at] + content[at + len(what) :]
        elif kind == "insert":
            content = content[:at] + what + content[at:]
        elif kind == "repeat":
            content = content[:at] + content[max(0, at - 40) : at] + content[at:]
        else:
            content = content[:at] + bytes(b ^ 0x15 for b in content[at : at + len(what)]) + content[at + len(what) :]
    return content


@st.composite
def csv_bytes(draw: st.DrawFn) -> bytes:
    """A table in some dialect."""
    separator, end = draw(st.sampled_from(",;\t|")), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    header = list(COLUMNS)
    if draw(st.integers(0, 4)) == 0:
        header = draw(st.lists(st.sampled_from([*COLUMNS, "Date", "x", "", "__row"]), max_size=9))
    quoted = draw(st.booleans())

    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if quoted or separator in text else text

    lines = [header, *draw(ROWS)]
    text = end.join(separator.join(map(cell, line)) for line in lines) + draw(st.sampled_from([end, ""]))
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252"])), errors="replace")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | WORDS | DAYS | NUMBERS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=3,
)


@st.composite
def json_bytes(draw: st.DrawFn) -> bytes:
    """Objects, a line each; some of odd types."""
    lines = []
    for row in draw(ROWS):
        record: dict[str, Any] = dict(zip(COLUMNS, row, strict=True))
        for name in draw(st.lists(st.sampled_from(COLUMNS), max_size=2)):
            record[name] = draw(JSON)
        lines.append(json.dumps(record, ensure_ascii=draw(st.booleans())))
    return "\n".join(lines).encode("utf-8", errors="replace")


def _column(values: st.SearchStrategy[Any], dtype: Any) -> st.SearchStrategy[tuple[Any, Any]]:
    return st.tuples(st.lists(st.none() | values, min_size=3, max_size=3), st.just(dtype))


DATED = (
    _column(st.dates(dt.date(2023, 12, 28), dt.date(2024, 1, 9)), pl.Date)
    | _column(st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)), pl.Datetime("us"))
    | _column(st.datetimes(dt.datetime(2024, 1, 2), dt.datetime(2024, 1, 9)), pl.Datetime("ns", "America/New_York"))
    | _column(DAYS, pl.String)
)
ANY_COLUMN = (
    _column(st.floats(), pl.Float64)
    | _column(st.floats(1, 500), pl.Float64)
    | _column(st.integers(-(2**63), 2**63 - 1), pl.Int64)
    | _column(st.integers(0, 2**64 - 1), pl.UInt64)
    | _column(NUMBERS | WORDS, pl.String)
    | _column(st.booleans(), pl.Boolean)
    | _column(st.binary(max_size=4), pl.Binary)
    | _column(st.lists(st.floats(1, 5), max_size=2), pl.List(pl.Float64))
    | _column(st.fixed_dictionaries({"v": st.floats(1, 5)}), pl.Struct({"v": pl.Float64}))
    | _column(st.decimals(0, 999, places=2), pl.Decimal(10, 2))
    | _column(st.sampled_from(["A.US", "B.US"]), pl.Categorical)
    | _column(st.times(), pl.Time)
    | DATED
)


@st.composite
def parquet_bytes(draw: st.DrawFn) -> bytes:
    """Three rows of columns of any type."""
    columns = {
        "id": draw(_column(st.sampled_from(["A.US", "B.US"]), pl.String) | ANY_COLUMN),
        "date": draw(DATED | ANY_COLUMN),
    } | {name: draw(ANY_COLUMN) for name in draw(st.sets(st.sampled_from(COLUMNS[2:]), min_size=1, max_size=4))}
    frame = pl.DataFrame([pl.Series(n, values, dtype, strict=False) for n, (values, dtype) in sorted(columns.items())])
    out = io.BytesIO()
    frame.write_parquet(out)
    return out.getvalue()


@st.composite
def files(draw: st.DrawFn) -> File:
    """A file of any kind, whole or broken, packed or not."""
    suffix, making = draw(
        st.sampled_from(
            [("csv", csv_bytes()), ("csv", csv_bytes()), ("jsonl", json_bytes()), ("parquet", parquet_bytes())]
        )
    )
    content = draw(making)
    if draw(st.booleans()):
        content = mutated(content, draw(MUTATIONS))
    if suffix != "parquet" and draw(st.integers(0, 5)) == 0:
        suffix, content = f"{suffix}.gz", gzip.compress(content, mtime=0)
        content = mutated(content, draw(MUTATIONS)) if draw(st.booleans()) else content
    return File(f"A.{suffix}", content, draw(st.sampled_from(["prices", "news"])))


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


# Command lines

DATES = st.sampled_from(
    [
        "2025-01-31",
        "2025-01-30",
        "2024-12-02",
        "2025-01-01",
        "2015-06-01",
        "2090-01-02",
        "1800-01-01",
        "0001-01-01",
        "9999-12-31",
        "2025-02-30",
        "yesterday",
        "20250131",
        "2025/01/31",
        "-1",
        "2025-01-31T00:00:00",
        "",
        "\uff12025-01-31",
    ]
)
COUNTS = st.sampled_from(["1", "5", "0", "-3", "0.5", "1e3", "many", "", "99999999999999999999", " 7"])
NAMES = st.sampled_from(
    [
        "US",
        "EU",
        "ASIA",
        "MOON",
        "us",
        "v0",
        "hashing",
        "US_EQ",
        "EU_EQ",
        "AAPL.US",
        "ACME.US",
        "NOBODY.US",
        "MARKET",
        "INSTRUMENT",
        "SECTOR",
        "PLANET",
        "EN",
        "num-regime-core-v1",
        "text-fin-general-v1",
        "joint-regime-core-v1",
        "blocks",
        "seed",
        "magic",
        "end_of_day",
        "next_open",
        "threads",
        "pigeon",
        "../../etc",
        "{x}",
        "${oc.env:HOME}",
        "a=b",
        "%s",
        "'",
        '"',
        "é",
        "",
        " ",
        "--",
        "-h",
        "; drop table",
        "x" * 300,
    ]
) | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=5)
OVERRIDES = st.sampled_from(
    [
        "encoder/text=hashing",
        "encoder/numeric=pad_to_dim",
        "encoder/text=magic",
        "engine.regime.seed=seven",
        "engine.regime.seed=3",
        "space.weights.text=0.3",
        "space.weights.text=nan",
        "space=[",
        "region=EU",
        "+engine.regime.x=1",
        "~engine",
        "executor=ray",
        "space.proxy=[US",
        "=",
        "==",
        "a",
        "calendar=none",
        "executor.workers=0",
        "executor.workers=null",
        "engine.regime.backend=oracle",
    ]
)


def _flags(pools: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[list[str]]:
    one = st.one_of([st.tuples(st.just(flag), pool).map(lambda p: [p[0], *p[1]]) for flag, pool in pools.items()])
    return st.lists(one, max_size=3).map(lambda found: [word for words in found for word in words])


def _one(values: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return values.map(lambda v: [v])


NONE: st.SearchStrategy[list[str]] = st.just([])
STAGE_FLAGS: dict[str, st.SearchStrategy[list[str]]] = {
    **dict.fromkeys(
        [
            "--variant",
            "--cutoff",
            "--region",
            "--model-id",
            "--encoder",
            "--instrument-id",
            "--market-id",
            "--entity-type",
            "--language",
            "--proxy",
            "--text-variant",
            "--text-model-id",
            "--calibrate",
            "--backend",
            "--executor",
            "--device",
            "--nonsense",
        ],
        _one(NAMES),
    ),
    **dict.fromkeys(
        ["--window-days", "--limit", "--chunk-days", "--workers", "--seed", "--restarts", "--max-tokens"], _one(COUNTS)
    ),
    **dict.fromkeys(["--force", "--strict", "--quiet", "--json-logs", "--infer-splits", "-h"], NONE),
    "--overrides": st.lists(OVERRIDES, min_size=0, max_size=2),
    "--as-of": _one(DATES),
}
STAGE_SCRIPTS = [
    "run_numeric_regime",
    "backfill_numeric_embeddings",
    "backfill_text_embeddings",
    "backfill_joint_regime_context",
]
RANGES = st.one_of(
    st.just(["--as-of", "2025-01-31"]),
    st.just(["--date-range", "2024-12-02", "2025-01-31"]),
    st.just(["--date-range", "2025-01-27", "2025-02-07"]),
    DATES.map(lambda d: ["--as-of", d]),
    st.tuples(DATES, DATES).map(lambda d: ["--date-range", *d]),
    NONE,
)
TABLES = st.sampled_from(["prices_daily", "regimes", "joint_embeddings", "lineage", "pricess", "../raw", "", "'"])
QUERIES = st.sampled_from(
    [
        "select 1",
        "select count(*) from regimes",
        "select nonsense from regimes",
        "selekt",
        "select * from nowhere",
        "",
        ";",
        "select 1/0",
        "select 'x'::int",
        "delete from regimes",
        "drop view regimes",
        "select * from 'nowhere.parquet'",
        "select vector from joint_embeddings limit 1",
        "select 1; select 2",
        "\x00",
    ]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@dataclass(frozen=True)
class Line:
    """A command line: a script of ``prometheus.scripts``, or ``prometheus`` itself when there is none."""

    script: str
    words: tuple[str, ...]


def _line(name: str, *parts: st.SearchStrategy[list[str]]) -> st.SearchStrategy[Line]:
    return st.tuples(*parts).map(lambda found: Line(name, tuple(w for words in found for w in words)))


def _said(*words: str) -> st.SearchStrategy[list[str]]:
    return st.just(list(words))


KEYS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(
                ["region", "variants", "range", "space", "executor", "strict", "force", "planet", "executor.workers"]
            ),
            NAMES.filter(lambda n: not n.startswith("-")) | DATES.map(lambda d: f"[{d},{d}]"),
        ).map("=".join),
        OVERRIDES,
    ),
    max_size=3,
)
LINES = st.one_of(
    st.sampled_from(STAGE_SCRIPTS).flatmap(lambda name: _line(name, RANGES, _flags(STAGE_FLAGS), _said("--dry-run"))),
    st.sampled_from(STAGE_SCRIPTS).flatmap(lambda name: _line(name, RANGES, _flags(STAGE_FLAGS), _said("--dry-run"))),
    _line(
        "show_joint_regime_context",
        _flags(
            dict.fromkeys(["--region", "--model-id", "--variant"], _one(NAMES))
            | dict.fromkeys(["--start", "--end"], _one(DATES))
            | {"--limit": _one(COUNTS), "--quiet": NONE}
        ),
    ),
    _line("", _said("sql"), _one(QUERIES), _flags({"--csv": NONE, "--at": _one(TABLES.map(lambda t: f"{t}=1"))})),
    _line("", _said("lake"), _one(st.sampled_from(["describe", "history", "digest", "explode"])), _one(TABLES)),
    _line("", _said("lake", "restore", "--dry-run"), _one(TABLES), _flags({"--version": _one(COUNTS)})),
    _line(
        "", _said("lake", "vacuum"), _one(TABLES), _flags({"--retain-hours": _one(COUNTS), "--retention": _one(NAMES)})
    ),
    _line(
        "", _said("audit", "lookahead", "--cut", "1990-01-02"), _flags({"--cut": _one(DATES), "--stages": _one(NAMES)})
    ),
    _line("", _said("backfill", "dry_run=true", "quiet=true", "range=[2025-01-30,2025-01-31]"), KEYS),
    _line(
        "",
        _said("ingest", "path=nowhere"),
        st.lists(
            st.sampled_from(["source=long_csv", "source=nobody", "restating=7", "on_bad_rows=x", "planet=1", "=", "a"]),
            max_size=3,
        ),
    ),
)


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
