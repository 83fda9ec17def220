"""Searches on real prices: what a crash was most like before it, known from the history books."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from prometheus.cli.config import compose, markets_from, node_of, params_for
from prometheus.cli.ingest import find_map, ingest
from prometheus.lake import Lake
from prometheus.runtime import run_stage
from prometheus.search import Query, Surface, nearest
from prometheus.stages import stage

pytestmark = [pytest.mark.real, pytest.mark.soak]

MONTHS = ("2005-06", "2008-10", "2011-08", "2013-05", "2017-06", "2020-03")


def test_march_2020_was_most_like_october_2008_and_august_2011(real_data: Path, tmp_path: Path) -> None:
    lake = Lake.open(tmp_path / "lake", create=True)
    ingest(lake, find_map("indices"), real_data / "indices", markets=markets_from(compose("ingest")))
    config, declared = compose("backfill"), stage("numeric_embeddings")
    given = {"market_id": ("US_INDEX",), "instrument_id": ("^GSPC",)}
    params = params_for(declared.params, node_of(config, declared.name), given)
    for month in MONTHS:
        first = dt.date.fromisoformat(f"{month}-01")
        run_stage(lake, declared, params, first, first + dt.timedelta(days=27), markets=markets_from(config))
    windows = Surface.numeric("num-regime-core-v1", entity_type="INSTRUMENT")
    query = Query.read(lake, windows, dt.date(2020, 3, 16), entity_id="^GSPC")
    earlier = nearest(lake, windows, query, k=200, history=True).to_pylist()
    months = [f"{row['as_of_date']:%Y-%m}" for row in earlier]
    assert set(months) == set(MONTHS[:-1])
    assert set(months[:10]) <= {"2008-10", "2011-08"}
    assert earlier[0]["cosine"] > 0.7
    calm = [row["cosine"] for row in earlier if row["as_of_date"].year in (2005, 2013, 2017)]
    assert max(calm) < earlier[10]["cosine"]
    # Its own month is 63 sessions too near.
    assert "2020-03" in {
        f"{r['as_of_date']:%Y-%m}" for r in nearest(lake, windows, query, k=200, when="known").to_pylist()
    }
