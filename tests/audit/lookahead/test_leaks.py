"""Stages that look ahead are caught and named, whatever the way; an honest one is not."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from pathlib import Path

import pytest

from prometheus.audit.lookahead import StepVerdict, Verdict, audit_lookahead
from prometheus.errors import MissingInputError, RequestError
from prometheus.lake import Lake
from tests.leaky_stages import (
    ANTEDATED,
    CONSTANT,
    CUT,
    FIRST,
    FULL_SAMPLE,
    FUTURE_COUNT,
    HONEST,
    LAST,
    LATEST_VERSION,
    MEMBERS_OF_TODAY,
    SURVIVORS,
    TABLE,
    TOMORROW,
    daily_stage,
    following,
)

BEHIND = following(TOMORROW)
IDLE = daily_stage("idle", ["macro_texts"], lambda reader, day: {"ALL": 1.0})
SILENT = daily_stage("silent", ["prices_daily"], lambda reader, day: {})
REFUSED = following(daily_stage("nobody", [], lambda reader, day: {}))
LEAKY = [TOMORROW, LATEST_VERSION, FULL_SAMPLE, FUTURE_COUNT, MEMBERS_OF_TODAY, SURVIVORS, ANTEDATED]
BEFORE, AFTER = 8, 5
"""Sessions from the first to the cut, and after it."""


@pytest.fixture(scope="module")
def noise(market: Lake) -> Verdict:
    """Everything at once: stages do not mind each other."""
    return audit_lookahead(market, CUT, stages=[BEHIND, HONEST, CONSTANT, IDLE, SILENT, *LEAKY])


@pytest.fixture(scope="module")
def deleted(market: Lake) -> Verdict:
    return audit_lookahead(market, CUT, stages=[HONEST, TOMORROW, FULL_SAMPLE, FUTURE_COUNT], future="delete")


def step(verdict: Verdict, name: str) -> StepVerdict:
    return next(s for s in verdict.cuts[0].steps if s.stage == name)


def test_an_honest_stage_is_clean(noise: Verdict) -> None:
    honest = step(noise, "honest")
    (table,) = honest.tables
    assert (honest.void, honest.leaks, honest.follows) == ("", False, ())
    assert (table.compared, table.equal, table.before, table.after) == (BEFORE, BEFORE, 0, AFTER)
    assert honest.replaced_inputs > AFTER * 6
    assert table.differences == {}


def test_the_cut_is_said(noise: Verdict) -> None:
    (cut,) = noise.cuts
    assert cut.known_by == dt.datetime(2024, 2, 15, 23, 59, 59, 999999, tzinfo=dt.UTC)
    assert cut.market_ids == ("US_EQ",)
    assert noise.lines()[0] == (
        "cut 2024-02-15, end_of_day, US_EQ: raw rows known after 2024-02-15 23:59:59.999999 UTC replaced by noise "
        "(seed 0); output days 2024-02-06 to 2024-02-23"
    )


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("tomorrow", 1, 1),  # the day of the cut alone sees past it
        ("latest_version", 1, BEFORE - 1),  # the days whose prices were corrected later
        ("full_sample", BEFORE, BEFORE),
        ("future_count", BEFORE, BEFORE),
        ("members_of_today", BEFORE, BEFORE),
    ],
)
def test_a_value_that_looks_ahead_is_caught_and_named(noise: Verdict, name: str, least: int, most: int) -> None:
    found = step(noise, name)
    (table,) = found.tables
    assert (found.leaks, found.follows) == (True, ())
    assert least <= table.before <= most
    assert (table.compared, table.equal) == (BEFORE, BEFORE - table.before)
    difference = table.differences["vector"]
    assert difference.rows == table.before
    assert difference.key["model_id"] == f"{name}-v1"
    assert FIRST <= difference.key["as_of_date"] <= CUT
    assert difference.partition.keys() == {"model_id", "variant", "entity_type", "as_of_date"}
    said = noise.lines()
    assert f"leak: {name} [v0], {TABLE}: {table.before} of {BEFORE} rows of before the cut differ" in said
    assert any(f"column vector: {table.before} rows, the first in partition model_id={name}-v1" in x for x in said)


def test_tomorrows_price_shows_on_the_day_of_the_cut(noise: Verdict) -> None:
    (table,) = step(noise, "tomorrow").tables
    assert table.differences["vector"].key["as_of_date"] == CUT


def test_rows_that_are_there_or_not_because_of_the_future_count(noise: Verdict) -> None:
    (table,) = step(noise, "survivors").tables
    # Names that will be delisted are gone from the past; names that are yet to come are in it.
    assert table.differences["(the row is missing)"].rows >= BEFORE
    assert table.differences["(the row is new)"].rows >= BEFORE
    assert table.before == sum(d.rows for d in table.differences.values())


def test_an_event_row_that_claims_to_have_been_known_is_caught(noise: Verdict) -> None:
    (table,) = step(noise, "antedated").tables
    assert (table.table, table.compared) == ("text_embeddings", BEFORE)
    assert table.differences["vector"].key["source_id"].startswith("a2024-0")


def test_it_says_in_which_stage_a_leak_begins(noise: Verdict) -> None:
    names = [s.stage for s in noise.cuts[0].steps]
    assert names.index("tomorrow") < names.index("following")
    behind = step(noise, "following")
    assert (behind.leaks, behind.tables[0].table) == (True, "regimes")
    assert "tomorrow [v0]" in behind.follows
    last = noise.lines()[-1]
    assert last.startswith(
        "leak: what became known after the cut changed rows of before it; it begins in tomorrow [v0]"
    )
    assert "following" not in last


def test_what_proves_nothing_is_named(noise: Verdict) -> None:
    assert "none of its rows of after the cut differ" in step(noise, "constant").void
    assert step(noise, "idle").void == "none of its inputs has rows known after the cut-off"
    assert "no rows of before the cut" in step(noise, "silent").void
    for name in ("constant", "idle", "silent"):
        assert not step(noise, name).leaks
        assert any(line.startswith(f"void: {name} [v0]: ") for line in noise.lines())


def test_a_verdict_without_a_leak_is_void_when_a_step_proves_nothing(market: Lake) -> None:
    verdict = audit_lookahead(market, CUT, stages=[HONEST, CONSTANT, REFUSED])
    assert verdict.status == "void"
    assert step(verdict, "following").void == "it could not be run: there are no rows of nobody"
    assert verdict.lines()[-1].startswith("void: nothing is proven of the steps named above")


def test_deleting_the_future_shows_leaks_too_and_leaves_an_honest_stage_alone(deleted: Verdict) -> None:
    assert [(s.stage, s.leaks) for s in deleted.cuts[0].steps] == [
        ("honest", False),
        ("tomorrow", True),
        ("full_sample", True),
        ("future_count", True),
    ]
    assert step(deleted, "honest").void == ""
    assert " deleted; output days" in deleted.lines()[0]


def test_the_same_as_data(noise: Verdict) -> None:
    record = json.loads(json.dumps(noise.record()))
    assert (record["status"], record["seed"], record["first"]) == ("leak", 0, "2024-02-06")
    by_name = {s["stage"]: s for s in record["cuts"][0]["steps"]}
    assert by_name["honest"]["tables"][0]["differing_before"] == 0
    (difference,) = by_name["tomorrow"]["tables"][0]["differences"]
    assert (difference["column"], difference["rows"]) == ("vector", 1)
    assert difference["key"]["as_of_date"] == "2024-02-15"
    rows = list(csv.DictReader(io.StringIO(noise.csv())))
    assert [r["stage"] for r in rows] == [s.stage for s in noise.cuts[0].steps]
    assert {r["stage"]: int(r["differing_before"]) for r in rows}["tomorrow"] == 1


@pytest.mark.parametrize("cut", [FIRST - dt.timedelta(days=1), LAST, dt.date(2030, 1, 1)])
def test_a_cut_outside_the_days_is_a_wrong_request(market: Lake, cut: dt.date) -> None:
    with pytest.raises(RequestError, match="must lie within the days audited, 2024-02-06 to 2024-02-23"):
        audit_lookahead(market, cut, stages=[HONEST])


def test_a_lake_without_rows_has_nothing_to_audit(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="holds no rows of prices_daily"):
        audit_lookahead(Lake.open(tmp_path / "empty", create=True), CUT, stages=[HONEST])


def test_the_lake_is_only_read_and_its_copies_can_be_kept(market: Lake, tmp_path: Path) -> None:
    before = {table: market.version(table) for table in market.tables()}
    folder = tmp_path / "pair"
    audit_lookahead(market, CUT, stages=[HONEST], folder=folder)
    assert {table: market.version(table) for table in market.tables()} == before
    actual, other = Lake.open(folder / "actual-US_EQ"), Lake.open(folder / "noise-2024-02-15-US_EQ")
    assert actual.digest("prices_daily") == market.digest("prices_daily") != other.digest("prices_daily")
    with pytest.raises(RequestError, match="is there already"):
        audit_lookahead(market, CUT, stages=[HONEST], folder=folder)


def test_markets_with_other_cutoffs_are_audited_apart(market: Lake) -> None:
    verdict = audit_lookahead(market, CUT, stages=[ANTEDATED], regions=("US", "EU"), cutoff="session_close")
    assert [(c.market_ids, c.known_by.hour) for c in verdict.cuts] == [(("EU_EQ",), 16), (("US_EQ",), 21)]
