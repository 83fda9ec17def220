"""Windows with fundamentals: ranked in the whole market, known when reported; companies and the instruments for them."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from numpy.typing import NDArray

from prometheus.lake import Lake
from prometheus.runtime import RunOptions
from prometheus.spaces.numeric import NUM_PROFILE_CORE_V1, slots
from prometheus.vectors import from_list_array
from tests.demo_lakes import run

TABLE = "numeric_window_embeddings"
MODEL = NUM_PROFILE_CORE_V1.model_id
MONDAY, FRIDAY = dt.date(2024, 6, 3), dt.date(2024, 6, 14)
WITH_SECTOR = dt.date(2023, 6, 5)
"""A day on which a sector has the five members that a basket needs."""
UNREAD = ("news_*", "issuer_documents", "macro_texts", "profiles", "factors_daily", "issuers", "embeddings", "engines")
NAMES = slots(NUM_PROFILE_CORE_V1)
RANKS = [i for i, n in enumerate(NAMES) if n.startswith("fundamentals.") and not n.endswith("_known")]
MASKS = [i + 1 for i in RANKS]


@pytest.fixture
def lake(demo_lake: Path, tmp_path: Path) -> Lake:
    """Prices, instruments and fundamentals of the demo market."""
    shutil.copytree(demo_lake / "raw", tmp_path / "lake" / "raw", ignore=shutil.ignore_patterns(*UNREAD))
    return Lake.open(tmp_path / "lake")


def encode(lake: Lake, first: dt.date, last: dt.date, options: RunOptions | None = None, **params: object) -> None:
    run(lake, "numeric_embeddings", first, last, options, model_id=MODEL, market_id=("US_EQ",), **params)


def vectors(lake: Lake, day: dt.date, entity_type: str = "INSTRUMENT") -> dict[str, NDArray[np.float32]]:
    rows = lake.read(TABLE, dates=(day, day), where={"entity_type": entity_type, "model_id": MODEL})
    return dict(zip(rows["entity_id"].to_pylist(), from_list_array(rows["vector"]), strict=True))


def test_ranks_are_among_the_whole_market_whoever_is_asked_for(lake: Lake) -> None:
    encode(lake, MONDAY, MONDAY, limit=3)
    few = vectors(lake, MONDAY)
    encode(lake, MONDAY, MONDAY, instrument_id=("AAPL.US",))
    encode(lake, MONDAY, FRIDAY, RunOptions(chunk_days=3))
    every = vectors(lake, MONDAY)
    assert len(few) == 3 < len(every)
    for name, vector in few.items():
        assert np.array_equal(vector.view(np.uint32), every[name].view(np.uint32))
    whole = lake.digest(TABLE)
    encode(lake, MONDAY, FRIDAY, RunOptions(force=True, executor="serial"))
    assert lake.digest(TABLE) == whole
    block = np.stack(list(every.values()))
    known = block[:, MASKS] > 0
    assert known.mean() > 0.5
    assert np.abs(block[:, RANKS][~known]).max() == 0.0
    spread = np.where(known, block[:, RANKS], np.nan)
    told = known.sum(axis=0) >= 5
    assert np.abs(np.nanmean(spread[:, told], axis=0)).max() < 0.05
    assert (np.nanstd(spread[:, told], axis=0) > 0.05).all()


def test_a_report_is_known_when_it_is_out_and_moves_the_others_ranks(lake: Lake) -> None:
    encode(lake, MONDAY, FRIDAY)
    before = {day: vectors(lake, day) for day in (MONDAY, FRIDAY)}
    mark = NAMES.index("fundamentals.leverage")
    held = lake.read("fundamentals")
    latest = held.filter(pc.equal(held["metric"], "total_liabilities")).sort_by("period_end").to_pylist()
    issuers = lake.read("instruments", where={"market_id": "US_EQ"})
    issuer_of = dict(zip(issuers["instrument_id"].to_pylist(), issuers["issuer_id"].to_pylist(), strict=True))
    lowest = min((n for n in before[MONDAY] if before[MONDAY][n][mark + 1] > 0), key=lambda n: before[MONDAY][n][mark])
    mine = [r for r in latest if r["issuer_id"] == issuer_of[lowest] and r["report_date"] <= MONDAY][-1]
    correction = mine | {"value": mine["value"] * 1e3, "known_at": dt.datetime(2024, 6, 6, 12, tzinfo=dt.UTC)}
    lake.deliver("fundamentals", pa.Table.from_pylist([correction], schema=held.schema))
    encode(lake, MONDAY, FRIDAY)
    assert all(np.array_equal(v, before[MONDAY][n]) for n, v in vectors(lake, MONDAY).items())
    after = vectors(lake, FRIDAY)
    ranked = [n for n in after if after[n][mark + 1] > 0]
    assert max(ranked, key=lambda n: after[n][mark]) == lowest
    moved = [n for n in ranked if n != lowest and after[n][mark] < before[FRIDAY][n][mark]]
    assert len(moved) == len(ranked) - 1


def test_without_fundamentals_there_are_rows_and_the_masks_say_so(lake: Lake, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "lake" / "raw" / "fundamentals")
    bare = Lake.open(tmp_path / "lake")
    encode(bare, WITH_SECTOR, WITH_SECTOR, entity_type=("INSTRUMENT", "SECTOR", "MARKET"))
    for kind in ("INSTRUMENT", "SECTOR", "MARKET"):
        rows = vectors(bare, WITH_SECTOR, kind)
        assert rows
        assert all(not v[RANKS + MASKS].any() and v.any() for v in rows.values())


def test_a_sector_has_the_mean_rank_of_its_members(lake: Lake) -> None:
    encode(lake, WITH_SECTOR, WITH_SECTOR, entity_type=("INSTRUMENT", "SECTOR", "MARKET"))
    names = vectors(lake, WITH_SECTOR)
    listed = lake.read("instruments", where={"market_id": "US_EQ"}).sort_by("valid_from").to_pylist()
    sector_of = {r["instrument_id"]: r["sector"] for r in listed if r["valid_from"] <= WITH_SECTOR}
    sectors = vectors(lake, WITH_SECTOR, "SECTOR")
    assert sectors
    checked = 0
    for entity, vector in sectors.items():
        members = [v for n, v in names.items() if sector_of[n] == entity.partition("/")[2]]
        for rank, mask in zip(RANKS, MASKS, strict=True):
            known = [v[rank] for v in members if v[mask] > 0]
            if known:
                assert vector[rank] == pytest.approx(np.mean(known), abs=1e-6)
                checked += 1
    assert checked > 10
    (market,) = vectors(lake, WITH_SECTOR, "MARKET").values()
    assert np.abs(market[RANKS]).max() < 1e-6
    assert (market[MASKS] > 0).any()


def test_other_models_do_not_read_fundamentals(lake: Lake) -> None:
    for model in ("num-regime-core-v1", "num-stab-core-v1", MODEL):
        run(lake, "numeric_embeddings", MONDAY, MONDAY, model_id=model, market_id=("US_EQ",))
    row = lake.read("fundamentals", dates=(dt.date(2024, 4, 1), MONDAY)).slice(0, 1).to_pylist()[0]
    row |= {"value": 1.0, "known_at": dt.datetime(2024, 5, 31, 12, tzinfo=dt.UTC)}
    lake.deliver("fundamentals", pa.Table.from_pylist([row], schema=lake.read("fundamentals").schema))
    done = {
        model: run(lake, "numeric_embeddings", MONDAY, MONDAY, model_id=model, market_id=("US_EQ",)).done
        for model in ("num-regime-core-v1", "num-stab-core-v1", MODEL)
    }
    assert done == {"num-regime-core-v1": 0, "num-stab-core-v1": 0, MODEL: 1}


def test_a_company_has_the_row_of_its_most_traded_instrument(lake: Lake) -> None:
    """From the day it is known that two names are of one company, it has one row, the more traded one's."""
    run(lake, "numeric_embeddings", MONDAY, FRIDAY, market_id=("US_EQ",), entity_type=("INSTRUMENT", "ISSUER"))
    held = lake.read("instruments", where={"market_id": "US_EQ"})
    issuer_of = dict(zip(held["instrument_id"].to_pylist(), held["issuer_id"].to_pylist(), strict=True))

    def rows(day: dt.date, kind: str) -> dict[str, bytes]:
        table = lake.read(TABLE, dates=(day, day), where={"entity_type": kind, "model_id": "num-regime-core-v1"})
        blocks = from_list_array(table["vector"])
        return {e: v.tobytes() for e, v in zip(table["entity_id"].to_pylist(), blocks, strict=True)}

    for day in (MONDAY, FRIDAY):
        instruments = rows(day, "INSTRUMENT")
        mapped = {issuer_of[n]: v for n, v in instruments.items()}
        assert rows(day, "ISSUER") == {i: mapped[i] for i in rows(day, "ISSUER")}
        assert len(rows(day, "ISSUER")) >= len(instruments) - 1
    first, second = [n for n in sorted(rows(FRIDAY, "INSTRUMENT")) if issuer_of[n] in rows(FRIDAY, "ISSUER")][:2]
    changed = held.filter(pc.equal(held["instrument_id"], second)).to_pylist()
    known = dt.datetime(2024, 6, 7, 12, tzinfo=dt.UTC)
    merged = [row | {"issuer_id": issuer_of[first], "known_at": known} for row in changed]
    lake.deliver("instruments", pa.Table.from_pylist(merged, schema=held.schema))
    run(lake, "numeric_embeddings", MONDAY, FRIDAY, market_id=("US_EQ",), entity_type=("INSTRUMENT", "ISSUER"))
    assert issuer_of[second] in rows(MONDAY, "ISSUER")
    assert issuer_of[second] not in rows(FRIDAY, "ISSUER")
    prices = lake.read("prices_daily", dates=(FRIDAY - dt.timedelta(91), FRIDAY))
    traded = dict.fromkeys((first, second), 0.0)
    for name, close, volume in zip(*(prices[c].to_pylist() for c in ("instrument_id", "close", "volume")), strict=True):
        if name in traded:
            traded[name] += (close or 0.0) * (volume or 0.0)
    most = max(traded, key=lambda n: traded[n])
    assert rows(FRIDAY, "ISSUER")[issuer_of[first]] == rows(FRIDAY, "INSTRUMENT")[most]
