"""Files that restate prices after dividends and splits: at no instant does a return mix two bases.

The truth is known, so every return that any decision can see is compared with it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from prometheus.lake import Delivery, Lake, contract
from prometheus.lake.versions import SUPERSEDED
from prometheus.market.ingest import Chaining, Deliverer
from prometheus.market.ingest.chaining import CARRIED, DOUBT, KEPT, NO_OVERLAP, ON_ACTIONS
from tests.market_rows import action_table, weekdays
from tests.price_vendor import Vendor, intake

SESSIONS = weekdays(60, "2024-01-02")
NAMES = ("A", "B", "C", "D")
DIVIDENDS = {("A", 25): 0.01, ("A", 45): 0.004, ("D", 32): 0.02, ("D", 50): 0.02}
SPLITS = {("B", 30): 4.0, ("D", 35): 0.1}


def vendor(decimals: int = 6) -> Vendor:
    return Vendor(SESSIONS, NAMES, DIVIDENDS, SPLITS, decimals=decimals)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path / "lake", create=True)


def deliver(lake: Lake, now: dt.datetime, *chunks: pa.Table, **options: object) -> tuple[Delivery, Chaining]:
    """One ingest of some chunks of files."""
    deliverer, total, done = Deliverer(lake, now), Delivery("prices_daily"), Chaining()
    for rows in chunks:
        delivery, chained = deliverer.deliver(intake(rows, **options))
        total, done = total + delivery, done + chained
    return total, done


def split_up(rows: pa.Table, day: dt.date) -> tuple[pa.Table, pa.Table]:
    before = pc.less(rows["as_of_date"], pa.scalar(day))
    return rows.filter(before), rows.filter(pc.invert(before))


def without(rows: pa.Table, *gone: tuple[str, int]) -> pa.Table:
    frame = pl.DataFrame(pl.from_arrow(rows))
    for name, position in gone:
        day = SESSIONS.dates[position].item()
        frame = frame.filter(~((pl.col("instrument_id") == name) & (pl.col("as_of_date") == day)))
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(rows.schema)


def known(lake: Lake, as_of: dt.datetime | None = None) -> pl.DataFrame:
    rows = pl.DataFrame(pl.from_arrow(lake.read("prices_daily", as_of=as_of)))
    return rows.sort("instrument_id", "as_of_date")


def worst_error(lake: Lake, source: Vendor, instants: Iterable[dt.datetime]) -> tuple[float, float]:
    """Largest error of a total return, and of the log of money traded, as known at any of some instants."""
    versions = pl.DataFrame(pl.from_arrow(lake.read("prices_daily", every_version=True))).sort("known_at")
    assert not versions.select("instrument_id", "as_of_date", "known_at").is_duplicated().any()
    of_return = of_money = 0.0
    for instant in instants:
        seen = versions.filter(pl.col("known_at") <= instant)
        seen = seen.unique(["instrument_id", "as_of_date"], keep="last").sort("instrument_id", "as_of_date")
        for i, name in enumerate(source.names):
            mine = seen.filter((pl.col("instrument_id") == name) & ~pl.col("withdrawn"))
            at = np.searchsorted(SESSIONS.dates, mine["as_of_date"].to_numpy())
            path, truth = np.log(mine["adjusted_close"].to_numpy()), np.log(source.total[i, at])
            money = np.log(mine["close"].to_numpy() * mine["volume"].to_numpy())
            traded = np.log(source.traded[i, at] * source.shares[i, at])
            close = np.diff(at) <= 10
            of_return = max(of_return, np.abs(np.diff(path) - np.diff(truth))[close].max(initial=0.0))
            of_money = max(of_money, np.abs(money - traded).max(initial=0.0))
    return of_return, of_money


def every_instant(source: Vendor, *deliveries: dt.datetime) -> list[dt.datetime]:
    """An hour after every fourth session's prices are known, and just before and after each delivery."""
    around = [now + dt.timedelta(seconds=s) for now in deliveries for s in (-1, 1)]
    return [source.instant(p, 2) for p in range(1, len(SESSIONS), 4)] + around


# -- whole histories --


@pytest.mark.parametrize(("decimals", "within"), [(6, 1e-6), (4, 3e-5), (2, 2e-3)])
def test_returns_are_true_at_every_instant_and_the_file_stands_after_it(
    lake: Lake, decimals: int, within: float
) -> None:
    source = vendor(decimals)
    positions = (20, 40, 58)
    for collected in positions:
        _, done = deliver(lake, source.instant(collected), source.file(collected, 0, collected))
        told = pl.DataFrame(pl.from_arrow(source.file(collected, 0, collected))).drop("known_at")
        assert (
            known(lake)
            .drop("known_at")
            .equals(told.sort("instrument_id", "as_of_date").select(known(lake).drop("known_at").columns))
        )
    assert set(done.names) == {"A", "D"}
    assert done.line().startswith("chained 36 rows of 2 names to the base held (A 18")
    instants = every_instant(source, *(source.instant(p) for p in positions))
    of_return, of_money = worst_error(lake, source, instants)
    assert of_return < within
    assert of_money < max(within, 1e-4)


def test_the_same_file_again_changes_nothing(lake: Lake) -> None:
    source = vendor()
    deliver(lake, source.instant(20), source.file(20, 0, 20))
    deliver(lake, source.instant(40), source.file(40, 0, 40))
    version, digest = lake.version("prices_daily"), lake.digest("prices_daily")
    total, done = deliver(lake, source.instant(41), source.file(40, 0, 40))
    assert (total.new, total.corrected, total.unchanged) == (0, 0, 4 * 41)
    assert (done.rows, dict(done.tally.noted)) == (0, {})
    assert (lake.version("prices_daily"), lake.digest("prices_daily")) == (version, digest)


def test_only_names_that_were_restated_are_chained(lake: Lake) -> None:
    source = vendor()
    deliver(lake, source.instant(20), source.file(20, 0, 20))
    total, done = deliver(lake, source.instant(29), source.file(29, 0, 29))
    assert dict(done.names) == {"A": 9}
    assert (total.new, total.corrected) == (4 * 9, 21 + 9)
    assert known(lake).filter(pl.col("instrument_id") != "A")["known_at"].max() < source.instant(29)


def test_one_row_corrected_is_a_correction_and_no_new_base(lake: Lake) -> None:
    """The last session of a download is often a preliminary one."""
    source = Vendor(SESSIONS, ("A",))
    rows = pl.DataFrame(pl.from_arrow(source.file(20, 0, 20)))
    last = pl.col("as_of_date") == SESSIONS.dates[20].item()
    off = rows.with_columns(
        pl.when(last).then(pl.col(c) * 1.01).otherwise(c).alias(c) for c in ("close", "adjusted_close")
    )
    deliver(lake, source.instant(20), off.to_arrow(compat_level=pl.CompatLevel.oldest()))
    total, done = deliver(lake, source.instant(30), source.file(30, 0, 30))
    assert (total.new, total.corrected, done.rows) == (10, 1, 0)
    assert done.tally.counts == {}


def test_a_restatement_taken_back_is_taken_back_whole_and_an_old_file_again_is_not_heard(lake: Lake) -> None:
    """Rows that repeat what was corrected since stand where others of their name do, and nowhere else."""
    source = Vendor(SESSIONS, ("A",), {("A", 25): 0.01, ("A", 30): -1 / 99})
    first, second = source.file(20, 0, 20), source.file(28, 0, 28)
    deliver(lake, source.instant(20), first)
    deliver(lake, source.instant(28), second)
    total, _ = deliver(lake, source.instant(29), first)
    assert (total.new, total.corrected, total.unchanged) == (0, 0, 21)
    back = source.file(40, 0, 40)
    assert back.slice(0, 21)["adjusted_close"].equals(first["adjusted_close"])
    deliver(lake, source.instant(40), back)
    np.testing.assert_array_equal(known(lake)["adjusted_close"], back["adjusted_close"])
    instants = every_instant(source, *(source.instant(p) for p in (20, 28, 29, 40)))
    assert worst_error(lake, source, instants)[0] < 1e-6
    version = lake.version("prices_daily")
    for rows in (back, back.slice(0, 29), first):
        total, _ = deliver(lake, source.instant(41), rows)
        assert (total.new, total.corrected) == (0, 0)
    assert lake.version("prices_daily") == version


def test_an_old_file_of_the_very_same_sessions_is_not_heard(lake: Lake) -> None:
    source = Vendor(SESSIONS, ("A",), {("A", 25): 0.01})
    deliver(lake, source.instant(20), source.file(20, 0, 20))
    deliver(lake, source.instant(28), source.file(28, 0, 20))
    version = lake.version("prices_daily")
    total, _ = deliver(lake, source.instant(29), source.file(20, 0, 20))
    assert total.notes == {SUPERSEDED: 21}
    assert lake.version("prices_daily") == version


def test_a_correction_of_one_cent_is_heard_after_a_restatement(lake: Lake) -> None:
    source = Vendor(SESSIONS, ("A",), {("A", 25): 0.01}, decimals=2)
    deliver(lake, source.instant(20), source.file(20, 0, 20))
    deliver(lake, source.instant(40), source.file(40, 0, 40))
    cent = pl.when(pl.col("as_of_date") == SESSIONS.dates[7].item()).then(0.01).otherwise(0.0)
    rows = pl.DataFrame(pl.from_arrow(source.file(40, 0, 40))).with_columns((pl.col("close") + cent).round(2))
    total, _ = deliver(lake, source.instant(41), rows.to_arrow(compat_level=pl.CompatLevel.oldest()))
    assert (total.new, total.corrected) == (0, 1)
    assert known(lake)["close"].to_list() == rows["close"].to_list()


# -- parts of a history --


def test_a_short_file_with_some_overlap_stays_on_the_base_held(lake: Lake) -> None:
    """Each week the last sessions are fetched: nobody restates the years before, so nothing may move to a new base."""
    source = vendor()
    deliver(lake, source.instant(20), source.file(20, 0, 20))
    ends = (24, 29, 33, 38, 43, 47, 52, 58)
    for end in ends:
        total, done = deliver(lake, source.instant(end), source.file(end, end - 9, end))
        assert total.corrected == 0
    assert done.tally.noted[KEPT] > 0
    instants = every_instant(source, *(source.instant(p) for p in ends))
    assert worst_error(lake, source, instants)[0] < 1e-6
    split = known(lake).filter((pl.col("instrument_id") == "B") & (pl.col("as_of_date") > SESSIONS.dates[30].item()))
    np.testing.assert_allclose(split["close"], source.values(20)["close"][1][31:59], rtol=1e-6)


def test_a_window_of_years_that_moves_on_takes_the_rows_before_it_along(lake: Lake) -> None:
    source = vendor()
    deliver(lake, source.instant(20), source.file(20, 0, 20))
    total, done = deliver(lake, source.instant(40), source.file(40, 4, 40))
    assert done.tally.noted[CARRIED] == 3 * 4
    assert total.corrected == 3 * (21 - 4 + 20) + 3 * 4
    instants = every_instant(source, source.instant(20), source.instant(40))
    assert worst_error(lake, source, instants)[0] < 1e-6
    latest = known(lake).filter(pl.col("instrument_id") == "B")
    np.testing.assert_allclose(latest["close"], source.values(40)["close"][1][:41], rtol=1e-6)


def test_a_session_the_file_left_out_follows_the_others(lake: Lake) -> None:
    source = vendor()
    deliver(lake, source.instant(20), source.file(20, 0, 20))
    rows = without(source.file(40, 0, 40), ("A", 7), ("D", 19))
    _, done = deliver(lake, source.instant(40), rows)
    assert done.tally.noted == {CARRIED: 2}
    instants = every_instant(source, source.instant(20), source.instant(40))
    assert worst_error(lake, source, instants)[0] < 1e-6
    version = lake.version("prices_daily")
    deliver(lake, source.instant(41), rows)
    assert lake.version("prices_daily") == version


def test_older_history_brought_later_meets_each_base_there_was(lake: Lake) -> None:
    source = vendor()
    deliver(lake, source.instant(40), source.file(40, 25, 40))
    deliver(lake, source.instant(46), source.file(46, 25, 46))
    deliver(lake, source.instant(52), source.file(52, 0, 30))
    instants = every_instant(source, *(source.instant(p) for p in (40, 46, 52)))
    of_return, of_money = worst_error(lake, source, instants)
    assert of_return < 1e-6
    assert of_money < 1e-4
    version = lake.version("prices_daily")
    deliver(lake, source.instant(53), source.file(52, 0, 30))
    assert lake.version("prices_daily") == version


@pytest.mark.parametrize("cut", [10, 21])
def test_chunks_of_one_delivery_are_one_file(lake: Lake, cut: int) -> None:
    """Years in files of their own: the new year's file may have no session in common with what was held before."""
    source = vendor()
    chunks = split_up(source.file(40, 0, 40), SESSIONS.dates[cut].item())
    deliver(lake, source.instant(20), source.file(20, 0, 20))
    _, done = deliver(lake, source.instant(40), *chunks)
    assert NO_OVERLAP not in done.tally.noted
    assert set(done.names) == {"A", "B", "D"}
    instants = every_instant(source, source.instant(20), source.instant(40))
    assert worst_error(lake, source, instants)[0] < 1e-6
    version = lake.version("prices_daily")
    deliver(lake, source.instant(41), *chunks)
    assert lake.version("prices_daily") == version


def test_without_a_session_in_common_the_names_are_noted(lake: Lake) -> None:
    source = vendor()
    deliver(lake, source.instant(20), source.file(20, 0, 20))
    total, done = deliver(lake, source.instant(40), source.file(40, 21, 40))
    assert (total.new, done.rows) == (80, 0)
    assert done.tally.noted == {NO_OVERLAP: 80}
    assert [who for who, _ in done.tally.offenders("noted", NO_OVERLAP)] == list(NAMES)
    late = Lake.open(Path(lake.location.root).parent / "far", create=True)
    deliver(late, source.instant(5), source.file(5, 0, 5))
    _, done = deliver(late, source.instant(58), source.file(58, 40, 58))
    assert done.tally.noted == {}, "no return reaches over a gap of 34 sessions"


def test_what_agrees_on_no_factor_is_noted_and_left(lake: Lake) -> None:
    source = Vendor(SESSIONS, ("A",))
    other = Vendor(SESSIONS, ("A",), seed=2)
    deliver(lake, source.instant(20), source.file(20, 0, 20))
    total, done = deliver(lake, source.instant(30), other.file(30, 0, 30))
    assert (total.new, total.corrected, done.rows) == (10, 21, 0)
    assert done.tally.noted == {DOUBT: 10}


# -- what else the rows say --


def test_names_with_corporate_actions_keep_their_close_as_traded(lake: Lake) -> None:
    source = Vendor(SESSIONS, ("A", "B"), {("A", 25): 0.01}, {("B", 30): 4.0})
    actions = [(n, SESSIONS.dates[5].item(), "DIVIDEND", None, 0.1, SESSIONS.closes_at[5], False) for n in ("A", "B")]
    lake.deliver("corporate_actions", action_table(actions))
    deliver(lake, source.instant(20), source.file(20, 0, 20))
    _, done = deliver(lake, source.instant(40), source.file(40, 0, 40))
    assert done.tally.noted == {ON_ACTIONS: 20}
    between = known(lake, source.instant(40) - dt.timedelta(seconds=1)).filter(pl.col("instrument_id") == "B")
    np.testing.assert_allclose(between["close"][21:41], source.values(40)["close"][1][21:41])
    np.testing.assert_allclose(between["volume"][21:41], source.values(40)["volume"][1][21:41])
    of_return, _ = worst_error(lake, source, every_instant(source, source.instant(20), source.instant(40)))
    assert of_return < 1e-6, "adjusted closes are chained all the same"


def test_a_row_taken_back_is_no_part_of_a_seam(lake: Lake) -> None:
    source = vendor()
    deliver(lake, source.instant(20), source.file(20, 0, 20))
    frame = pl.DataFrame(pl.from_arrow(source.file(40, 0, 40)))
    day = SESSIONS.dates[20].item()
    gone = frame.with_columns(((pl.col("as_of_date") == day) & (pl.col("instrument_id") == "A")).alias("withdrawn"))
    rows = gone.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(contract("prices_daily").schema)
    deliver(lake, source.instant(40), rows)
    assert known(lake).filter(pl.col("instrument_id") == "A").height == 40
    assert known(lake, source.instant(39)).filter(pl.col("instrument_id") == "A").height == 40
    instants = every_instant(source, source.instant(20), source.instant(40))
    assert worst_error(lake, source, instants)[0] < 1e-6
    version = lake.version("prices_daily")
    deliver(lake, source.instant(41), rows)
    assert lake.version("prices_daily") == version
    total, _ = deliver(lake, source.instant(42), source.file(40, 0, 40), silent={"withdrawn": np.ones(164, dtype=bool)})
    assert (total.new, total.corrected) == (0, 0)


def test_volume_the_file_lacks_does_not_stay_beside_a_close_on_another_base(lake: Lake) -> None:
    source = vendor()
    deliver(lake, source.instant(20), source.file(20, 0, 20))
    rows = source.file(40, 0, 40)
    at = rows.schema.get_field_index("volume")
    rows = rows.set_column(at, rows.schema.field(at), pa.nulls(rows.num_rows, pa.float64()))
    deliver(lake, source.instant(40), rows, silent={"volume": np.ones(rows.num_rows, dtype=bool)})
    held = {name: part["volume"].null_count() for (name,), part in known(lake).group_by("instrument_id")}
    assert held == {"A": 20, "C": 20, "B": 41, "D": 41}, (
        "new rows have none; after a split the old ones have none either"
    )


def test_collected_versions_are_taken_as_they_come(lake: Lake) -> None:
    source = vendor()
    deliver(lake, source.instant(20), source.file(20, 0, 20), own_instants=True)
    _, done = deliver(lake, source.instant(40), source.file(40, 21, 40), own_instants=True)
    assert (done.rows, done.tally.counts) == (0, {})


# -- anything at all --


@pytest.mark.parametrize("seed", range(3))
def test_any_sequence_of_overlapping_files_leaves_true_returns(lake: Lake, seed: int) -> None:
    rng = np.random.default_rng(seed)
    dividends = {(n, int(p)): float(rng.uniform(0.003, 0.03)) for n in "AB" for p in rng.integers(10, 58, 3)}
    source = Vendor(SESSIONS, ("A", "B", "C"), dividends, {("B", int(rng.integers(10, 58))): 4.0}, seed=seed)
    first, collected = int(rng.integers(0, 5)), int(rng.integers(12, 20))
    span, deliveries, names = (first, collected), [], [(n, p) for n in "ABC" for p in range(60)]
    for kind in ["first", *rng.choice(["whole", "tail", "window", "older", "patch"], 3)]:
        lo, hi = span
        last = min(59, collected + int(rng.integers(1, 15)))
        files = {
            "first": (lo, hi, hi),
            "whole": (lo, last, last),
            "tail": (max(lo, hi - 4), last, last),
            "window": (min(lo + 3, hi - 3), last, last),
            "older": (0, min(lo + 6, hi), last),
            "patch": (lo + 2, max(lo + 6, hi - 4), last),
        }
        begin, end, collected = files[kind]
        holes = [names[i] for i in rng.integers(0, len(names), 8)]
        rows = without(source.file(collected, begin, end), *holes)
        now = source.instant(collected, int(rng.integers(2, 12)))
        cut = SESSIONS.dates[int(rng.integers(begin + 1, end + 1))].item()
        chunks = split_up(rows, cut) if kind != "older" and rng.random() < 0.4 else (rows,)
        deliver(lake, now, *chunks)
        version = lake.version("prices_daily")
        deliver(lake, now + dt.timedelta(minutes=9), *chunks)
        assert lake.version("prices_daily") == version, (seed, kind)
        deliveries.append(now)
        span = min(span[0], begin), max(span[1], end)
    of_return, of_money = worst_error(lake, source, every_instant(source, *deliveries))
    assert of_return < 2e-6
    assert of_money < 3e-4
