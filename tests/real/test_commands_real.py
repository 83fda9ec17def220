"""Every command that embeds and every command that looks, on real prices, tweets, minutes, profiles and reported figures."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from prometheus.cli.config import compose, conf_dir, markets_from
from prometheus.cli.ingest import ingest
from prometheus.lake import Lake
from prometheus.market.ingest import IngestMap, load_map
from tests.commands import call, script

pytestmark = pytest.mark.real

SYMBOLS = [
    "AAPL",
    "MSFT",
    "GOOG",
    "INTC",
    "CSCO",
    "ORCL",
    "JPM",
    "BAC",
    "WFC",
    "C",
    "XOM",
    "CVX",
    "SLB",
    "JNJ",
    "PFE",
    "MRK",
    "AMGN",
    "WMT",
    "HD",
    "DIS",
    "MCD",
    "KO",
    "PEP",
    "PG",
    "GE",
    "BA",
    "CAT",
    "T",
    "VZ",
]
FIRST, LAST = dt.date(2014, 9, 15), dt.date(2015, 3, 31)
DAY = "2015-03-31"
RANGE = f"--date-range {FIRST} {LAST}"
HASHED = "--variant hashing"

HEADERS = {
    "generate_scenarios": "scenario_set_id,as_of_date,method,base_entity_id,horizon_days,num_paths,"
    "worst_return,median_return,best_return,num_high",
    "show_joint_regime_context": "as_of_date,region,episode_id,model_id,dim,l2_norm",
    "show_joint_profiles": "as_of_date,issuer_id,instrument_id,model_id,dim,l2_norm",
    "show_joint_stab_fragility_states": "as_of_date,instrument_id,issuer_id,region,model_id,dim,l2_norm",
    "show_joint_stab_fragility_scenarios": "as_of_date,scenario_set_id,scenario_id,model_id,dim,l2_norm",
    "show_joint_assessment_context": "as_of_date,instrument_id,issuer_id,region,model_id,dim,l2_norm",
    "show_joint_episodes": "as_of_date,episode_id,label,region,start_date,end_date,model_id,dim,l2_norm",
    "find_similar_profiles": "cosine,euclidean,issuer_id,instrument_id,region,source",
    "find_similar_assessment_context": "cosine,euclidean,instrument_id,issuer_id,region,source",
    "find_similar_stab_scenarios": "cosine,euclidean,scenario_set_id,scenario_id,as_of_date,source",
    "find_similar_episodes_to_regime": "cosine,euclidean,episode_id,label,region,start_date,end_date,episode_as_of",
}

EPISODES = [
    ("OCTOBER_2014", 'sell-off, "flash rally"', "2014-09-19", "2014-10-17"),
    ("OIL_2014", "oil collapse", "2014-11-27", "2015-01-30"),
    ("TO_COME", "Greek referendum", "2015-06-26", "2015-07-10"),
]


@pytest.fixture(scope="module")
def sources(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """29 names of stocknet with their tweets and profiles, and the minutes of those months, as files like the real ones."""
    folder = tmp_path_factory.mktemp("sources")
    names = [f"{s}.US" for s in SYMBOLS]

    def cut(name: str, *conditions: pl.Expr) -> pl.DataFrame:
        rows = pl.scan_parquet(real_data / name).filter(*conditions).collect()
        (folder / name).parent.mkdir(exist_ok=True)
        rows.write_parquet(folder / name)
        return rows

    mine = pl.col("instrument_id").is_in(names)
    of_issuers = pl.col("issuer_id").is_in(cut("stocknet/instruments.parquet", mine)["issuer_id"].to_list())
    dates = pl.col("trade_date").is_between(dt.date(2013, 6, 3), dt.date(2015, 4, 30))
    cut("stocknet/prices_daily.parquet", mine, dates)
    published = pl.col("published_at").dt.date()
    cut("stocknet/news_articles.parquet", mine, published.is_between(FIRST, dt.date(2015, 4, 5)))
    cut("macro/macro_texts.parquet", published.is_between(dt.date(2014, 7, 1), dt.date(2015, 6, 30)))
    cut("profiles/profiles.parquet", of_issuers)
    cut("profiles/filings_8k.parquet", of_issuers)
    cut("profiles/fundamentals.parquet", of_issuers)
    return folder


@pytest.fixture(scope="module")
def lake(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """All of them in one lake."""
    lake = Lake.open(tmp_path_factory.mktemp("commands") / "lake", create=True)
    feeds = {"profiles_assumed": ("profiles of 2014", "profiles of 2015")}
    for name in ("stocknet", "macro", "profiles", "profiles_assumed"):
        source = load_map(conf_dir() / "ingest" / f"{name}.yaml")
        kept = tuple(f for f in source.feeds if name not in feeds or f.name in feeds[name])
        source = IngestMap(**{**vars(source), "feeds": kept})
        ingest(lake, source, sources / name.removesuffix("_assumed"), markets=markets_from(compose("ingest")))
    return lake


@pytest.fixture(scope="module")
def said(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """What every command of the chain said on stdout and stderr; each is 0."""
    episodes = tmp_path_factory.mktemp("episodes") / "episodes.json"
    keys = ("episode_id", "label", "start_date", "end_date")
    entries = [{**dict(zip(keys, e, strict=True)), "region": "US"} for e in EPISODES]
    episodes.write_text(json.dumps(entries), encoding="utf-8")
    chain = {
        "regime of AAPL": f"run_numeric_regime --region US --instrument-id AAPL.US --as-of {DAY} --window-days 63",
        "regimes": f"run_numeric_regime {RANGE} --model-id num-regime-core-v1",
        "returns": f"backfill_returns --date-range 2015-03-02 {DAY}",
        "factors": f"backfill_factors --date-range 2015-03-02 {DAY}",
        "profile windows": f"backfill_numeric_embeddings --as-of {DAY} --window-days 126 --market-id US_EQ --limit 500 "
        "--model-id num-profile-core-v1",
        "windows": f"backfill_numeric_embeddings --as-of {DAY} --market-id US_EQ",
        "stability windows": f"backfill_numeric_embeddings --as-of {DAY} --market-id US_EQ --model-id num-stab-core-v1",
        "English": f"backfill_text_embeddings {RANGE} --language en {HASHED}",
        "English alone": f"backfill_joint_regime_context {RANGE} --region US {HASHED}",
        "texts": f"backfill_text_embeddings {RANGE} {HASHED}",
        "contexts": f"backfill_joint_regime_context {RANGE} --region US {HASHED}",
        "minutes": f"backfill_macro_text_embeddings --date-range 2014-11-01 {DAY} --country us {HASHED}",
        "macro contexts": f"backfill_joint_regime_macro_context --date-range 2015-01-02 {DAY} {HASHED}",
        "profile texts": f"backfill_profile_text_embeddings --date-range 2014-02-24 {DAY} {HASHED}",
        "profiles": f"backfill_joint_profiles --as-of {DAY} --market-id US_EQ {HASHED}",
        "generate_scenarios": "generate_scenarios --name real --method historical --method bootstrap --market-id US_EQ "
        f"--as-of {DAY} --horizon-days 20 --num-paths 30 --seed 0",
        "states": f"backfill_joint_stab_fragility_states --as-of {DAY} --market-id US_EQ {HASHED}",
        "scenarios": "backfill_joint_stab_fragility_scenarios",
        "episodes": f"backfill_joint_episode_context --episodes-file {episodes} --date-range {FIRST} {LAST} {HASHED}",
        "assessments": f"backfill_joint_assessment_context --as-of {DAY} --market-id US_EQ --text-window-days 7 {HASHED}",
    }
    found = {}
    for step, words in chain.items():
        name, *arguments = words.split()
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = call(script(name), [*arguments, "--lake", str(lake.location.root), "--quiet"])
        assert code == 0, (step, err.getvalue())
        found[step] = out.getvalue(), err.getvalue()
    return found


def look(lake: Lake, capfd: pytest.CaptureFixture[str], name: str, words: str) -> list[dict[str, str]]:
    """Rows of a command that looks: its header is as declared, byte for byte, and what it says is well formed."""
    assert call(script(name), [*words.split(), "--lake", str(lake.location.root)]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert out.partition("\n")[0] == HEADERS[name]
    rows = list(csv.DictReader(io.StringIO(out)))
    for row in rows:
        assert None not in row
        for column in {"cosine", "euclidean", "l2_norm"} & set(row):
            assert re.fullmatch(r"-?\d+\.\d{6}", row[column])
    cosines = [float(r["cosine"]) for r in rows if "cosine" in r]
    assert cosines == sorted(cosines, reverse=True)
    assert all(-1.0 <= c <= 1.0 for c in cosines)
    return rows


def joint(lake: Lake, joint_type: str, variant: str = "hashing") -> pl.DataFrame:
    where = {"joint_type": joint_type, "variant": variant}
    rows = lake.read("joint_embeddings", where=where, every_version=True)
    return pl.DataFrame(pl.from_arrow(rows)).sort("as_of_date", "entity_key")


def norm_of(vector: list[float]) -> float:
    return float(np.linalg.norm(np.array(vector, dtype=np.float64)))


def test_only_results_go_to_stdout(said: dict[str, tuple[str, str]]) -> None:
    assert {step for step, (out, _) in said.items() if out} == {"generate_scenarios"}
    header, *lines = said["generate_scenarios"][0].splitlines()
    assert header == HEADERS["generate_scenarios"]
    assert [(r["method"], r["num_paths"]) for r in csv.DictReader([header, *lines])] == [
        ("BOOTSTRAP", "30"),
        ("HISTORICAL", "30"),
    ]
    for row in csv.DictReader([header, *lines]):
        assert -0.5 < float(row["worst_return"]) < float(row["median_return"]) < float(row["best_return"]) < 0.5


def test_summaries_count_what_the_files_hold(said: dict[str, tuple[str, str]], sources: Path, lake: Lake) -> None:
    tweets = pl.read_parquet(sources / "stocknet" / "news_articles.parquet").unique("source_article_id")
    tweets = tweets.with_columns(day=pl.col("published_at").dt.date()).filter(pl.col("day") <= LAST)
    sessions = lake.read("calendar_sessions", dates=(FIRST, LAST), where={"calendar_id": "XNYS"})["as_of_date"]
    on_session = tweets.filter(pl.col("day").is_in(sessions.to_pylist()))
    foreign = on_session.filter(pl.col("language") != "EN").height
    assert foreign > 100
    assert f"; {foreign:,} articles without a vector" in said["English alone"][1]
    assert "without a vector" not in said["contexts"][1]
    weekend = tweets.filter(~pl.col("day").is_in(sessions.to_pylist()), pl.col("day") < LAST).height
    assert f"; {weekend:,} articles met no session" in said["English alone"][1]
    silent = len(set(sessions.to_pylist()) - set(tweets["day"]))
    assert f"skipped {silent} (no news that day {silent}), rows {len(sessions) - silent}," in said["English alone"][1]
    assert f"rows {tweets.height:,}," in said["texts"][1]
    assert lake.count("text_embeddings", {"source_type": "NEWS"}) == tweets.height
    released = pl.read_parquet(sources / "macro" / "macro_texts.parquet")["published_at"].dt.date()
    assert f"rows {released.is_between(dt.date(2014, 11, 1), LAST).sum()}," in said["minutes"][1]


def test_no_vector_is_of_the_future_or_no_number(said: dict[str, tuple[str, str]], lake: Lake) -> None:
    for joint_type in ("REGIME_CONTEXT_V0", "REGIME_MACRO_V0", "PROFILE_CORE_V0", "ASSESSMENT_CTX_V0", "EPISODE_V0"):
        rows = joint(lake, joint_type)
        assert rows.height
        sources = rows.select("as_of_date", "branches").explode("branches").unnest("branches")
        assert (sources["source_date"] <= sources["as_of_date"]).all()
        assert rows["as_of_date"].is_between(FIRST, LAST).all()
        norms = np.array([norm_of(v) for v in rows["vector"].to_list()])
        assert np.isfinite(norms).all()
        assert norms.min() > 0.2
        assert norms.max() < 1.5
    texts = lake.read("text_embeddings", columns=["known_at"], where={"source_type": "PROFILE"}, every_version=True)
    assert max(texts["known_at"].to_pylist()) < dt.datetime(2015, 4, 1, tzinfo=dt.UTC)


def test_listings_show_what_is_stored(
    said: dict[str, tuple[str, str]], lake: Lake, capfd: pytest.CaptureFixture[str]
) -> None:
    listings = {
        "show_joint_regime_context": ("REGIME_CONTEXT_V0", f"--region US --start {FIRST} --end {LAST} {HASHED}"),
        "show_joint_profiles": ("PROFILE_CORE_V0", f"--as-of {DAY} --limit 200 {HASHED}"),
        "show_joint_stab_fragility_states": ("STAB_FRAGILITY_V0", f"--as-of {DAY} {HASHED}"),
        "show_joint_stab_fragility_scenarios": ("STAB_FRAGILITY_V0", f"--as-of {DAY}"),
        "show_joint_assessment_context": ("ASSESSMENT_CTX_V0", f"--as-of {DAY} {HASHED}"),
        "show_joint_episodes": ("EPISODE_V0", HASHED),
    }
    found: dict[str, Any] = {}
    for name, (joint_type, words) in listings.items():
        shown = look(lake, capfd, name, words)
        stored = joint(lake, joint_type, "v0" if name.endswith("scenarios") else "hashing")
        assert [r["as_of_date"] for r in shown] == [str(d) for d in stored["as_of_date"]]
        assert [r["l2_norm"] for r in shown] == [f"{norm_of(v):.6f}" for v in stored["vector"].to_list()]
        assert {r["dim"] for r in shown} == {"384"}
        found[name] = shown
    assert len(found["show_joint_regime_context"]) > 100  # sessions with tweets; how many are silent is counted above
    issuers = {r["issuer_id"]: r["instrument_id"] for r in found["show_joint_profiles"]}
    described = lake.read("profiles", dates=(dt.date(2014, 2, 24), LAST))["issuer_id"].to_pylist()
    assert set(issuers) == set(described)
    assert issuers["CIK0000320193"] == "AAPL.US"
    names = [f"{s}.US" for s in sorted(SYMBOLS)]
    assert [r["instrument_id"] for r in found["show_joint_stab_fragility_states"]] == names
    assert [r["instrument_id"] for r in found["show_joint_assessment_context"]] == names
    assert len(found["show_joint_stab_fragility_scenarios"]) == 60
    assert [tuple(r.values())[:6] for r in found["show_joint_episodes"]] == [
        (end, episode, label, "US", start, end) for episode, label, start, end in EPISODES[:2]
    ]


def test_searches_find_what_arithmetic_finds(
    said: dict[str, tuple[str, str]], lake: Lake, capfd: pytest.CaptureFixture[str]
) -> None:
    searches = {
        "find_similar_profiles": ("PROFILE_CORE_V0", "--issuer-id", "CIK0000320193", "issuer_id"),
        "find_similar_assessment_context": ("ASSESSMENT_CTX_V0", "--instrument-id", "JPM.US", "instrument_id"),
    }
    for name, (joint_type, flag, query, column) in searches.items():
        shown = look(lake, capfd, name, f"{flag} {query} --as-of {DAY} --top-k 5 {HASHED}")
        stored = joint(lake, joint_type)
        vectors = np.array(stored["vector"].to_list(), dtype=np.float64)
        mine = vectors[stored["entity_key"].to_list().index(query)]
        lengths = np.linalg.norm(vectors, axis=1)
        cosine = vectors @ mine / lengths / np.linalg.norm(mine)
        expected = [
            (f"{cosine[i]:.6f}", f"{np.linalg.norm(vectors[i] - mine):.6f}", stored["entity_key"][int(i)])
            for i in np.argsort(-cosine, kind="stable")
            if stored["entity_key"][int(i)] != query
        ]
        assert [(r["cosine"], r["euclidean"], r[column]) for r in shown] == expected[:5]
        assert {r["region"] for r in shown} == {"US"}
    banks = look(lake, capfd, "find_similar_assessment_context", f"--instrument-id JPM.US --as-of {DAY} {HASHED}")
    assert len(banks) == 20
    assert {r["instrument_id"] for r in banks[:3]} & {"BAC.US", "WFC.US", "C.US"}


def test_scenarios_and_episodes_are_compared_up_to_the_date(
    said: dict[str, tuple[str, str]], lake: Lake, capfd: pytest.CaptureFixture[str]
) -> None:
    near = look(
        lake, capfd, "find_similar_stab_scenarios", f"--instrument-id AAPL.US --as-of {DAY} --top-k 60 {HASHED}"
    )
    assert len(near) == 60
    assert {r["as_of_date"] for r in near} == {DAY}
    windows = [r["scenario_id"] for r in near if "_" in r["scenario_id"]]
    assert len(windows) == 30
    assert max(w.rpartition("_")[2] for w in windows) <= DAY
    episodes = look(lake, capfd, "find_similar_episodes_to_regime", f"--region US --as-of {DAY} {HASHED}")
    assert {r["episode_id"] for r in episodes} == {"OCTOBER_2014", "OIL_2014"}
    assert all(r["episode_as_of"] == r["end_date"] <= DAY for r in episodes)
    words = f"--region US --as-of {DAY} {HASHED} --history"
    assert call(script("find_similar_episodes_to_regime"), [*words.split(), "--lake", str(lake.location.root)]) == 0
    out, err = capfd.readouterr()
    assert [line.split(",")[2] for line in out.splitlines()[1:]] == ["OCTOBER_2014"]
    assert err.startswith("compared with dates up to 2014-12-29: 63 XNYS sessions before 2015-03-31\n")


def test_a_day_ends_in_a_book(said: dict[str, tuple[str, str]], lake: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["--as-of", DAY, "--region", "US", "--variant", "hashing", "--quiet", "--lake", str(lake.location.root)]
    assert call(script("run_full_day_core_pipeline"), words) == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert "left out" not in err
    day = {"as_of_date": dt.date.fromisoformat(DAY)}
    scores = pl.DataFrame(lake.read("instrument_scores", where=day))
    assert scores.group_by("horizon_days").len().sort("horizon_days").rows() == [(5, 29), (21, 29), (63, 29)]
    members = pl.DataFrame(lake.read("universe_members", where=day))
    held = set(members.filter(pl.col("tier") != "EXCLUDED")["instrument_id"])
    assert len(held) > 15
    target = pl.DataFrame(lake.read("target_portfolios", where=day))
    assert set(target["instrument_id"]) <= held | {"CASH"}
    book = pl.DataFrame(lake.read("book_targets", where=day))
    assert book["weight"].sum() == pytest.approx(1.0, abs=1e-9)
    assert book.filter(pl.col("instrument_id") != "CASH")["weight"].max() <= 0.10
    report = lake.read("portfolio_risk_reports", where=day).to_pylist()[0]
    # Large companies in a calm quarter: the index moved by 13 % a year, its worst month since 2013 was -6 %.
    assert 0.08 < report["volatility"] < 0.25
    assert 0.5 < report["beta"] < 1.5
    assert 0.01 < report["var_95"] < report["es_95"] < 0.25
    again = lake.version("lineage")
    assert call(script("run_full_day_core_pipeline"), words) == 0
    assert lake.version("lineage") == again
