"""Parquet files somebody broke: a sentence or rows, and not a word of the libraries below."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import random
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prometheus.errors import BadDataError
from prometheus.market.ingest.parquet_file import read_parquet

DAYS = [dt.date(2024, 1, 2), None, dt.date(2024, 1, 4)]
WHOLE = pl.DataFrame(
    {
        "id": pl.Series(["A.US", "B.US", "é"] * 4),
        "date": pl.Series(DAYS * 4),
        "close": [13.5, None, 12.0] * 4,
        "volume": [200, 300, None] * 4,
        "sector": pl.Series(["Energy", "Energy", "Utilities"] * 4, dtype=pl.Categorical),
        "at": pl.Series([dt.datetime(2024, 1, 2, 21)] * 12, dtype=pl.Datetime("us", "America/New_York")),
        "tags": [["x"], [], ["y", "z"]] * 4,
    }
)


def bytes_of(rows: pa.Table, **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(rows, out, **options)
    return out.getvalue()


def read(content: bytes, folder: Path) -> pl.DataFrame:
    (folder / "A.parquet").write_bytes(content)
    return read_parquet(folder / "A.parquet", "A.parquet")


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
@pytest.mark.parametrize("part", ["pages", "foot"])
def test_broken_bytes_are_refused_or_read_in_silence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], compression: str, part: str
) -> None:
    whole = bytes_of(WHOLE.to_arrow(compat_level=pl.CompatLevel.oldest()), compression=compression)
    foot = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    low, high = (4, foot) if part == "pages" else (foot, len(whole) - 8)
    rng, said = random.Random(f"{compression} {part}"), []
    for _ in range(120):
        broken = bytearray(whole)
        for _ in range(rng.choice([1, 2, 4, 8])):
            broken[rng.randrange(low, high)] ^= rng.randrange(1, 256)
        try:
            read(bytes(broken), tmp_path)
        except BadDataError as refusal:
            said.append(str(refusal))
    assert len(said) > 60
    assert all(s.startswith("A.parquet cannot be read as parquet: ") and "\n" not in s for s in said)
    assert capfd.readouterr() == ("", "")


def test_a_whole_file_keeps_its_types(tmp_path: Path) -> None:
    out = io.BytesIO()
    WHOLE.write_parquet(out)
    got = read(out.getvalue(), tmp_path)
    assert got.schema == WHOLE.schema
    assert got.equals(WHOLE)


def test_dates_no_calendar_has_are_text_beside_those_it_has(tmp_path: Path) -> None:
    wrong_unit = [1_704_153_600_000_000_000, 1_704_153_600_000_000, None]  # nanoseconds taken for microseconds
    rows = pa.table(
        {
            "date": pa.array([2**31 - 1, 19_724, None], pa.date32()),
            "at": pa.array(wrong_unit, pa.timestamp("us", "UTC")),
            "fine": pa.array([-719_162, 2_932_896, None], pa.date32()),
        }
    )
    got = read(bytes_of(rows), tmp_path)
    assert got["date"].to_list() == ["2147483647 days since 1970-01-01", "2024-01-02", None]
    assert got["at"].to_list() == ["1704153600000000000 us since 1970-01-01", "2024-01-02 00:00:00.000000+00:00", None]
    assert got["fine"].to_list() == [dt.date.min, dt.date.max, None]


def test_instants_of_96_bits_do_not_wrap(tmp_path: Path) -> None:
    far = [dt.datetime(9999, 12, 31), dt.datetime(2024, 1, 2, 21)]
    rows = pa.table({"at": pa.array(far, pa.timestamp("us"))})
    content = bytes_of(rows, use_deprecated_int96_timestamps=True, store_schema=False)
    assert read(content, tmp_path)["at"].to_list() == far


def test_what_cannot_be_held_is_refused_by_name(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    wide = pa.table({"close": pa.array([decimal.Decimal("1.5")], pa.decimal256(50, 2))})
    with pytest.raises(BadDataError, match="the column close holds decimals of more than 38 digits"):
        read(bytes_of(wide), tmp_path)
    zoned = bytes_of(pa.table({"abcdefgh": pa.array([0], pa.timestamp("us", "Asia/Aden"))}), store_schema=False)
    with pytest.raises(BadDataError, match=r"A\.parquet cannot be read as parquet"):
        read(zoned.replace(b"abcdefgh", b"abcd\xfffgh"), tmp_path)
    assert capfd.readouterr() == ("", "")
