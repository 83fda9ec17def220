"""Command lines nobody would type: every command, with flags, names, dates and numbers that are right or are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

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
