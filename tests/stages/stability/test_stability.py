"""States and classes in a lake: numbers, fallbacks, fits that see no further than their cut, scenarios, refusals."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from prometheus.errors import MissingInputError, RequestError, VariantConflictError
from prometheus.lake import Lake
from prometheus.scripts.backfill_stability import main
from tests.crashes import doctor
from tests.demo_lakes import run, sql
from tests.engine_cases import CASES
from tests.engine_worlds import LAST, MARKET_ID, NAMES, UPSTREAM, world
from tests.market_rows import instrument_table

STAB = {"model_id": "num-stab-core-v1", "entity_type": ("INSTRUMENT",), "market_id": (MARKET_ID,)}
CUT = dt.date(2019, 12, 31)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Both backends over the quarter, with scenarios known from February on. For reading."""
    lake = world(tmp_path_factory.mktemp("stability") / "lake")
    known = dt.date(2020, 2, 3)
    run(lake, "scenarios", known, known, method=("parametric",), num_paths=20, horizon_days=20, market_id=(MARKET_ID,))
    run(lake, "scenario_embeddings", known, known, market_id=(MARKET_ID,))
    for case in CASES:
        if case.name.startswith("stability-"):
            case.make(lake, None)
    return lake


def test_what_the_window_did_is_what_the_prices_say(judged: Lake) -> None:
    rows = sql(judged, f"select close, as_of_date from prices_daily where instrument_id = '{NAMES[2]}' order by 2")
    close = np.array([r["close"] for r in rows if r["as_of_date"] <= LAST][-64:])
    returns = np.diff(np.log(close))
    found = sql(
        judged,
        f"""select * from stability_vectors join soft_target_classes
            using (entity_type, entity_id, as_of_date, model_id, variant)
            where entity_id = '{NAMES[2]}' and as_of_date = '{LAST}' and model_id = 'stability-basic-v1'""",
    )
    assert len(found) == 1
    row = found[0]
    assert row["volatility"] == pytest.approx(np.std(returns, ddof=1), rel=1e-9)
    assert row["max_drawdown"] == pytest.approx((1 - close / np.maximum.accumulate(close)).max(), rel=1e-9)
    assert row["trend"] == pytest.approx(close[-1] / close[0] - 1, rel=1e-9)
    wanted = 0.4 * min(2500 * row["volatility"], 100) + 0.4 * min(250 * row["max_drawdown"], 100)
    wanted += 0.2 * min(250 * max(-row["trend"], 0), 100)
    assert row["overall_score"] == row["soft_target_score"] == pytest.approx(wanted)
    bounds = {"STABLE": 0, "WATCH": 30, "FRAGILE": 45, "TARGETABLE": 60, "BREAKER": 75}
    assert row["soft_target_class"] == max((k for k, v in bounds.items() if wanted >= v), key=bounds.__getitem__)


def test_a_company_has_the_state_of_its_instrument_and_a_market_its_members_mean(judged: Lake) -> None:
    pairs = sql(
        judged,
        """select count(*) as n, count(*) filter (a.overall_score = b.overall_score) as equal
           from stability_vectors a join stability_vectors b using (as_of_date, model_id, variant)
           where a.entity_type = 'INSTRUMENT' and b.entity_type = 'ISSUER'
             and b.entity_id = 'ISS_' || left(a.entity_id, 4)""",
    )[0]
    assert pairs["n"] == pairs["equal"] > 500
    for row in sql(
        judged,
        f"""select m.member_score, m.num_members, avg(i.overall_score) as mean, count(*) as n
            from stability_vectors m join stability_vectors i using (as_of_date, model_id, variant)
            where m.entity_type = 'MARKET' and m.entity_id = '{MARKET_ID}' and i.entity_type = 'INSTRUMENT'
              and m.model_id = 'stability-basic-v1' group by m.as_of_date, 1, 2""",
    ):
        assert row["num_members"] == row["n"]
        assert row["member_score"] == pytest.approx(row["mean"], abs=1e-6)


def test_the_head_says_where_it_is_from_and_basic_stands_in_where_there_is_none(judged: Lake, tmp_path: Path) -> None:
    rows = sql(judged, "select distinct backend, reason, fitted_on, forecast_volatility is null as none from "
                       "stability_vectors where model_id = 'stability-embedding-v1'")  # fmt: skip
    assert rows == [{"backend": "embedding", "reason": None, "fitted_on": CUT, "none": False}]
    lake = world(tmp_path / "bare", only=NAMES[:2])
    summary = run(lake, "stability", LAST, LAST)
    assert summary.notes == {"rows by basic (no_embedding)": 2}
    run(lake, "numeric_embeddings", LAST, LAST, **STAB)
    assert run(lake, "stability", LAST, LAST).notes == {"rows by basic (no_fit)": 2}
    kept = sql(lake, "select backend, reason from soft_target_classes")
    assert kept == [{"backend": "basic", "reason": "no_fit"}] * 2


def test_a_fit_sees_outcomes_up_to_its_cut_and_none_after(judged: Lake, tmp_path: Path) -> None:
    """Nor does it depend on where the request begins."""
    order = [("entity_type", "ascending"), ("target", "ascending")]
    fits = {"plain": judged.read("stability_fits").sort_by(order)}
    for name, day in (("after", CUT), ("before", dt.date(2019, 12, 30))):
        lake = world(tmp_path / name, noise_after=day)
        types = ("INSTRUMENT", "MARKET")
        run(lake, "numeric_embeddings", UPSTREAM, dt.date(2019, 12, 10), **{**STAB, "entity_type": types})
        run(lake, "stability_fits", dt.date(2018, 11, 1), LAST, entity_type=types)
        fits[name] = lake.read("stability_fits").sort_by(order)
        assert fits[name]["as_of_date"].to_pylist() == [CUT] * 4
        assert fits[name]["year"].to_pylist() == [2020] * 4
    assert fits["after"].equals(fits["plain"])
    assert not fits["before"].equals(fits["plain"]), "the noise of the last session reached no outcome"


def test_a_name_that_comes_to_a_market_later_is_in_none_of_its_earlier_fits(tmp_path: Path) -> None:
    lake = world(tmp_path / "lake")
    run(lake, "numeric_embeddings", UPSTREAM, dt.date(2019, 12, 10), **STAB)
    moved = {"valid_from": dt.date(2020, 2, 3), "known_at": dt.datetime(2020, 2, 3, tzinfo=dt.UTC)}
    lake.upsert("instruments", instrument_table([{"instrument_id": n, "market_id": "EU_EQ", **moved} for n in NAMES]))
    summary = run(lake, "stability_fits", LAST, LAST, market_id=("EU_EQ",))
    assert (summary.rows, sum(summary.skipped.values())) == (0, 1)
    run(lake, "stability_fits", LAST, LAST, market_id=(MARKET_ID,))
    assert set(lake.read("stability_fits")["num_rows"].to_pylist()) != {0}


def test_the_nearest_severe_scenario_is_one_known_by_then(judged: Lake) -> None:
    rows = sql(
        judged,
        """select as_of_date, nearest_scenario, scenario_cosine from stability_vectors
           where model_id = 'stability-embedding-v1'""",
    )
    severe = sql(judged, "select distinct scenario_set_id || '/' || scenario_id as id from scenario_paths "
                         "where severity = 'HIGH'")  # fmt: skip
    known = {r["id"] for r in severe}
    assert len(known) > 1
    for row in rows:
        if row["as_of_date"] < dt.date(2020, 2, 3):
            assert row["nearest_scenario"] is None
            assert row["scenario_cosine"] is None
        else:
            assert row["nearest_scenario"] in known
            assert -1 <= row["scenario_cosine"] <= 1
    assert len({r["nearest_scenario"] for r in rows}) > 2


def test_the_doctor_finds_what_lineage_counts(judged: Lake) -> None:
    assert list(doctor(Path(judged.location.root)).findings) == []


def test_the_command_names_rows_by_the_backend_and_refuses_what_it_cannot_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = world(tmp_path / "command", only=NAMES[:2])
    words = ["--lake", str(tmp_path / "command"), "--quiet", "--market-id", MARKET_ID]
    one = [*words, "--as-of", str(LAST), "--instrument-id", NAMES[0]]
    assert main([*one, "--backend", "basic"]) == 0
    assert sql(lake, "select distinct model_id, entity_id from soft_target_classes") == [
        {"model_id": "stability-basic-v1", "entity_id": NAMES[0]}
    ]
    assert capsys.readouterr().out == ""
    assert main([*one, "--entity-type", "MARKET"]) == 2
    assert "it goes with --entity-type INSTRUMENT alone" in capsys.readouterr().err
    assert main([*words, "--as-of", str(LAST), "--instrument-id", "NOBODY.US"]) == 2
    assert "the lake has no instrument NOBODY.US" in capsys.readouterr().err
    with pytest.raises(MissingInputError, match="there are no prices between 2015-01-05 and 2015-01-09"):
        run(lake, "stability", dt.date(2015, 1, 5), dt.date(2015, 1, 9))
    with pytest.raises(VariantConflictError, match="backend"):
        run(lake, "stability", LAST, LAST, backend="basic")
    with pytest.raises(RequestError):
        run(lake, "stability", LAST, LAST, market_id=("NOWHERE",))
