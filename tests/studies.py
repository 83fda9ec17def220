"""What studies on real data share: a lake of one source, windows on some of its sessions, figures printed beside chance."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prometheus.cli.config import compose, markets_from, node_of, params_for
from prometheus.cli.ingest import find_map, ingest
from prometheus.clock import Sessions
from prometheus.lake import Lake
from prometheus.runtime import StageReader, run_stage
from prometheus.runtime.summary import RunOptions, RunSummary
from prometheus.stages import stage
from prometheus.stages.numeric.windows import INSTRUMENT, history_of, read_market, segments

Say = Callable[[str], None]

CONFIG = "backfill"


def lake_of(root: Path, real_data: Path, *sources: tuple[str, str], **settings: Any) -> Lake:
    """Ingest some sources, each a map and a path below the data folder, into a fresh lake."""
    lake = Lake.open(root, create=True)
    markets = markets_from(compose("ingest"))
    for source, path in sources:
        ingest(lake, find_map(source), real_data / path, markets=markets, **settings)
    return lake


def make(
    lake: Lake, stage_name: str, first: dt.date, last: dt.date, /, overrides: Sequence[str] = (), **given: Any
) -> RunSummary:
    """Run one stage as configured, with some parameters given."""
    config = compose(CONFIG, list(overrides))
    declared = stage(stage_name)
    params = params_for(declared.params, node_of(config, stage_name), given)
    return run_stage(lake, declared, params, first, last, options=RunOptions(), markets=markets_from(config))


def sessions_of(lake: Lake, market_id: str, first: dt.date, last: dt.date) -> Sessions:
    """Sessions of a market, without storing any."""
    reader = StageReader(lake, markets_from(compose(CONFIG)), [], store_sessions=False)
    reader.span(first, last)
    return reader.sessions(market_id).between(first, last)


@dataclass(frozen=True, eq=False)
class WindowsOfNames:
    """Embeddings of instruments on some sessions, by day, then name."""

    days: NDArray[np.datetime64]
    names: NDArray[np.str_]
    vectors: NDArray[np.float32]


def windows_on(
    lake: Lake,
    market_id: str,
    names: Sequence[str],
    days: NDArray[np.datetime64],
    *,
    overrides: Sequence[str] = (),
    entity_type: str = INSTRUMENT,
    **given: Any,
) -> WindowsOfNames:
    """Encode windows that end on some sessions, a year at a time, without writing them."""
    config = compose(CONFIG, list(overrides))
    declared = stage("numeric_embeddings")
    params: Any = params_for(declared.params, node_of(config, declared.name), given)
    reader = StageReader(lake, markets_from(config), [i.table for i in declared.inputs], store_sessions=False)
    reader.span(days[0].item(), days[-1].item())
    parts: list[tuple[NDArray[Any], NDArray[Any], NDArray[np.float32]]] = []
    years = days.astype("datetime64[Y]")
    for year in np.unique(years):
        asked = days[years == year].tolist()
        market = read_market(
            reader,
            market_id,
            asked,
            history=history_of(params, entity_type),
            cutoff=params.cutoff,
            only=names if entity_type == INSTRUMENT else (),
        )
        for s in segments(params, market, entity_type):
            of_series = np.array(s.series.names, dtype=np.str_)
            parts.append((s.days[s.result.target_index], of_series[s.result.name_index], s.result.vectors))
    columns = [np.concatenate(c) for c in zip(*parts, strict=True)]
    return WindowsOfNames(columns[0], columns[1], columns[2])
