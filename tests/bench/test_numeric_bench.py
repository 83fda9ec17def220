"""Numeric backfill of one model end to end against writing the same vectors as bare Parquet day files.

500 names x 3,780 sessions. The limit is two threads that write vectors already in memory, one file a day; the backfill
reads prices, computes every window, validates, commits to Delta and keeps its books. Both in one run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prometheus.lake import Lake
from prometheus.vectors import from_list_array

TABLE = "numeric_window_embeddings"

RUN = """
import sys
from prometheus.scripts.backfill_numeric_embeddings import main
code = main(sys.argv[1:])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
sys.exit(code)
"""
LIMIT_RATIO = 1.3
LIMIT_IDLE = 10.0
LIMIT_MEMORY_GB = 1.5


def _write_days(rows: pa.Table, days: np.ndarray, folder: Path) -> None:
    """Write each day's rows into a file of its own, two threads, as the fastest plain writer would."""
    edges = np.flatnonzero(np.r_[True, days[1:] != days[:-1], True])

    def write(i: int) -> None:
        lo, hi = int(edges[i]), int(edges[i + 1])
        day_folder = folder / f"as_of_date={days[lo]}"
        day_folder.mkdir(parents=True)
        pq.write_table(
            rows.slice(lo, hi - lo),
            day_folder / "part.parquet",
            compression="zstd",
            compression_level=1,
            use_dictionary=False,
            write_statistics=False,
        )

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, range(len(edges) - 1)))


@pytest.mark.bench
def test_numeric_backfill_against_bare_parquet(market_lake: Lake, tmp_path: Path) -> None:
    root = market_lake.location.root
    first, last = (
        market_lake.query(
            f"SELECT min(as_of_date) AS a, max(as_of_date) AS b FROM "
            f"({market_lake.source('prices_daily', columns=['as_of_date'], every_version=True)})"
        )
        .to_pylist()[0]
        .values()
    )
    request = ["--date-range", str(first), str(last), "--lake", root, "--quiet"]
    t0 = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", RUN, *request], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - t0
    assert done.returncode == 0, done.stderr
    peak = float(done.stdout) / 2**20
    rows = market_lake.count(TABLE)
    version = market_lake.version(TABLE)
    t0 = time.perf_counter()
    again = subprocess.run([sys.executable, "-c", RUN, *request], capture_output=True, text=True, check=False)
    idle = time.perf_counter() - t0
    assert again.returncode == 0, again.stderr
    assert market_lake.version(TABLE) == version

    written, bare = 0, 0.0
    days = sorted(set(market_lake.read(TABLE, columns=["as_of_date"])["as_of_date"].to_pylist()))
    for start in range(0, len(days), 252):
        span = (days[start], days[min(start + 252, len(days)) - 1])
        block = market_lake.read(TABLE, dates=span).sort_by([("as_of_date", "ascending"), ("entity_id", "ascending")])
        block = block.combine_chunks()
        stamped = block["as_of_date"].to_numpy().astype("datetime64[D]")
        plain = block.drop(["model_id", "variant", "entity_type", "as_of_date"])
        t0 = time.perf_counter()
        _write_days(plain, stamped, tmp_path / "bare")
        bare += time.perf_counter() - t0
        written += block.num_rows
    sample = pq.read_table(tmp_path / "bare" / f"as_of_date={days[1000]}" / "part.parquet", partitioning=None)
    ours = market_lake.read(TABLE, dates=(days[1000], days[1000])).sort_by("entity_id")
    assert written == rows
    np.testing.assert_array_equal(from_list_array(sample["vector"]), from_list_array(ours["vector"]))
    print(
        f"\nnumeric backfill: {rows:,} windows in {seconds:.1f} s = {rows / seconds:,.0f}/s (process start included); "
        f"bare day files {bare:.1f} s = {rows / bare:,.0f}/s; ratio {seconds / bare:.2f} (target {LIMIT_RATIO}); "
        f"peak {peak:.2f} GB (target {LIMIT_MEMORY_GB}); the same again, with nothing to do: {idle:.1f} s "
        f"(limit {LIMIT_IDLE}); {os.cpu_count()} processors"
    )
    assert idle <= LIMIT_IDLE
    assert seconds / bare <= LIMIT_RATIO
    assert peak <= LIMIT_MEMORY_GB
