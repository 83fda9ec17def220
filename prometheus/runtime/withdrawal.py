"""Taking back that a day is done: for rows that turn out not to be what lineage says, or that a restore put back.

Lineage is only ever appended to. A withdrawn day gets one more row, whose fingerprint is that of no settings: the
latest row counts, so the next backfill over it finds it stale and makes it again.
"""

from __future__ import annotations

import datetime as dt
import os

import polars as pl

from prometheus import __version__
from prometheus.lake import Lake, contract
from prometheus.lake.validation import conform
from prometheus.runtime.params import digest_of

WITHDRAWN = ""
"""Fingerprint of a withdrawn day."""

DAY_KEY = ("stage", "variant", "settings_digest", "scope", "as_of_date")
"""What the latest lineage row is looked for by."""

_COLUMNS = [*DAY_KEY, "run_id", "recorded_at", "fingerprint", "num_keys", "complete"]


def latest_lineage(lake: Lake, *, complete: bool = False) -> pl.DataFrame:
    """Latest lineage row of each day and scope, whatever it says, or of those that say the whole scope was made.

    Returns
    -------
    polars.DataFrame
        Columns of :data:`DAY_KEY`, then ``run_id``, ``recorded_at``, ``fingerprint``, ``num_keys``, ``complete``.
    """
    where = {"complete": True} if complete else {}
    rows = pl.DataFrame(pl.from_arrow(lake.read("lineage", columns=_COLUMNS, where=where)))
    return rows.sort("recorded_at", maintain_order=True).unique(subset=list(DAY_KEY), keep="last", maintain_order=True)


def withdraw(lake: Lake, days: pl.DataFrame) -> int:
    """Mark days as not done.

    Parameters
    ----------
    lake : Lake
    days : polars.DataFrame
        Rows of :func:`latest_lineage`.

    Returns
    -------
    int
        Days marked.
    """
    if days.height == 0:
        return 0
    now = dt.datetime.now(dt.UTC)
    # Past the row it answers, even where another machine's clock runs ahead of this one's.
    recorded = pl.max_horizontal(pl.lit(now), pl.col("recorded_at") + pl.duration(microseconds=1))
    rows = days.select(
        "stage",
        "variant",
        "scope",
        "as_of_date",
        pl.lit(digest_of("withdrawn", now.isoformat(), os.getpid())).alias("run_id"),
        recorded.dt.cast_time_unit("us").dt.convert_time_zone("UTC").alias("recorded_at"),
        pl.lit(__version__).alias("code_version"),
        "settings_digest",
        pl.lit(WITHDRAWN).alias("fingerprint"),
        pl.lit(0, pl.Int64).alias("num_keys"),
        pl.lit(0, pl.Int64).alias("num_skipped"),
        pl.lit(True).alias("complete"),
        pl.lit(WITHDRAWN).alias("input_digest"),
    )
    declared = contract("lineage")
    lake.append("lineage", conform(rows.to_arrow(compat_level=pl.CompatLevel.oldest()), declared))
    return days.height
