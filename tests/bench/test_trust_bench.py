"""What being able to trust a row costs: the numeric backfill as it is, and without its books and digests.

500 names x 3,780 sessions, each run from nothing in a lake as an ingest leaves it, in one process, one after the other
with the order turned round each time. Left out of every other run: lineage, the digests of each day's inputs, the sums
of the rows written that the digests of the next stage are made of, the digest of the rows committed, the books of runs
and chunks, the register of variants. What the ingest spent on sums of the raw rows counts as if the run had spent it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import resource
import shutil
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from prometheus.lake import Lake, contract, writer
from prometheus.lake.states import groups_written
from prometheus.lake.tables import TableHandles
from prometheus.runtime import plan, run, run_stage
from prometheus.runtime.ledger import Ledger
from prometheus.runtime.lineage import Lineage
from prometheus.stages import stage

TABLE = "numeric_window_embeddings"
LIMIT_RATIO = 1.10
PAIRS = 7


def _no_input_digests(*given: Any) -> dict[tuple[str, dt.date], str]:
    asked = given[3]
    return {(scope, day): "" for scope, days in asked.items() for day in days}


def _nothing(*given: Any, **options: Any) -> None:
    return None


TRUST: dict[str, tuple[tuple[Any, str, Callable[..., Any]], ...]] = {
    "lineage": tuple((Lineage, name, _nothing) for name in ("before", "after", "settle")),
    "input digests": ((plan, "input_digests", _no_input_digests),),
    "sums of rows": ((Lake, "_sum_up", _nothing),),
    "row digests": ((writer, "rows_digest", lambda *given: ""),),
    "books": ((Ledger, "event", _nothing), (Ledger, "chunk", _nothing)),
    "variants": ((run, "register_variant", _nothing), (plan, "check_cutoffs", _nothing)),
}
"""By what it is called, where it is done and what stands in for it."""


@dataclass(frozen=True)
class Cost:
    """Seconds of one run, on the clock and of both processors."""

    wall: float
    cpu: float


@contextlib.contextmanager
def without_trust() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for places in TRUST.values():
            for owner, name, instead in places:
                patch.setattr(owner, name, instead)
        yield


@contextlib.contextmanager
def timing(spent: Counter[str]) -> Iterator[None]:
    """Add up the seconds each part takes, whichever thread it runs in."""

    def timed(part: str, true: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*given: Any, **options: Any) -> Any:
            began = time.perf_counter()
            try:
                return true(*given, **options)
            finally:
                spent[part] += time.perf_counter() - began  # type: ignore[assignment]

        return wrapped

    with pytest.MonkeyPatch.context() as patch:
        for part, places in TRUST.items():
            for owner, name, _ in places:
                patch.setattr(owner, name, timed(part, getattr(owner, name)))
        yield


def summing(lake: Lake) -> Cost:
    """What an ingest spends on the sums of the prices it writes, a year at a time."""
    wall = cpu = 0.0
    for year in sorted({day.year for day in lake.days("prices_daily").tolist()}):
        rows = lake.read("prices_daily", dates=(dt.date(year, 1, 1), dt.date(year, 12, 31)), every_version=True)
        files = [uri for uri in TableHandles(lake.location).files("prices_daily") if f"as_of_date={year}-" in uri]
        cpu_then, then = time.process_time(), time.perf_counter()
        told = groups_written(rows, files, contract("prices_daily").partition_by)
        wall, cpu = wall + time.perf_counter() - then, cpu + time.process_time() - cpu_then
        assert told["file"].n_unique() == len(files)
    return Cost(wall, cpu)


def backfill(
    raw: Path, folder: Path, first: dt.date, last: dt.date, around: Any, set_aside: Callable[[Path], None]
) -> tuple[Cost, str]:
    """Run from nothing on a linked copy of the raw rows and their sums; cost, and digest of the rows."""
    root = folder / "lake"
    shutil.copytree(raw, root / "raw", copy_function=os.link)
    shutil.copytree(raw.with_name("cache"), root / "cache")
    lake, declared = Lake.open(root), stage("numeric_embeddings")
    with around:
        cpu, wall = sum(resource.getrusage(resource.RUSAGE_SELF)[:2]), time.perf_counter()
        done = run_stage(lake, declared, declared.params(), first, last)
        cost = Cost(time.perf_counter() - wall, sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - cpu)
    assert done.rows > 0
    days = sorted(lake.days(TABLE).tolist())
    digest = lake.digest(TABLE, {"as_of_date": days[:: max(len(days) // 40, 1)]})
    set_aside(root)
    return cost, digest


@pytest.mark.bench
def test_trust_costs_little(market_lake: Lake, tmp_path: Path, set_aside: Callable[[Path], None]) -> None:
    raw = Path(market_lake.location.root) / "raw"
    days = market_lake.days("prices_daily").tolist()
    trusted: list[Cost] = []
    bare: list[Cost] = []
    spent: Counter[str] = Counter()
    digests = set()
    for pair in range(PAIRS):
        kinds: list[tuple[list[Cost], Any]] = [(trusted, timing(spent)), (bare, without_trust())]
        for costs, around in kinds if pair % 2 == 0 else kinds[::-1]:
            cost, digest = backfill(raw, tmp_path, days[0], days[-1], around, set_aside)
            costs.append(cost)
            digests.add(digest)
    assert len(digests) == 1, "rows differ with and without their books"
    before = summing(market_lake)
    wall, cpu = (
        (getattr(before, what) + statistics.median(getattr(a, what) for a in trusted))
        / statistics.median(getattr(b, what) for b in bare)
        for what in ("wall", "cpu")
    )
    parts = ", ".join(f"{part} {seconds / PAIRS:.2f} s" for part, seconds in spent.most_common())
    print(
        f"\ntrust: {wall:.3f} times the time of a run without it (limit {LIMIT_RATIO}), {cpu:.3f} times its processor "
        f"time; medians of {PAIRS}: {statistics.median(c.wall for c in trusted):.1f} s with, "
        f"{statistics.median(c.wall for c in bare):.1f} s without; a run spends in {parts}, the ingest before it in sums of "
        f"raw rows {before.wall:.2f} s; {os.cpu_count()} processors"
    )
    assert wall <= LIMIT_RATIO
