"""Raw rows: corrections are versions, re-deliveries change nothing, reading as of an instant sees what was known."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from prometheus.lake import Lake, contract
from prometheus.lake.versions import MOVED, PAST, STAYS_WITHDRAWN, SUPERSEDED
from tests.lake_rows import days_from, price_rows

DAY = dt.date(2020, 1, 2)
LATER = dt.datetime(2020, 6, 1, 12, tzinfo=dt.UTC)


def test_redelivery_is_unchanged(lake: Lake) -> None:
    rows = price_rows(days_from(DAY, 5), ["A", "B"])
    assert lake.deliver("prices_daily", rows).new == 10
    again = lake.deliver("prices_daily", rows)
    assert (again.new, again.corrected, again.unchanged) == (0, 0, 10)
    assert lake.version("prices_daily") == 1


def test_a_correction_is_known_from_its_delivery(lake: Lake) -> None:
    lake.deliver("prices_daily", price_rows([DAY], ["A", "B"], close=100.0))
    done = lake.deliver("prices_daily", price_rows([DAY], ["A"], close=101.0), now=LATER)
    assert (done.new, done.corrected, done.unchanged) == (0, 1, 0)
    before = lake.read("prices_daily", as_of=LATER - dt.timedelta(seconds=1), where={"instrument_id": "A"})
    after = lake.read("prices_daily", as_of=LATER, where={"instrument_id": "A"})
    assert before["close"].to_pylist() == [100.0]
    assert after["close"].to_pylist() == [101.0]
    assert lake.count("prices_daily") == 3


def test_the_corrected_file_delivered_again_is_unchanged(lake: Lake) -> None:
    lake.deliver("prices_daily", price_rows([DAY], ["A"], close=100.0))
    lake.deliver("prices_daily", price_rows([DAY], ["A"], close=101.0), now=LATER)
    again = lake.deliver("prices_daily", price_rows([DAY], ["A"], close=101.0), now=LATER + dt.timedelta(days=1))
    assert (again.new, again.corrected, again.unchanged) == (0, 0, 1)


def test_nothing_is_known_before_it_was(lake: Lake) -> None:
    lake.deliver("prices_daily", price_rows(days_from(DAY, 3), ["A"]))
    seen = lake.read("prices_daily", as_of=dt.datetime(2020, 1, 3, 20, tzinfo=dt.UTC))
    assert seen["as_of_date"].to_pylist() == [DAY]


def test_withdrawn_rows_are_gone_from_then_on(lake: Lake) -> None:
    rows = price_rows([DAY], ["A"])
    lake.deliver("prices_daily", rows)
    at = rows.schema.get_field_index("withdrawn")
    lake.deliver("prices_daily", rows.set_column(at, rows.schema.field(at), pa.array([True])), now=LATER)
    assert lake.read("prices_daily").num_rows == 0
    assert lake.read("prices_daily", as_of=LATER - dt.timedelta(days=1)).num_rows == 1


def _article(published: dt.datetime, headline: str) -> pa.Table:
    row = {
        "as_of_date": published.date(),
        "article_id": "a1",
        "published_at": published,
        "source": None,
        "language": "EN",
        "headline": headline,
        "body": None,
        "url": None,
        "known_at": published,
        "withdrawn": False,
    }
    return pa.Table.from_pylist([row], schema=contract("news_articles").schema)


def test_a_moved_publication_date_leaves_no_twin(lake: Lake) -> None:
    lake.deliver("news_articles", _article(dt.datetime(2020, 1, 2, 9, tzinfo=dt.UTC), "first"))
    lake.deliver("news_articles", _article(dt.datetime(2020, 1, 5, 9, tzinfo=dt.UTC), "second"))
    latest = lake.read("news_articles")
    assert latest["headline"].to_pylist() == ["second"]
    early = lake.read("news_articles", as_of=dt.datetime(2020, 1, 3, tzinfo=dt.UTC))
    assert early["headline"].to_pylist() == ["first"]


def test_the_sql_view_shows_the_latest_and_every_version(lake: Lake) -> None:
    lake.deliver("prices_daily", price_rows([DAY], ["A"], close=100.0))
    lake.deliver("prices_daily", price_rows([DAY], ["A"], close=101.0), now=LATER)
    con = lake.connect()
    assert con.sql("select close from prices_daily").fetchall() == [(101.0,)]
    assert con.sql("select count(*) from prices_daily__versions").fetchall() == [(2,)]
    old = lake.connect({"prices_daily": 1})
    assert old.sql("select close from prices_daily").fetchall() == [(100.0,)]


# -- rows that move to another day --

JAN_2, JAN_5 = dt.datetime(2020, 1, 2, 9, tzinfo=dt.UTC), dt.datetime(2020, 1, 5, 9, tzinfo=dt.UTC)


def _headlines(lake: Lake, day: dt.date, as_of: dt.datetime | None = None) -> list[str]:
    """What stands on a day, read by itself, as a stage reads it."""
    return lake.read("news_articles", dates=(day, day), as_of=as_of)["headline"].to_pylist()


def _told(published: dt.datetime, headline: str, *, known: dt.datetime | None = None, gone: bool = False) -> pa.Table:
    rows = _article(published, headline).to_pylist()
    rows[0] |= {"known_at": known or published, "withdrawn": gone}
    return pa.Table.from_pylist(rows, schema=contract("news_articles").schema)


@pytest.mark.parametrize("moved_to", [JAN_5, dt.datetime(2019, 12, 30, 9, tzinfo=dt.UTC)])
def test_an_article_that_moves_counts_on_the_old_day_before_and_on_the_new_one_after(
    lake: Lake, moved_to: dt.datetime
) -> None:
    lake.deliver("news_articles", _told(JAN_2, "news"), own_instants=False)
    done = lake.deliver("news_articles", _told(moved_to, "news"), own_instants=False, now=LATER)
    assert (done.new, done.corrected, done.notes[MOVED]) == (0, 2, 1)
    before, after = LATER - dt.timedelta(microseconds=1), LATER
    assert (_headlines(lake, JAN_2.date(), before), _headlines(lake, moved_to.date(), before)) == (["news"], [])
    assert (_headlines(lake, JAN_2.date(), after), _headlines(lake, moved_to.date(), after)) == ([], ["news"])
    assert [r["as_of_date"] for r in lake.read("news_articles").to_pylist()] == [moved_to.date()]
    assert lake.connect().sql("select as_of_date from news_articles").fetchall() == [(moved_to.date(),)]
    by_day = "select count(*) from news_articles where as_of_date = DATE '2020-01-02'"
    assert lake.connect().sql(by_day).fetchall() == [(0,)]
    version = lake.version("news_articles")
    again = lake.deliver("news_articles", _told(moved_to, "news"), own_instants=False, now=LATER + dt.timedelta(days=1))
    assert (again.new, again.corrected, again.unchanged) == (0, 0, 1)
    assert lake.version("news_articles") == version


def test_an_article_may_move_back(lake: Lake) -> None:
    days = [JAN_2, JAN_5, JAN_2 + dt.timedelta(hours=1)]
    for i, published in enumerate(days):
        lake.deliver("news_articles", _told(published, f"v{i}"), own_instants=False, now=LATER + dt.timedelta(days=i))
    counts = []
    for i in range(3):
        as_of = LATER + dt.timedelta(days=i)
        counts.append([len(_headlines(lake, d.date(), as_of)) for d in (JAN_2, JAN_5)])
    assert counts == [[1, 0], [0, 1], [1, 0]]
    assert lake.read("news_articles")["headline"].to_pylist() == ["v2"]


def test_a_publication_time_corrected_within_its_day_is_heard(lake: Lake) -> None:
    """Known_at follows the publication: taken at its word, an earlier time would lose to the version it corrects."""
    lake.deliver("news_articles", _told(JAN_2, "first"), own_instants=False)
    earlier = JAN_2 - dt.timedelta(hours=2)
    lake.deliver("news_articles", _told(earlier, "corrected"), own_instants=False, now=LATER)
    assert lake.read("news_articles")["headline"].to_pylist() == ["corrected"]
    assert lake.read("news_articles", as_of=LATER - dt.timedelta(seconds=1))["headline"].to_pylist() == ["first"]


def test_collected_versions_of_several_days_leave_one_row_a_time_in_whatever_order_they_come(tmp_path: Path) -> None:
    versions = [
        _told(JAN_2, "a", known=JAN_2),
        _told(JAN_2 + dt.timedelta(days=1), "b", known=JAN_2 + dt.timedelta(days=1, hours=3)),
        _told(JAN_5, "c", known=JAN_5 + dt.timedelta(hours=3)),
    ]
    states = []
    for n, order in enumerate([(0, 1, 2), (2, 0, 1), (2, 1, 0)]):
        lake = Lake.open(tmp_path / str(n), create=True)
        for i in order:
            lake.deliver("news_articles", versions[i])
        at_once = Lake.open(tmp_path / f"{n}_at_once", create=True)
        at_once.deliver("news_articles", pa.concat_tables([versions[i] for i in order]))
        for each in (lake, at_once):
            instants = [JAN_2 + dt.timedelta(days=d, hours=5) for d in range(6)]
            days = [JAN_2.date() + dt.timedelta(days=d) for d in range(4)]
            states.append([[_headlines(each, day, instant) for day in days] for instant in instants])
    assert states[0] == [
        [["a"], [], [], []],
        [[], ["b"], [], []],
        [[], ["b"], [], []],
        [[], [], [], ["c"]],
        [[], [], [], ["c"]],
        [[], [], [], ["c"]],
    ]
    assert all(state == states[0] for state in states)


def test_a_withdrawal_that_names_another_day_takes_the_article_back(lake: Lake) -> None:
    lake.deliver("news_articles", _told(JAN_2, "news"), own_instants=False)
    lake.deliver("news_articles", _told(JAN_5, "news", gone=True), own_instants=False, now=LATER)
    assert lake.read("news_articles").num_rows == 0
    assert _headlines(lake, JAN_2.date()) == []
    assert _headlines(lake, JAN_2.date(), JAN_5) == ["news"]


def test_links_move_one_by_one(lake: Lake) -> None:
    def links(published: dt.datetime, *names: str) -> pa.Table:
        rows = [
            {
                "as_of_date": published.date(),
                "article_id": "a1",
                "instrument_id": name,
                "published_at": published,
                "known_at": published,
                "withdrawn": False,
            }
            for name in names
        ]
        return pa.Table.from_pylist(rows, schema=contract("news_links").schema)

    lake.deliver("news_links", links(JAN_2, "A", "B"), own_instants=False)
    lake.deliver("news_links", links(JAN_5, "A"), own_instants=False, now=LATER)
    latest = lake.read("news_links").sort_by("instrument_id").to_pylist()
    assert [(r["instrument_id"], r["as_of_date"]) for r in latest] == [("A", JAN_5.date()), ("B", JAN_2.date())]


# -- corrections --


def test_two_corrections_at_one_instant_are_two_versions(lake: Lake) -> None:
    lake.deliver("prices_daily", price_rows([DAY], ["A"], close=100.0))
    for close in (101.0, 102.0):
        lake.deliver("prices_daily", price_rows([DAY], ["A"], close=close), now=LATER)
    rows = lake.read("prices_daily", every_version=True)
    assert len({r["known_at"] for r in rows.to_pylist()}) == 3
    assert lake.read("prices_daily")["close"].to_pylist() == [102.0]


def test_a_correction_of_a_row_known_only_later_is_known_no_earlier(lake: Lake) -> None:
    known = LATER + dt.timedelta(days=30)
    for close in (100.0, 101.0):
        rows = price_rows([DAY], ["A"], close=close)
        at = rows.schema.get_field_index("known_at")
        lake.deliver("prices_daily", rows.set_column(at, rows.schema.field(at), pa.array([known])), now=LATER)
    assert lake.read("prices_daily", as_of=known - dt.timedelta(seconds=1)).num_rows == 0
    assert lake.read("prices_daily")["close"].to_pylist() == [101.0]


def _versions(*told: tuple[dt.datetime, float]) -> pa.Table:
    tables = []
    for known, close in told:
        rows = price_rows([DAY], ["A"], close=close)
        at = rows.schema.get_field_index("known_at")
        tables.append(rows.set_column(at, rows.schema.field(at), pa.array([known], rows.schema.field(at).type)))
    return pa.concat_tables(tables)


def test_a_collected_version_told_otherwise_does_not_hide_the_one_after_it(lake: Lake) -> None:
    first, second = JAN_2, JAN_5
    lake.deliver("prices_daily", _versions((first, 100.0), (second, 101.0)))
    done = lake.deliver("prices_daily", _versions((first, 99.0), (second, 101.0)), now=LATER)
    assert (done.corrected, done.notes[PAST]) == (0, 1)
    assert lake.read("prices_daily")["close"].to_pylist() == [101.0]
    done = lake.deliver("prices_daily", _versions((first, 98.0), (second, 97.0)), now=LATER)
    assert done.corrected == 1
    assert lake.read("prices_daily")["close"].to_pylist() == [97.0]


def test_an_old_file_does_not_undo_a_correction_unless_asked(lake: Lake) -> None:
    old, new = price_rows([DAY], ["A"], close=100.0), price_rows([DAY], ["A"], close=101.0)
    lake.deliver("prices_daily", old)
    lake.deliver("prices_daily", new, now=LATER)
    done = lake.deliver("prices_daily", old, now=LATER + dt.timedelta(days=1))
    assert (done.corrected, done.unchanged, done.notes[SUPERSEDED]) == (0, 1, 1)
    assert lake.read("prices_daily")["close"].to_pylist() == [101.0]
    done = lake.deliver("prices_daily", old, now=LATER + dt.timedelta(days=2), restating=True)
    assert (done.corrected, done.notes[SUPERSEDED]) == (1, 0)
    assert lake.read("prices_daily")["close"].to_pylist() == [100.0]
    again = lake.deliver("prices_daily", old, now=LATER + dt.timedelta(days=3), restating=True)
    assert again.corrected == 0


# -- files that say less --


def test_a_column_the_file_lacks_keeps_what_is_held(lake: Lake) -> None:
    lake.deliver("prices_daily", price_rows([DAY], ["A", "B"]))
    rows = price_rows([DAY], ["A", "B"], close=101.0)
    at = rows.schema.get_field_index("volume")
    rows = rows.set_column(at, rows.schema.field(at), pa.nulls(2, pa.float64()))
    silent = {"volume": np.array([True, False])}
    done = lake.deliver("prices_daily", rows, own_instants=False, silent=silent, now=LATER)
    latest = {r["instrument_id"]: r for r in lake.read("prices_daily").to_pylist()}
    assert (latest["A"]["close"], latest["A"]["volume"]) == (101.0, 1e6)
    assert (latest["B"]["close"], latest["B"]["volume"]) == (101.0, None)
    assert done.notes == {"volume is not in the file: the value held stays": 1}


def test_of_collected_versions_silence_keeps_what_was_held_then(lake: Lake) -> None:
    lake.deliver("prices_daily", _versions((JAN_2, 100.0), (LATER, 101.0)))
    rows = _versions((JAN_5, 0.0))
    at = rows.schema.get_field_index("close")
    rows = rows.set_column(at, rows.schema.field(at), pa.nulls(1, pa.float64()))
    lake.deliver("prices_daily", rows, silent={"close": np.array([True]), "volume": np.array([False])})
    assert lake.read("prices_daily", as_of=JAN_5)["close"].to_pylist() == [100.0]


def test_silence_beside_a_correction_keeps_the_latest(lake: Lake) -> None:
    """The row's own instant is held, so it corrects the latest version: that one's values stay, not the first one's."""
    lake.deliver("prices_daily", _versions((JAN_2, 100.0)))
    moved = price_rows([DAY], ["A"], close=100.0).to_pylist()[0] | {"volume": 5.0, "known_at": JAN_2}
    lake.deliver("prices_daily", pa.Table.from_pylist([moved], schema=contract("prices_daily").schema), now=JAN_5)
    rows = _versions((JAN_2, 103.0))
    at = rows.schema.get_field_index("volume")
    rows = rows.set_column(at, rows.schema.field(at), pa.nulls(1, pa.float64()))
    lake.deliver("prices_daily", rows, silent={"volume": np.array([True])}, now=LATER)
    latest = lake.read("prices_daily").to_pylist()[0]
    assert (latest["close"], latest["volume"]) == (103.0, 5.0)


def test_a_row_taken_back_stays_so_until_a_file_says_otherwise(lake: Lake) -> None:
    rows = price_rows([DAY], ["A"], close=100.0)
    at = rows.schema.get_field_index("withdrawn")
    lake.deliver("prices_daily", rows)
    lake.deliver("prices_daily", rows.set_column(at, rows.schema.field(at), pa.array([True])), now=LATER)
    again = price_rows([DAY], ["A"], close=102.0)
    quiet = {"withdrawn": np.array([True])}
    done = lake.deliver("prices_daily", again, own_instants=False, silent=quiet, now=LATER + dt.timedelta(days=1))
    assert (done.corrected, done.unchanged, done.notes[STAYS_WITHDRAWN]) == (0, 1, 1)
    assert lake.read("prices_daily").num_rows == 0
    lake.deliver("prices_daily", again, now=LATER + dt.timedelta(days=2))
    assert lake.read("prices_daily")["close"].to_pylist() == [102.0]


def test_nothing_is_written_because_rows_were_read_in_another_order(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = price_rows(days_from(DAY, 2), ["A", "B", "C"])
    lake.deliver("prices_daily", rows)
    version, read = lake.version("prices_daily"), Lake._run
    monkeypatch.setattr(Lake, "_run", lambda *args, **kwargs: read(*args, **kwargs).take(pa.array(range(5, -1, -1))))
    lake.deliver("prices_daily", rows)
    assert lake.version("prices_daily") == version
