from __future__ import annotations

import copy
import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from prometheus.errors import RequestError
from prometheus.market.ingest import load_map
from prometheus.market.ingest.model import ALWAYS, FirstBy, Unpivot, Where

CONF = Path(__file__).resolve().parents[3] / "conf" / "ingest"
FEED: dict[str, Any] = {
    "table": "prices_daily",
    "files": "*.csv",
    "columns": {"instrument_id": "id", "as_of_date": "date", "close": "close"},
    "market": "US_EQ",
    "known_at": "session_close",
}


def with_changes(**changes: Any) -> dict[str, Any]:
    feed = copy.deepcopy(FEED) | changes
    return {"name": "m", "feeds": [{k: v for k, v in feed.items() if v is not ...}]}


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_map_parses_and_is_named_after_its_file(path: Path) -> None:
    source = load_map(path)
    assert source.name == path.stem
    assert source.doc
    assert source.feeds


def test_shipped_maps_cover_the_common_layouts() -> None:
    assert {"yahoo_csv", "long_csv", "jsonl_news", "jsonl_news_linked"} <= {p.stem for p in CONF.glob("*.yaml")}


def test_shorthands_are_read_as_the_long_forms() -> None:
    feed = load_map(with_changes(columns={
        "instrument_id": {"template": "{stem}.US"},
        "as_of_date": {"column": "date", "format": "%d/%m/%Y"},
        "close": ["close", "last"],
        "currency": {"value": "USD"},
    })).feeds[0]  # fmt: skip
    assert feed.columns["close"].columns == ("close", "last")
    assert feed.columns["as_of_date"].formats == ("%d/%m/%Y",)
    assert feed.columns["currency"].value == "USD"
    assert feed.market is not None
    assert feed.market.value == "US_EQ"
    assert feed.off_session == "quarantine"
    assert feed.name == "prices_daily from *.csv"


@pytest.mark.parametrize(
    ("rule", "kind", "lag"),
    [
        ("session_close", "session_close", 0),
        ({"session_close": True, "lag_minutes": 90}, "session_close", 90),
        ({"column": "seen"}, "column", 0),
        ({"end_of_day": "as_of_date", "lag_days": 2}, "end_of_day", 2880),
        ({"assume_known": "always"}, "assumed", 0),
    ],
)
def test_known_at_rules(rule: Any, kind: str, lag: int) -> None:
    known = load_map(with_changes(known_at=rule)).feeds[0].known_at
    assert known.kind == kind
    assert known.lag == dt.timedelta(minutes=lag)


def test_assume_known_takes_always_or_a_date() -> None:
    def instant(value: Any) -> dt.datetime:
        return load_map(with_changes(known_at={"assume_known": value})).feeds[0].known_at.instant

    assert instant("always") == ALWAYS == dt.datetime(1900, 1, 1, tzinfo=dt.UTC)
    assert instant("2010-05-01") == instant(dt.date(2010, 5, 1)) == dt.datetime(2010, 5, 1, tzinfo=dt.UTC)


def test_steps_are_read_in_order() -> None:
    steps = [
        {"where": {"column": "kind", "values": ["a", "b"]}},
        {"unpivot": {"columns": {"x": "X"}, "name": "n", "value": "v"}},
        {"first_by": {"keys": ["id"], "order": "date"}},
    ]
    assert load_map(with_changes(steps=steps)).feeds[0].steps == (
        Where("kind", ("a", "b")),
        Unpivot((("x", "X"),), "n", "v"),
        FirstBy(("id",), "date"),
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"table": "prices"}, "no table 'prices'"),
        ({"table": "calendar_sessions"}, "is not a table that files are ingested into"),
        ({"files": ...}, "files is missing"),
        ({"known_at": ...}, "known_at is missing"),
        ({"colums": {}}, "unknown option colums"),
        ({"market": ...}, "which market"),
        ({"format": "xlsx"}, "format is one of"),
        ({"on_bad_rows": "drop"}, "on_bad_rows is one of"),
        ({"known_at": {"rule": "close"}}, "say from when rows count as known"),
        ({"known_at": {"column": "a", "assume_known": "always"}}, "say from when rows count as known"),
        ({"known_at": 5}, "say from when rows count as known"),
        ({"known_at": "published_at"}, "which the feed does not map"),
        ({"known_at": {"assume_known": "soon"}}, "a date or always"),
        ({"columns": ["id"]}, "columns is a mapping"),
        ({"columns": FEED["columns"] | {"price": "p"}}, "has no column 'price'"),
        ({"columns": FEED["columns"] | {"known_at": "p"}}, "no rule of its own"),
        ({"columns": {"instrument_id": "id", "close": "c"}}, "cannot be without as_of_date"),
        ({"columns": {"instrument_id": "id", "as_of_date": "d", "open": "o"}}, "close or adjusted_close"),
        ({"columns": FEED["columns"] | {"open": {"column": "o", "value": 1}}}, "exactly one of"),
        ({"columns": FEED["columns"] | {"open": {"column": "o", "colour": 1}}}, "unknown option colour"),
        ({"columns": FEED["columns"] | {"open": 7}}, "give a source column"),
        ({"columns": FEED["columns"] | {"open": {"column": "o", "decimal": ";"}}}, "decimal is one of"),
        ({"columns": FEED["columns"] | {"open": {"column": "o", "scale": "k"}}}, "scale is a number, not 'k'"),
        ({"columns": FEED["columns"] | {"open": {"column": "o", "map": ["a"]}}}, "map is a mapping"),
        ({"columns": FEED["columns"] | {"as_of_date": {"column": "d", "timezone": "Mars"}}}, "no time zone 'Mars'"),
        ({"columns": FEED["columns"] | {"as_of_date": {"column": "d", "format": "day"}}}, "'day' is no date format"),
        ({"columns": FEED["columns"] | {"as_of_date": {"column": "d", "format": ["%Y", "%d %I"]}}}, "'%d %I' is no date"),
        ({"separator": ";;"}, "separator is one character"),
        ({"separator": '"'}, "separator is one character"),
        ({"encoding": "utf-9"}, "no encoding 'utf-9'"),
        ({"header": ["a", "A"]}, "header names a column twice"),
        ({"known_at": {"session_close": True, "lag_minutes": "soon"}}, "lag_minutes is a number"),
        ({"steps": [{"pivot": {}}]}, "there is no such step"),
        ({"steps": [{"where": "x"}]}, "give its options as a mapping"),
        ({"steps": [{"where": {}}]}, "column is missing"),
        ({"steps": ["where"]}, "a step is one of"),
        ({"steps": [{"first_by": {"keys": []}}]}, "keys names no column"),
        ({"steps": [{"explode": {"colum": "x"}}]}, "colum"),
        ({"steps": [{"adjustments": {"date": "d"}}]}, "missing"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_map_is_a_sentence_naming_it(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(RequestError) as refusal:
        load_map(with_changes(**changes))
    assert says in str(refusal.value)


@pytest.mark.parametrize("data", [{}, {"feeds": []}, {"feeds": "x"}, {"feeds": ["x"]}, {"feeds": [FEED, FEED]}])
def test_a_map_needs_a_list_of_feeds_with_names_of_their_own(data: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        load_map(data)


def test_files_that_are_no_map_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no ingest map at"):
        load_map(tmp_path / "absent.yaml")
    (tmp_path / "broken.yaml").write_text("feeds: [")
    with pytest.raises(RequestError, match="cannot be read as YAML"):
        load_map(tmp_path / "broken.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(RequestError, match="no mapping"):
        load_map(tmp_path / "list.yaml")
