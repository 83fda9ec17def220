"""What rows are about: who is listed on a day, in which market, and that nothing else decides a row."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from prometheus.errors import MissingInputError, RequestError
from prometheus.lake import Lake
from prometheus.runtime import RunOptions
from tests.demo_lakes import lineage
from tests.joint_worlds import (
    FRIDAY,
    MONDAY,
    WEEK,
    bring,
    fresh,
    listing,
    make,
    plain,
    profile_texts,
    rows_by_key,
    windows,
)
from tests.text_rows import profile

STATES = "stab_fragility_states"
JOINT = "STAB_FRAGILITY_V0"
NAMES = ("AAA.US", "BBB.US", "CCC.EU")
PLAIN: dict[str, Any] = {"profile_joint_model_id": ""}


def markets_world(root: Path, *more: dict[str, Any]) -> Lake:
    """Two American names and a European one with windows on every day of the week."""
    names = [listing(n, f"ISS_{n[:3]}", "EU_EQ" if n.endswith("EU") else "US_EQ") for n in NAMES]
    lake = fresh(root, *names, *more)
    windows(lake, "num-stab-core-v1", WEEK, [*NAMES, *sorted({r["instrument_id"] for r in more} - set(NAMES))])
    return lake


def days_of(lake: Lake, name: str, variant: str = "test") -> list[dt.date]:
    return sorted(day for day, key in rows_by_key(lake, JOINT, variant) if key == name)


def test_a_state_says_who_where_and_over_which_sessions(tmp_path: Path) -> None:
    lake = markets_world(tmp_path / "lake", listing("NOB.US", None))
    make(lake, STATES, **PLAIN)
    rows = rows_by_key(lake, JOINT)
    assert set(rows) == {(d, n) for d in WEEK for n in (*NAMES, "NOB.US")}
    common = {"entity_type": "INSTRUMENT", "source": "stab"}
    # 63 sessions up to the last Friday of January: 20 + 21 + 20 + 2 in New York, 22 + 18 + 21 + 2 in Frankfurt.
    window = {"start_date": "2024-10-30", "end_date": "2025-01-31"}
    assert rows[FRIDAY, "AAA.US"]["scope"] == {
        **common,
        "entity_id": "AAA.US",
        "issuer_id": "ISS_AAA",
        "region": "US",
        "stab_window": window,
    }
    assert rows[FRIDAY, "CCC.EU"]["scope"] == {
        **common,
        "entity_id": "CCC.EU",
        "issuer_id": "ISS_CCC",
        "region": "EU",
        "stab_window": window,
    }
    assert rows[FRIDAY, "NOB.US"]["scope"] == {**common, "entity_id": "NOB.US", "region": "US", "stab_window": window}


def test_a_delisted_name_leaves_the_day_after_and_a_late_word_changes_nothing_before(tmp_path: Path) -> None:
    _, tuesday, wednesday, thursday, _ = WEEK
    lake = markets_world(
        tmp_path / "lake",
        listing("DEL.US", "ISS_DEL", delisted=str(wednesday)),
        listing("END.US", "ISS_END", ends=str(tuesday)),
        listing("LAT.US", "ISS_LAT"),
        listing("LAT.US", "ISS_LAT", delisted=str(tuesday), known=f"{thursday} 01:00"),
        listing("NEW.US", "ISS_NEW", begins=str(wednesday)),
        listing("NYK.US", "ISS_NYK", known=f"{thursday} 12:00"),
        listing("OFF.US", "ISS_OFF"),
        listing("OFF.US", "ISS_OFF", withdrawn=True, known=f"{wednesday} 12:00"),
    )
    make(lake, STATES, **PLAIN)
    assert days_of(lake, "DEL.US") == WEEK[:3]
    assert days_of(lake, "END.US") == WEEK[:2]
    assert days_of(lake, "LAT.US") == WEEK[:3]
    assert days_of(lake, "NEW.US") == WEEK[2:]
    assert days_of(lake, "NYK.US") == WEEK[3:]
    assert days_of(lake, "OFF.US") == WEEK[:2]
    assert days_of(lake, "AAA.US") == WEEK


@pytest.mark.parametrize("order", [("US_EQ", "EU_EQ"), ("EU_EQ", "US_EQ"), None], ids=str)
def test_a_name_that_moves_is_of_one_market_a_day_whichever_runs_first(
    tmp_path: Path, order: tuple[str, ...] | None
) -> None:
    moved = listing("AAA.US", "ISS_AAA", "EU_EQ", begins=str(WEEK[2]), known=f"{WEEK[1]} 12:00")
    lake = markets_world(tmp_path / "lake", moved)
    for market in order or ((),):
        make(lake, STATES, market_id=(market,) if market else (), **PLAIN)
    rows = rows_by_key(lake, JOINT)
    assert [rows[d, "AAA.US"]["scope"]["region"] for d in WEEK] == ["US", "US", "EU", "EU", "EU"]
    assert len(rows) == 15


def test_a_name_found_to_be_of_another_market_loses_its_old_row_or_keeps_the_new_one(tmp_path: Path) -> None:
    for number, again in enumerate((("US_EQ", "EU_EQ"), ("EU_EQ", "US_EQ"))):
        lake = markets_world(tmp_path / f"lake{number}")
        make(lake, STATES, **PLAIN)
        bring(lake, "instruments", listing("BBB.US", "ISS_BBB", "EU_EQ", known="2025-01-20 12:00"))
        for market in again:
            make(lake, STATES, market_id=(market,), **PLAIN)
        assert {r["scope"]["region"] for (_, key), r in rows_by_key(lake, JOINT).items() if key == "BBB.US"} == {"EU"}
    bring(lake, "instruments", listing("BBB.US", "ISS_BBB", "EU_EQ", known="2025-01-21 12:00", withdrawn=True))
    make(lake, STATES, **PLAIN)
    assert days_of(lake, "BBB.US") == []


def test_names_asked_alone_give_the_same_rows_and_leave_the_day_incomplete(tmp_path: Path) -> None:
    lake = markets_world(tmp_path / "lake")
    make(lake, STATES, variant="all", **PLAIN)
    for name in NAMES:
        summary = make(
            lake, STATES, instrument_id=(name,), market_id=("EU_EQ" if name.endswith("EU") else "US_EQ",), **PLAIN
        )
        assert (summary.rows, summary.already) == (5, 0)
    assert plain(rows_by_key(lake, JOINT)) == plain(rows_by_key(lake, JOINT, "all"))
    finished = lake.read("lineage", where={"stage": f"joint_{STATES}", "variant": "test"})["complete"].to_pylist()
    assert finished == [False] * 15
    whole = make(lake, STATES, **PLAIN)
    assert (whole.planned, whole.done, whole.rows) == (10, 10, 15)
    assert make(lake, STATES, **PLAIN).already == 10


@pytest.mark.parametrize(
    "options",
    [
        RunOptions(chunk_days=1),
        RunOptions(chunk_days=2, executor="serial"),
        RunOptions(chunk_days=1, workers=4),
    ],
    ids=["days", "serial", "threads"],
)
def test_rows_do_not_depend_on_chunks_threads_or_companies_asked_for(tmp_path: Path, options: RunOptions) -> None:
    lake = markets_world(tmp_path / "lake")
    names = [f"ISS_{n[:3]}" for n in NAMES]
    windows(lake, "num-profile-core-v1", WEEK, NAMES)
    windows(lake, "num-regime-core-v1", WEEK, NAMES[:2])
    profile_texts(
        lake, *(profile(n, "2024-12-31", f"Makes {n}.") for n in names), first=dt.date(2024, 12, 1), last=FRIDAY
    )
    hashed = {"text_variant": "hashing"}
    make(lake, "profile_core", variant="whole", **hashed)
    make(lake, "profile_core", MONDAY, FRIDAY, options, **hashed)
    whole = plain(rows_by_key(lake, "PROFILE_CORE_V0", "whole"))
    assert plain(rows_by_key(lake, "PROFILE_CORE_V0")) == whole
    before = lake.version("joint_embeddings")
    assert make(lake, "profile_core", **hashed).already == 10
    assert lake.version("joint_embeddings") == before
    make(lake, "profile_core", MONDAY, FRIDAY, RunOptions(force=True, chunk_days=options.chunk_days), **hashed)
    make(lake, "profile_core", WEEK[1], WEEK[3], issuer_id=(names[1],), market_id=("US_EQ",), **hashed)
    assert plain(rows_by_key(lake, "PROFILE_CORE_V0")) == whole
    made = lineage(lake, {"stage": "joint_profile_core", "variant": "whole"})
    assert made["US_EQ", MONDAY] == (2, 0)
    assert made["EU_EQ", MONDAY] == (1, 0)


def test_a_company_of_two_markets_counts_where_it_was_described_first(tmp_path: Path) -> None:
    lake = fresh(
        tmp_path / "lake",
        listing("OLD.EU", "ISS_TWO", "EU_EQ", begins="2001-05-02"),
        listing("ADR.US", "ISS_TWO", "US_EQ", begins="2015-03-02"),
        listing("AAA.US", "ISS_AAA"),
    )
    windows(lake, "num-profile-core-v1", WEEK, ("OLD.EU", "ADR.US", "AAA.US"))
    texts = (profile(n, "2024-12-31") for n in ("ISS_TWO", "ISS_AAA"))
    profile_texts(lake, *texts, first=dt.date(2024, 12, 1), last=FRIDAY)
    for market in ("EU_EQ", "US_EQ"):
        make(lake, "profile_core", market_id=(market,), text_variant="hashing", behaviour_model_id="")
    found = {
        (key, r["scope"]["instrument_id"], r["scope"]["region"])
        for (_, key), r in rows_by_key(lake, "PROFILE_CORE_V0").items()
    }
    assert found == {("ISS_TWO", "OLD.EU", "EU"), ("ISS_AAA", "AAA.US", "US")}


def test_markets_are_those_named_those_of_the_regions_or_the_lakes(tmp_path: Path) -> None:
    lake = markets_world(tmp_path / "lake")
    for number, (given, planned) in enumerate(
        [({"market_id": ("EU_EQ",)}, 5), ({"region": ("US",)}, 5), ({"region": ("US", "EU")}, 10), ({}, 10)]
    ):
        assert make(lake, STATES, variant=f"v{number}x", **given, **PLAIN).planned == planned
    with pytest.raises(RequestError, match="market EU_EQ is not of region US; leave one of them out"):
        make(lake, STATES, market_id=("EU_EQ",), region=("US",), **PLAIN)
    with pytest.raises(RequestError, match=r"the lake has no instrument ZZZ\.US in market US_EQ"):
        make(lake, STATES, market_id=("US_EQ",), instrument_id=("ZZZ.US",), **PLAIN)
    with pytest.raises(MissingInputError, match="the lake knows no instruments; bring them with `prometheus ingest"):
        make(Lake.open(tmp_path / "empty", create=True), STATES, **PLAIN)
