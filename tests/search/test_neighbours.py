"""Searches over stored rows: dates, embargo, keys, own rows; streamed, in memory and in SQL alike."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from prometheus.clock import exchange_sessions
from prometheus.errors import MissingInputError, RequestError
from prometheus.lake import Lake, contract
from prometheus.market.calendars import ensure_sessions
from prometheus.search import Embargo, Query, Surface, Vectors, embargo_of, nearest, nearest_many
from prometheus.search.spans import window_behind
from tests.joint_worlds import listing
from tests.search_rows import joint_row, numeric_row, profile_row, random_vectors, write
from tests.text_rows import rows_of

PROFILES = Surface.joint("PROFILE_CORE_V0", "joint-profile-core-v1")
CONTEXT = Surface.joint("REGIME_CONTEXT_V0", "joint-regime-core-v1")
DAY = dt.date(2025, 1, 31)
NAMES = [f"ISS_{i:02d}_CORP" for i in range(30)]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Thirty profiles on three dates, a region's context on two hundred sessions, some windows."""
    lake = Lake.open(tmp_path_factory.mktemp("search") / "lake", create=True)
    days = [dt.date(2024, 1, 31), dt.date(2024, 12, 31), DAY]
    vectors = random_vectors(90)
    vectors[35] = vectors[33]  # a tie on the second date
    write(
        lake,
        "joint_embeddings",
        [profile_row(d, n, vectors[30 * i + j]) for i, d in enumerate(days) for j, n in enumerate(NAMES)],
    )
    write(
        lake,
        "joint_embeddings",
        [profile_row(DAY, n, vectors[-1 - j], variant="other") for j, n in enumerate(NAMES[:4])],
    )
    sessions = ensure_sessions(lake, "XNYS", dt.date(2024, 1, 2), dt.date(2024, 12, 31))
    asked = sessions.between(dt.date(2024, 1, 2), dt.date(2024, 10, 15)).dates.tolist()
    scope = {"region": "US", "source": "regime+news"}
    block = random_vectors(2 * len(asked), 1)
    rows = [joint_row("REGIME_CONTEXT_V0", d, "US", scope, v) for d, v in zip(asked, block, strict=False)]
    rows += [
        joint_row("REGIME_CONTEXT_V0", d, "EU", {**scope, "region": "EU"}, v)
        for d, v in zip(asked, block[len(asked) :], strict=True)
    ]
    write(lake, "joint_embeddings", rows)
    kinds = (("MARKET", "US_EQ"), ("INSTRUMENT", "A.US"), ("INSTRUMENT", "B.US"))
    write(
        lake,
        "numeric_window_embeddings",
        [numeric_row("num-regime-core-v1", DAY, *kind, v) for kind, v in zip(kinds, random_vectors(3, 2), strict=True)],
    )
    return lake


def plainly(lake: Lake, surface: Surface, query: Query, days: list[dt.date], k: int) -> list[tuple[str, str, float]]:
    """Cosine with every row of some dates, one by one."""
    rows = lake.read("joint_embeddings", where=dict(surface.where)).to_pylist()
    q = query.vector.astype(np.float64)
    out = []
    for row in rows:
        own = query.row is not None and (row["as_of_date"], row["entity_key"]) == (
            query.row["as_of_date"],
            query.row["entity_key"],
        )
        if row["as_of_date"] in days and not own:
            v = np.array(row["vector"])
            out.append((-float(q @ v / np.sqrt(q @ q) / np.sqrt(v @ v)), str(row["as_of_date"]), row["entity_key"]))
    return [(d, key, -c) for c, d, key in sorted(out)[:k]]


def listed(found: object) -> list[tuple[str, str, float]]:
    return [(str(r["as_of_date"]), r["entity_key"], r["cosine"]) for r in found.to_pylist()]  # type: ignore[attr-defined]


def test_the_same_date_without_the_row_itself(lake: Lake) -> None:
    query = Query.read(lake, PROFILES, DAY, entity_key=NAMES[3])
    found = nearest(lake, PROFILES, query, k=7)
    expected = plainly(lake, PROFILES, query, [DAY], 7)
    assert [f[:2] for f in listed(found)] == [e[:2] for e in expected]
    np.testing.assert_allclose(found.cosine, [e[2] for e in expected], atol=1e-14)
    everybody = nearest(lake, PROFILES, query, k=100)
    assert sorted(r["entity_key"] for r in everybody.to_pylist()) == sorted(set(NAMES) - {NAMES[3]})
    assert (np.diff(everybody.cosine) <= 0).all()


def test_ties_are_listed_by_key(lake: Lake) -> None:
    query = Query.read(lake, PROFILES, dt.date(2024, 12, 31), entity_key=NAMES[0])
    at = {r["entity_key"]: (i, r["cosine"]) for i, r in enumerate(nearest(lake, PROFILES, query, k=29).to_pylist())}
    assert at[NAMES[3]][1] == at[NAMES[5]][1]
    assert at[NAMES[5]][0] == at[NAMES[3]][0] + 1


def test_memory_and_stream_are_equal_bit_for_bit(lake: Lake) -> None:
    held = CONTEXT.load(lake)
    assert held.rows["as_of_date"].to_pylist() == sorted(held.rows["as_of_date"].to_pylist())
    query = Query.read(lake, CONTEXT, dt.date(2024, 9, 3), entity_key="US")
    for when in ("same_date", "known", "earlier", "apart", "any"):
        for metric in ("cosine", "euclidean"):
            streamed, loaded = (nearest(lake, a, query, k=9, when=when, metric=metric) for a in (CONTEXT, held))
            assert streamed.rows.equals(loaded.rows)
            np.testing.assert_array_equal(streamed.cosine, loaded.cosine)
            np.testing.assert_array_equal(streamed.euclidean, loaded.euclidean)
            assert len(loaded) == (1 if when == "same_date" else 9)


def test_history_keeps_a_window_of_sessions_away(lake: Lake) -> None:
    sessions = exchange_sessions("XNYS", dt.date(2023, 12, 1), dt.date(2024, 12, 31)).dates.tolist()
    day = dt.date(2024, 9, 3)
    query = Query.read(lake, CONTEXT, day, entity_key="US")
    found = nearest(lake, CONTEXT, query, k=1_000, history=True)
    assert str(found.embargo) == "63 XNYS sessions"
    last = sessions[sessions.index(day) - 63]
    assert max(r["as_of_date"] for r in found.to_pylist()) == last
    past = [d for d in sessions if d <= last]
    expected = plainly(lake, CONTEXT, query, past, 20)
    assert [f[:2] for f in listed(found)[:20]] == [e[:2] for e in expected]
    np.testing.assert_allclose(found.cosine[:20], [e[2] for e in expected], atol=1e-14)
    apart = {
        r["as_of_date"]
        for r in nearest(lake, CONTEXT, query, k=1_000, when="apart", where={"entity_key": "US"}).to_pylist()
    }
    at = sessions.index(day)
    held = [d for d in sessions if dt.date(2024, 1, 2) <= d <= dt.date(2024, 10, 15)]
    assert apart == {d for d in held if abs(sessions.index(d) - at) >= 63}


def test_without_a_calendar_the_embargo_is_92_days(lake: Lake) -> None:
    query = Query.read(lake, PROFILES, DAY, entity_key=NAMES[3])
    bare = Embargo()
    assert bare.num_days == 92
    found = nearest(lake, PROFILES, query, k=99, history=True, embargo=bare)
    assert {r["as_of_date"] for r in found.to_pylist()} == {dt.date(2024, 1, 31)}
    assert NAMES[3] in {r["entity_key"] for r in found.to_pylist()}
    assert bare.before(np.array([DAY], dtype="datetime64[D]"))[0].item() == DAY - dt.timedelta(days=92)
    assert "92 calendar days" in str(bare)
    assert embargo_of(None, {"entity_scope": '{"region":"US"}'}).sessions is None
    assert embargo_of(lake, {"entity_type": "MARKET", "entity_id": "US_EQ"}).sessions is not None
    assert embargo_of(lake, {"entity_scope": '{"source":"scenarios"}'}).sessions is None


@pytest.mark.parametrize(
    ("row", "sessions"),
    [
        ({}, 63),
        ({"window_spec": '{"sessions":21}'}, 63),  # its statistics look back 63 all the same
        ({"window_spec": '{"sessions":126}'}, 126),
        ({"branches": [{"model_id": "num-regime-core-v1"}, {"model_id": "text-fin-general-v1"}]}, 63),
        ({"branches": [{"model_id": "num-profile-core-v1"}, {"model_id": "text-profile-v1"}]}, 126),
        ({"branches": [{"model_id": "num-stab-core-v1"}, {"model_id": "joint-profile-core-v1"}]}, 126),
        ({"branches": [{"model_id": "joint-regime-core-v1"}]}, 63),
    ],
)
def test_the_embargo_is_the_longest_window_behind_a_row(row: dict[str, Any], sessions: int) -> None:
    assert window_behind(row) == sessions
    assert embargo_of(None, row).num_sessions == sessions
    assert embargo_of(None, row, num_sessions=5).num_sessions == 5


def test_the_embargo_of_an_instrument_is_counted_on_its_market(lake: Lake) -> None:
    lake.deliver("instruments", rows_of("instruments", listing("AAA.US", None), listing("BBB.US", None)))
    lake.deliver("instruments", rows_of("instruments", listing("BBB.US", None, "EU_EQ", begins="2020-01-06")))
    counted = embargo_of(lake, {"entity_type": "INSTRUMENT", "entity_id": "AAA.US"}).sessions
    assert counted is not None
    assert counted.calendar_id == "XNYS"
    for moved in ("BBB.US", "nobody"):
        assert embargo_of(lake, {"entity_type": "INSTRUMENT", "entity_id": moved}).sessions is None


def test_before_the_first_session_nothing_is_far_enough(lake: Lake) -> None:
    sessions = exchange_sessions("XNYS", dt.date(2024, 1, 2), dt.date(2024, 6, 28))
    embargo = Embargo(63, sessions)
    days = np.array(["2024-01-10", "2024-04-03", "2024-04-04"], dtype="datetime64[D]")
    assert embargo.before(days).tolist()[1:] == [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]
    assert embargo.before(days)[0].item() == dt.date(1, 1, 1)
    # A day between sessions counts from the session before it.
    assert embargo.before(np.array(["2024-04-06"], dtype="datetime64[D]"))[0].item() == dt.date(2024, 1, 4)


def test_many_queries_each_with_their_own_dates(lake: Lake) -> None:
    held = CONTEXT.load(lake, columns=["entity_scope"])
    embargo = embargo_of(lake, held.rows.slice(0, 1).to_pylist()[0])
    own = held.rows.to_pylist()
    every = nearest_many(
        lake, held, held.vectors, held.dates, own=own, k=3, when="apart", embargo=embargo, columns=["entity_scope"]
    )
    assert every.rows.column_names == ["as_of_date", "entity_key", "entity_scope"]
    for i in (0, 7, 200, len(held) - 1):
        query = Query.read(lake, CONTEXT, own[i]["as_of_date"], entity_key=own[i]["entity_key"])
        one = nearest(lake, CONTEXT, query, k=3, when="apart")
        mine = every.of(i)
        assert mine.rows.select(["as_of_date", "entity_key"]).equals(one.rows)
        np.testing.assert_array_equal(mine.cosine, one.cosine)
    streamed = nearest_many(lake, CONTEXT, held.vectors, held.dates, own=own, k=3, when="apart", embargo=embargo)
    np.testing.assert_array_equal(streamed.cosine, every.cosine)


def test_candidates_by_key_and_other_tables(lake: Lake) -> None:
    query = Query.read(lake, PROFILES, DAY, entity_key=NAMES[3])
    few = nearest(lake, PROFILES, query, where={"entity_key": NAMES[:5]})
    assert sorted(r["entity_key"] for r in few.to_pylist()) == [n for n in NAMES[:5] if n != NAMES[3]]
    windows = Surface.numeric("num-regime-core-v1", entity_type="INSTRUMENT")
    market = Query.read(lake, Surface.numeric("num-regime-core-v1"), DAY, entity_id="US_EQ")
    assert {r["entity_id"] for r in nearest(lake, windows, market).to_pylist()} == {"A.US", "B.US"}
    assert len(nearest(lake, Surface.text("NEWS", "text-fin-general-v1"), Query(market.vector))) == 0
    # Of another variant the row is no neighbour of itself either way: it is another row.
    other = Surface.joint("PROFILE_CORE_V0", "joint-profile-core-v1", "other")
    assert NAMES[3] in {r["entity_key"] for r in nearest(lake, other, query).to_pylist()}
    assert str(other) == "PROFILE_CORE_V0/joint-profile-core-v1 [other]"


def test_refusals(lake: Lake) -> None:
    with pytest.raises(
        MissingInputError,
        match=r"no row of PROFILE_CORE_V0/joint-profile-core-v1 \[v0\] of entity_key NOBODY on 2025-01-31",
    ):
        Query.read(lake, PROFILES, DAY, entity_key="NOBODY")
    with pytest.raises(RequestError, match=r"there are 30 rows .*ISS_04_CORP and 25 more; name one"):
        Query.read(lake, PROFILES, DAY)
    query = Query(random_vectors(1)[0])
    with pytest.raises(RequestError, match="without a date"):
        nearest(lake, PROFILES, query, when="same_date")
    assert len(nearest(lake, PROFILES, query, k=100)) == 90
    with pytest.raises(RequestError, match="at least one neighbour"):
        nearest(lake, PROFILES, query, k=0)
    with pytest.raises(RequestError, match="give one, or candidates in memory"):
        nearest(None, PROFILES, query)
    with pytest.raises(RequestError, match="384 values"):
        nearest_many(lake, PROFILES, np.ones((2, 3), dtype=np.float32))
    with pytest.raises(RequestError, match="filtered when they are loaded"):
        nearest(lake, PROFILES.load(lake), query, where={"entity_key": "x"})
    with pytest.raises(ValueError, match="do not go with"):
        Vectors(PROFILES, pa.table({"entity_key": ["a"]}), np.ones((2, 384), dtype=np.float32))
    with pytest.raises(RequestError, match="no comparison"):
        nearest(lake, PROFILES, Query.read(lake, PROFILES, DAY, entity_key=NAMES[0]), when="later")  # type: ignore[arg-type]


def test_an_empty_surface_loads_and_finds_nothing(tmp_path: Path) -> None:
    empty = Lake.open(tmp_path / "lake", create=True)
    held = PROFILES.load(empty)
    assert len(held) == 0
    assert (
        held.rows.schema
        == contract("joint_embeddings").schema.empty_table().select(["as_of_date", "entity_key"]).schema
    )
    assert nearest(empty, held, Query(random_vectors(1)[0])).to_pylist() == []
