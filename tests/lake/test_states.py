"""States: a day's state changes exactly when its rows do."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from prometheus.lake import Lake, Replacing, contract, states
from prometheus.lake.state_cache import StateCache
from prometheus.lake.tables import Location
from tests.lake_rows import days_from, price_rows, window_rows

DAY = dt.date(2020, 1, 2)
PER_DAY = ("as_of_date",)
WHOLE = np.array([dt.date(2021, 1, 1)], dtype="datetime64[D]")


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows hashed, call by call."""
    counted: list[int] = []
    true = states.row_hashes

    def noted(rows: pa.Table) -> NDArray[np.uint64]:
        counted.append(rows.num_rows)
        return true(rows)

    monkeypatch.setattr(states, "row_hashes", noted)
    return counted


def day_state(lake: Lake, day: dt.date) -> int:
    at = np.array([day], dtype="datetime64[D]")
    return int(lake.states("prices_daily").between(at, at)[0])


def test_a_new_row_changes_its_day_alone(lake: Lake) -> None:
    days = days_from(DAY, 3)
    lake.deliver("prices_daily", price_rows(days, ["A"]))
    before = [day_state(lake, d) for d in days]
    lake.deliver("prices_daily", price_rows([days[1]], ["B"]))
    after = [day_state(lake, d) for d in days]
    assert [b == a for b, a in zip(before, after, strict=True)] == [True, False, True]


def test_a_redelivery_changes_nothing(lake: Lake) -> None:
    rows = price_rows(days_from(DAY, 3), ["A"])
    lake.deliver("prices_daily", rows)
    before = lake.states("prices_daily").between(None, WHOLE)
    lake.deliver("prices_daily", rows)
    assert lake.states("prices_daily").between(None, WHOLE) == before


def test_small_tables_answer_by_content_and_knowledge_day(lake: Lake) -> None:
    import pyarrow as pa

    from prometheus.lake import contract

    def listing(name: str, known: dt.datetime) -> pa.Table:
        row = dict.fromkeys(contract("instruments").schema.names)
        row |= {
            "as_of_date": DAY,
            "instrument_id": name,
            "valid_from": DAY,
            "market_id": "US_EQ",
            "symbol": name,
            "asset_class": "EQUITY",
            "currency": "USD",
            "known_at": known,
            "withdrawn": False,
        }
        return pa.Table.from_pylist([row], schema=contract("instruments").schema)

    lake.deliver("instruments", listing("A", dt.datetime(2020, 1, 2, tzinfo=dt.UTC)))
    early, late = (np.array([np.datetime64(d, "us")]) for d in ("2020-03-01", "2021-01-01"))
    before = lake.states("instruments").between(None, WHOLE, early)
    lake.deliver("instruments", listing("B", dt.datetime(2020, 6, 1, tzinfo=dt.UTC)))
    states = lake.states("instruments")
    assert states.between(None, WHOLE, early) == before  # known later: nothing stamped before is stale
    assert states.between(None, WHOLE, late) != before


def test_a_correction_counts_from_when_it_is_known(lake: Lake) -> None:
    """Of each output day: the rows inside its history, known by its cut-off, and no others."""
    days = days_from(DAY, 10)
    lake.deliver("prices_daily", price_rows(days, ["A", "B"]))
    at = np.array(days, dtype="datetime64[D]")
    cutoffs = (at + 1).astype("datetime64[us]")
    first = (at - np.timedelta64(3, "D")).astype("datetime64[D]")

    def now() -> list[int]:
        found: list[int] = lake.states("prices_daily").between(first, at, cutoffs).tolist()
        return found

    before = now()
    corrected = price_rows([days[2]], ["A"], close=123.0)
    known = dt.datetime.combine(days[4], dt.time(12), dt.UTC)
    lake.deliver("prices_daily", corrected, now=known)
    changed = [day for day, b, a in zip(days, before, now(), strict=True) if a != b]
    assert changed == [d for d in days if days[4] <= d <= days[2] + dt.timedelta(days=3)]


def test_states_follow_content_not_files(lake: Lake, tmp_path: Path) -> None:
    """Two lakes with equal rows in other files, and one lake without its cache, have equal states."""
    days = days_from(DAY, 4)
    rows = price_rows(days, ["A", "B", "C"])
    lake.deliver("prices_daily", rows)
    other = Lake.open(tmp_path / "other", create=True)
    for name in ("C", "A", "B"):
        other.deliver("prices_daily", price_rows(days, [name]))
    at = np.array(days, dtype="datetime64[D]")
    states = [one.states("prices_daily").between(None, at).tolist() for one in (lake, other, other)]
    assert states[0] == states[1] == states[2]
    assert len(set(states[0])) == len(days)
    shutil.rmtree(Path(other.location.root) / "cache")
    assert other.states("prices_daily").between(None, at).tolist() == states[0]


def test_a_spoilt_cache_is_thrown_away(lake: Lake) -> None:
    lake.deliver("prices_daily", price_rows(days_from(DAY, 4), ["A"]))
    before = lake.states("prices_daily").between(None, WHOLE)
    kept = Path(lake.location.root) / "cache" / "states" / "prices_daily.parquet"
    kept.write_bytes(b"PAR1 and then nothing")
    assert lake.states("prices_daily").between(None, WHOLE) == before


def test_a_condition_within_files_is_answered_from_the_rows(lake: Lake) -> None:
    days = days_from(DAY, 2)
    lake.deliver("prices_daily", price_rows(days, ["A", "B"]))
    at = np.array(days, dtype="datetime64[D]")

    def of(name: str) -> list[int]:
        return lake.states("prices_daily", {"instrument_id": name}).between(at, at).tolist()

    one, other = of("A"), of("B")
    assert len({*one, *other}) == 4
    lake.deliver("prices_daily", price_rows([days[1]], ["B"], close=7.0))
    assert of("A") == one
    assert [a == b for a, b in zip(of("B"), other, strict=True)] == [True, False]
    whole = lake.states("prices_daily").between(at, at)
    assert (np.array(of("A"), np.uint64) + np.array(of("B"), np.uint64) == whole).all()


def test_rows_are_hashed_once(lake: Lake, hashed: list[int]) -> None:
    lake.deliver("prices_daily", price_rows(days_from(DAY, 3), ["A"]))
    assert hashed == [3], "as they are written"
    first = lake.states("prices_daily")
    again = Lake.open(lake.location.root).states("prices_daily")
    assert hashed == [3], "sums of files once told or read are kept"
    np.testing.assert_array_equal(first.states, again.states)
    lake.deliver("prices_daily", price_rows([DAY], ["B"]))
    lake.states("prices_daily")
    assert hashed == [3, 2], "of the day that was written again alone"
    held = pl.read_parquet(Path(lake.location.root) / "cache" / "states" / "prices_daily.parquet")
    assert sorted(set(held["file"])) == sorted(Path(f).name for f in lake._handles.files("prices_daily"))


def test_a_file_may_come_in_several_batches() -> None:
    """Rows one by one, files mixed up and one of them empty: sums of each file are those of its rows."""
    days = days_from(DAY, 3)
    rows = price_rows(days, ["A", "B", "C"])
    files = [f"somewhere/{name}.parquet" for name in ("first", "empty", "last")]
    place = np.array([0, 2, 2] * len(days))

    def singly(some: Sequence[str]) -> Iterator[pa.Table]:
        assert some == files
        marked = rows.append_column("file_index", pa.array(place))
        yield from (marked.slice(i, 1) for i in range(len(place)))

    groups = pl.concat(states.file_groups(files, singly))
    hashes = states.row_hashes(rows)
    wanted = {name: int(hashes[place == i].sum()) for i, name in ((0, "first"), (2, "last"))}
    found = groups.drop_nulls("day").group_by("file").agg(pl.col("state").sum())
    assert dict(found.iter_rows()) == {f"{name}.parquet": total for name, total in wanted.items()}
    assert groups.filter(pl.col("day").is_null())["file"].to_list() == ["empty.parquet"]
    total = states.TableStates.of(groups)
    np.testing.assert_array_equal(total.days, np.array(days, dtype="datetime64[D]"))
    assert total.states.sum() == hashes.sum()


def test_what_is_read_together_does_not_matter(lake: Lake, monkeypatch: pytest.MonkeyPatch, hashed: list[int]) -> None:
    days = days_from(DAY, 40)
    lake.deliver("prices_daily", price_rows(days, ["A", "B", "C"]))
    at = np.array(days, dtype="datetime64[D]")
    only = {"instrument_id": ["A", "C"]}
    wanted = [lake.states("prices_daily", where).between(at, at).tolist() for where in (None, only)]
    calls = len(hashed)
    shutil.rmtree(Path(lake.location.root) / "cache")
    monkeypatch.setattr("prometheus.lake.lake.HASHED_AT_ONCE", 7)
    assert [lake.states("prices_daily", where).between(at, at).tolist() for where in (None, only)] == wanted
    assert len(hashed) - calls > 2 * calls, "in more batches than before"
    each = [lake.states("prices_daily", {"instrument_id": [name]}).between(at, at) for name in ("A", "C")]
    assert (each[0] + each[1]).tolist() == wanted[1]


def test_sums_under_a_condition_are_kept_by_themselves(lake: Lake, hashed: list[int]) -> None:
    lake.deliver("prices_daily", price_rows(days_from(DAY, 3), ["A", "B"]))
    asked = [None, {"instrument_id": "A"}, {"instrument_id": ["A", "B"]}, {"instrument_id": "B", "volume": 1.0}]
    first = [lake.states("prices_daily", where).between(None, WHOLE).tolist() for where in asked]
    assert sum(hashed) == 6 + 3 + 6 + 0, "the whole table as it was written, the rest as it was asked for"
    hashed.clear()
    again = [
        Lake.open(lake.location.root).states("prices_daily", where).between(None, WHOLE).tolist() for where in asked
    ]
    assert (again, hashed) == (first, [])
    assert first[0] == first[2] != first[1]
    lake.deliver("prices_daily", price_rows([DAY], ["B"], close=7.0))
    assert lake.states("prices_daily", asked[1]).between(None, WHOLE).tolist() == first[1]
    assert hashed == [3, 1], "the file that was written again, with both versions; of it, the rows asked for"


def test_files_without_a_row_asked_for_are_read_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.deliver("prices_daily", price_rows(days_from(DAY, 3), ["A"]))
    nobody = {"instrument_id": ["nobody"]}
    assert len(lake.states("prices_daily", nobody).days) == 0

    def unread(*_: object, **__: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(lake, "stream", unread)
    assert len(lake.states("prices_daily", nobody).days) == 0


def kept_by(lake: Lake) -> list[str]:
    return sorted(path.name for path in (Path(lake.location.root) / "cache" / "states").iterdir())


def without_cache(lake: Lake, table: str) -> states.TableStates:
    """States summed from the files alone."""
    folder = Path(lake.location.root) / "cache"
    folder.rename(folder.with_name("put aside"))
    found = lake.states(table)
    shutil.rmtree(folder)
    folder.with_name("put aside").rename(folder)
    return found


def same_states(told: states.TableStates, read: states.TableStates) -> None:
    assert len(told.days)
    for name in ("days", "known", "states"):
        np.testing.assert_array_equal(getattr(told, name), getattr(read, name))


def test_what_a_write_tells_is_what_reading_would_find(demo_copy: Lake) -> None:
    """Every table of a whole chain whose files are of a day, with all they hold: texts, gaps, lists, vectors."""
    by_day = {t for t in demo_copy.tables() if "as_of_date" in contract(t).partition_by} - {"joint_embeddings"}
    assert {"prices_daily", "news_articles", "numeric_window_embeddings", "text_embeddings"} <= by_day
    for table in sorted(by_day):
        some = demo_copy.days(table)[-30:].tolist()
        rows = demo_copy.read(table, dates=(some[0], some[-1]), every_version=True)
        fresh = Lake.open(Path(demo_copy.location.root).with_name(f"fresh {table}"), create=True)
        (fresh.deliver if contract(table).is_versioned else fresh.upsert)(table, rows)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fresh, "stream", None)  # nothing is read
            told = fresh.states(table)
        same_states(told, without_cache(fresh, table))


def test_a_write_tells_of_partitions_with_odd_names_and_of_what_it_joins(lake: Lake, hashed: list[int]) -> None:
    table = "numeric_window_embeddings"
    for variant in ("w 21/é", "a=b%2Fc+d", "v0"):
        lake.upsert(table, window_rows(days_from(DAY, 2), ["A", "B"], variant=variant))
    lake.upsert(table, window_rows([DAY], ["C"]))
    assert hashed == [4, 4, 4, 3], "a day's rows anew with one that joins them"
    hashed.clear()
    told = lake.states(table)
    assert hashed == []
    same_states(told, without_cache(lake, table))
    gone = {"model_id": ["num-regime-core-v1"], "variant": ["v0"], "entity_type": ["INSTRUMENT"], "as_of_date": [DAY]}
    lake.upsert(table, contract(table).empty(), replacing=Replacing(gone, {"entity_id": ["A", "B", "C"]}))
    same_states(lake.states(table), without_cache(lake, table))
    assert len(lake.states(table, {"variant": "v0"}).days) == 1


def test_the_cache_goes_into_one_file_when_it_is_asked(lake: Lake, hashed: list[int]) -> None:
    for day in days_from(DAY, 3):
        lake.deliver("prices_daily", price_rows([day], ["A"]))
    assert len(kept_by(lake)) == 3
    lake.states("prices_daily")
    assert kept_by(lake) == ["prices_daily.parquet"]
    lake.deliver("prices_daily", price_rows([DAY], ["B"]))
    assert len(kept_by(lake)) == 2
    at = np.array([DAY], dtype="datetime64[D]")
    assert lake.states("prices_daily").between(at, at)[0] == without_cache(lake, "prices_daily").between(at, at)[0]


def test_what_was_read_before_its_writer_could_tell_counts_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader beside the writer may find the file before the writer's sums of it."""
    true = StateCache.add

    def late(cache: StateCache, groups: pl.DataFrame) -> None:
        lake.states("prices_daily")
        true(cache, groups)

    monkeypatch.setattr(StateCache, "add", late)
    lake.deliver("prices_daily", price_rows(days_from(DAY, 2), ["A"]))
    assert len(kept_by(lake)) == 2
    same_states(lake.states("prices_daily"), without_cache(lake, "prices_daily"))


def test_a_part_that_is_spoilt_is_read_from_the_files(lake: Lake, hashed: list[int]) -> None:
    lake.deliver("prices_daily", price_rows([DAY], ["A", "B"]))
    (part,) = (Path(lake.location.root) / "cache" / "states").iterdir()
    part.write_bytes(b"PAR1 and then nothing")
    same_states(lake.states("prices_daily"), without_cache(lake, "prices_daily"))
    assert hashed == [2, 2, 2]
    assert kept_by(lake) == ["prices_daily.parquet"]


def test_nothing_is_told_of_a_partition_in_several_files() -> None:
    rows = price_rows(days_from(DAY, 2), ["A", "B"])
    first, second = (f"lake/raw/prices_daily/as_of_date={day}" for day in days_from(DAY, 2))
    told = states.groups_written(rows, [f"{first}/1.parquet", f"{first}/2.parquet", f"{second}/3.parquet"], PER_DAY)
    assert told["file"].to_list() == ["3.parquet"]
    assert told["state"].sum() == states.row_hashes(rows.slice(2)).sum()
    assert states.groups_written(rows, ["lake/raw/prices_daily/elsewhere/1.parquet"], PER_DAY).height == 0


def test_a_lake_that_cannot_keep_sums_goes_without(lake: Lake) -> None:
    (Path(lake.location.root) / "cache").write_text("a file in the way")
    lake.deliver("prices_daily", price_rows([DAY], ["A"]))
    assert len(lake.states("prices_daily").days) == 1


def test_where_no_sums_are_kept_none_are_made(lake: Lake, monkeypatch: pytest.MonkeyPatch, hashed: list[int]) -> None:
    """A lake in an object store has no cache."""
    at = np.array([DAY], dtype="datetime64[D]")
    with monkeypatch.context() as patch:
        patch.setattr(Location, "path", None)
        lake.deliver("prices_daily", price_rows([DAY], ["A"]))
        assert hashed == []
        elsewhere = lake.states("prices_daily").between(at, at)
    assert lake.states("prices_daily").between(at, at) == elsewhere
    assert hashed == [1, 1]
