"""Every joint space against its formula, computed the slow way from what the lake stores."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prometheus.encoders.models_joint_concat import projection
from prometheus.errors import MissingInputError, RequestError
from prometheus.lake import Lake
from prometheus.vectors import from_list_array
from tests.demo_lakes import known_news_means, run, sql
from tests.joint_worlds import (
    FRIDAY,
    MONDAY,
    WEEK,
    Vector,
    averaged,
    drawn,
    fresh,
    joint_rows,
    listing,
    make,
    plain,
    rows_by_key,
    windows,
)
from tests.news_rows import regime_table
from tests.text_rows import macro, rows_of
from tests.text_worlds import vector as hashed

NAMES = ("AAA.US", "BBB.US")
MODELS = {"joint-profile-core-v1": "PROFILE_CORE_V0", "joint-regime-core-v1": "REGIME_CONTEXT_V0"}
MODELS |= {"joint-stab-fragility-v1": "STAB_FRAGILITY_V0"}


class Stored:
    """Every vector of a lake by what a row's ``branches`` call it: model, variant, source key, source date."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self.vectors: dict[tuple[Any, ...], Vector] = {}
        self._put("numeric_window_embeddings", lambda r: f"{r['entity_type']}/{r['entity_id']}")
        self._put("regimes", lambda r: f"{r['region']}/{r['proxy']}", "regime_embedding")
        self._put("text_embeddings", lambda r: r["source_id"])
        self._put("joint_embeddings", lambda r: f"{r['joint_type']}/{r['entity_key']}")
        self.news = {region: known_news_means(lake, c) for region, c in (("US", "XNYS"), ("EU", "XETR"))}
        macros: dict[dt.date, list[Vector]] = {}
        for (model, _, key, day), z in self.vectors.items():
            if model == "text-macro-v1":
                assert "/" not in key
                macros.setdefault(day, []).append(z)
        self.macro = {day: np.mean(found, axis=0) for day, found in macros.items()}
        self.statistics = {
            (r["joint_type"], r["branch"], r["variant"], r["region"], r["year"]): (np.array(r["mean"]), r["rms"])
            for r in lake.read("branch_statistics").to_pylist()
        }

    def _put(self, table: str, key: Any, column: str = "vector") -> None:
        rows = self.lake.read(table)
        block = from_list_array(rows[column]).astype(np.float64)
        keep = [c for c in rows.column_names if c in _KEYS]
        for row, z in zip(rows.select(keep).to_pylist(), block, strict=True):
            self.vectors[row["model_id"], row["variant"], key(row), row["as_of_date"]] = z

    def of(self, branch: dict[str, Any], region: str) -> Vector:
        """What a branch was read from."""
        key = branch["source_key"]
        if key.startswith("NEWS/"):
            return self.news[region][branch["source_date"]]
        if key.startswith("MACRO/"):
            return self.macro[branch["source_date"]]
        if branch["model_id"] in MODELS:
            key = f"{MODELS[branch['model_id']]}/{key}"
        return self.vectors[branch["model_id"], branch["variant"], key, branch["source_date"]]


_KEYS = {
    "model_id",
    "variant",
    "as_of_date",
    "entity_type",
    "entity_id",
    "region",
    "proxy",
    "source_id",
    "joint_type",
    "entity_key",
}


@pytest.fixture(scope="module")
def stored(demo_lake: Path) -> Stored:
    return Stored(Lake.open(demo_lake))


@pytest.mark.parametrize(
    ("joint_type", "variant", "at_least", "scoped_by"),
    [
        ("PROFILE_CORE_V0", "hashing", 8_000, "market"),
        ("REGIME_MACRO_V0", "hashing", 900, "region"),
        ("REGIME_MACRO_V0", "hashing_calibrated", 500, "region"),
        ("STAB_FRAGILITY_V0", "hashing", 8_000, "market"),
        ("STAB_FRAGILITY_V0", "v0", 100, "market"),
        ("ASSESSMENT_CTX_V0", "hashing", 8_000, "market"),
        ("ASSESSMENT_CTX_V0", "hashing_calibrated", 4_000, "market"),
    ],
)
def test_every_row_of_the_demo_is_the_weighted_mean_of_the_branches_it_lists(
    stored: Stored, joint_type: str, variant: str, at_least: int, scoped_by: str
) -> None:
    """News of one's own apart, which is no stored vector: rows that have some are checked by what it must have been."""
    checked = 0
    for (day, _), row in rows_by_key(stored.lake, joint_type, variant).items():
        region = row["scope"]["region"]
        total, weights, left = np.zeros(384), 0.0, None
        for branch in row["branches"]:
            weights += branch["weight"]
            if joint_type == "ASSESSMENT_CTX_V0" and branch["name"] == "text":
                left = branch
                continue
            z = stored.of(branch, region)
            if variant.endswith("calibrated"):
                scope = region if scoped_by == "region" else f"{region}_EQ"
                mean, rms = stored.statistics[joint_type, branch["name"], "hashing", scope, day.year]
                z = (z - mean) / rms
            assert branch["norm"] == pytest.approx(np.linalg.norm(z), abs=2e-6)
            total += branch["weight"] * z
        if left is None:
            np.testing.assert_allclose(row["vector"], total / weights, atol=1e-6)
        else:
            own = (row["vector"] * weights - total) / left["weight"]
            assert left["norm"] == pytest.approx(np.linalg.norm(own), abs=2e-5)
        checked += 1
    assert checked >= at_least


def test_profile_rows_of_the_demo_are_the_two_level_formula(stored: Stored) -> None:
    """Without the rows' own word for it: numeric mean first, then half and half with the last text known."""
    lake = stored.lake
    rows = rows_by_key(lake, "PROFILE_CORE_V0", "hashing")
    profiles: dict[str, list[dt.date]] = {}
    for r in sql(lake, "select issuer_id, as_of_date from profiles order by 2"):
        profiles.setdefault(r["issuer_id"], []).append(r["as_of_date"])
    for (day, issuer), row in list(rows.items())[::7]:
        name = f"INSTRUMENT/{row['scope']['instrument_id']}"
        numeric = [
            stored.vectors[model, "v0", name, day]
            for model in ("num-profile-core-v1", "num-regime-core-v1")
            if (model, "v0", name, day) in stored.vectors
        ]
        latest = max(d for d in profiles[issuer] if d <= day)
        assert (day - latest).days <= 400
        text = stored.vectors["text-profile-v1", "hashing", f"{issuer}:{latest}", latest]
        np.testing.assert_allclose(row["vector"], 0.5 * np.mean(numeric, axis=0) + 0.5 * text, atol=1e-6)
        assert row["scope"]["source"] == "num+text"


def test_own_news_of_some_rows_of_the_demo(stored: Stored) -> None:
    """Decayed by age over seven days, the market's taken off, or the market's alone."""
    lake = stored.lake
    links = Counter()
    by_article: dict[str, set[str]] = {}
    for r in sql(lake, "select article_id, instrument_id from news_links"):
        by_article.setdefault(r["article_id"], set()).add(r["instrument_id"])
    news = {(key, day): z for (model, _, key, day), z in stored.vectors.items() if model == "text-fin-general-v1"}
    rows = rows_by_key(lake, "ASSESSMENT_CTX_V0", "hashing")
    for (day, name), row in sorted(rows.items(), key=lambda item: item[0])[3::331]:
        branch = row["by_name"]["text"]
        rest = [b for b in row["branches"] if b["name"] != "text"]
        own = row["vector"] * (len(rest) + 1) - sum((stored.of(b, row["scope"]["region"]) for b in rest), np.zeros(384))

        def decayed(mine: bool, day: dt.date = day, name: str = name) -> Vector | None:
            ages = [(z, (day - d).days) for (key, d), z in news.items() if not mine or name in by_article.get(key, ())]
            some = [(0.5 ** (age / 3.0), z) for z, age in ages if 0 <= age < 7]
            return averaged(*some) if some else None

        market, mine = decayed(False), decayed(True)
        assert market is not None
        np.testing.assert_allclose(own, market if mine is None else mine - market, atol=1e-5)
        assert branch["source_key"] == ("NEWS/*" if mine is None else f"NEWS/{name}")
        links[mine is None] += 1
    assert min(links.values()) >= 2


def test_scenarios_of_the_demo_are_their_windows(stored: Stored) -> None:
    lake = stored.lake
    rows = rows_by_key(lake, "STAB_FRAGILITY_V0", "v0")
    about = {
        f"SCENARIO/{r['scenario_set_id']}/{r['scenario_id']}": r
        for r in sql(lake, "select * from scenario_paths where step = 1")
    }
    assert {key for _, key in rows} == set(about)
    for (day, key), row in rows.items():
        path = about[key]
        np.testing.assert_allclose(row["vector"], stored.vectors["num-scenario-core-v1", "v0", key, day], atol=1e-7)
        assert {**row["scope"], "region": None} == {
            "scenario_id": path["scenario_id"],
            "scenario_set_id": path["scenario_set_id"],
            "source": "scenarios",
            "metadata": {"shock_type": path["shock_type"], "severity": path["severity"]},
            "region": None,
        }


def states_world(root: Path) -> tuple[Lake, dict, dict]:
    """Two names: AAA with a joint profile 95 days before Tuesday, BBB with one of Thursday."""
    lake = fresh(root, *(listing(n, f"ISS_{n[:3]}") for n in NAMES))
    stab = windows(lake, "num-stab-core-v1", WEEK, NAMES)
    old, new = WEEK[1] - dt.timedelta(days=95), WEEK[3]
    profiles = joint_rows(
        lake,
        "PROFILE_CORE_V0",
        drawn("PROFILE_CORE_V0", [old], ["ISS_AAA"]) | drawn("PROFILE_CORE_V0", [new], ["ISS_BBB"]),
    )
    return lake, stab, profiles


def test_states_take_the_last_known_profile_for_95_days(tmp_path: Path) -> None:
    lake, stab, profiles = states_world(tmp_path / "lake")
    assert make(lake, "stab_fragility_states").rows == 10
    old, new = WEEK[1] - dt.timedelta(days=95), WEEK[3]
    used = {("AAA.US", d): (old, "ISS_AAA") for d in WEEK[:2]} | {("BBB.US", d): (new, "ISS_BBB") for d in WEEK[3:]}
    for (day, name), row in rows_by_key(lake, "STAB_FRAGILITY_V0").items():
        z = stab[day, name]
        if (name, day) in used:
            z = (z + profiles[used[name, day]]) / 2
            assert row["by_name"]["profile"]["source_date"] == used[name, day][0]
        np.testing.assert_allclose(row["vector"], z, atol=1e-7)
        assert row["scope"]["source"] == ("stab+profile" if (name, day) in used else "stab")
        assert [b["weight"] for b in row["branches"]] == [1.0] * len(row["branches"])


def test_a_lake_without_profiles_differs_only_in_rows_that_list_one(tmp_path: Path) -> None:
    lake, *_ = states_world(tmp_path / "with")
    bare = fresh(tmp_path / "without", *(listing(n, f"ISS_{n[:3]}") for n in NAMES))
    windows(bare, "num-stab-core-v1", WEEK, NAMES)
    make(lake, "stab_fragility_states")
    make(bare, "stab_fragility_states")
    rich, poor = (rows_by_key(one, "STAB_FRAGILITY_V0") for one in (lake, bare))
    differ = {key for key in rich if plain(rich)[key] != plain(poor)[key]}
    assert differ == {key for key, row in rich.items() if "profile" in row["by_name"]} != set()
    assert rich.keys() == poor.keys()


def test_a_named_scenario_joins_every_state_from_the_day_it_was_made(tmp_path: Path) -> None:
    lake, stab, profiles = states_world(tmp_path / "lake")
    made = windows(lake, "num-scenario-core-v1", [WEEK[2]], ["SET/0", "SET/1"], entity_type="SCENARIO")
    weights = {"stab": 2.0, "scenario": 1.0, "profile": 0.5}
    make(lake, "stab_fragility_states", scenario_id="SET/1", weights=weights)
    rows = rows_by_key(lake, "STAB_FRAGILITY_V0")
    path = made[WEEK[2], "SET/1"]
    np.testing.assert_allclose(rows[WEEK[2], "BBB.US"]["vector"], averaged((2.0, stab[WEEK[2], "BBB.US"]), (1.0, path)))
    full = averaged((2.0, stab[FRIDAY, "BBB.US"]), (1.0, path), (0.5, profiles[WEEK[3], "ISS_BBB"]))
    np.testing.assert_allclose(rows[FRIDAY, "BBB.US"]["vector"], full, atol=1e-7)
    assert [rows[d, "BBB.US"]["scope"]["source"] for d in WEEK] == [
        "stab",
        "stab",
        "stab+scenarios",
        "stab+scenarios+profile",
        "stab+scenarios+profile",
    ]
    listed = rows[FRIDAY, "BBB.US"]["by_name"]["scenario"]
    assert (listed["source_key"], listed["source_date"]) == ("SCENARIO/SET/1", WEEK[2])


def test_states_concatenated_over_what_is_there(tmp_path: Path) -> None:
    lake, stab, profiles = states_world(tmp_path / "lake")
    make(lake, "stab_fragility_states", fusion="concat_projection")
    rows = rows_by_key(lake, "STAB_FRAGILITY_V0")
    matrix = np.sqrt(2) * projection(768, 384, 384)
    both = np.sqrt(0.5) * np.concatenate([stab[FRIDAY, "BBB.US"], profiles[WEEK[3], "ISS_BBB"]])
    alone = np.concatenate([stab[MONDAY, "BBB.US"], np.zeros(384)])
    np.testing.assert_allclose(rows[FRIDAY, "BBB.US"]["vector"], both @ matrix, atol=1e-6)
    np.testing.assert_allclose(rows[MONDAY, "BBB.US"]["vector"], alone @ matrix, atol=1e-6)


def test_a_context_is_made_of_whatever_there_is_and_says_so(tmp_path: Path) -> None:
    lake = fresh(tmp_path / "lake", *(listing(n, f"ISS_{n[:3]}") for n in (*NAMES, "CCC.US")))
    regime = joint_rows(lake, "REGIME_CONTEXT_V0", drawn("REGIME_CONTEXT_V0", WEEK[:2], ["US"]))
    state = joint_rows(lake, "STAB_FRAGILITY_V0", drawn("STAB_FRAGILITY_V0", WEEK[:1], ["AAA.US"]))
    friday = WEEK[4]
    profile = joint_rows(lake, "PROFILE_CORE_V0", drawn("PROFILE_CORE_V0", [friday], ["ISS_AAA"]))
    weights = {"profile": 3.0, "regime": 1.0, "stab": 2.0, "text": 1.0}
    summary = make(lake, "assessment_context", weights=weights)
    rows = rows_by_key(lake, "ASSESSMENT_CTX_V0")
    assert summary.skipped == {"no branch present": 15 - len(rows)}
    sources = {(d, n): row["scope"]["source"] for (d, n), row in rows.items()}
    assert sources == {
        (MONDAY, "AAA.US"): "regime+stab",
        **{(MONDAY, n): "regime" for n in ("BBB.US", "CCC.US")},
        **{(WEEK[1], n): "regime" for n in (*NAMES, "CCC.US")},
        (friday, "AAA.US"): "profile",
    }
    both = averaged((1.0, regime[MONDAY, "US"]), (2.0, state[MONDAY, "AAA.US"]))
    np.testing.assert_allclose(rows[MONDAY, "AAA.US"]["vector"], both, atol=1e-7)
    np.testing.assert_allclose(rows[friday, "AAA.US"]["vector"], profile[friday, "ISS_AAA"], atol=1e-7)
    assert rows[MONDAY, "AAA.US"]["scope"] == {
        "entity_type": "INSTRUMENT",
        "entity_id": "AAA.US",
        "issuer_id": "ISS_AAA",
        "region": "US",
        "source": "regime+stab",
    }
    none = make(lake, "assessment_context", variant="none", weights={**weights, "regime": 0.0})
    assert {(d, n) for d, n in rows_by_key(lake, "ASSESSMENT_CTX_V0", "none")} == {
        (MONDAY, "AAA.US"),
        (friday, "AAA.US"),
    }
    assert none.skipped == {"no branch present": 13}


OLD = WEEK[2] - dt.timedelta(days=45)


def macro_world(root: Path, *, late: bool = True) -> Lake:
    """Regimes over a week and an American text dated 45 days before Wednesday; a later one is known on Thursday."""
    lake = Lake.open(root, create=True)
    vectors = np.random.default_rng(9).standard_normal((5, 384)).astype(np.float32) / 20
    for region in ("US", "EU"):
        lake.upsert("regimes", regime_table(WEEK, vectors, region=region))
    texts = (
        macro("old", f"{OLD} 10:00", "Rates fall.", country="US"),
        macro("new", f"{WEEK[1]} 10:00", "Rates rise.", country="EU", event_type="SPEECH"),
        macro("late", f"{WEEK[2]} 10:00", "Nobody knew.", country="US", known=f"{WEEK[3]} 09:00"),
    )
    lake.deliver("macro_texts", rows_of("macro_texts", *(texts if late else texts[:2])))
    run(lake, "macro_text_embeddings", OLD, FRIDAY, backend="hashing", variant="hashing")
    return lake


def test_the_last_macro_text_serves_45_days(tmp_path: Path) -> None:
    lake = macro_world(tmp_path / "lake")
    texts = {"old": hashed("Rates fall."), "new": hashed("Rates rise."), "late": hashed("Nobody knew.")}
    regime = from_list_array(lake.read("regimes", where={"region": "US"}).sort_by("as_of_date")["regime_embedding"])
    make(lake, "regime_macro", region=("US", "EU"), text_variant="hashing")
    make(lake, "regime_macro", variant="us", country="us", text_variant="hashing")
    make(lake, "regime_macro", variant="minutes", event_type="Minutes", text_variant="hashing")
    expected = {
        "test": [("old", OLD), ("new", WEEK[1]), ("new", WEEK[1]), ("late", WEEK[2]), ("late", WEEK[2])],
        "us": [("old", OLD)] * 3 + [("late", WEEK[2])] * 2,
        "minutes": [("old", OLD)] * 3 + [("late", WEEK[2])] * 2,
    }
    for variant, wanted in expected.items():
        rows = rows_by_key(lake, "REGIME_MACRO_V0", variant, entity_key="US")
        for i, (day, (which, date)) in enumerate(zip(WEEK, wanted, strict=True)):
            row = rows[day, "US"]
            assert row["by_name"]["text"]["source_date"] == date, (variant, day)
            np.testing.assert_allclose(row["vector"], (regime[i] + texts[which]) / 2, atol=1e-6)
            assert row["scope"] == {"region": "US", "source": "regime+macro"}
    assert rows_by_key(lake, "REGIME_MACRO_V0")[MONDAY, "EU"]["model_id"] == "joint-regime-core-v1"


def test_a_day_too_many_and_the_macro_text_is_gone(tmp_path: Path) -> None:
    lake = macro_world(tmp_path / "lake", late=False)
    given = {"text_variant": "hashing", "event_type": "MINUTES"}
    for variant, age, days in (("test", 45, WEEK[:3]), ("shorter", 44, WEEK[:2]), ("longer", 46, WEEK[:4])):
        summary = make(lake, "regime_macro", variant=variant, max_age={"text": age}, **given)
        assert summary.skipped == {"no macro text lately": 5 - len(days)}
        assert sorted(d for d, _ in rows_by_key(lake, "REGIME_MACRO_V0", variant)) == days
    with pytest.raises(MissingInputError, match="backfill_macro_text_embeddings --date-range 2024-12-13 2025-01-31"):
        make(lake, "regime_macro", variant="real")


def test_what_a_row_says_of_itself_is_sorted_and_without_spaces(tmp_path: Path) -> None:
    lake, *_ = states_world(tmp_path / "lake")
    make(lake, "stab_fragility_states")
    for text in lake.read("joint_embeddings", where={"variant": "test"})["entity_scope"].to_pylist():
        assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


def test_windows_and_half_lives_that_are_none_are_refused(tmp_path: Path) -> None:
    lake = fresh(tmp_path / "lake", listing("AAA.US", "ISS_AAA"))
    for given, sentence in (
        ({"text_window_days": 0}, "text_window_days must be at least 1, the day itself; got 0"),
        ({"text_half_life": 0.0}, "text_half_life must be a positive number of days; got 0.0"),
        ({"text_half_life": float("inf")}, "text_half_life must be a positive number of days; got inf"),
    ):
        with pytest.raises(RequestError) as refusal:
            make(lake, "assessment_context", **given)
        assert sentence in str(refusal.value)
