"""What the stability stages share: parameters, whose windows are judged on a day, and the embeddings of them."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.engines.stability import PastWindows, past_windows, scores_of
from prometheus.engines.stability.basic import WINDOW
from prometheus.errors import RequestError
from prometheus.market.as_known import KnownPanel
from prometheus.market.baskets import build_baskets
from prometheus.market.listings import described_as_known
from prometheus.market.panel import EntitySeries
from prometheus.market.returns import RETURN_HISTORY
from prometheus.market.rolling import from_fixed, to_fixed
from prometheus.runtime import StageReader, selection, setting
from prometheus.runtime.params import StageParams
from prometheus.stages.issuers import representatives
from prometheus.stages.numeric.windows import (
    ENTITY_TYPES,
    INSTRUMENT,
    ISSUER,
    MARKET,
    SECTOR,
    MarketPrices,
    instruments_of,
    read_market,
)
from prometheus.vectors import from_list_array

EMBEDDING, BASIC = "embedding", "basic"
JOINT_MODEL, JOINT_TYPE = "joint-stab-fragility-v1", "STAB_FRAGILITY_V0"

HISTORY = WINDOW + RETURN_HISTORY
"""Sessions up to and including a day that its window depends on."""

HISTORY_DAYS = 240
"""Calendar days that hold them, holidays included."""


@dataclass(frozen=True)
class StabilitySettings(StageParams):
    """Parameters the stability stages share."""

    model_id: str = setting(f"stability-{EMBEDDING}-v1", "name the rows go by")
    backend: str = setting("", "what judges the windows; what the name says when empty", choices=(EMBEDDING, BASIC))
    embedding: str = setting(
        "num-stab-core-v1",
        "embeddings the heads read: of a numeric model, or joint-stab-fragility-v1",
        flag="--stab-model-id",
    )
    stab_variant: str = setting("v0", "their variant", variant_of="numeric_window_embeddings")
    infer_splits: bool = setting(False, "correct jumps that look like unrecorded splits instead of masking them")
    market_id: tuple[str, ...] = selection((), "market; repeat for several; all in the lake when none")
    entity_type: tuple[str, ...] = selection(
        (INSTRUMENT,), "INSTRUMENT, ISSUER, SECTOR or MARKET; repeat for several", choices=ENTITY_TYPES
    )

    def __post_init__(self) -> None:
        # Each name has a v0 of its own, so what its rows are made by follows from it.
        if not self.backend:
            object.__setattr__(self, "backend", BASIC if self.model_id == f"stability-{BASIC}-v1" else EMBEDDING)

    @property
    def joint(self) -> bool:
        """Whether the heads read the joint space."""
        return self.embedding == JOINT_MODEL


def fitted_type(entity_type: str) -> str:
    """Entity type whose head serves another.

    A company has the embedding of an instrument. A market is one series, too few to fit on: it counts as one more
    sector.
    """
    return {ISSUER: INSTRUMENT, MARKET: SECTOR}.get(entity_type, entity_type)


def fitted_on(entity_type: str) -> tuple[str, ...]:
    """Entity types whose windows a head is fitted on."""
    return (SECTOR, MARKET) if entity_type == SECTOR else (entity_type,)


def numeric_surface(params: StabilitySettings) -> dict[str, Any]:
    """Partitions of the numeric embeddings that heads read."""
    return {"model_id": params.embedding, "variant": params.stab_variant}


def joint_surface(params: StabilitySettings) -> dict[str, Any]:
    """Partitions of the joint embeddings that heads read."""
    return {"joint_type": JOINT_TYPE, **numeric_surface(params)}


def reads_numeric(params: StabilitySettings) -> bool:
    """Whether numeric embeddings are read."""
    return params.backend == EMBEDDING and not params.joint


def reads_joint(params: StabilitySettings) -> bool:
    """Whether joint embeddings are read."""
    return params.backend == EMBEDDING and params.joint


def scope_of(market_id: str, entity_type: str) -> str:
    """Lineage scope."""
    return f"{market_id}/{entity_type}"


@dataclass(frozen=True, eq=False)
class JudgedWindows:
    """Windows of some entities and days, by (day, entity).

    Attributes
    ----------
    days : ndarray of datetime64[D], shape (n,)
    entities : ndarray of str, shape (n,)
    holders : ndarray of str, shape (n,)
        Whose prices and embedding it is: of a company those of the instrument that stands for it.
    past : PastWindows
    member_score : ndarray of float64, shape (n,)
        Mean overall score of a basket's members by what their own windows did; NaN for what has none.
    num_members : ndarray of int64, shape (n,)
    """

    days: NDArray[np.datetime64]
    entities: NDArray[np.str_]
    holders: NDArray[np.str_]
    past: PastWindows
    member_score: NDArray[np.float64]
    num_members: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.days)

    def take(self, index: NDArray[np.int64]) -> JudgedWindows:
        """Pick rows."""
        return JudgedWindows(
            self.days[index],
            self.entities[index],
            self.holders[index],
            self.past.take(index),
            self.member_score[index],
            self.num_members[index],
        )


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Windows that count for nothing, on some days: number by reason code, shape (n_days, n_reasons)."""

    days: NDArray[np.datetime64]
    counts: NDArray[np.int64]


def judged_windows(
    params: StabilitySettings,
    reader: StageReader,
    market_id: str,
    entity_type: str,
    days: Sequence[dt.date],
    only: Sequence[str],
    reasons: int,
) -> tuple[JudgedWindows, list[LeftOut]]:
    """Windows of a market's entities that end on some sessions, as known at each.

    An instrument counts on the days a listing that is in force names the market; a company by the instrument that
    stands for it. ``only`` names instruments; all of them when empty.
    """
    alone = entity_type in (INSTRUMENT, ISSUER)
    market = read_market(reader, market_id, days, history=HISTORY, cutoff=params.cutoff, only=only if alone else ())
    wanted = _wanted(reader, market, entity_type) if alone else None
    if wanted is not None:
        market = dataclasses.replace(market, names=wanted.names)
    found: list[JudgedWindows] = []
    left: list[LeftOut] = []
    for known in panels(params, market, alone):
        series = known.panel if alone else baskets_of(known, market_id, entity_type)
        past, reason = past_windows(series, known.positions)
        asked = np.ones(reason.T.shape, dtype=bool)
        if wanted is not None:
            at = np.searchsorted(market.targets, known.targets), np.searchsorted(wanted.names, series.names)
            code = wanted.code[np.ix_(*at)]
            asked = code >= 0
        day, name = np.nonzero((reason.T < 0) & asked)
        holder = np.array(series.names, dtype=np.str_)[name]
        whose = holder if wanted is None else wanted.entities[code[day, name]]
        score, members = np.full(len(day), np.nan), np.zeros(len(day), dtype=np.int64)
        if not alone:
            scores, counted = _member_scores(known, series, market_id, entity_type)
            score, members = scores[name, day], counted[name, day]
        dates = market.sessions.dates[known.targets]
        found.append(JudgedWindows(dates[day], whose, holder, past.take((name, day)), score, members))
        counts = [((code == reason.T) & asked).sum(axis=1) for code in range(reasons)]
        left.append(LeftOut(dates, np.stack(counts, axis=1)))
    return _together(found), left


def panels(
    params: StabilitySettings, market: MarketPrices, alone: bool, history: int = HISTORY
) -> Iterator[KnownPanel]:
    """Panels as known at the targets; with membership unless names are used one by one."""
    if not market.names:
        return iter(())
    return market.panels(history, members=not alone, apart=alone, infer_splits=params.infer_splits)


@dataclass(frozen=True, eq=False)
class _Wanted:
    """Whom instruments stand for.

    Attributes
    ----------
    names : tuple of str
        Instruments, ascending.
    entities : ndarray of str
        Ids, ascending.
    code : ndarray of int64, shape (n_targets, n_names)
        Entity that an instrument stands for on a day; -1 for none.
    """

    names: tuple[str, ...]
    entities: NDArray[np.str_]
    code: NDArray[np.int64]


def _wanted(reader: StageReader, market: MarketPrices, entity_type: str) -> _Wanted:
    days, known_by = market.sessions.dates[market.targets], market.session_cutoffs[market.targets]
    rows = described_as_known(reader.read_once("instruments"), days, known_by)
    if entity_type == ISSUER:
        rows = representatives(reader, rows, market.market_id, days, known_by)
    rows = rows.filter(
        (pl.col("market_id") == market.market_id) & pl.col("instrument_id").is_in(list(market.names))
    ).with_columns(pl.col("instrument_id" if entity_type == INSTRUMENT else "issuer_id").alias("entity_id"))
    names = tuple(rows["instrument_id"].unique().sort().to_list())
    entities = np.array(rows["entity_id"].unique().sort().to_list(), dtype=np.str_)
    code = np.full((len(days), len(names)), -1, dtype=np.int64)
    if names:
        day = np.searchsorted(days, rows["as_of_date"].to_numpy().astype("datetime64[D]"))
        column = np.searchsorted(names, rows["instrument_id"].to_list())
        code[day, column] = np.searchsorted(entities, rows["entity_id"].to_list())
    return _Wanted(names, entities, code)


def baskets_of(known: KnownPanel, market_id: str, entity_type: str) -> EntitySeries:
    assert known.membership is not None
    return build_baskets(
        known.panel, known.membership.of_market(market_id), "MARKET" if entity_type == MARKET else "SECTOR"
    )


_SCORE_BITS = 40


def _member_scores(
    known: KnownPanel, series: EntitySeries, market_id: str, entity_type: str
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean overall score of each basket's members at the targets, and how many they are; shape (n_baskets, t)."""
    assert known.membership is not None
    membership = known.membership.of_market(market_id)
    ids, codes = (
        (membership.sectors, membership.sector) if entity_type == SECTOR else (membership.markets, membership.market)
    )
    past, reason = past_windows(known.panel, known.positions)
    score = to_fixed(scores_of(past.volatility, past.max_drawdown, past.trend).overall, _SCORE_BITS)
    of_day = codes[:, known.positions]
    means, members = [], []
    for name in series.names:
        mine = (of_day == ids.index(name)) & (reason < 0)
        count = mine.sum(axis=0)
        total = from_fixed(np.where(mine, score, 0).sum(axis=0), _SCORE_BITS)
        means.append(np.where(count > 0, total / np.maximum(count, 1), np.nan))
        members.append(count.astype(np.int64))
    if not means:
        return np.zeros((0, of_day.shape[1])), np.zeros((0, of_day.shape[1]), dtype=np.int64)
    return np.stack(means), np.stack(members)


def _together(parts: Sequence[JudgedWindows]) -> JudgedWindows:
    if not parts:
        nothing = np.zeros(0)
        none, nobody = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.str_)
        past = PastWindows(nothing, nothing, nothing, none)
        return JudgedWindows(np.zeros(0, dtype="datetime64[D]"), nobody, nobody, past, nothing, none)
    fields = [f.name for f in dataclasses.fields(PastWindows)]
    past = PastWindows(**{f: np.concatenate([getattr(p.past, f) for p in parts]) for f in fields})
    every = JudgedWindows(
        np.concatenate([p.days for p in parts]),
        np.concatenate([p.entities for p in parts]),
        np.concatenate([p.holders for p in parts]),
        past,
        np.concatenate([p.member_score for p in parts]),
        np.concatenate([p.num_members for p in parts]),
    )
    return every.take(np.lexsort((every.entities, every.days)))


def vectors_of(
    params: StabilitySettings,
    reader: StageReader,
    entity_type: str,
    days: NDArray[np.datetime64],
    holders: NDArray[np.str_],
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Stored embeddings of some entities on some days; ``holders`` as in :class:`JudgedWindows`.

    Returns
    -------
    ndarray of bool, shape (n,)
        Which have one.
    ndarray of float32, shape (k, 384)
        Of those, in order.
    """
    rows = stored(params, reader, [INSTRUMENT if entity_type == ISSUER else entity_type], np.unique(days).tolist())
    asked = pl.DataFrame({"as_of_date": days, "entity_id": holders}).with_columns(pl.col("as_of_date").cast(pl.Date))
    held = pl.DataFrame(pl.from_arrow(rows.select(["as_of_date", "entity_id"]))).with_row_index("row")
    at = asked.join(held, on=["as_of_date", "entity_id"], how="left", maintain_order="left")["row"]
    has = at.is_not_null().to_numpy()
    index = at.drop_nulls().to_numpy()
    vectors = from_list_array(rows["vector"])[index] if rows.num_rows else np.zeros((0, 384), dtype=np.float32)
    return has, vectors


def stored(
    params: StabilitySettings, reader: StageReader, entity_types: Sequence[str], days: Sequence[dt.date]
) -> pa.Table:
    """Embeddings the heads read, of some entity types on some days: ``as_of_date``, ``entity_id``, ``vector``."""
    if not days:
        return pa.table({c: pa.array([], t) for c, t in _STORED.items()})
    dates, wanted = (days[0], days[-1]), {"as_of_date": list(days)}
    if not params.joint:
        where: Mapping[str, Any] = {**numeric_surface(params), "entity_type": list(entity_types), **wanted}
        return reader.read("numeric_window_embeddings", columns=list(_STORED), dates=dates, where=where)
    where = {**joint_surface(params), **wanted}
    rows = reader.read("joint_embeddings", columns=["as_of_date", "entity_key", "vector"], dates=dates, where=where)
    rows = rows.rename_columns(list(_STORED))
    return rows if INSTRUMENT in entity_types else rows.slice(0, 0)  # the space is of instruments alone


_STORED = {
    "as_of_date": pa.date32(),
    "entity_id": pa.string(),
    "vector": pa.list_(pa.field("element", pa.float32(), nullable=False)),
}


def check_names(params: Any, reader: StageReader, markets: Sequence[str]) -> None:
    """Refuse names that are of no market asked for, or go with other entities than instruments.

    Raises
    ------
    RequestError
    """
    if not params.instrument_id:
        return
    if set(params.entity_type) != {INSTRUMENT}:
        raise RequestError("--instrument-id names instruments; it goes with --entity-type INSTRUMENT alone")
    known = {n for m in markets for n in instruments_of(reader, m)["instrument_id"].to_pylist()}
    unknown = sorted(set(params.instrument_id) - known)
    if unknown:
        raise RequestError(f"the lake has no instrument {', '.join(unknown)} in market {', '.join(markets)}")
