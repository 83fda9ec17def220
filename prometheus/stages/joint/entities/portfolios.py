"""Portfolios of a market."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from prometheus.clock import Markets
from prometheus.lake.predicates import literal
from prometheus.runtime import Holding, Input, StageReader
from prometheus.stages.joint.entities.base import Answered, Entities, Scopes, no_names, sessions_and_cutoffs
from prometheus.stages.joint.entities.names import markets_asked
from prometheus.stages.joint.rows import Wanted
from prometheus.stages.joint.scopes import described_rows, repeated


class PortfolioEntities(Entities):
    """Every portfolio of a market that has a numeric window on the day."""

    inputs: tuple[Input, ...] = (Input("instruments", history=None),)

    def days(self, params: Any, reader: StageReader, first: dt.date, last: dt.date) -> Scopes:
        """Sessions of each market asked for."""
        markets = [m.market_id for m in markets_asked(params, reader)]
        return {m: reader.sessions(m).between(first, last).dates.tolist() for m in markets}

    def wanted(self, params: Any, reader: StageReader, scope: str, days: Sequence[dt.date]) -> Wanted:
        """One row a window; the window's own stage counts the portfolios without one."""
        market = reader.markets.market(scope)
        dates, known_by, _ = sessions_and_cutoffs(reader, scope, params, days)
        numeric = next(b for b in self.space.branches if b.source == "numeric")
        where = {
            "model_id": params.model(numeric),
            "variant": params.variant_of(numeric),
            "entity_type": numeric.surface,
            "as_of_date": list(days),
        }
        if params.portfolio_id:
            where["entity_id"] = list(params.portfolio_id)
        columns = ["as_of_date", "entity_id"]
        rows = reader.read("numeric_window_embeddings", columns=columns, dates=(days[0], days[-1]), where=where)
        frame = pl.DataFrame(pl.from_arrow(rows)).filter(pl.col("entity_id").str.starts_with(f"{scope}_"))
        frame = frame.sort("as_of_date", "entity_id")
        at = np.searchsorted(dates, frame["as_of_date"].to_numpy().astype("datetime64[D]"))
        names = np.array(frame["entity_id"].to_list(), dtype=np.str_)
        nobody = no_names(len(names))
        return Wanted(scope, scope, market.region or "", dates[at], known_by[at], names, names, nobody)

    def describe(self, params: Any, reader: StageReader, wanted: Wanted, sources: pa.Array) -> pa.StringArray:
        """Portfolio, region, sources."""
        return described_rows(
            {
                "portfolio_id": pa.array(wanted.keys, pa.string()),
                "region": repeated(wanted.region, len(wanted)),
                "source": sources,
            }
        )

    def answers_for(self, params: Any, reader: StageReader, scope: str, days: Sequence[dt.date]) -> Answered:
        """Portfolios asked for, else every one of the market."""
        if params.portfolio_id:
            return Answered({"entity_key": list(params.portfolio_id)})
        return Answered({"model_id": [params.joint_model_id]}, {"entity_key": f"{re.escape(scope)}_.*"})

    def holding(self, params: Any, scope: str, markets: Markets) -> Holding:
        """Rows of the market's portfolios: their ids begin with it."""
        return Holding({}, f"starts_with(entity_key, {literal(scope + '_')})")
