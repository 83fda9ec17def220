"""The small synthetic lake many tests start from, and how to run stages on a copy of it."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prometheus.cli.demo import build_surfaces, deliver_synthetic, load_synthetic
from prometheus.lake import Lake
from prometheus.market.calendars import stored_sessions
from prometheus.runtime import RunOptions, RunSummary, progress_for, run_stage
from prometheus.stages import stage
from prometheus.vectors import from_list_array


def build_demo_lake(root: Path) -> Lake:
    """What `prometheus demo` does, on the small market and with hashed text vectors."""
    lake, market, progress = Lake.open(root, create=True), load_synthetic("test"), progress_for(quiet=True)
    deliver_synthetic(lake, market, progress)
    assert build_surfaces(lake, market, progress, real_text=False) == 0
    return lake


UNREAD = ("news_links", "fundamentals", "issuer_documents", "macro_texts", "profiles", "factors_daily", "issuers")
"""Raw tables that numeric windows (but for fundamentals), regimes and news do not read: files a copy can do without."""


def copy_lake(source: Path, target: Path, only: str | None = None) -> Lake:
    """Copy a lake, or what stages read of one layer of it."""
    if only is None:
        shutil.copytree(source, target)
    else:
        shutil.copytree(source / only, target / only, ignore=shutil.ignore_patterns(*UNREAD))
    return Lake.open(target)


def run(
    lake: Lake, name: str, first: dt.date, last: dt.date, options: RunOptions | None = None, **params: Any
) -> RunSummary:
    """Run a stage by name with some of its parameters."""
    declared = stage(name)
    return run_stage(lake, declared, declared.params(**params), first, last, options=options)


def sql(lake: Lake, query: str) -> list[dict[str, Any]]:
    """Rows of a query over the lake's views."""
    return lake.connect().sql(query).to_arrow_table().to_pylist()


def lineage(lake: Lake, where: Mapping[str, Any]) -> dict[tuple[str, dt.date], tuple[int, int]]:
    """Keys made and skipped by (scope, day), as the latest lineage row has them."""
    rows = lake.read("lineage", where=where).sort_by("recorded_at").to_pylist()
    return {(r["scope"], r["as_of_date"]): (r["num_keys"], r["num_skipped"]) for r in rows}


def known_news_means(lake: Lake, calendar_id: str) -> dict[dt.date, NDArray[np.float64]]:
    """Mean vector of each session's articles known by the end of its UTC day, or by the next open if earlier."""
    sessions = stored_sessions(lake, calendar_id)
    cutoff = {}
    for i, day in enumerate(sessions.dates[:-1].tolist()):
        midnight = dt.datetime.combine(day, dt.time.max, dt.UTC)
        cutoff[day] = min(midnight, sessions.opens_at[i + 1].item().replace(tzinfo=dt.UTC))
    known = {
        (r["as_of_date"], r["article_id"])
        for r in sql(lake, "select as_of_date, article_id, known_at from news_articles__versions")
        if r["as_of_date"] in cutoff and r["known_at"] <= cutoff[r["as_of_date"]]
    }
    rows = lake.read("text_embeddings", every_version=True)
    by_day: dict[dt.date, list[NDArray[np.float64]]] = {}
    for day, source, vector in zip(
        rows["as_of_date"].to_pylist(), rows["source_id"].to_pylist(), from_list_array(rows["vector"]), strict=True
    ):
        if (day, source) in known:
            by_day.setdefault(day, []).append(vector.astype(np.float64))
    return {day: np.mean(found, axis=0) for day, found in by_day.items()}
