"""The chain on real data: files to joint vectors, checked by independent arithmetic and known facts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from prometheus.cli.backfill import backfill
from prometheus.cli.config import compose, markets_from, node_of, params_for
from prometheus.cli.ingest import find_map, ingest
from prometheus.lake import Lake
from prometheus.runtime import run_stage
from prometheus.spaces.numeric import numeric_model, slots
from prometheus.stages import stage
from prometheus.vectors import from_list_array

pytestmark = pytest.mark.real

Bring = Callable[[str], Lake]


@pytest.fixture(scope="module")
def bring(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Bring:
    """Return a function that ingests one source into a lake of its own."""
    lakes: dict[str, Lake] = {}

    def bring(source: str) -> Lake:
        if source not in lakes:
            lake = Lake.open(tmp_path_factory.mktemp(source) / "lake", create=True)
            ingest(lake, find_map(source), real_data / source, markets=markets_from(compose("ingest")))
            lakes[source] = lake
        return lakes[source]

    return bring


def numeric(lake: Lake, first: dt.date, last: dt.date, **given: object) -> None:
    config = compose("backfill")
    declared = stage("numeric_embeddings")
    params = params_for(declared.params, node_of(config, declared.name), given)
    run_stage(lake, declared, params, first, last, markets=markets_from(config))


def test_joint_regime_context_of_tweets_equals_the_formula(bring: Bring) -> None:
    lake = bring("stocknet")
    first, last = dt.date(2015, 1, 1), dt.date(2015, 1, 31)
    backfill(
        lake,
        compose("backfill", ["encoder/text=hashing"]),
        regions=["US"],
        first=first,
        last=last,
        variants=["hashing"],
    )
    con = lake.connect()
    joint = dict(con.sql("select as_of_date, vector from joint_embeddings where variant = 'hashing'").fetchall())
    regime = dict(con.sql("select as_of_date, regime_embedding from regimes where proxy = 'MARKET'").fetchall())
    texts = con.sql(
        "select e.as_of_date, e.vector from text_embeddings e join news_articles a on e.source_id = a.article_id "
        "and e.as_of_date = date_trunc('day', a.published_at)::date"
    ).fetchall()
    by_day: dict[dt.date, list[np.ndarray]] = {}
    for day, vector in texts:
        by_day.setdefault(day, []).append(np.array(vector, dtype=np.float64))
    assert len(joint) == 20  # every session of January 2015 had tweets
    for day, vector in joint.items():
        expected = 0.5 * np.array(regime[day], dtype=np.float64) + 0.5 * np.mean(by_day[day], axis=0)
        np.testing.assert_allclose(vector, expected, atol=1e-6)
    # The file's tweets of those sessions, counted apart: none lost, none twice.
    sessions = set(joint)
    assert (
        sum(len(v) for d, v in by_day.items() if d in sessions)
        == con.sql(
            "select count(*) from news_articles where as_of_date in (select as_of_date from joint_embeddings)"
        ).fetchall()[0][0]
    )


def test_a_seven_for_one_split_is_no_crash(bring: Bring) -> None:
    lake = bring("pit_us")
    day, split = dt.date(2015, 9, 25), dt.date(2015, 7, 15)
    numeric(lake, day, day, instrument_id=("NFLX.US",), cutoff="next_open", variant="next_open")
    rows = lake.read("numeric_window_embeddings", dates=(day, day), where={"entity_id": "NFLX.US"})
    vector = from_list_array(rows["vector"])[0]
    model = numeric_model("num-regime-core-v1")
    sessions = lake.read("calendar_sessions", columns=["as_of_date"], where={"calendar_id": "XNYS"})
    between = [d for d in sessions["as_of_date"].to_pylist() if split < d <= day]
    slot = slots(model).index(f"window.return[{-len(between)}]")
    in_sigmas = vector[slot] / (0.5 / np.sqrt(3 * model.window))
    closes = lake.read("prices_daily", dates=(dt.date(2015, 7, 14), split), where={"instrument_id": "NFLX.US"})
    before, after = closes.sort_by("as_of_date")["close"].to_pylist()
    assert after / before == pytest.approx(1 / 7, abs=0.005)
    assert abs(in_sigmas) < 1.0  # -2.2 %, not -86 %


def test_what_is_not_known_by_the_cutoff_is_not_used(bring: Bring) -> None:
    """The last price of a day is collected the next noon: at the end of the day it is unknown, at the next open known."""
    lake = bring("pit_us")
    day = dt.date(2015, 12, 1)
    numeric(lake, day, day, instrument_id=("AAPL.US",), cutoff="next_open", variant="next_open")
    numeric(lake, day, day, instrument_id=("AAPL.US",), variant="end_of_day")
    found = {
        variant: from_list_array(
            lake.read(
                "numeric_window_embeddings", where={"variant": variant, "entity_id": "AAPL.US"}, dates=(day, day)
            )["vector"]
        )[0]
        for variant in ("next_open", "end_of_day")
    }
    last_return = slots(numeric_model("num-regime-core-v1")).index("window.return[0]")
    assert found["end_of_day"][last_return] == 0.0
    assert found["next_open"][last_return] != 0.0


@pytest.mark.soak
def test_twenty_two_years_of_regimes_and_windows(bring: Bring) -> None:
    lake = bring("longrun")
    first, last = dt.date(1999, 1, 1), dt.date(2021, 1, 27)
    config = compose("backfill")
    for name in ("regime_prototypes", "regimes", "numeric_embeddings"):
        declared = stage(name)
        run_stage(
            lake,
            declared,
            params_for(declared.params, node_of(config, name)),
            first,
            last,
            markets=markets_from(config),
        )
    con = lake.connect()
    labels = dict(
        con.sql("select regime_label, count(*) from regimes where regime_label is not null group by 1").fetchall()
    )
    assert len(labels) >= 3
    crisis = con.sql(
        "select regime_label, count(*) from regimes where as_of_date between '2008-10-01' and '2008-12-31' group by 1"
    ).fetchall()
    assert dict(crisis).get("CRISIS", 0) > 40
    coverage = con.sql(
        "select as_of_date, count(*) from numeric_window_embeddings where entity_type = 'INSTRUMENT' group by 1"
    ).fetchall()
    sessions = con.sql(
        "select count(*) from calendar_sessions where as_of_date between '1999-01-04' and '2021-01-27'"
    ).fetchall()[0][0]
    assert len([n for _, n in coverage if n > 200]) == sessions - 126  # 126 returns need 127 sessions
