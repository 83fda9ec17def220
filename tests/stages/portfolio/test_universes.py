"""Universes in a lake: a score anyone can redo from `reasons`, who is there on a day, what makes a day stale."""

from __future__ import annotations

import datetime as dt
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from prometheus.errors import BadDataError, MissingInputError, RequestError
from prometheus.lake import Lake, contract
from prometheus.runtime import RunOptions
from prometheus.scripts.backfill_universes import main
from prometheus.stages.portfolio import universe_rows
from prometheus.stages.portfolio.params import UniversesParams
from tests.demo_lakes import run, sql
from tests.engine_worlds import DEAD, DELISTED, LAST, MARKET_ID, MUTE, NAMES, SCALED
from tests.scored_worlds import GIVEN

DAY = LAST


@pytest.fixture(scope="module")
def made(scored_world: Lake) -> Lake:
    """The universe of the engine world's quarter. For reading."""
    return scored_world


def rows_of(lake: Lake, variant: str = "plain", day: dt.date = DAY) -> dict[str, dict[str, Any]]:
    rows = lake.read("universe_members", dates=(day, day), where={"variant": variant}).to_pylist()
    return {r["instrument_id"]: {**r, "reasons": json.loads(r["reasons"])} for r in rows}


def by_hand(why: dict[str, Any]) -> float:
    """The score from a row's reasons alone."""
    base = 0.0
    for name, value in (
        ("assessment", "assessment_score"),
        ("stab", "stab_score"),
        ("adv", "log_adv"),
        ("lambda", "lambda_score"),
    ):
        weight = why["lambda_score_weight" if name == "lambda" else f"{name}_weight"]
        if why[value] is not None and why[f"{name}_std"]:
            z = (why[value] - why[f"{name}_mean"]) / why[f"{name}_std"]
            base += weight * min(max(z, -3.0), 3.0)
    risk = (1 - why["a_stab"] * (why["stab_risk_score"] or 0.0)) * (
        1 - why["a_reg"] * (why["regime_risk_score"] or 0.0)
    )
    return base * risk if base >= 0 else base * (2 - risk)


def test_the_score_can_be_redone_from_reasons_alone(made: Lake) -> None:
    checked = 0
    for row in made.read("universe_members").to_pylist():
        why = json.loads(row["reasons"])
        assert row["score"] == why["score"]
        if row["score"] is not None:
            assert by_hand(why) == pytest.approx(row["score"], rel=1e-12, abs=1e-14)
            assert why["regime_risk_score"] == 0.4
            assert math.exp(why["log_adv"]) == pytest.approx(why["adv"])
            checked += 1
    assert checked > 600


def test_reasons_are_one_way_to_write_the_same_numbers(made: Lake) -> None:
    for text in made.read("universe_members", dates=(DAY, DAY))["reasons"].to_pylist():
        keys = [k for k, _ in json.loads(text, object_pairs_hook=list)]
        assert keys == sorted(keys)
        assert text == json.dumps(json.loads(text), separators=(",", ":")).replace("e-0", "e-")


def test_rows_are_the_same_however_many_are_written_at_a_time(
    made: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake.open(shutil.copytree(made.location.path, tmp_path / "lake"))
    monkeypatch.setattr(universe_rows, "ROWS_AT_ONCE", 7)
    done = run(lake, "universes", DAY, DAY, **{**GIVEN, "variant": "sevens"})
    assert done.done == 1
    sevens, plain = rows_of(lake, "sevens"), rows_of(lake)
    assert len(plain) > 7
    assert sevens == {name: {**row, "variant": "sevens"} for name, row in plain.items()}


def test_everyone_listed_has_a_row_and_those_who_fail_say_by_which_filter(made: Lake) -> None:
    before = rows_of(made, day=DELISTED)
    rows = rows_of(made)
    assert set(before) == {*NAMES, DEAD, MUTE, "THIN.US"}
    assert set(before) - set(rows) == {DEAD}
    assert rows[MUTE]["excluded_by"] == "ADV"
    assert rows[MUTE]["reasons"]["adv"] is None
    assert rows[SCALED]["excluded_by"] == "PRICE"
    assert rows[SCALED]["reasons"]["price"] < 1 == rows[SCALED]["reasons"]["min_price"]
    assert rows[SCALED]["score"] is None is rows[SCALED]["rank"]
    ranks = sorted(r["rank"] for r in rows.values() if r["rank"])
    assert ranks == list(range(1, len(ranks) + 1))


def test_what_the_filters_ask_of_prices_is_what_the_prices_say(made: Lake) -> None:
    name = NAMES[7]
    found = sql(
        made,
        f"""select count(*) as n, median(money) as money, arg_max(close, as_of_date) as last from (
              select *, close * volume as money from prices_daily where instrument_id = '{name}' and as_of_date <= '{DAY}'
              order by as_of_date desc limit 63)""",
    )[0]
    why = rows_of(made)[name]["reasons"]
    assert why["adv"] == pytest.approx(found["money"])
    assert (why["price"], why["price_kind"], why["history"]) == (found["last"], "split_adjusted", 252)


def test_a_close_is_as_traded_from_when_a_corporate_action_of_the_name_is_known(made: Lake, tmp_path: Path) -> None:
    lake = copy(made, tmp_path)
    known = dt.datetime(2020, 2, 14, 12, tzinfo=dt.UTC)
    action = {"instrument_id": NAMES[1], "ex_date": dt.date(2020, 2, 10), "kind": "DIVIDEND", "amount": 0.1}
    row = {**action, "factor": None, "as_of_date": action["ex_date"], "known_at": known, "withdrawn": False}
    schema = contract("corporate_actions").schema
    lake.upsert("corporate_actions", pa.Table.from_pylist([{n: row.get(n) for n in schema.names}], schema=schema))
    both = dt.date(2020, 2, 13), dt.date(2020, 2, 14)
    run(lake, "universes", *both, RunOptions(force=True), **GIVEN)
    kinds = [rows_of(lake, day=dt.date(2020, 2, d))[NAMES[1]]["reasons"]["price_kind"] for d in (13, 14)]
    assert kinds == ["split_adjusted", "as_traded"]


def test_a_fund_is_listed_and_no_member(made: Lake, tmp_path: Path) -> None:
    lake = copy(made, tmp_path)
    rows = lake.read("instruments", where={"instrument_id": NAMES[0]}, every_version=True)
    fund = rows.set_column(rows.schema.get_field_index("asset_class"), "asset_class", pa.array(["ETF"] * rows.num_rows))
    later = fund.set_column(
        fund.schema.get_field_index("known_at"),
        fund.schema.field("known_at"),
        pc.add(fund["known_at"], pa.scalar(dt.timedelta(days=1))),
    )
    lake.upsert("instruments", later)
    run(lake, "universes", DAY, DAY, **GIVEN)
    assert rows_of(lake)[NAMES[0]]["excluded_by"] == "MEMBERSHIP"


def predictions(folder: Path, value: float, name: str = "p.csv") -> Path:
    """Energy is predicted much opportunity in every class; Utilities are not in the file."""
    classes = ("STABLE", "WATCH", "FRAGILE", "TARGETABLE")
    lines = [f"{DAY},{MARKET_ID},Energy,{c},{value + 0.01 * i},e1" for i, c in enumerate(classes)]
    path = folder / name
    path.write_text(
        "\n".join(["as_of_date,market_id,sector,soft_target_class,lambda_hat,experiment_id", *lines]) + "\n"
    )
    return path


def test_predicted_opportunity_counts_by_its_weight_and_misses_are_told(made: Lake, tmp_path: Path) -> None:
    lake = copy(made, tmp_path)
    path = predictions(tmp_path, 0.05)
    asked = {**GIVEN, "lambda_predictions": str(path), "lambda_score_weight": 2.0, "variant": "l"}
    summary = run(lake, "universes", DAY, DAY, **asked)
    plain, told = rows_of(lake), rows_of(lake, "l")
    some = [r for r in told.values() if r["rank"]]
    for row in some:
        why = row["reasons"]
        assert why["lambda_score_weight"] == 2.0
        assert (why["lambda_score"] is None) == (row["sector"] != "Energy")
        assert ("no_lambda" in (row["reason"] or "")) == (row["sector"] != "Energy")
        assert by_hand(why) == pytest.approx(row["score"], rel=1e-12, abs=1e-14)
    missed = sum(r["sector"] != "Energy" for r in some)
    assert summary.notes["candidates without lambda"] == missed > 0
    assert [r["rank"] for r in some] != [plain[r["instrument_id"]]["rank"] for r in some]
    again = run(lake, "universes", DAY, DAY, **asked)
    assert again.done == 0
    predictions(tmp_path, 0.07)
    changed = run(lake, "universes", DAY, DAY, **asked)
    assert changed.done == 1, "the file's content is an input"


def test_a_profile_that_is_too_old_or_none_is_weak(made: Lake, tmp_path: Path) -> None:
    lake = copy(made, tmp_path)
    ages = {NAMES[0]: 10, NAMES[1]: 30, NAMES[2]: 31}
    lake.upsert("joint_embeddings", profile_rows({f"ISS_{n[:4]}": DAY - dt.timedelta(days=a) for n, a in ages.items()}))
    run(lake, "universes", DAY, DAY, **{**GIVEN, "profile_max_age": 30, "variant": "profiles"})
    rows = rows_of(lake, "profiles")
    assert [rows[n]["excluded_by"] for n in NAMES[:4]] == [None, None, "WEAK_PROFILE", SCALED_EXCLUDED]
    assert [rows[n]["reasons"]["profile_age"] for n in NAMES[:2]] == [10, 30]


SCALED_EXCLUDED = "PRICE"


def profile_rows(dated: dict[str, dt.date]) -> pa.Table:
    schema = contract("joint_embeddings").schema
    plain: dict[str, Any] = {
        "joint_type": "PROFILE_CORE_V0",
        "model_id": "joint-profile-core-v1",
        "variant": "v0",
        "entity_scope": "{}",
        "branches": [],
        "vector": [0.0] * 384,
        "vector_ref": None,
    }
    rows = [{**plain, "entity_key": issuer, "as_of_date": day} for issuer, day in dated.items()]
    return pa.Table.from_pylist(rows, schema=schema)


@pytest.mark.parametrize(
    ("given", "what", "command"),
    [
        ({"assessment_variant": "none"}, "no assessment scores", "backfill_assessment"),
        ({"stability_variant": "none"}, "no soft-target classes of instruments", "backfill_stability"),
    ],
)
def test_without_what_it_needs_the_refusal_names_what_makes_it(
    made: Lake, given: dict[str, str], what: str, command: str
) -> None:
    with pytest.raises(MissingInputError, match=rf"there are {what} .*prometheus\.scripts\.{command} --date-range"):
        run(made, "universes", DAY, DAY, **{**GIVEN, **given, "variant": "none"})


def test_wrong_requests(made: Lake, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"has weight 0\.5 and no predictions; give them with --lambda-predictions"):
        UniversesParams(lambda_score_weight=0.5)
    with pytest.raises(RequestError, match="a universe needs a name without slashes"):
        UniversesParams(universe="A/B")
    with pytest.raises(BadDataError, match="there is no such file"):
        run(made, "universes", DAY, DAY, **{**GIVEN, "lambda_predictions": str(tmp_path / "none.csv")})


def test_the_command(made: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lake = copy(made, tmp_path)
    path = predictions(tmp_path, 0.05)
    flags = ["--stability-model-id", "stability-basic-v1", "--assessment-model-id", "assessment-basic-v1"]
    flags += ["--assessment-variant", "soft", "--market-id", MARKET_ID, "--variant", "command"]
    flags += ["--lambda-predictions", str(path), "--experiment-id", "e1", "--lambda-weight", "0.5"]
    assert main(["--lake", str(lake.location.root), "--as-of", str(DAY), *flags]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "universes [command]: planned 1, done 1" in said.err
    assert len(rows_of(lake, "command")) == len(rows_of(lake))


def copy(lake: Lake, folder: Path) -> Lake:
    shutil.copytree(lake.location.root, folder / "copy")
    return Lake.open(folder / "copy")
