"""A weekday calendar, so that these tests need no calendar library, and a shorthand to ingest small files."""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from prometheus.clock import Sessions
from prometheus.lake.contracts import contract
from prometheus.lake.contracts.raw import QUARANTINE
from prometheus.market.ingest import Intake, Trading, load_map, read_source

TODAY = dt.date(2024, 6, 28)
NEW_YEAR = np.datetime64("2024-01-01")


def weekdays(calendar_id: str, first: dt.date, last: dt.date) -> Sessions:
    """Monday to Friday, 14:30 to 21:00 UTC, but for 2024-01-01."""
    days = np.arange(first, last + dt.timedelta(days=1), dtype="datetime64[D]")
    days = days[np.is_busday(days) & (days != NEW_YEAR)]
    return Sessions(
        calendar_id,
        days,
        days.astype("datetime64[us]") + np.timedelta64(14 * 60 + 30, "m"),
        days.astype("datetime64[us]") + np.timedelta64(21, "h"),
    )


@pytest.fixture
def price_feed() -> Callable[..., dict[str, Any]]:
    """A feed of long CSV prices; keyword arguments replace its options."""
    columns = {"instrument_id": "id", "as_of_date": "date"} | {
        c: c for c in ("open", "high", "low", "close", "adjusted_close", "volume")
    }
    feed = {
        "table": "prices_daily",
        "files": "*.csv",
        "columns": columns,
        "market": "US_EQ",
        "known_at": {"session_close": True, "lag_minutes": 60},
    }
    return lambda **changes: feed | changes


@pytest.fixture
def news_feed() -> Callable[..., dict[str, Any]]:
    """A feed of articles as JSON lines; keyword arguments replace its options."""
    feed = {
        "table": "news_articles",
        "files": "*.jsonl*",
        "columns": {"article_id": "id", "published_at": "at", "headline": "headline", "language": "language"},
        "known_at": "published_at",
    }
    return lambda **changes: feed | changes


@pytest.fixture
def trading() -> Trading:
    return Trading(source=weekdays)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes | pl.DataFrame], Path]:
    """Write a file into the source root: text, bytes, or a frame as Parquet; gzipped when its name says so."""

    def put(name: str, content: str | bytes | pl.DataFrame) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, pl.DataFrame):
            content.write_parquet(path)
            return path
        raw = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        return path

    return put


@pytest.fixture
def ingest(tmp_path: Path, trading: Trading) -> Callable[..., list[Intake]]:
    """Ingest the source root by some feeds; every intake is checked to lose nothing and to keep its contracts."""

    def run(*feeds: dict[str, Any], **options: Any) -> list[Intake]:
        source = load_map({"name": "test", "feeds": list(feeds)})
        intakes = list(read_source(source, tmp_path, trading=trading, today=TODAY, **options))
        for intake in intakes:
            assert_sound(intake)
        return intakes

    return run


def assert_sound(intake: Intake) -> None:
    """Nothing lost, schemas exact, keys unique, rows in key order, required columns filled."""
    tally, declared = intake.tally, contract(intake.table)
    assert tally.read + tally.added == (
        intake.rows.num_rows + intake.quarantined.num_rows + sum(tally.dropped.values())
    )
    assert sum(tally.quarantined.values()) == intake.quarantined.num_rows
    for rows, table in ((intake.rows, declared), (intake.quarantined, QUARANTINE)):
        assert rows.schema.equals(table.schema)
        rows.validate(full=True)
        frame = pl.DataFrame(pl.from_arrow(rows))
        assert frame.select(table.key).is_unique().all()
        assert frame.equals(frame.sort(table.key))
        for column in table.columns:
            assert column.nullable or frame[column.name].null_count() == 0
