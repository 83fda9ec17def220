"""Stage: what a portfolio should hold on a session, decided on rebalance sessions from the universe of that session.

1. Sessions are rebalance sessions by the calendar: every one, or the first of each week or month that the universe has.
   Between them a decision stands; what is held of a name that is no longer listed becomes cash.
2. A backend without a turnover limit decides each rebalance session by itself.
3. With one, a decision depends on the one before it, and so on back to the universe's first session, before which
   there was no portfolio. So a request always covers every session since then: what is done and current is left alone,
   and what is decided goes on from the stored decision before it. Rows are then the same wherever requests begin and
   however they are cut, and a change to something early makes everything after it stale, as it should.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Markets
from prometheus.engines.portfolio import (
    BACKENDS,
    MEAN_VARIANCE,
    UNITS,
    MeanVariance,
)
from prometheus.errors import MissingInputError
from prometheus.lake import contract
from prometheus.runtime import Chunk, Holding, Input, Output, Stage, StageReader, market_in_scope
from prometheus.stages.cuts import first_day
from prometheus.stages.numeric.embeddings import NumericEmbeddingsParams, markets_asked
from prometheus.stages.portfolio.decisions import CASH, DECISION, SCORES, decide
from prometheus.stages.portfolio.params import EVERY, MODEL_IDS, PortfoliosParams
from prometheus.stages.portfolio.returns import HISTORY_DAYS

TABLE, MEMBERS = "target_portfolios", "universe_members"
NO_UNIVERSE = "no_universe"


def _universe(params: PortfoliosParams) -> dict[str, Any]:
    return {"model_id": params.universe_model_id, "variant": params.universe_variant}


def _own(params: PortfoliosParams) -> dict[str, Any]:
    return {"model_id": params.model_id, "variant": params.variant}


def _back(params: PortfoliosParams) -> int | None:
    return None if params.remembers else EVERY[params.rebalance]


def _back_to_returns(params: PortfoliosParams) -> int | None:
    return None if params.remembers else EVERY[params.rebalance] + HISTORY_DAYS


def _estimates(params: PortfoliosParams) -> bool:
    return params.backend == MEAN_VARIANCE


def _days(params: PortfoliosParams, reader: StageReader, first: dt.date, last: dt.date) -> dict[str, list[dt.date]]:
    if params.backend == MEAN_VARIANCE:
        MeanVariance.check_installed()
    markets = markets_asked(NumericEmbeddingsParams(market_id=params.market_id), reader)
    ids = {m: params.universe_id(m) for m in markets}
    sessions = {m: reader.sessions(m).between(first, last).dates.tolist() for m in markets}
    where = {**_universe(params), "universe_id": list(ids.values())}
    held = reader.source(MEMBERS, columns=["universe_id"], dates=(first, last), where=where)
    if any(sessions.values()) and reader.query(f"SELECT 1 FROM ({held}) LIMIT 1").num_rows == 0:
        named = "".join(f" --market-id {m}" for m in params.market_id)
        raise MissingInputError(
            f"there is no universe {', '.join(ids.values())} ({params.universe_model_id}, variant "
            f"{params.universe_variant}) between {first} and {last}; make it with `python -m "
            f"prometheus.scripts.backfill_universes --date-range {first} {last}{named}`"
        )
    begins = dict.fromkeys(ids, first)
    if params.remembers:
        for market_id, universe_id in ids.items():
            begun = first_day(reader, MEMBERS, {**_universe(params), "universe_id": universe_id})
            begins[market_id] = min(first, begun)
        reader.span(min(begins.values()), last)
    return {
        f"{m}/{params.portfolio}": reader.sessions(m).between(begin, last).dates.tolist() for m, begin in begins.items()
    }


def _compute(params: PortfoliosParams, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    parts: list[pa.Table] = []
    for scope, days in chunk.days.items():
        market_id = market_in_scope(scope, reader.markets)
        decided_on, members = _decision_days(params, reader, market_id, days)
        decisions = _decisions(params, reader, market_id, days, decided_on, members, out)
        for day, on in zip(days, decided_on, strict=True):
            if on is None:
                out.skip(scope, day, NO_UNIVERSE)
        rows = _standing(params, market_id, days, decided_on, decisions, members)
        for day, n in rows.group_by("as_of_date").len().iter_rows():
            out.make(scope, day, n)
        parts.append(_table(rows))
        out.replace(
            TABLE,
            partitions={"as_of_year": sorted({d.year for d in days})},
            keys={
                "portfolio_id": [params.portfolio_id(market_id)],
                "model_id": [params.model_id],
                "variant": [params.variant],
                "as_of_date": days,
            },
        )
    out.rows[TABLE] = pa.concat_tables(parts) if parts else contract(TABLE).empty()
    return out


def _decision_days(
    params: PortfoliosParams, reader: StageReader, market_id: str, days: Sequence[dt.date]
) -> tuple[list[dt.date | None], pl.DataFrame]:
    """Session each day's portfolio was decided on, None without a universe on the day; and the universe's rows."""
    begin = days[0] - dt.timedelta(days=EVERY[params.rebalance])
    where = {**_universe(params), "universe_id": params.universe_id(market_id)}
    columns = ["as_of_date", "instrument_id", "sector", "tier", "rank", "score"]
    rows = reader.read(MEMBERS, columns=columns, dates=(begin, days[-1]), where=where)
    members = pl.DataFrame(pl.from_arrow(rows)).sort("as_of_date", "instrument_id")
    held = np.unique(members["as_of_date"].to_numpy().astype("datetime64[D]"))
    period = _periods(held, params.rebalance)
    opening = {int(p): held[np.searchsorted(period, p)].item() for p in np.unique(period)}
    has = set(held.tolist())
    of = _periods(np.array(days, dtype="datetime64[D]"), params.rebalance)
    return [opening[int(p)] if day in has else None for day, p in zip(days, of.tolist(), strict=True)], members


def _periods(days: NDArray[np.datetime64], rule: str) -> NDArray[np.int64]:
    """Number of the day, week (from Monday) or month of each date."""
    if rule == "month":
        return days.astype("datetime64[M]").astype(np.int64)
    number = days.astype("datetime64[D]").astype(np.int64)
    return number if rule == "day" else (number + 3) // 7  # 1970-01-01 was a Thursday


def _decisions(
    params: PortfoliosParams,
    reader: StageReader,
    market_id: str,
    days: Sequence[dt.date],
    decided_on: Sequence[dt.date | None],
    members: pl.DataFrame,
    out: Output,
) -> pl.DataFrame:
    """Holdings of every session that is decided on, CASH among them: stored ones where they stand, else made here."""
    needed = sorted({on for on in decided_on if on is not None})
    stored = _stored_decisions(params, reader, market_id, days)
    asked = [on for on in needed if on not in stored]
    parts = [_stored(params, reader, market_id, [on for on in needed if on in stored])]
    last: pl.DataFrame | None = None
    for run in _runs(asked, stored):
        before = [on for on in stored if on < run[0]]
        if before and (last is None or before[-1] > last["as_of_date"][0]):
            last = _stored(params, reader, market_id, before[-1:])
        made = decide(params, reader, market_id, run, members, last, out)
        last = made.filter(pl.col("as_of_date") == run[-1])
        parts.append(made)
    return pl.concat(parts)


def _stored_decisions(
    params: PortfoliosParams, reader: StageReader, market_id: str, days: Sequence[dt.date]
) -> list[dt.date]:
    """Sessions decided on that are done and stay as they are, up to the last of these days, ascending."""
    if not params.remembers:
        return []
    where = {**_own(params), "portfolio_id": params.portfolio_id(market_id)}
    held = reader.source(TABLE, columns=["as_of_date", "rebalanced_on"], dates=(dt.date.min, days[-1]), where=where)
    decided = f"SELECT DISTINCT rebalanced_on AS day FROM ({held}) WHERE as_of_date = rebalanced_on ORDER BY 1"
    found = reader.query(decided)
    again = set(days)
    return [day for day in found["day"].to_pylist() if day not in again]


def _runs(asked: Sequence[dt.date], stored: Sequence[dt.date]) -> list[list[dt.date]]:
    """Cut sessions to decide on where a stored decision lies between two of them."""
    runs: list[list[dt.date]] = []
    for day in asked:
        if runs and not any(runs[-1][-1] < on < day for on in stored):
            runs[-1].append(day)
        else:
            runs.append([day])
    return runs


def _stored(params: PortfoliosParams, reader: StageReader, market_id: str, days: Sequence[dt.date]) -> pl.DataFrame:
    """Stored decisions of some sessions."""
    where = {**_own(params), "portfolio_id": params.portfolio_id(market_id), "as_of_date": list(days)}
    rows = reader.read(TABLE, where=where) if days else contract(TABLE).empty()
    units = (pl.col("weight") * UNITS).round().cast(pl.Int64)
    return pl.DataFrame(pl.from_arrow(rows)).with_columns(units=units).select(DECISION).sort(DECISION[:2])


def _standing(
    params: PortfoliosParams,
    market_id: str,
    days: Sequence[dt.date],
    decided_on: Sequence[dt.date | None],
    decisions: pl.DataFrame,
    members: pl.DataFrame,
) -> pl.DataFrame:
    """Rows of every day: the decision that stands, less what is no longer listed, with cash as the rest."""
    asked = pl.DataFrame(
        {"as_of_date": list(days), "rebalanced_on": list(decided_on)},
        schema={"as_of_date": pl.Date, "rebalanced_on": pl.Date},
    ).drop_nulls()
    key = ["as_of_date", "instrument_id"]
    rows = asked.join(decisions.rename({"as_of_date": "rebalanced_on"}), on="rebalanced_on", maintain_order="left")
    listed = members.select(*key).with_columns(there=pl.lit(True))
    rows = rows.join(listed, on=key, how="left", maintain_order="left").filter(
        pl.col("there") | (pl.col("instrument_id") == CASH)
    )
    is_cash = pl.col("instrument_id") == CASH
    invested = pl.col("units").filter(~is_cash).sum().over("as_of_date")
    return rows.with_columns(
        pl.when(is_cash).then(UNITS - invested).otherwise("units").alias("units"),
        pl.lit(params.portfolio_id(market_id)).alias("portfolio_id"),
        pl.lit(params.model_id).alias("model_id"),
        pl.lit(params.variant).alias("variant"),
        pl.lit(market_id).alias("market_id"),
        pl.lit(params.universe_id(market_id)).alias("universe_id"),
        pl.col("as_of_date").dt.year().cast(pl.Int32).alias("as_of_year"),
    ).with_columns(weight=pl.col("units") / UNITS)


def _table(rows: pl.DataFrame) -> pa.Table:
    schema = contract(TABLE).schema
    table: pa.Table = rows.select(schema.names).to_arrow(compat_level=pl.CompatLevel.oldest())
    return table.cast(schema)


def _holds(params: PortfoliosParams, scope: str, markets: Markets) -> dict[str, Holding]:
    portfolio_id = params.portfolio_id(market_in_scope(scope, markets))
    return {TABLE: Holding({"portfolio_id": portfolio_id, **_own(params)})}


def _never(params: Mapping[str, Any]) -> bool:
    return False


PORTFOLIOS = Stage(
    name="portfolios",
    revision=1,
    summary="turn a universe into target weights, cash among them",
    params=PortfoliosParams,
    inputs=(
        Input(MEMBERS, history=_back, where=_universe),
        Input(SCORES, history=_back, where=lambda p: p.scores, optional=True),
        Input("prices_daily", history=_back_to_returns, when=_estimates),
        Input("corporate_actions", history=None, optional=True, when=_estimates),
        Input("instruments", history=None),
        # The state: its own earlier rows. What those were made from answers for them, so they make no day stale.
        Input(TABLE, history=None, where=_own, optional=True, when=_never),
    ),
    outputs=(TABLE,),
    surface=lambda p: p.model_id,
    days=_days,
    compute=_compute,
    market=market_in_scope,
    chunk_by="year",
    order="sequential",
    command="backfill_portfolios",
    holds=_holds,
    writes=lambda p: {TABLE: {"model_id": p.model_id}},
    surfaces=tuple({"model_id": MODEL_IDS[backend]} for backend in BACKENDS),
)
