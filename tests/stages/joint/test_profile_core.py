"""PROFILE_CORE_V0: two levels of averages over what was known, one row an issuer."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from prometheus.encoders.models_joint_concat import projection
from prometheus.encoders.text import describe_text_encoder
from prometheus.errors import MissingInputError, RequestError
from prometheus.lake import Lake
from tests.joint_worlds import (
    FRIDAY,
    MONDAY,
    WEEK,
    Vector,
    averaged,
    bring,
    fresh,
    listing,
    make,
    plain,
    price,
    profile_texts,
    rows_by_key,
    windows,
)
from tests.text_rows import profile

NAMES = ("AAA.US", "BBB.US", "CCC.US")
ENCODER = describe_text_encoder("hashing").load()
JOINT = "PROFILE_CORE_V0"
HASHED = {"text_variant": "hashing"}


def text(*parts: str) -> Vector:
    vector: Vector = ENCODER.encode(["\n\n".join(parts)])[0].astype(np.float64)
    return vector


def world(root: Path, *, behaviour: bool = True) -> tuple[Lake, dict, dict]:
    """Three companies over a week: AAA whole, BBB without behaviour on Wednesday, CCC without text."""
    lake = fresh(root, *(listing(n, f"ISS_{n[:3]}") for n in NAMES))
    numbers = windows(lake, "num-profile-core-v1", WEEK, NAMES, leave_out=[(WEEK[1], "AAA.US")])
    moves = windows(lake, "num-regime-core-v1", WEEK, NAMES, leave_out=[(WEEK[2], "BBB.US")]) if behaviour else {}
    texts = (profile(f"ISS_{n[:3]}", "2024-11-29", f"Makes {n}.") for n in NAMES[:2])
    profile_texts(lake, *texts, first=dt.date(2024, 11, 1), last=FRIDAY)
    return lake, numbers, moves


def test_two_levels_of_averages(tmp_path: Path) -> None:
    lake, numbers, moves = world(tmp_path / "lake")
    summary = make(lake, "profile_core", **HASHED)
    assert summary.skipped == {"no numeric profile": 1, "no profile text lately": 5}
    rows = rows_by_key(lake, JOINT)
    assert set(rows) == {(d, f"ISS_{n[:3]}") for d in WEEK for n in NAMES[:2]} - {(WEEK[1], "ISS_AAA")}
    for (day, issuer), row in rows.items():
        name = f"{issuer[4:]}.US"
        present = [z[day, name] for z in (numbers, moves) if (day, name) in z]
        z_num = np.mean(present, axis=0)
        expected = (0.5 * z_num + 0.5 * text(f"Makes {name}.")) / (0.5 + 0.5)
        np.testing.assert_allclose(row["vector"], expected, atol=1e-7)
        assert row["model_id"] == "joint-profile-core-v1"
        assert row["scope"] == {
            "issuer_id": issuer,
            "instrument_id": name,
            "as_of_date": str(day),
            "region": "US",
            "source": "num+text",
        }
        said = [(b["name"], b["weight"], b["source_key"], b["source_date"]) for b in row["branches"]]
        key, dated = f"INSTRUMENT/{name}", dt.date(2024, 11, 29)
        whole = [("profile", 0.25, key, day), ("behaviour", 0.25, key, day)]
        lone = [("profile", 0.5, key, day)]
        numeric = lone if (day, name) == (WEEK[2], "BBB.US") else whole
        assert said == [*numeric, ("text", 0.5, f"{issuer}:2024-11-29", dated)]


def test_weights_of_the_groups_and_behaviour_off(tmp_path: Path) -> None:
    lake, numbers, moves = world(tmp_path / "lake")
    make(lake, "profile_core", variant="off", behaviour_model_id="", **HASHED)
    make(lake, "profile_core", variant="tilted", weights={"num": 0.9, "text": 0.3}, **HASHED)
    for (day, issuer), row in rows_by_key(lake, JOINT, "off").items():
        name = f"{issuer[4:]}.US"
        np.testing.assert_allclose(row["vector"], (numbers[day, name] + text(f"Makes {name}.")) / 2, atol=1e-7)
        assert [(b["name"], b["weight"]) for b in row["branches"]] == [("profile", 0.5), ("text", 0.5)]
    row = rows_by_key(lake, JOINT, "tilted")[MONDAY, "ISS_AAA"]
    z_num = (numbers[MONDAY, "AAA.US"] + moves[MONDAY, "AAA.US"]) / 2
    np.testing.assert_allclose(row["vector"], averaged((0.9, z_num), (0.3, text("Makes AAA.US."))), atol=1e-7)
    assert [b["weight"] for b in row["branches"]] == [0.45, 0.45, 0.3]


def test_a_branch_of_no_weight_is_no_source(tmp_path: Path) -> None:
    lake, numbers, moves = world(tmp_path / "lake")
    make(lake, "profile_core", weights={"num": 1.0, "text": 0.0}, **HASHED)
    row = rows_by_key(lake, JOINT)[MONDAY, "ISS_AAA"]
    z_num = (numbers[MONDAY, "AAA.US"] + moves[MONDAY, "AAA.US"]) / 2
    np.testing.assert_allclose(row["vector"], z_num, atol=1e-7)
    assert (row["scope"]["source"], list(row["by_name"])) == ("num", ["profile", "behaviour"])


def test_without_any_behaviour_in_the_lake_the_rows_are_those_with_behaviour_off(tmp_path: Path) -> None:
    lake, *_ = world(tmp_path / "lake", behaviour=False)
    make(lake, "profile_core", **HASHED)
    make(lake, "profile_core", variant="off", behaviour_model_id="", **HASHED)
    assert plain(rows_by_key(lake, JOINT)) == plain(rows_by_key(lake, JOINT, "off"))


def test_concatenation_keeps_the_two_units_apart(tmp_path: Path) -> None:
    lake, numbers, moves = world(tmp_path / "lake")
    make(lake, "profile_core", fusion="concat_projection", weights={"num": 0.6, "text": 0.2}, **HASHED)
    row = rows_by_key(lake, JOINT)[MONDAY, "ISS_AAA"]
    z_num = (numbers[MONDAY, "AAA.US"] + moves[MONDAY, "AAA.US"]) / 2
    wide = np.concatenate([np.sqrt(0.75) * z_num, np.sqrt(0.25) * text("Makes AAA.US.")])
    np.testing.assert_allclose(row["vector"], np.sqrt(2) * wide @ projection(768, 384, 384), atol=1e-6)


def test_the_last_known_text_serves_400_days_and_not_one_more(tmp_path: Path) -> None:
    days = [MONDAY, WEEK[1], WEEK[2]]
    lake = fresh(tmp_path / "lake", *(listing(n, f"ISS_{n[:3]}") for n in NAMES))
    windows(lake, "num-profile-core-v1", days, NAMES)
    old = [WEEK[1] - dt.timedelta(days=400 + late) for late in (-1, 0, 1)]
    texts = [profile(f"ISS_{n[:3]}", str(day)) for n, day in zip(NAMES, old, strict=True)]
    profile_texts(lake, *texts, first=min(old), last=MONDAY)
    summary = make(lake, "profile_core", days[0], days[-1], behaviour_model_id="", **HASHED)
    served = {n: sorted(d for d, key in rows_by_key(lake, JOINT) if key == f"ISS_{n[:3]}") for n in NAMES}
    assert served == {"AAA.US": days, "BBB.US": days[:2], "CCC.US": days[:1]}
    assert summary.skipped == {"no profile text lately": 3}
    make(
        lake, "profile_core", days[0], days[-1], variant="young", behaviour_model_id="", max_age={"text": 399}, **HASHED
    )
    assert sorted(d for d, key in rows_by_key(lake, JOINT, "young") if key == "ISS_AAA") == days[:2]


def test_a_profile_known_late_changes_nothing_before(tmp_path: Path) -> None:
    lake, *_ = world(tmp_path / "lake")
    make(lake, "profile_core", **HASHED)
    before = rows_by_key(lake, JOINT)
    monday, tuesday, wednesday, thursday, friday = WEEK
    late = profile("ISS_BBB", str(tuesday), "Makes something else.", known=f"{thursday} 01:00")
    profile_texts(lake, late, first=monday, last=friday)
    make(lake, "profile_core", **HASHED)
    after = rows_by_key(lake, JOINT)
    changed = {day for day, key in before if plain(before)[day, key] != plain(after)[day, key]}
    assert changed == {thursday, friday}
    assert after[thursday, "ISS_BBB"]["by_name"]["text"]["source_key"] == f"ISS_BBB:{tuesday}"
    assert after[wednesday, "ISS_BBB"]["by_name"]["text"]["source_key"] == "ISS_BBB:2024-11-29"


def test_of_two_instruments_the_most_traded_stands_and_the_row_says_which(tmp_path: Path) -> None:
    """More is traded of the second line from Wednesday on; what was traded is known at 22:00."""
    lake = fresh(tmp_path / "lake", listing("ONE.US", "ISS_AAA"), listing("TWO.US", "ISS_AAA", begins="2012-01-03"))
    numbers = windows(lake, "num-profile-core-v1", WEEK, ("ONE.US", "TWO.US"))
    traded = {"ONE.US": (10, 10, 10, 10, 10), "TWO.US": (9, 10, 20, 1, 1)}
    bring(
        lake, "prices_daily", *(price(n, d, 2.0, v) for n, vs in traded.items() for d, v in zip(WEEK, vs, strict=True))
    )
    profile_texts(lake, profile("ISS_AAA", "2024-12-31"), first=dt.date(2024, 12, 1), last=FRIDAY)
    make(lake, "profile_core", behaviour_model_id="", **HASHED)
    rows = rows_by_key(lake, JOINT)
    stood = [rows[d, "ISS_AAA"]["scope"]["instrument_id"] for d in WEEK]
    assert stood == ["ONE.US", "ONE.US", "TWO.US", "ONE.US", "ONE.US"]
    assert [rows[d, "ISS_AAA"]["by_name"]["profile"]["source_key"] for d in WEEK] == [f"INSTRUMENT/{n}" for n in stood]
    for day, name in zip(WEEK, stood, strict=True):
        np.testing.assert_allclose(
            rows[day, "ISS_AAA"]["vector"], (numbers[day, name] + text("Makes anvils.")) / 2, atol=1e-7
        )


def test_refusals(tmp_path: Path) -> None:
    lake, *_ = world(tmp_path / "lake")
    for given, sentence in (
        ({"numeric_profile_model_id": ""}, "branch profile of PROFILE_CORE_V0 cannot be switched off; it is required"),
        ({"text_model_id": ""}, "branch text of PROFILE_CORE_V0 cannot be switched off"),
        ({"weights": {"profile": 0.5, "text": 0.5}}, "weights must name exactly num, text; got profile, text"),
        ({"max_age": {"behaviour": 3}}, "max_age names behaviour; profile_core has ages for text"),
        ({"max_age": {"text": -1}}, "max_age of text must be a whole number of days, 0 or more; got -1"),
        ({"max_age": {"text": "long"}}, "max_age of text must be a whole number of days, 0 or more; got 'long'"),
        ({"issuer_id": ("ISS_NOBODY",)}, "the lake has no issuer ISS_NOBODY in market US_EQ"),
        ({"market_id": ("MOON_EQ",)}, "there is no market 'MOON_EQ'"),
    ):
        with pytest.raises(RequestError) as refusal:
            make(lake, "profile_core", **{**HASHED, **given})
        assert sentence in str(refusal.value)
    with pytest.raises(MissingInputError, match=r"backfill_profile_text_embeddings --date-range 2023-12-24 2025-01-31"):
        make(lake, "profile_core", text_variant="v0")
    with pytest.raises(
        MissingInputError, match="backfill_numeric_embeddings --model-id num-profile-core-v1 --date-ran"
    ):
        make(lake, "profile_core", profile_variant="other", **HASHED)
    assert rows_by_key(lake, JOINT) == {}
