"""Proposals for real files: what they load is what the maps that were written by hand load."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest

from prometheus.market.ingest import Trading, load_map, read_source
from prometheus.market.ingest.inspect import inspect_file

pytestmark = pytest.mark.real

CONF = Path(__file__).resolve().parents[2] / "conf" / "ingest"
TODAY = dt.date(2026, 9, 1)
TRADING = Trading()

BY_HAND = [
    ("stocknet", "prices_daily", {"prices_daily": 108_589}),
    ("stocknet", "news_articles", {"news_articles": 96_826, "news_links": 119_641}),
    ("longrun", "prices_daily", {"prices_daily": 2_252_627}),
    ("longrun", "instruments", {"instruments": 514, "issuers": 514}),
    ("indices", "prices_daily", {"prices_daily": 28_082, "instruments": 4}),
    ("longrun_adjclose", "prices_daily", {"prices_daily": 177_580}),
    ("market_news", "news_articles", {"news_articles": 7_249}),
]


@pytest.mark.parametrize(("source", "file", "rows"), BY_HAND, ids=[f"{s}/{f}" for s, f, _ in BY_HAND])
def test_a_proposal_loads_what_the_map_written_by_hand_loads(
    real_data: Path, tmp_path: Path, source: str, file: str, rows: dict[str, int]
) -> None:
    folder = real_data / source
    found = inspect_file(folder / f"{file}.parquet")
    (tmp_path / "mine.yaml").write_text(found.yaml, encoding="utf-8")

    def taken(path: Path) -> dict[str, pa.Table]:
        feeds = [f for f in load_map(path).feeds if f.files == f"{file}.parquet" and f.table in rows]
        described = load_map(path)
        only = type(described)(described.name, tuple(feeds))
        return {i.table: i.rows for i in read_source(only, folder, trading=TRADING, today=TODAY)}

    mine, written = taken(tmp_path / "mine.yaml"), taken(CONF / f"{source}.yaml")
    assert {table: t.num_rows for table, t in mine.items()} == rows
    for table, expected in written.items():
        assert mine[table].equals(expected), table


@pytest.mark.parametrize(
    ("file", "table"),
    [
        ("macro/macro_texts", "macro_texts"),
        ("profiles/profiles", "profiles"),
        ("profiles/filings_8k", "issuer_documents"),
        ("profiles/fundamentals", "fundamentals"),
        ("groundtruth/macro_series", "factors_daily"),
        ("groundtruth/sp500_gics_sectors", "instruments"),
        ("pit_us/prices_as_collected", "prices_daily"),
    ],
)
def test_the_table_of_other_files_is_recognised_and_they_load(real_data: Path, file: str, table: str) -> None:
    found = inspect_file(real_data / f"{file}.parquet")
    assert found.proposal.table == table
    intakes = list(found.preview(TRADING))
    assert all(i.rows.num_rows for i in intakes)
