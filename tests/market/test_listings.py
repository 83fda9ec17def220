"""What instruments were known to be on a day."""

from __future__ import annotations

import datetime as dt
from typing import Any

import hypothesis.strategies as st
import numpy as np
import polars as pl
from hypothesis import given, settings

from prometheus.market.listings import described_as_known
from tests.joint_worlds import listing
from tests.text_rows import rows_of

DAYS = [dt.date(2025, 1, 6) + dt.timedelta(days=i) for i in range(12)]
DATED = np.array(DAYS, dtype="datetime64[D]")
CUTOFFS = (DATED + 1).astype("datetime64[us]") - np.timedelta64(1, "us")


def described(*versions: dict[str, Any]) -> pl.DataFrame:
    return described_as_known(rows_of("instruments", *versions), DATED, CUTOFFS)


def slowly(versions: list[dict[str, Any]], name: str, day: dt.date) -> dict[str, Any] | None:
    """The same, one name and day at a time."""
    known = [v for v in versions if v["instrument_id"] == name and v["known_at"].date() <= day]
    rows: dict[dt.date, dict[str, Any]] = {}
    for version in sorted(known, key=lambda v: v["known_at"]):
        rows[version["valid_from"]] = version
    begun = [r for r in rows.values() if not r["withdrawn"] and r["valid_from"] <= day]
    if not begun:
        return None
    row = max(begun, key=lambda r: r["valid_from"])
    over = (row["valid_to"] and row["valid_to"] < day) or (row["delisted_on"] and row["delisted_on"] < day)
    return None if over else row


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Versions of two names; of one key no two at the same instant."""
    versions = []
    seen = set()
    for _ in range(draw(st.integers(0, 9))):
        name, begins, known = draw(st.sampled_from("AB")), draw(st.integers(0, 11)), draw(st.integers(0, 11))
        if (name, begins, known) in seen:
            continue
        seen.add((name, begins, known))
        end = draw(st.none() | st.integers(0, 11))
        gone = draw(st.none() | st.integers(0, 11))
        versions.append(
            listing(
                name,
                draw(st.sampled_from(["ISS_A", "ISS_B", None])),
                draw(st.sampled_from(["US_EQ", "EU_EQ"])),
                begins=str(DAYS[begins]),
                known=f"{DAYS[known]} 12:00",
                ends=None if end is None else str(DAYS[end]),
                delisted=None if gone is None else str(DAYS[gone]),
                withdrawn=draw(st.booleans()),
            )
        )
    return versions


@settings(max_examples=60)
@given(versions=histories(), order=st.randoms(use_true_random=False))
def test_it_is_what_one_finds_looking_day_by_day(versions: list[dict[str, Any]], order: Any) -> None:
    shuffled = list(versions)
    order.shuffle(shuffled)
    found = {(r["as_of_date"], r["instrument_id"]): r for r in described(*shuffled).to_dicts()}
    expected = {(d, n): slowly(versions, n, d) for d in DAYS for n in "AB"}
    assert found.keys() == {key for key, row in expected.items() if row}
    for key, row in found.items():
        wanted = expected[key]
        assert wanted is not None
        said = ("issuer_id", "market_id", "sector", "asset_class", "valid_from")
        assert [row[c] for c in said] == [wanted[c] for c in said]


def test_rows_come_by_day_then_instrument() -> None:
    rows = described(listing("B", None), listing("A", "ISS_A"))
    assert rows.select("as_of_date", "instrument_id").rows() == [(d, n) for d in DAYS for n in "AB"]
    assert rows.columns == [
        "as_of_date",
        "instrument_id",
        "issuer_id",
        "market_id",
        "sector",
        "asset_class",
        "valid_from",
    ]


def test_an_ended_description_is_not_replaced_by_the_one_before() -> None:
    """What began last counts; once it has ended the name is gone, whatever was said of it earlier."""
    rows = described(listing("A", "OLD"), listing("A", "NEW", begins=str(DAYS[2]), ends=str(DAYS[4])))
    assert rows["issuer_id"].to_list() == ["OLD", "OLD", "NEW", "NEW", "NEW"]


def test_without_rows_there_are_none() -> None:
    assert described().height == 0


def test_what_is_said_at_the_very_cutoff_was_known_by_then() -> None:
    said = CUTOFFS[2].astype("datetime64[us]").item()
    rows = described(listing("A", "OLD"), listing("A", "NEW") | {"known_at": said.replace(tzinfo=dt.UTC)})
    assert rows["issuer_id"].to_list() == ["OLD"] * 2 + ["NEW"] * (len(DAYS) - 2)
