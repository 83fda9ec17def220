"""No look-ahead on real data: prices as they were collected, with every version, and prices with tweets."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from prometheus.audit.lookahead import Verdict, audit_lookahead, with_upstream
from prometheus.cli.config import compose, markets_from
from prometheus.cli.ingest import find_map, ingest
from prometheus.lake import Lake
from prometheus.stages import STAGES, all_stages, stage

pytestmark = pytest.mark.real

NUMERIC = with_upstream(["numeric_embeddings", "regimes"], all_stages())
BY_NAME = ("prices_daily", "corporate_actions", "instruments")


def bring(source: str, real_data: Path, root: Path) -> Lake:
    lake = Lake.open(root, create=True)
    ingest(lake, find_map(source), real_data / source, markets=markets_from(compose("ingest")))
    return lake


@pytest.fixture(scope="module")
def collected(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Two years of daily files, every collected version of every row a row of its own."""
    return bring("pit_us", real_data, tmp_path_factory.mktemp("pit_us") / "lake")


def names_only(lake: Lake, names: Collection[str], root: Path) -> Lake:
    """The raw rows of some names: of most of the 7,324 listed no prices were collected."""
    some = Lake.open(root, create=True)
    kept = pa.array(sorted(names), pa.string())
    for table in BY_NAME:
        rows = lake.read(table, every_version=True)
        some.upsert(table, rows.filter(pc.is_in(rows["instrument_id"], value_set=kept)))
    some.upsert("calendar_sessions", lake.read("calendar_sessions"))
    some.append("job_runs", lake.read("job_runs"))
    return some


def priced(lake: Lake) -> list[str]:
    return sorted(pc.unique(lake.read("prices_daily", columns=["instrument_id"])["instrument_id"]).to_pylist())


def assert_no_difference(verdict: Verdict) -> dict[str, int]:
    """Rows compared by step; void steps are the caller's to judge."""
    compared: dict[str, int] = {}
    for cut in verdict.cuts:
        for step in cut.steps:
            for table in step.tables:
                assert table.before == 0, "\n".join(verdict.lines())
                compared[step.stage] = compared.get(step.stage, 0) + table.compared
    return compared


def test_what_is_stamped_a_day_is_what_the_rows_collected_by_then_say(collected: Lake, tmp_path: Path) -> None:
    """Everything collected later is deleted: splits heard of later, corrected volumes, names yet to leave the list."""
    names = priced(collected)[::7]
    lake = names_only(collected, names, tmp_path / "some")
    cut = dt.date(2016, 6, 30)
    verdict = audit_lookahead(
        lake,
        cut,
        stages=NUMERIC,
        cutoff="next_open",
        future="delete",
        first=dt.date(2016, 6, 1),
        last=dt.date(2016, 7, 15),
    )
    assert verdict.cuts[0].known_by == dt.datetime(2016, 7, 1, 13, 30, tzinfo=dt.UTC)
    compared = assert_no_difference(verdict)
    assert compared["numeric_embeddings"] > 500
    # The window and its label, each session of June, of every head.
    assert compared["regimes"] == len(stage("regimes").surfaces) * 2 * 22
    # A fit needs 252 windows; the first prices are of March 2015.
    assert {s.stage for s in verdict.cuts[0].steps if s.void} == {"regime_prototypes"}
    assert verdict.assumed == {"instruments": ("dates of delistings", "dates of listings")}


@pytest.mark.soak
@pytest.mark.parametrize("future", ["delete", "noise"])
def test_two_years_of_collected_prices(collected: Lake, tmp_path: Path, future: Literal["delete", "noise"]) -> None:
    lake = names_only(collected, priced(collected), tmp_path / "priced")
    cuts = [dt.date(2015, 11, 30), dt.date(2016, 6, 30), dt.date(2017, 1, 31)]
    # The range goes on past the last price so that there is a fit after the cut: of the last session of 2017.
    verdict = audit_lookahead(lake, cuts, stages=NUMERIC, cutoff="next_open", future=future, last=dt.date(2018, 1, 2))
    compared = assert_no_difference(verdict)
    assert compared["numeric_embeddings"] > 150_000
    assert compared["regimes"] > 1_000
    assert verdict.cuts[-1].status == "clean", "\n".join(verdict.lines())


@pytest.mark.soak
def test_five_years_of_prices_with_two_of_tweets(real_data: Path, tmp_path: Path) -> None:
    lake = bring("stocknet", real_data, tmp_path / "stocknet")
    verdict = audit_lookahead(lake, [dt.date(2015, 6, 30), dt.date(2016, 1, 29)])
    assert verdict.status == "clean", "\n".join(verdict.lines())
    compared = assert_no_difference(verdict)
    left_out = {name.split()[0] for name in verdict.left_out}
    assert compared.keys() == STAGES.keys() - left_out
    # There are neither profiles nor macro texts nor documents of issuers.
    assert {s.partition("_text")[0] for s in left_out if "_text" in s} == {"profile", "document", "macro"}
    assert compared["numeric_embeddings"] > 100_000
    assert compared["text_embeddings"] > 140_000
    assert verdict.assumed == {"instruments": ("known always",)}
