"""The one write path: by key, inside partitions, atomic, idempotent, without losing a concurrent row."""

from __future__ import annotations

import datetime as dt
import threading

import numpy as np
import pyarrow as pa
import pytest

from prometheus.errors import ContractError, RequestError
from prometheus.lake import Lake, Replacing
from prometheus.vectors import from_list_array
from tests.lake_rows import days_from, window_rows

DAY = dt.date(2020, 1, 1)
TABLE = "numeric_window_embeddings"


def keys(lake: Lake) -> set[tuple[dt.date, str]]:
    rows = lake.read(TABLE, columns=["as_of_date", "entity_id"])
    return set(zip(rows["as_of_date"].to_pylist(), rows["entity_id"].to_pylist(), strict=True))


def test_rows_come_back_bit_for_bit(lake: Lake) -> None:
    rows = window_rows(days_from(DAY, 3), ["A", "B"])
    lake.upsert(TABLE, rows)
    back = lake.read(TABLE).sort_by([("as_of_date", "ascending"), ("entity_id", "ascending")])
    assert back.schema == rows.schema
    assert back.equals(rows.combine_chunks())


def test_upsert_replaces_by_key_and_leaves_the_rest(lake: Lake) -> None:
    lake.upsert(TABLE, window_rows(days_from(DAY, 2), ["A", "B"], seed=1))
    lake.upsert(TABLE, window_rows([DAY], ["B", "C"], seed=2))
    assert keys(lake) == {
        (DAY, "A"),
        (DAY, "B"),
        (DAY, "C"),
        (DAY + dt.timedelta(1), "A"),
        (DAY + dt.timedelta(1), "B"),
    }
    first = from_list_array(lake.read(TABLE, dates=(DAY, DAY), where={"entity_id": "B"})["vector"])
    np.testing.assert_array_equal(first, from_list_array(window_rows([DAY], ["B", "C"], seed=2)["vector"])[:1])


def test_equal_rows_are_not_committed_again(lake: Lake) -> None:
    rows = window_rows(days_from(DAY, 3), ["A", "B"])
    assert lake.upsert(TABLE, rows).changed
    again = lake.upsert(TABLE, rows.slice(2))
    assert not again.changed
    assert lake.version(TABLE) == 1


def test_replacing_takes_out_what_was_asked_for_and_not_made(lake: Lake) -> None:
    lake.upsert(TABLE, window_rows(days_from(DAY, 2), ["A", "B", "EU"]))
    lake.upsert(
        TABLE,
        window_rows([DAY], ["A"], seed=9),
        replacing=Replacing(
            partitions={
                "model_id": ["num-regime-core-v1"],
                "variant": ["v0"],
                "entity_type": ["INSTRUMENT"],
                "as_of_date": days_from(DAY, 2),
            },
            keys={"entity_id": ["A", "B"]},
        ),
    )
    assert keys(lake) == {(DAY, "A"), (DAY, "EU"), (DAY + dt.timedelta(1), "EU")}


def test_replacing_by_a_pattern_leaves_what_does_not_match_whole(lake: Lake) -> None:
    lake.upsert(TABLE, window_rows([DAY], ["A:1", "A:1:doc", "xA:1x", "B:1"]))
    surface = {
        "model_id": ["num-regime-core-v1"],
        "variant": ["v0"],
        "entity_type": ["INSTRUMENT"],
        "as_of_date": [DAY],
    }
    area = Replacing(surface, {"entity_type": ["INSTRUMENT"]}, {"entity_id": r"[AB]:\d"})
    lake.upsert(TABLE, window_rows([DAY], ["B:1"], seed=9), replacing=area)
    assert keys(lake) == {(DAY, "A:1:doc"), (DAY, "xA:1x"), (DAY, "B:1")}


def test_a_partition_can_become_empty(lake: Lake) -> None:
    lake.upsert(TABLE, window_rows([DAY], ["A"]))
    empty = window_rows([], [])
    lake.upsert(
        TABLE,
        empty,
        replacing=Replacing(
            {"model_id": ["num-regime-core-v1"], "variant": ["v0"], "entity_type": ["INSTRUMENT"], "as_of_date": [DAY]},
            {"entity_id": ["A"]},
        ),
    )
    assert keys(lake) == set()


def test_partition_columns_may_be_named_among_the_keys(lake: Lake) -> None:
    """A surface that turned out empty goes, and the one beside it in no predicate stays."""
    lake.upsert(TABLE, window_rows([DAY], ["A"]))
    lake.upsert(TABLE, window_rows([DAY], ["A"], variant="w21"))
    surface = {"model_id": ["num-regime-core-v1"], "variant": ["v0"], "entity_type": ["INSTRUMENT"]}
    lake.upsert(TABLE, window_rows([], []), replacing=Replacing({"as_of_date": [DAY]}, surface))
    assert lake.count(TABLE, where={"variant": "v0"}) == 0
    assert lake.count(TABLE, where={"variant": "w21"}) == 1


def test_variants_do_not_touch_each_other(lake: Lake) -> None:
    lake.upsert(TABLE, window_rows([DAY], ["A"], seed=1))
    lake.upsert(TABLE, window_rows([DAY], ["A"], seed=2, variant="w21"))
    assert lake.count(TABLE) == 2
    assert lake.count(TABLE, where={"variant": "w21"}) == 1


@pytest.mark.parametrize("spoil", ["duplicate", "nan", "width", "null", "column"])
def test_rows_that_break_the_contract_are_refused_whole(lake: Lake, spoil: str) -> None:
    rows = window_rows(days_from(DAY, 2), ["A"])
    match = {
        "duplicate": "share a key",
        "nan": "not finite",
        "width": "holds",
        "null": "must not be null",
        "column": "unknown",
    }
    if spoil == "duplicate":
        rows = pa.concat_tables([rows, rows.slice(0, 1)])
    elif spoil == "nan":
        block = from_list_array(rows["vector"]).copy()
        block[1, 7] = np.nan
        from prometheus.vectors import to_list_array

        rows = rows.set_column(7, rows.schema.field("vector"), to_list_array(block))
    elif spoil == "width":
        from prometheus.vectors import to_list_array

        rows = rows.set_column(7, rows.schema.field("vector"), to_list_array(np.zeros((2, 383), np.float32)))
    elif spoil == "null":
        column = pa.array(["A", None])
        rows = rows.set_column(4, pa.field("entity_id", pa.string()), column)
    else:
        rows = rows.append_column("extra", pa.array([1, 2]))
    with pytest.raises(ContractError, match=match[spoil]):
        lake.upsert(TABLE, rows)
    assert lake.count(TABLE) == 0


def test_concurrent_writers_of_one_partition_lose_nothing(lake: Lake) -> None:
    """Each of many threads upserts its own key into the same day; every key must be there at the end."""
    names = [f"N{i:02d}" for i in range(12)]
    failures: list[BaseException] = []

    def write(name: str) -> None:
        try:
            Lake.open(lake.location.root, create=True).upsert(TABLE, window_rows([DAY], [name]))
        except BaseException as error:
            failures.append(error)

    lake.upsert(TABLE, window_rows([DAY], ["first"]))
    threads = [threading.Thread(target=write, args=(n,)) for n in names]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
    assert keys(lake) == {(DAY, n) for n in [*names, "first"]}


def test_partition_values_with_odd_characters(lake: Lake) -> None:
    rows = window_rows([DAY], ["A/B C=1"], variant="w 21/é")
    lake.upsert(TABLE, rows)
    back = lake.read(TABLE, where={"variant": "w 21/é"})
    assert back["entity_id"].to_pylist() == ["A/B C=1"]
    assert lake.read(TABLE, where={"variant": "other"}).num_rows == 0


def test_a_name_with_a_quote_is_read_by_name(lake: Lake) -> None:
    lake.upsert(TABLE, window_rows([DAY], ["O'NEIL.US", "B"]))
    assert lake.read(TABLE, where={"entity_id": "O'NEIL.US"}).num_rows == 1


def test_reading_what_was_never_written_gives_no_rows_with_the_schema(lake: Lake) -> None:
    back = lake.read("regimes", columns=["region", "regime_embedding"])
    assert back.num_rows == 0
    assert back.column_names == ["region", "regime_embedding"]


def test_unknown_names_are_refused_with_what_there_is(lake: Lake) -> None:
    with pytest.raises(RequestError, match="prices_daily"):
        lake.read("prices")
    with pytest.raises(RequestError, match="entity_id"):
        lake.read(TABLE, columns=["entity"])
