"""Shares of a similarity: against the definition pair by pair, on rows whose branches lie in the lake."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from prometheus.errors import BadDataError
from prometheus.lake import Lake, contract
from prometheus.search import Query, Surface, explain, nearest, nearest_shared, split_cosine
from prometheus.search.branches import BranchReader, BranchVector, entity_of
from prometheus.spaces.numeric import numeric_model
from prometheus.spaces.numeric.masking import volume_slots
from tests.search_rows import average, branch, joint_row, numeric_row, profile_row, random_vectors, write

DAY = dt.date(2025, 1, 31)
PROFILES = Surface.joint("PROFILE_CORE_V0", "joint-profile-core-v1")
STATES = Surface.joint("STAB_FRAGILITY_V0", "joint-stab-fragility-v1", scope={"scenario_id": None})
SCENARIOS = Surface.joint("STAB_FRAGILITY_V0", "joint-stab-fragility-v1", scope={"scenario_id": "*"})
WEIGHTS = {"profile": 0.25, "behaviour": 0.25, "text": 0.5}


def text_row(issuer: str, day: dt.date, vector: np.ndarray, text_hash: str = "h") -> dict[str, Any]:
    return {
        "source_type": "PROFILE",
        "model_id": "text-profile-v1",
        "variant": "v0",
        "as_of_date": day,
        "source_id": f"{issuer}:{day}",
        "text_hash": text_hash,
        "known_at": dt.datetime.combine(day, dt.time(), dt.UTC),
        "vector": vector.tolist(),
    }


def parts_of(issuer: str, block: np.ndarray) -> list[dict[str, Any]]:
    name = issuer.removesuffix("_CORP")[4:] + ".US"
    told = dt.date(2024, 12, 31)
    return [
        branch("profile", 0.25, "num-profile-core-v1", f"INSTRUMENT/{name}", DAY, block[0]),
        branch("behaviour", 0.25, "num-regime-core-v1", f"INSTRUMENT/{name}", DAY, block[1]),
        branch("text", 0.5, "text-profile-v1", f"{issuer}:{told}", told, block[2]),
    ]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path / "lake", create=True)


def with_profiles(lake: Lake, n: int = 6) -> dict[str, np.ndarray]:
    """Profiles of three stored branches each."""
    blocks = {f"ISS_{i}_CORP": random_vectors(3, i) for i in range(n)}
    for issuer, block in blocks.items():
        block[2] /= np.linalg.norm(block[2])
        name = issuer.removesuffix("_CORP")[4:] + ".US"
        vector = average(list(zip(WEIGHTS.values(), block, strict=True)))
        write(lake, "joint_embeddings", [profile_row(DAY, issuer, vector, branches=parts_of(issuer, block))])
        models = ("num-profile-core-v1", "num-regime-core-v1")
        write(
            lake,
            "numeric_window_embeddings",
            [numeric_row(m, DAY, "INSTRUMENT", name, v) for m, v in zip(models, block, strict=False)],
        )
        write(lake, "text_embeddings", [text_row(issuer, dt.date(2024, 12, 31), block[2])])
    return blocks


def by_pairs(one: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """Every pair of branches, cross terms split evenly, over the product of the norms."""
    names = list(WEIGHTS)
    scaled = [[w * b.astype(np.float64) for w, b in zip(WEIGHTS.values(), side, strict=True)] for side in (one, other)]
    length = np.linalg.norm(sum(scaled[0])) * np.linalg.norm(sum(scaled[1]))
    shares = dict.fromkeys(names, 0.0)
    for i, a in enumerate(names):
        for j, b in enumerate(names):
            term = float(scaled[0][i] @ scaled[1][j]) / length
            shares[a] += term / 2
            shares[b] += term / 2
    return shares


def test_shares_are_those_of_all_pairs_and_add_up(lake: Lake) -> None:
    blocks = with_profiles(lake)
    query = Query.read(lake, PROFILES, DAY, entity_key="ISS_0_CORP")
    found = nearest(lake, PROFILES, query)
    explained = explain(lake, query, PROFILES, found)
    assert len(explained) == 5
    for row, why in zip(found.to_pylist(), explained, strict=True):
        assert why.cosine == row["cosine"]
        assert sum(why.shares.values()) + why.rounding == pytest.approx(why.cosine, abs=1e-15)
        assert abs(why.rounding) < 1e-7
        assert dict(why.shares) == pytest.approx(by_pairs(blocks["ISS_0_CORP"], blocks[row["entity_key"]]), abs=1e-7)


def test_what_is_no_stored_vector_is_what_the_average_leaves(lake: Lake) -> None:
    blocks = with_profiles(lake)
    # Three versions of one text, all of norm one: the key alone does not tell which went in.
    for seed, text_hash in ((98, "a"), (99, "z")):
        other = random_vectors(1, seed)[0]
        other /= np.linalg.norm(other)
        write(lake, "text_embeddings", [text_row("ISS_0_CORP", dt.date(2024, 12, 31), other, text_hash)])
    query = Query.read(lake, PROFILES, DAY, entity_key="ISS_0_CORP")
    found = nearest(lake, PROFILES, query)
    for row, why in zip(found.to_pylist(), explain(lake, query, PROFILES, found), strict=True):
        assert dict(why.shares) == pytest.approx(by_pairs(blocks["ISS_0_CORP"], blocks[row["entity_key"]]), abs=1e-6)


def test_calibrated_branches_are_calibrated_again(lake: Lake) -> None:
    mean, rms = random_vectors(1, 50)[0], 0.7
    write(
        lake,
        "branch_statistics",
        [
            {
                "joint_type": "PROFILE_CORE_V0",
                "branch": "profile",
                "variant": variant,
                "region": "US",
                "year": 2025,
                "as_of_date": dt.date(2024, 12, 31),
                "num_dates": 200,
                "rms": scale,
                "mean": mean.tolist(),
            }
            for variant, scale in (("other", 0.3), ("v0", rms))
        ],
    )
    rows, used = [], []
    for i in range(2):
        raw, text = random_vectors(2, 60 + i)
        went_in = ((raw.astype(np.float64) - mean) / rms).astype(np.float32)
        write(
            lake, "numeric_window_embeddings", [numeric_row("num-profile-core-v1", DAY, "INSTRUMENT", f"{i}.US", raw)]
        )
        branches = [
            branch("profile", 0.5, "num-profile-core-v1", f"INSTRUMENT/{i}.US", DAY, went_in),
            branch("text", 0.5, "text-profile-v1", "nowhere", DAY, text),
        ]
        rows.append(profile_row(DAY, f"ISS_{i}_CORP", average([(0.5, went_in), (0.5, text)]), branches=branches))
        used.append((went_in, text))
    write(lake, "joint_embeddings", rows)
    read = BranchReader(lake).read(rows, np.array([r["vector"] for r in rows], dtype=np.float32))
    for branches, (numeric, text) in zip(read, used, strict=True):
        np.testing.assert_array_equal(branches[0].vector, numeric.astype(np.float64))
        np.testing.assert_allclose(branches[1].vector, text, atol=1e-6)


@pytest.mark.parametrize(
    ("joint_type", "name", "model_id", "key", "fitted"),
    [
        ("STAB_FRAGILITY_V0", "scenario", "num-scenario-core-v1", "SCENARIO/S/1", ("STAB_FRAGILITY_V0", "stab")),
        ("EPISODE_V0", "regime", "num-regime-core-v1", "INSTRUMENT/A.US", ("REGIME_CONTEXT_V0", "regime")),
    ],
)
def test_branches_scaled_by_the_statistics_of_others_are_read_again(
    lake: Lake, joint_type: str, name: str, model_id: str, key: str, fitted: tuple[str, str]
) -> None:
    raw, mean = random_vectors(2, 70)
    kind, _, entity = key.partition("/")
    write(lake, "numeric_window_embeddings", [numeric_row(model_id, DAY, kind, entity, raw)])
    fit = {"joint_type": fitted[0], "branch": fitted[1], "variant": "v0", "region": "US", "year": 2025}
    more = {"as_of_date": dt.date(2024, 12, 31), "num_dates": 200, "rms": 0.7, "mean": mean.tolist()}
    write(lake, "branch_statistics", [fit | more])
    went_in = ((raw.astype(np.float64) - mean) / 0.7).astype(np.float32)
    part = branch(name, 1.0, model_id, key, DAY, went_in)
    row = joint_row(joint_type, DAY, "X", {"region": "US", "source": name}, went_in, [part], "calibrated")
    write(lake, "joint_embeddings", [row])
    ((read,),) = BranchReader(lake).read([row], went_in[None])
    np.testing.assert_array_equal(read.vector, went_in.astype(np.float64))
    ((stored,),) = BranchReader(lake).read([row], went_in[None], models=[model_id])
    np.testing.assert_array_equal(stored.vector, raw.astype(np.float64))


def test_regimes_and_their_mean_over_an_episode(lake: Lake) -> None:
    days = [dt.date(2025, 1, d) for d in (28, 29, 30, 31)]
    block = random_vectors(5, 7)
    regimes = pa.Table.from_pylist(
        [
            {f.name: None for f in contract("regimes").schema}
            | {
                "region": "US",
                "as_of_date": day,
                "as_of_year": day.year,
                "proxy": "MARKET",
                "model_id": "num-regime-core-v1",
                "variant": "v0",
                "regime_embedding": v.tolist(),
                "probabilities": [],
                "backend": "prototypes",
            }
            for day, v in zip(days, block, strict=False)
        ],
        schema=contract("regimes").schema,
    )
    lake.upsert("regimes", regimes)
    text = block[4]
    over = block[:4].mean(axis=0, dtype=np.float64).astype(np.float32)
    window = {"start_date": str(days[0]), "end_date": str(days[-1])}
    rows = [
        joint_row(
            "REGIME_CONTEXT_V0",
            DAY,
            "US",
            {"region": "US", "source": "regime+news"},
            average([(0.5, block[3]), (0.5, text)]),
            [
                branch("regime", 0.5, "num-regime-core-v1", "US/MARKET", DAY, block[3]),
                branch("text", 0.5, "text-fin-general-v1", "NEWS/*", DAY, text),
            ],
        ),
        joint_row(
            "EPISODE_V0",
            DAY,
            "EP",
            {"episode_id": "EP", "label": "x", "region": "US", **window},
            average([(0.5, over), (0.5, text)]),
            [
                branch("regime", 0.5, "num-regime-core-v1", "US/MARKET", DAY, over),
                branch("text", 0.5, "text-fin-general-v1", "NEWS/*", DAY, text),
            ],
        ),
    ]
    write(lake, "joint_embeddings", rows)
    query = Query.read(lake, Surface.joint("REGIME_CONTEXT_V0", "joint-regime-core-v1"), DAY, entity_key="US")
    episodes = Surface.joint("EPISODE_V0", "joint-episode-core-v1")
    found = nearest(lake, episodes, query, when="known")
    (why,) = explain(lake, query, episodes, found)
    length = np.linalg.norm(query.vector.astype(np.float64)) * np.linalg.norm(np.array(rows[1]["vector"]))
    joint = np.array(rows[1]["vector"])
    regime = 0.25 * (block[3].astype(np.float64) @ joint + query.vector.astype(np.float64) @ over) / length
    assert why.shares["regime"] == pytest.approx(regime, abs=1e-6)
    assert sum(why.shares.values()) == pytest.approx(found.cosine[0], abs=1e-7)


def test_rows_that_are_no_averages_are_refused(lake: Lake) -> None:
    with_profiles(lake, 3)
    block = random_vectors(3, 80)
    write(
        lake,
        "joint_embeddings",
        [profile_row(DAY, "ISS_9_CORP", random_vectors(1, 81)[0], branches=parts_of("ISS_0_CORP", block))],
    )
    query = Query.read(lake, PROFILES, DAY, entity_key="ISS_9_CORP")
    with pytest.raises(
        BadDataError, match="the branches profile, behaviour, text of PROFILE_CORE_V0 of ISS_9_CORP on 2025-01-31"
    ):
        explain(lake, query, PROFILES, nearest(lake, PROFILES, query))
    lone = [branch("text", 1.0, "text-profile-v1", "nowhere", DAY, block[2])]
    write(lake, "joint_embeddings", [profile_row(DAY, "ISS_9_CORP", 2 * block[2], branches=lone)])
    query = Query.read(lake, PROFILES, DAY, entity_key="ISS_9_CORP")
    with pytest.raises(BadDataError, match="is no average of its branches"):
        explain(lake, query, PROFILES, nearest(lake, PROFILES, query))
    whole = [BranchVector("a", "m", "v0", 1.0, np.ones(384))]
    with pytest.raises(BadDataError, match="no averages of their branches"):
        split_cosine(whole, whole, 0.5)


def test_a_fusion_that_is_no_average_is_refused_though_every_branch_is_there(lake: Lake) -> None:
    parts = random_vectors(2, 90)
    for model, vector in zip(("num-stab-core-v1", "num-regime-core-v1"), parts, strict=True):
        write(lake, "numeric_window_embeddings", [numeric_row(model, DAY, "INSTRUMENT", "CAT.US", vector)])
    branches = [
        branch("one", 0.5, "num-stab-core-v1", "INSTRUMENT/CAT.US", DAY, parts[0]),
        branch("other", 0.5, "num-regime-core-v1", "INSTRUMENT/CAT.US", DAY, parts[1]),
    ]
    for stored, right in ((parts.mean(axis=0), True), (random_vectors(1, 91)[0], False)):
        row = joint_row("PROFILE_CORE_V0", DAY, "CAT", {"source": "num"}, stored, branches, "concat_projection")
        if right:
            assert len(BranchReader(lake).read([row], stored[None])[0]) == 2
        else:
            with pytest.raises(BadDataError, match="is no average of its branches"):
                BranchReader(lake).read([row], stored[None])


def test_a_missing_side_and_a_norm_of_zero() -> None:
    e = np.eye(384)
    left = [BranchVector("a", "m", "v0", 0.5, e[0]), BranchVector("b", "m", "v0", 0.5, e[1])]
    right = [BranchVector("a", "m", "v0", 1.0, e[0])]
    why = split_cosine(left, right)
    assert why.cosine == pytest.approx(np.sqrt(0.5))
    # a: its own half of e0.z' and all of z.e0; b: e1.z' = 0.
    assert dict(why.shares) == pytest.approx({"a": np.sqrt(0.5), "b": 0.0})
    nothing = split_cosine(left, [BranchVector("a", "m", "v0", 1.0, np.zeros(384))])
    assert nothing.cosine == 0.0
    assert entity_of("SCENARIO/SET_A/3") == ("SCENARIO", "SET_A/3")
    assert entity_of("US_EQ/Energy") == ("", "US_EQ/Energy")


def with_states(lake: Lake) -> dict[str, np.ndarray]:
    """One state with a profile, one without, and scenarios of two sets."""
    stab, profile, *paths = random_vectors(7, 5)
    rows = [numeric_row("num-stab-core-v1", DAY, "INSTRUMENT", "ACME.US", stab)]
    scope = {"entity_type": "INSTRUMENT", "entity_id": "ACME.US", "region": "US", "source": "stab+profile"}
    own = branch("stab", 1.0, "num-stab-core-v1", "INSTRUMENT/ACME.US", DAY, stab)
    more = branch("profile", 1.0, "joint-profile-core-v1", "ISS_ACME_CORP", DAY, profile)
    joint = [joint_row("STAB_FRAGILITY_V0", DAY, "ACME.US", scope, average([(1.0, stab), (1.0, profile)]), [own, more])]
    for i, path in enumerate(paths):
        made = DAY if i < 3 else DAY + dt.timedelta(days=i)
        set_id = f"SET_{'A' if i % 2 else 'B'}"
        key = f"SCENARIO/{set_id}/{i}"
        path[:] = stab + i * path
        rows.append(numeric_row("num-scenario-core-v1", made, "SCENARIO", f"{set_id}/{i}", path))
        about = {
            "scenario_id": str(i),
            "scenario_set_id": set_id,
            "source": "scenarios",
            "metadata": {"shock_type": "CRASH", "severity": "HIGH"},
        }
        part = branch("scenario", 1.0, "num-scenario-core-v1", key, made, path)
        joint.append(joint_row("STAB_FRAGILITY_V0", made, key, about, path, [part]))
    write(lake, "numeric_window_embeddings", rows)
    write(lake, "joint_embeddings", joint)
    return {"stab": stab, "profile": profile} | {str(i): p for i, p in enumerate(paths)}


def test_states_meet_scenarios_over_the_window_alone(lake: Lake) -> None:
    made = with_states(lake)
    query = Query.read(lake, STATES, DAY, entity_key="ACME.US")
    shared = nearest_shared(lake, SCENARIOS, query, columns=["entity_scope"])
    priced = np.ones(384)
    priced[volume_slots(numeric_model("num-stab-core-v1"))] = 0.0  # a path has no volume
    assert 0 < (priced == 0).sum() < 100
    stab = made["stab"].astype(np.float64) * priced
    expected = []
    for i in range(3):  # the others are dated later
        path = made[str(i)].astype(np.float64) * priced
        expected.append((stab @ path / np.linalg.norm(stab) / np.linalg.norm(path), np.linalg.norm(stab - path)))
    assert [r["entity_key"] for r in shared.found.to_pylist()] == [
        "SCENARIO/SET_B/0",
        "SCENARIO/SET_A/1",
        "SCENARIO/SET_B/2",
    ]
    np.testing.assert_allclose(shared.found.cosine, [e[0] for e in expected], atol=1e-14)
    np.testing.assert_allclose(shared.found.euclidean, [e[1] for e in expected], atol=1e-14)
    assert shared.shared == (("stab",),) * 3
    assert [dict(e.shares) for e in shared.explanations] == [{"stab": pytest.approx(e[0])} for e in expected]
    # The stored averages say something else: the profile is in one of them.
    assert not np.allclose(nearest(lake, SCENARIOS, query, when="known").cosine, shared.found.cosine, atol=0.01)
    one_set = SCENARIOS.narrowed(scenario_set_id="SET_B")
    assert [r["entity_key"] for r in nearest_shared(lake, one_set, query, k=1).found.to_pylist()] == [
        "SCENARIO/SET_B/0"
    ]
    assert len(nearest_shared(lake, one_set, query, when="any").found) == 3
    assert len(nearest_shared(lake, SCENARIOS, query, when="earlier").found) == 0


def test_calibrated_states_meet_scenarios_as_they_are_stored(lake: Lake) -> None:
    made = with_states(lake)
    mean, rms = random_vectors(1, 51)[0], 0.7
    fit = {
        "joint_type": "STAB_FRAGILITY_V0",
        "branch": "stab",
        "variant": "v0",
        "region": "US",
        "year": 2025,
        "as_of_date": dt.date(2024, 12, 31),
        "num_dates": 200,
        "rms": rms,
        "mean": mean.tolist(),
    }
    write(lake, "branch_statistics", [fit])
    went_in = ((made["stab"].astype(np.float64) - mean) / rms).astype(np.float32)
    part = branch("stab", 1.0, "num-stab-core-v1", "INSTRUMENT/ACME.US", DAY, went_in)
    scope = {"entity_type": "INSTRUMENT", "entity_id": "ACME.US", "region": "US", "source": "stab"}
    write(
        lake, "joint_embeddings", [joint_row("STAB_FRAGILITY_V0", DAY, "ACME.US", scope, went_in, [part], "calibrated")]
    )
    states = Surface.joint("STAB_FRAGILITY_V0", "joint-stab-fragility-v1", "calibrated")
    one, other = (
        nearest_shared(lake, SCENARIOS, Query.read(lake, surface, DAY, entity_key="ACME.US"))
        for surface in (STATES, states)
    )
    np.testing.assert_array_equal(one.found.cosine, other.found.cosine)
    assert len(one.found) == 3


def test_rows_that_share_nothing_are_counted(lake: Lake) -> None:
    with_states(lake)
    scope = {"scenario_id": "9", "source": "scenarios"}
    other = branch("scenario", 1.0, "num-other-v1", "SCENARIO/SET_A/9", DAY, random_vectors(1)[0])
    write(
        lake, "joint_embeddings", [joint_row("STAB_FRAGILITY_V0", DAY, "SET_A/9", scope, random_vectors(1)[0], [other])]
    )
    query = Query.read(lake, STATES, DAY, entity_key="ACME.US")
    shared = nearest_shared(lake, SCENARIOS, query)
    assert (shared.num_apart, len(shared.found)) == (1, 3)


def test_branches_that_went_are_named(lake: Lake) -> None:
    with_states(lake)
    lake_rows = lake.read("numeric_window_embeddings", where={"model_id": "num-scenario-core-v1"})
    changed = lake_rows.set_column(
        7,
        lake_rows.schema.field(7),
        pa.array(random_vectors(lake_rows.num_rows, 77).tolist(), lake_rows.schema.field(7).type),
    )
    lake.upsert("numeric_window_embeddings", changed)
    query = Query.read(lake, STATES, DAY, entity_key="ACME.US")
    with pytest.raises(
        BadDataError,
        match=r"the branches scenario of STAB_FRAGILITY_V0 of SCENARIO/SET_A/1 on 2025-01-31 cannot be read again",
    ):
        nearest_shared(lake, SCENARIOS, query)
