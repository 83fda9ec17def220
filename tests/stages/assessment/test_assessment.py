"""Scores in a lake: numbers, fallbacks, fits that see no further than their cut, branches, refusals."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from prometheus.clock import Markets
from prometheus.encoders.models_joint_simple import SimpleAverageJointModel
from prometheus.engines.assessment import normal_scores
from prometheus.errors import BadDataError, MissingInputError, VariantConflictError
from prometheus.lake import Lake, contract
from prometheus.runtime import StageReader
from prometheus.scripts.backfill_assessment import main
from prometheus.stages.assessment.branches import WIDTH, side_by_side
from prometheus.vectors import EMBEDDING_DIM, from_list_array, to_list_array
from tests.crashes import doctor
from tests.demo_lakes import run, sql
from tests.engine_cases import CASES
from tests.engine_worlds import LAST, MARKET_ID, NAMES, THIN, UPSTREAM, world
from tests.market_rows import instrument_table

WINDOWS = {"model_id": "num-regime-core-v1", "entity_type": ("INSTRUMENT",), "market_id": (MARKET_ID,)}
NUMERIC = {"reads": "numeric", "variant": "numeric", "market_id": (MARKET_ID,)}
CUT = dt.date(2019, 12, 31)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Both models over the quarter. For reading."""
    lake = world(tmp_path_factory.mktemp("assessment") / "lake")
    for case in CASES:
        if case.name.startswith("assessment-"):
            case.make(lake, None)
    run(lake, "assessment", LAST, LAST, model_id="assessment-basic-v1", market_id=(MARKET_ID,))
    return lake


def test_a_row_is_what_prices_and_soft_targets_say(judged: Lake) -> None:
    rows = sql(
        judged,
        f"""select s.*, c.soft_target_score from instrument_scores s join soft_target_classes c
              on c.entity_id = s.instrument_id and c.as_of_date = s.as_of_date
            where s.as_of_date = '{LAST}' and s.horizon_days = 21 and s.model_id = 'assessment-basic-v1'
              and s.variant = 'soft'
            order by instrument_id""",
    )
    names = [r["instrument_id"] for r in rows]
    assert names == sorted({*NAMES, "MUTE.US"})
    returns = {}
    for name in names:
        found = sql(judged, f"select close from prices_daily where instrument_id = '{name}' order by as_of_date")
        returns[name] = np.diff(np.log([r["close"] for r in found]))
    day = np.zeros(len(names), dtype=np.int64)
    momentum = np.array([returns[n][-22:-1].sum() for n in names])
    soft = np.array([r["soft_target_score"] for r in rows])
    score = normal_scores(day, normal_scores(day, momentum) - 0.5 * normal_scores(day, soft))
    for row, name, z in zip(rows, names, score, strict=True):
        sigma = np.std(returns[name][-63:], ddof=1) * 21**0.5
        assert row["score"] == z
        assert row["volatility"] == pytest.approx(sigma, rel=1e-9)
        assert row["expected_return"] == pytest.approx(0.02 * sigma * z, rel=1e-9)
        assert (row["num_names"], row["backend"], row["reason"], row["fitted_on"]) == (len(names), "basic", None, None)
    week, quarter = (
        sql(
            judged,
            f"""select count(*) as n, count(*) filter (a.score = b.score) as equal
                from instrument_scores a join instrument_scores b using (instrument_id, as_of_date, model_id, variant)
                where a.horizon_days = 21 and b.horizon_days = {horizon} and variant = 'soft'""",
        )[0]
        for horizon in (5, 63)
    )
    assert week["equal"] == week["n"] > 500, "momentum is over a month at least"
    assert quarter["equal"] < 0.5 * quarter["n"]
    assert rows[int(np.argmax(score))]["signal_label"] == "STRONG_BUY"
    assert rows[int(np.argmin(score))]["signal_label"] == "STRONG_SELL"


def test_the_context_model_says_what_it_was_fitted_on(judged: Lake) -> None:
    fits = sql(judged, "select * exclude(coefficients) from assessment_fits order by horizon_days")
    assert [(f["horizon_days"], f["year"], f["as_of_date"]) for f in fits] == [(5, 2020, CUT), (21, 2020, CUT)]
    assert {(f["ic"], f["reason"], f["held_back_ic"]) for f in fits} == {(0.0, "no_held_back_year", None)}
    rows = sql(judged, "select distinct backend, reason, fitted_on, expected_return, confidence from instrument_scores "
                       "where model_id = 'assessment-context-v1'")  # fmt: skip
    assert rows == [
        {
            "backend": "context",
            "reason": "no_held_back_year",
            "fitted_on": CUT,
            "expected_return": 0.0,
            "confidence": 0.5,
        }
    ]
    days = sql(judged, "select as_of_date, horizon_days, avg(score) as mean, count(*) as n, max(num_names) as m "
                       "from instrument_scores group by model_id, variant, 1, 2")  # fmt: skip
    for day in days:
        assert day["mean"] == pytest.approx(0.0, abs=0.05)
        assert day["n"] == day["m"]


def test_basic_stands_in_where_there_is_no_vector_or_no_fit(tmp_path: Path) -> None:
    lake = world(tmp_path / "lake", only=(*NAMES[:3], THIN))
    given = {**NUMERIC, "horizon_days": (5,)}
    summary = run(lake, "assessment", LAST, LAST, **given)
    assert summary.notes == {"rows by basic (no_embedding, no_soft_target)": 3}
    assert summary.skipped == {"low_coverage": 1}
    run(lake, "stability", LAST, LAST, market_id=(MARKET_ID,))
    run(lake, "numeric_embeddings", LAST, LAST, **WINDOWS, instrument_id=NAMES[:2])
    assert run(lake, "assessment", LAST, LAST, **given).notes == {
        "rows by basic (no_embedding)": 1,
        "rows by basic (no_fit)": 2,
    }
    kept = sql(lake, "select instrument_id, backend, reason, ic from instrument_scores order by 1")
    assert [(r["instrument_id"], r["reason"]) for r in kept] == [
        (NAMES[0], "no_fit"),
        (NAMES[1], "no_fit"),
        (NAMES[2], "no_embedding"),
    ]
    assert {(r["backend"], r["ic"]) for r in kept} == {("basic", 0.02)}


def test_a_fit_sees_outcomes_up_to_its_cut_and_none_after(judged: Lake, tmp_path: Path) -> None:
    """Nor does it depend on where the request begins."""
    month = {**NUMERIC, "horizon_days": (21,)}
    fits = {"plain": judged.read("assessment_fits", where={"horizon_days": 21})}
    for name, day in (("after", CUT), ("before", dt.date(2019, 12, 30))):
        lake = world(tmp_path / name, noise_after=day)
        # The last windows whose 21 sessions are over by the cut end before.
        run(lake, "numeric_embeddings", UPSTREAM, dt.date(2019, 12, 2), **WINDOWS)
        run(lake, "assessment_fits", dt.date(2018, 11, 1), LAST, **month)
        fits[name] = lake.read("assessment_fits")
        assert fits[name]["as_of_date"].to_pylist() == [CUT]
    assert fits["after"].equals(fits["plain"])
    assert not fits["before"].equals(fits["plain"]), "the noise of the last session reached no outcome"


def test_a_name_that_comes_to_a_market_later_is_in_none_of_its_earlier_fits(tmp_path: Path) -> None:
    lake = world(tmp_path / "lake")
    run(lake, "numeric_embeddings", UPSTREAM, dt.date(2019, 12, 10), **WINDOWS)
    moved = {"valid_from": dt.date(2020, 2, 3), "known_at": dt.datetime(2020, 2, 3, tzinfo=dt.UTC)}
    lake.upsert("instruments", instrument_table([{"instrument_id": n, "market_id": "EU_EQ", **moved} for n in NAMES]))
    abroad = {**NUMERIC, "market_id": ("EU_EQ",), "horizon_days": (5,)}
    assert run(lake, "assessment_fits", LAST, LAST, **abroad).rows == 0
    run(lake, "assessment_fits", LAST, LAST, **{**NUMERIC, "horizon_days": (5,)})
    assert lake.read("assessment_fits")["num_rows"][0].as_py() > 200


def test_the_doctor_finds_what_lineage_counts(judged: Lake) -> None:
    assert list(doctor(Path(judged.location.root)).findings) == []


def joint_rows(seed: int = 0) -> tuple[pa.Table, dict[str, np.ndarray]]:
    """Two names and a day with rows of every branch but the profile; the second has no news."""
    rng, day = np.random.default_rng(seed), dt.date(2020, 2, 3)
    vectors = {k: rng.standard_normal(EMBEDDING_DIM).astype(np.float32) for k in ("US", *NAMES[:2], "news")}
    rows, blocks = [], []

    def row(joint_type: str, key: str, vector: np.ndarray, branches: list[dict[str, object]]) -> None:
        model = {"ASSESSMENT_CTX_V0": "joint-assessment-context-v1"}.get(joint_type, "m")
        rows.append({"joint_type": joint_type, "model_id": model, "variant": "v0", "as_of_date": day})
        rows[-1] |= {"entity_key": key, "entity_scope": json.dumps({}), "branches": branches, "vector_ref": None}
        blocks.append(vector)

    row("REGIME_CONTEXT_V0", "US", vectors["US"], [])
    for name in NAMES[:2]:
        row("STAB_FRAGILITY_V0", name, vectors[name], [])
        parts = {"regime": ("US", 1.0), "stab": (name, 2.0), "text": ("news", 0.5)}
        if name == NAMES[1]:
            del parts["text"]
        said = [
            {"name": k, "weight": w, "model_id": "m", "variant": "v0", "source_key": key, "source_date": day,
             "norm": float(np.linalg.norm(vectors[key]))}
            for k, (key, w) in parts.items()
        ]  # fmt: skip
        fused = SimpleAverageJointModel([w for _, w in parts.values()]).encode([vectors[k] for k, _ in parts.values()])
        row("ASSESSMENT_CTX_V0", name, fused, said)
    declared = contract("joint_embeddings").schema
    plain = pa.Table.from_pylist(rows, schema=pa.schema([f for f in declared if f.name != "vector"]))
    table = plain.append_column(declared.field("vector"), to_list_array(np.stack(blocks)))
    return table.select(declared.names), vectors


def test_branches_are_what_the_joint_vector_averages(tmp_path: Path) -> None:
    table, vectors = joint_rows()
    lake = Lake.open(tmp_path / "lake", create=True)
    lake.upsert("joint_embeddings", table)
    reader = StageReader(lake, Markets.from_mapping({}), ["joint_embeddings"])
    contexts = lake.read("joint_embeddings", where={"joint_type": "ASSESSMENT_CTX_V0"}).sort_by("entity_key")
    found = side_by_side(reader, contexts)
    assert found.shape == (2, WIDTH)
    profile, stab, text, present = np.split(found, [EMBEDDING_DIM, 2 * EMBEDDING_DIM, 3 * EMBEDDING_DIM], axis=1)
    assert present.tolist() == [[0, 1, 1], [0, 1, 0]]
    assert not profile.any()
    assert stab[0].tolist() == vectors[NAMES[0]].tolist()
    assert stab[1].tolist() == vectors[NAMES[1]].tolist()
    assert text[0] == pytest.approx(vectors["news"], abs=1e-5)
    assert not text[1].any()
    other = from_list_array(contexts["vector"]).copy()
    other[0] *= 1.01
    place = contexts.schema.get_field_index("vector")
    with pytest.raises(BadDataError, match=r"N00\.US on 2020-02-03 is not the plain average"):
        side_by_side(reader, contexts.set_column(place, "vector", to_list_array(other)))
    bare = Lake.open(tmp_path / "bare", create=True)
    bare.upsert("joint_embeddings", table.filter(pa.compute.equal(table["joint_type"], "ASSESSMENT_CTX_V0")))
    without = StageReader(bare, Markets.from_mapping({}), ["joint_embeddings"])
    with pytest.raises(BadDataError, match="no REGIME_CONTEXT_V0 row US of 2020-02-03"):
        side_by_side(without, contexts)


def test_the_command_names_rows_by_the_backend_and_refuses_what_it_cannot_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = world(tmp_path / "command", only=NAMES[:2])
    words = ["--lake", str(tmp_path / "command"), "--quiet", "--market-id", MARKET_ID, "--as-of", str(LAST)]
    assert main([*words, "--backend", "basic", "--horizon-days", "5", "--horizon-days", "21"]) == 0
    assert sql(lake, "select model_id, horizon_days, count(*) as n from instrument_scores group by all order by 2") == [
        {"model_id": "assessment-basic-v1", "horizon_days": 5, "n": 2},
        {"model_id": "assessment-basic-v1", "horizon_days": 21, "n": 2},
    ]
    assert "2 rows" not in capsys.readouterr().out
    assert main([*words, "--backend", "context"]) == 0
    assert {r["n"] for r in sql(lake, "select count(*) as n from instrument_scores group by model_id")} == {4, 6}
    for given, said in (("month", "must be whole numbers; got month"), ("64", "whole numbers from 1 to 63; got 64")):
        assert main([*words, "--horizon-days", given]) == 2
        assert said in capsys.readouterr().err
    with pytest.raises(MissingInputError, match="there are no prices between 2015-01-05 and 2015-01-09"):
        run(lake, "assessment", dt.date(2015, 1, 5), dt.date(2015, 1, 9))
    with pytest.raises(VariantConflictError, match="reads"):
        run(lake, "assessment", LAST, LAST, reads="numeric")
