"""The look at every file before the first row: what is wrong anywhere is said before anything is delivered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from prometheus.errors import BadDataError, RequestError
from prometheus.market.ingest import load_map, preflight

PRICES = "id,date,close\nA,2024-01-02,10\n"


@pytest.fixture
def look(tmp_path: Path) -> Any:
    return lambda *feeds, **options: preflight(load_map({"name": "test", "feeds": list(feeds)}), tmp_path, **options)


def test_files_of_every_feed_are_found(write: Any, look: Any, price_feed: Any, news_feed: Any) -> None:
    write("p.csv", PRICES)
    write("q.csv.gz", PRICES)
    write("r.parquet", pl.DataFrame({"id": ["A"], "date": ["2024-01-02"], "close": [1.0]}))
    write("blank.csv", "\n")
    found = look(
        price_feed(name="prices", files="*.csv*"),
        price_feed(name="more", files="*.parquet"),
        news_feed(name="news", files="none", optional=True),
    )
    assert {name: [p.name for p in files] for name, files in found.items()} == {
        "prices": ["blank.csv", "p.csv", "q.csv.gz"],
        "more": ["r.parquet"],
        "news": [],
    }


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("p.csv", "id,close\nA,10\n", "p.csv has no column for as_of_date (from date)"),
        ("p.csv", "id,date\nA,2024-01-02\n", "has no column for close (from close), adjusted_close"),
        ("p.csv", "A,2024-01-02,10\nB,2024-01-02,11\n", "p.csv has no header line"),
        ("p.csv", "<!DOCTYPE html><html>", "is a web page"),
        ("p.csv.gz", b"no gzip at all", "holds no gzip data"),
        ("p.parquet", pl.DataFrame({"id": ["A"]}), "has no column for as_of_date"),
        ("p.parquet", b"PAR1 and nothing more", "p.parquet is cut short"),
        ("p.xls", "x", "is no format ingest reads"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, look: Any, price_feed: Any, name: str, content: str | bytes | pl.DataFrame, says: str
) -> None:
    path = tmp_path / name
    if isinstance(content, pl.DataFrame):
        content.write_parquet(path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(BadDataError) as refusal:
        look(price_feed(files="p.*"))
    assert says in str(refusal.value)
    assert name in str(refusal.value)


def test_a_feed_without_files_and_a_folder_that_is_none(tmp_path: Path, look: Any, price_feed: Any) -> None:
    with pytest.raises(BadDataError, match=r"holds no file \*.csv"):
        look(price_feed())
    with pytest.raises(RequestError, match="is not a folder"):
        preflight(load_map({"name": "test", "feeds": [price_feed()]}), tmp_path / "nowhere")


def test_of_a_delta_table_the_columns_are_asked(tmp_path: Path, look: Any, price_feed: Any) -> None:
    (tmp_path / "table").mkdir()
    feed = price_feed(files="table", format="delta")
    assert look(feed, delta=lambda path: ["id", "date", "close"])
    with pytest.raises(BadDataError, match="table has no column for close"):
        look(feed, delta=lambda path: ["id", "date"])
