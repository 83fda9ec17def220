"""A market of six names, an honest stage, and stages that look ahead: one for each way there is.

Every one of them writes one number a session into a vector. What differs is where the number comes from.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from prometheus.clock import cutoffs, exchange_sessions
from prometheus.errors import MissingInputError
from prometheus.lake import Lake, contract
from prometheus.market.calendars import ensure_sessions
from prometheus.runtime import Chunk, Input, Output, Stage, StageParams, StageReader, selection, setting
from prometheus.vectors import from_list_array, to_list_array
from tests.news_rows import article, news_table, regime_table

FIRST, CUT, LAST = dt.date(2024, 2, 6), dt.date(2024, 2, 15), dt.date(2024, 2, 23)
NAMES = tuple(f"N{i}.US" for i in range(6))
TABLE = "numeric_window_embeddings"


def small_market(root: Path) -> Lake:
    """Raw rows of three weeks: prices known an hour past the close, two sectors, an article a session."""
    lake = Lake.open(root, create=True)
    sessions = exchange_sessions("XNYS", FIRST, LAST)
    ensure_sessions(lake, "XNYS", FIRST, LAST)
    rng = np.random.default_rng(5)
    paths = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, (len(sessions), len(NAMES))), axis=0))
    days = sessions.dates.tolist()
    closes = [c.item().replace(tzinfo=dt.UTC) + dt.timedelta(hours=1) for c in sessions.closes_at]
    prices = [
        {f.name: None for f in contract("prices_daily").schema}
        | {"as_of_date": day, "instrument_id": name, "close": float(paths[t, i]), "volume": 1e6, "currency": "USD"}
        | {"known_at": known, "withdrawn": False}
        for t, (day, known) in enumerate(zip(days, closes, strict=True))
        for i, name in enumerate(NAMES)
    ]
    instruments = [
        {f.name: None for f in contract("instruments").schema}
        | {"as_of_date": FIRST, "valid_from": FIRST, "instrument_id": name, "symbol": name, "market_id": "US_EQ"}
        | {"asset_class": "EQUITY", "currency": "USD", "sector": "Energy" if i % 2 else "Utilities"}
        | {"known_at": dt.datetime(2023, 12, 1, tzinfo=dt.UTC), "withdrawn": False}
        for i, name in enumerate(NAMES)
    ]
    for table, rows in (("prices_daily", prices), ("instruments", instruments)):
        lake.upsert(table, pa.Table.from_pylist(rows, schema=contract(table).schema))
    lake.upsert("news_articles", news_table(*(article(f"a{d}", f"{d} 15:00", f"News of {d}") for d in days)))
    return lake


@dataclass(frozen=True)
class DailyParams(StageParams):
    """Parameters of the stages here."""

    region: tuple[str, ...] = selection(("US",), "region")
    model_id: str = setting("daily-v1", "model id")


@dataclass(frozen=True)
class Decision:
    """One session and its cut-off, and those of the session after."""

    day: dt.date
    cutoff: dt.datetime
    next_day: dt.date
    next_cutoff: dt.datetime


Value = Callable[[StageReader, Decision], Mapping[str, float]]
"""What a stage writes of a day: a number for each entity."""


def daily_stage(name: str, reads: Sequence[str], value: Value) -> Stage[Any]:
    """Declare a stage that writes numbers by day."""

    def days(params: DailyParams, reader: StageReader, first: dt.date, last: dt.date) -> dict[str, list[dt.date]]:
        return {"US": reader.sessions("US_EQ").between(first, last).dates.tolist()}

    def compute(params: DailyParams, reader: StageReader, chunk: Chunk) -> Output:
        sessions = reader.sessions("US_EQ")
        instants = cutoffs(sessions, params.cutoff)
        rows: list[tuple[dt.date, str, float]] = []
        for day in chunk.days["US"]:
            at = int(np.searchsorted(sessions.dates, np.datetime64(day)))
            now, then = (instants[i].item().replace(tzinfo=dt.UTC) for i in (at, at + 1))
            decision = Decision(day, now, sessions.dates[at + 1].item(), then)
            rows += [(day, entity, number) for entity, number in value(reader, decision).items()]
        block = np.zeros((len(rows), 384), np.float32)
        block[:, 0] = [number for _, _, number in rows]
        out = Output()
        columns = {
            "model_id": [f"{name}-v1"] * len(rows),
            "variant": [params.variant] * len(rows),
            "as_of_date": [day for day, _, _ in rows],
            "entity_type": ["MARKET"] * len(rows),
            "entity_id": [entity for _, entity, _ in rows],
            "window_spec": ["{}"] * len(rows),
            "coverage": [1.0] * len(rows),
        }
        schema = contract(TABLE).schema
        plain = [pa.array(columns[f.name], f.type) for f in schema if f.name != "vector"]
        out.rows[TABLE] = pa.table([*plain, to_list_array(block)], schema=schema)
        return out

    return Stage(
        name=name,
        revision=1,
        summary="numbers by day",
        params=DailyParams,
        inputs=tuple(Input(table, history=None) for table in reads),
        outputs=(TABLE,),
        surface=lambda p: p.model_id,
        days=days,
        compute=compute,
        chunk_days=30,
    )


def _mean(rows: pa.Table) -> dict[str, float]:
    closes = sorted(c for c in rows["close"].to_pylist() if c is not None)
    return {"ALL": float(np.mean(closes))} if closes else {}


def _known(reader: StageReader, at: Decision) -> dict[str, float]:
    return _mean(reader.read("prices_daily", dates=(at.day, at.day), as_of=at.cutoff))


def _tomorrow(reader: StageReader, at: Decision) -> dict[str, float]:
    return _mean(reader.read("prices_daily", dates=(at.next_day, at.next_day), as_of=at.next_cutoff))


def _latest(reader: StageReader, at: Decision) -> dict[str, float]:
    return _mean(reader.read("prices_daily", dates=(at.day, at.day), where={"instrument_id": NAMES}))


def _full_sample(reader: StageReader, at: Decision) -> dict[str, float]:
    usual = _mean(reader.read("prices_daily", dates=(FIRST, LAST)))["ALL"]
    return {k: v / usual for k, v in _known(reader, at).items()}


def _counting(reader: StageReader, at: Decision) -> dict[str, float]:
    return {"ALL": float(reader.read("news_articles", columns=["article_id"], every_version=True).num_rows)}


def _members(reader: StageReader, at: Decision) -> dict[str, float]:
    known = reader.read("prices_daily", dates=(at.day, at.day), as_of=at.cutoff)
    energy = set(reader.read("instruments", where={"sector": "Energy"})["instrument_id"].to_pylist())
    return _mean(known.filter(pc.is_in(known["instrument_id"], pa.array(sorted(energy), pa.string()))))


def _survivors(reader: StageReader, at: Decision) -> dict[str, float]:
    listed = reader.read("instruments")
    gone = set(listed.filter(pc.is_valid(listed["delisted_on"]))["instrument_id"].to_pylist())
    still = sorted(set(listed["instrument_id"].to_pylist()) - gone)
    return dict.fromkeys(still, _known(reader, at).get("ALL", 0.0))


def _constant(reader: StageReader, at: Decision) -> dict[str, float]:
    return {"ALL": 1.0}


HONEST = daily_stage("honest", ["prices_daily"], _known)
TOMORROW = daily_stage("tomorrow", ["prices_daily"], _tomorrow)
LATEST_VERSION = daily_stage("latest_version", ["prices_daily"], _latest)
FULL_SAMPLE = daily_stage("full_sample", ["prices_daily"], _full_sample)
FUTURE_COUNT = daily_stage("future_count", ["news_articles"], _counting)
MEMBERS_OF_TODAY = daily_stage("members_of_today", ["prices_daily", "instruments"], _members)
SURVIVORS = daily_stage("survivors", ["prices_daily", "instruments"], _survivors)
CONSTANT = daily_stage("constant", ["prices_daily"], _constant)


def _text_days(params: Any, reader: StageReader, first: dt.date, last: dt.date) -> dict[str, list[dt.date]]:
    return {"NEWS": reader.sessions("US_EQ").between(first, last).dates.tolist()}


def _antedated(params: Any, reader: StageReader, chunk: Chunk) -> Output:
    """Vectors of the latest wording, dated as if it had been known from the first."""
    days = chunk.days["NEWS"]
    rows = reader.read("news_articles", dates=(days[0], days[-1]), every_version=True).sort_by("known_at").to_pylist()
    latest = {r["article_id"]: r for r in rows}
    first = {r["article_id"]: r for r in reversed(rows)}
    block = np.zeros((len(latest), 384), np.float32)
    block[:, 0] = [sum(map(ord, r["headline"] or "")) for r in latest.values()]
    columns = {
        "source_type": ["NEWS"] * len(latest),
        "model_id": ["antedated-v1"] * len(latest),
        "variant": [params.variant] * len(latest),
        "as_of_date": [first[a]["as_of_date"] for a in latest],
        "source_id": list(latest),
        "text_hash": ["-"] * len(latest),
        "known_at": [first[a]["known_at"] for a in latest],
    }
    schema = contract("text_embeddings").schema
    plain = [pa.array(columns[f.name], f.type) for f in schema if f.name != "vector"]
    out = Output()
    out.rows["text_embeddings"] = pa.table([*plain, to_list_array(block)], schema=schema)
    return out


ANTEDATED = Stage(
    name="antedated",
    revision=1,
    summary="event rows known too early",
    params=DailyParams,
    inputs=(Input("news_articles"),),
    outputs=("text_embeddings",),
    surface=lambda p: p.model_id,
    days=_text_days,
    compute=_antedated,
    chunk_days=1_000,
)


@dataclass(frozen=True)
class FollowingParams(DailyParams):
    """Parameters of a stage that reads what another one made."""

    upstream_variant: str = setting("v0", "variant read", variant_of=TABLE)


def following(upstream: Stage[Any]) -> Stage[Any]:
    """Declare an honest stage that copies the upstream stage's vectors of each day into regimes."""

    def compute(params: FollowingParams, reader: StageReader, chunk: Chunk) -> Output:
        days = chunk.days["US"]
        rows = reader.read(
            TABLE,
            dates=(days[0], days[-1]),
            where={"model_id": f"{upstream.name}-v1", "variant": params.upstream_variant, "entity_id": "ALL"},
        ).sort_by("as_of_date")
        if rows.num_rows == 0:
            raise MissingInputError(f"there are no rows of {upstream.name}")
        out = Output()
        out.rows["regimes"] = regime_table(
            rows["as_of_date"].to_pylist(), from_list_array(rows["vector"]), variant=params.variant
        )
        return out

    return dataclasses.replace(
        upstream,
        name="following",
        params=FollowingParams,
        inputs=(Input(TABLE, history=0),),
        outputs=("regimes",),
        compute=compute,
        chunk_days=1_000,
    )
